"""The arguments that all converters out of YouTube-VIS share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

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


def read_source(arguments: argparse.Namespace) -> AnnotationFile:
    """Read what ``add_source_arguments`` describes."""
    from mmvos.convert.youtube_vis import read_videos

    return read_videos(arguments.annotations, arguments.results, arguments.min_score)
