"""A YouTube-VIS annotation or results file to MOTS text files:

    mmvos convert youtube_vis_to_mots IN.json OUT [--results RESULTS.json --min-score 0.5]
        [--overlaps smaller]

Writes OUT/VIDEO/gt/gt.txt and OUT/VIDEO/seqinfo.ini (MOTS Challenge) for every video: frames are
numbered from 1, ids are kept (``--ids number``: 1000 x class + 1, 2, ..., as MOTS does), class ids
are the category ids. Masks are kept bit by bit, polygons are filled. What MOTS cannot hold: a pixel
of two objects (refused, unless ``--overlaps`` says who gets it), names of frames and of classes,
and the class of groups (iscrowd), which with void pixels become regions to be ignored, id 10000;
notes say so. ``mmvos convert mots_to_youtube_vis`` reads the files back.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .source_arguments import add_label_arguments, add_source_arguments, read_source


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='A YouTube-VIS annotation or results file to MOTS text files.'
    )
    add_source_arguments(parser)
    add_label_arguments(parser, '1000 x class + 1, 2, ... in place of the ids')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Write one text file per video."""
    args = parse_arguments(argv)

    from mmvos.convert import mots
    from mmvos.convert.annotation_model import Notes

    notes = Notes()
    mots.write(args.out, read_source(args), args.ids, args.overlaps, notes)
    notes.show()
