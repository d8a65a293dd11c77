"""A YouTube-VIS annotation or results file to CVAT for video 1.1:

    mmvos convert youtube_vis_to_cvat IN.json OUT [--results RESULTS.json
    --min-score 0.5]

Writes OUT/VIDEO.xml of each video: tracks of masks, bit by bit, which CVAT and
``cvat_to_youtube_vis`` read.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .source_arguments import add_source_arguments, read_source


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='A YouTube-VIS annotation or results file to CVAT for video 1.1.'
    )
    add_source_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert one file."""
    args = parse_arguments(argv)

    from mmvos.convert import cvat_writer
    from mmvos.convert.annotation_model import Notes

    notes = Notes()
    count = cvat_writer.write(args.out, read_source(args), notes)
    print(f'{args.out}: {count} files')
    notes.show()
