"""A YouTube-VIS annotation or results file to COCO with track ids:

    mmvos convert youtube_vis_to_coco IN.json OUT.json [--results RESULTS.json --min-score 0.5]

Every frame becomes an image with ``video_id`` and ``frame_id`` (from 0), every visible object in it
an annotation with ``track_id`` and, for mm-style readers, the same number as ``instance_id``; a
result also has its ``score``. Polygons stay polygons, run lengths become compressed ones.
``mmvos convert coco_to_youtube_vis`` reads it back. An object that no frame shows and void pixels
have no place in COCO; a note says how many there were.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .source_arguments import add_source_arguments, read_source


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='A YouTube-VIS annotation or results file to COCO with track ids.'
    )
    add_source_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert one file."""
    args = parse_arguments(argv)

    from mmvos.convert import coco
    from mmvos.convert.annotation_model import Notes

    notes = Notes()
    coco.write(args.out, read_source(args), notes)
    notes.show()
