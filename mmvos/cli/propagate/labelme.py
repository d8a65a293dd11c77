"""Annotates all frames of a folder in which some have a labelme file.

    mmvos propagate labelme FOLDER              a file beside each frame that has none
    mmvos propagate labelme FOLDER --out DIR    files of all frames in another folder

Polygons, rectangles, circles and masks are objects: those with one label and one group id are one,
in a frame and between frames; several annotated frames help each other. Drawn shapes, flags, lines
and points stay as they are. A new shape has the label and the group id of its object, and a score.
Once some of the new shapes are corrected in labelme, the same command with --overwrite goes on from
all that is drawn.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .model_arguments import add_arguments, run

if TYPE_CHECKING:
    from mmvos.annotate.labelme_folder import LabelmeFolder
    from mmvos.convert.annotation_model import Notes

EXPECTED_ERRORS = (ValueError,)
KEPT_WHEN_STOPPED = 'the files that are there are whole; the same command writes the others'


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Annotates all frames of a folder in which some have a labelme file. What is '
        'drawn is never changed.'
    )
    parser.add_argument('folder', type=Path, metavar='FOLDER', help='frames and labelme files')
    parser.add_argument(
        '--out', type=Path, metavar='DIR', help='folder of the files; default: FOLDER'
    )
    parser.add_argument(
        '--polygons',
        action='store_true',
        help='write polygons, whose corners labelme can move, instead of masks; holes are filled',
    )
    add_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Annotate the folder, and say what was written.

    Raises:
        DataError, OSError, ValueError: what a user can mend.
    """
    args = parse_arguments(argv)

    def open_folder(notes: Notes) -> LabelmeFolder:
        from mmvos.annotate.labelme_folder import LabelmeFolder

        return LabelmeFolder(args.folder, args.out, args.overwrite, args.polygons, notes)

    run(open_folder, args)
