"""A YouTube-VIS annotation or results file to labelme files:

    mmvos convert youtube_vis_to_labelme IN.json OUT [--results RESULTS.json
    --min-score 0.5]

Writes OUT/VIDEO/FRAME.json of each frame that shows an object: shapes of the kind ``mask``, bit by
bit, with the class as label and the id as group_id. labelme wants the image beside the JSON.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .source_arguments import add_source_arguments, read_source


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='A YouTube-VIS annotation or results file to labelme files.'
    )
    add_source_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert one file."""
    args = parse_arguments(argv)

    from mmvos.convert import labelme_writer
    from mmvos.convert.annotation_model import Notes

    notes = Notes()
    count = labelme_writer.write(args.out, read_source(args), notes)
    print(f'{args.out}: {count} files')
    notes.show()
