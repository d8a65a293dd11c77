"""DAVIS label PNGs to a YouTube-VIS annotation file:

    mmvos convert davis_to_youtube_vis DAVIS OUT.json

Nothing is lost: ``mmvos convert youtube_vis_to_davis`` writes the same pixel values again. The id
of an object is kept as ``object_id`` in its annotation, void pixels (255) as ``void`` in the video.
Pictures stay where they are: their root is DAVIS/JPEGImages/480p, or DAVIS/JPEGImages without such
a level.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='DAVIS label PNGs to a YouTube-VIS annotation file.'
    )
    parser.add_argument(
        'davis', type=Path, help='the root of DAVIS, or a folder with label PNGs per sequence'
    )
    parser.add_argument('out', type=Path, help='the JSON file')
    parser.add_argument(
        '--year',
        type=int,
        choices=(2016, 2017),
        default=2017,
        help='2016: 255 is the object, not void',
    )
    parser.add_argument(
        '--split',
        default='val',
        help='name in ImageSets/, or a file with a sequence per line (default val)',
    )
    parser.add_argument(
        '--resolution', default='480p', help='folder in Annotations/ (default 480p)'
    )
    parser.add_argument(
        '--classes',
        type=Path,
        metavar='JSON',
        help='{sequence: class} or {sequence: {object id: class}}; without it all are "object"',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert one folder."""
    args = parse_arguments(argv)

    from mmvos.convert import davis
    from mmvos.evaluation.davis.sequences import Protocol, find_ground_truth
    from mmvos.io.atomic import write_json
    from mmvos.io.json_file import read_json

    folders = find_ground_truth(args.davis, Protocol(args.year), args.split, args.resolution)
    classes = read_json(args.classes) if args.classes else None
    frames_folder = davis.find_frames_folder(args.davis.resolve(), args.resolution)
    data = davis.read(folders, frames_folder, classes, args.year == 2016)
    write_json(args.out, data)
    print(f'{args.out}: {len(data["videos"])} videos, {len(data["annotations"])} objects')
