"""A YouTube-VIS annotation or results file to DAVIS label PNGs:

    mmvos convert youtube_vis_to_davis IN.json OUT [--results RESULTS.json --min-score 0.5]
        [--overlaps smaller]

Writes OUT/Annotations/480p/VIDEO/FRAME.png (pixel value = object id) and
OUT/ImageSets/2017/SPLIT.txt. The id of an object is its ``object_id`` (as the converters into
YouTube-VIS write it), or its place among the video's annotations. Groups (iscrowd) and ``void``
become 255. Videos with ids above 255 become 16-bit gray PNGs. What label images cannot hold:
classes, ids above 65535 (refused, unless ``--ids number`` numbers the objects of each video from
1), and a pixel of two objects (refused, unless ``--overlaps`` says who gets it).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .source_arguments import add_label_arguments, add_source_arguments, read_source


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='A YouTube-VIS annotation or results file to DAVIS label PNGs.'
    )
    add_source_arguments(parser)
    parser.add_argument(
        '--split', default='val', help='name of the list of sequences (default val)'
    )
    parser.add_argument(
        '--resolution', default='480p', help='folder in Annotations/ (default 480p)'
    )
    add_label_arguments(parser, 'the objects of each video are numbered from 1')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the label images and the list of sequences."""
    args = parse_arguments(argv)

    from mmvos.convert import davis
    from mmvos.convert.annotation_model import Notes

    notes = Notes()
    source = read_source(args)
    davis.write(args.out, source, args.split, args.resolution, args.ids, args.overlaps, notes)
    notes.show()
