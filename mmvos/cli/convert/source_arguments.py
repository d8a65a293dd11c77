"""The arguments that all converters out of YouTube-VIS share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mmvos.convert.flatten_masks import OVERLAPS

if TYPE_CHECKING:
    from mmvos.convert.youtube_vis import AnnotationFile


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of all converters out of YouTube-VIS."""
    parser.add_argument(
        'annotations',
        type=Path,
        help='annotation file in YouTube-VIS format; or a results file, whose videos and '
        'classes are then called by their ids',
    )
    parser.add_argument('out', type=Path, help='what to write')
    parser.add_argument(
        '--results',
        type=Path,
        metavar='JSON',
        help='take the objects from this results file (or zip) instead; the '
        'annotation file, which may have no annotations, says which videos and classes there are',
    )
    parser.add_argument(
        '--min-score',
        type=float,
        default=0.0,
        help='leave out results with a lower score (default 0)',
    )


def add_label_arguments(parser: argparse.ArgumentParser, numbers: str) -> None:
    """Add the arguments of formats in which a pixel has one object, and an object a number.

    Args:
        parser: of the converter.
        numbers: what ``--ids number`` writes.
    """
    parser.add_argument(
        '--ids',
        choices=('keep', 'number'),
        default='keep',
        help=f'number: {numbers} (default keep)',
    )
    parser.add_argument(
        '--overlaps',
        choices=OVERLAPS,
        default='refuse',
        help='who gets a pixel of two objects: nobody (default), the smaller one, or the one of '
        'the higher score',
    )


def read_source(arguments: argparse.Namespace) -> AnnotationFile:
    """Read what ``add_source_arguments`` describes."""
    from mmvos.convert.youtube_vis import read_videos

    return read_videos(arguments.annotations, arguments.results, arguments.min_score)
