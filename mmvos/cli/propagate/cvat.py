"""Gives objects of a CVAT task that are drawn in some frames a mask in each frame.

    mmvos propagate cvat task.zip clip.mp4 --out all_frames.xml

The first file is an export of the task as "CVAT for video 1.1", its zip or its XML; the result is
uploaded as the same format. Masks, polygons, boxes and ellipses of key frames are what is drawn; a
track stays hidden where it is outside. Everything else in the file stays as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .model_arguments import add_arguments, run

if TYPE_CHECKING:
    from mmvos.annotate.cvat_file import CvatFile
    from mmvos.convert.annotation_model import Notes

EXPECTED_ERRORS = (ValueError,)
KEPT_WHEN_STOPPED = 'nothing is written'


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Gives objects of a CVAT task that are drawn in some frames a mask in each.'
    )
    parser.add_argument(
        'file', type=Path, metavar='FILE', help='CVAT for video 1.1: its zip or XML'
    )
    parser.add_argument('video', type=Path, metavar='VIDEO', help='video, or folder of its frames')
    parser.add_argument('--out', type=Path, required=True, metavar='XML', help='file to write')
    add_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Annotate the video, and say what was written.

    Raises:
        DataError, OSError, ValueError: what a user can mend.
    """
    args = parse_arguments(argv)

    def open_file(notes: Notes) -> CvatFile:
        from mmvos.annotate.cvat_file import CvatFile

        return CvatFile(args.file, args.video, args.out, args.overwrite, notes)

    run(open_file, args)
