"""A YouTube-VIS annotation or results file to YOLO-seg:

    mmvos convert youtube_vis_to_yolo IN.json OUT [--results RESULTS.json
    --min-score 0.5]

Writes OUT/labels/VIDEO/FRAME.txt with an outline for each object, and OUT/data.yaml with the
classes, as Ultralytics reads them. Ids and holes have no place in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .source_arguments import add_source_arguments, read_source


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='A YouTube-VIS annotation or results file to YOLO-seg.'
    )
    add_source_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert one file."""
    args = parse_arguments(argv)

    from mmvos.convert import yolo
    from mmvos.convert.annotation_model import Notes

    notes = Notes()
    count = yolo.write(args.out, read_source(args), notes)
    print(f'{args.out}: {count} files')
    notes.show()
