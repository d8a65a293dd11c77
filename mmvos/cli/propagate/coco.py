"""Annotates all frames of a video of which a COCO file has some.

    mmvos propagate coco annotations.json FRAMES --out all_frames.json

Masks, polygons and boxes are what is annotated; ``track_id`` says which annotations are one object.
Images and annotations of the file are kept; those of the other frames are added, with a score.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .model_arguments import add_arguments, run

if TYPE_CHECKING:
    from mmvos.annotate.coco_file import CocoFile
    from mmvos.convert.annotation_model import Notes

EXPECTED_ERRORS = (ValueError,)
KEPT_WHEN_STOPPED = 'nothing is written'


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Annotates all frames of a video of which a COCO file has some.'
    )
    parser.add_argument('file', type=Path, metavar='FILE.json', help='COCO, about one video')
    parser.add_argument('folder', type=Path, metavar='FOLDER', help='all frames of the video')
    parser.add_argument('--out', type=Path, required=True, metavar='JSON', help='file to write')
    add_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Annotate the video, and say what was written.

    Raises:
        DataError, OSError, ValueError: what a user can mend.
    """
    args = parse_arguments(argv)

    def open_file(notes: Notes) -> CocoFile:
        from mmvos.annotate.coco_file import CocoFile

        return CocoFile(args.file, args.folder, args.out, args.overwrite, notes)

    run(open_file, args)
