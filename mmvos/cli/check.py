"""Says what is wrong in a data set before a training does:

    mmvos check instances.json [--frames JPEGImages] [--images] [--test] [--checkpoint CKPT]
    mmvos check FOLDER [--split LIST] [--images]          DAVIS or YouTube-VOS layout
    mmvos check CONFIG.py [--images] [--checkpoint CKPT]  every data set of a config

Prints a table of findings with their number and the first places. Exit code: 0, or 1 where there is
an error; notes are no errors.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmvos.io.config_file import read_config_file

if TYPE_CHECKING:
    from mmvos.datasets.checks.config_data import Classes
    from mmvos.datasets.checks.findings import Findings


EXPECTED_ERRORS = (ValueError,)


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Says what is wrong in a data set before a training does.'
    )
    parser.add_argument(
        'data',
        type=Path,
        help='YouTube-VIS JSON, folder in the layout of DAVIS or YouTube-VOS, or config',
    )
    parser.add_argument(
        '--frames',
        type=Path,
        help='of a JSON: folder that its file names are relative to (default: JPEGImages '
        'beside '
        'it, where there is one)',
    )
    parser.add_argument(
        '--images', action='store_true', help='open every frame (of a folder: and label image)'
    )
    parser.add_argument(
        '--test',
        action='store_true',
        help='of a JSON: it is for tests only, so annotations may be absent',
    )
    parser.add_argument('--split', help="of a folder: list of videos, as in the data set's config")
    parser.add_argument(
        '--layout',
        choices=('davis', 'youtube-vos'),
        help='of a folder (default: youtube-vos with a meta.json)',
    )
    parser.add_argument(
        '--checkpoint',
        help="also compare its classes with the data's: a model to be tested or resumed",
    )
    return parser.parse_args(argv)


def check(arguments: argparse.Namespace) -> list[Findings]:
    """Find what is wrong in what the arguments name.

    Args:
        arguments: of the command line.

    Returns:
        The findings of each data set, and of the checkpoint.

    Raises:
        FileNotFoundError, ValueError: the data or the checkpoint is none.
    """
    from mmvos.datasets.checks.config_data import check_config
    from mmvos.datasets.checks.findings import Findings
    from mmvos.datasets.checks.mask_folder_data import check_mask_folder
    from mmvos.datasets.checks.youtube_vis_data import check_youtube_vis

    data = arguments.data
    if not data.exists():
        raise FileNotFoundError(f'{data} does not exist')

    classes: Classes = {}
    if data.suffix == '.py':
        # A config: all data sets that it names.
        found, classes = check_config(read_config_file(data), arguments.images)
    elif data.is_dir():
        # A folder in the layout of DAVIS or of YouTube-VOS.
        found = [Findings(str(data))]
        check_mask_folder(data, found[0], arguments.split, arguments.layout, arguments.images)
    else:
        # An annotation file; its frames lie beside it, if no other place is named.
        found = [Findings(str(data))]
        frames = arguments.frames
        beside = data.parent / 'JPEGImages'
        if not frames and beside.is_dir():
            frames = beside
        names = check_youtube_vis(data, found[0], frames, arguments.images, not arguments.test)
        if names:
            classes = {str(data): names}
    if arguments.checkpoint:
        found.append(_check_checkpoint(arguments.checkpoint, classes))
    return found


def _check_checkpoint(source: str, classes: Classes) -> Findings:
    """Compare the classes of a checkpoint with those of the data."""
    from mmvos.apis.checkpoint import read_checkpoint  # torch
    from mmvos.datasets.checks.config_data import compare_classes
    from mmvos.datasets.checks.findings import Findings

    findings = Findings(source)
    meta = read_checkpoint(source).dataset_meta
    known = tuple(meta.get('classes') or ())
    if not known:
        findings.note('the checkpoint does not say its classes', 'it has no dataset_meta.classes')
        return findings
    findings.summary = f'trained for {len(known)} classes'
    if not classes:
        findings.note('the data has no classes to be compared', 'only YouTube-VIS files have')
    for title, names in classes.items():
        compare_classes(names, known, findings, title, 'the checkpoint')
    return findings


def main(argv: Sequence[str] | None = None) -> None:
    """Check, print the tables, and exit with 0, or 1 where there is an error.

    Raises:
        DataError, OSError, ValueError: the data or the checkpoint is none.
    """
    from mmvos.datasets.checks.findings import numbers

    found = check(parse_arguments(argv))
    for findings in found:
        print(findings.table())
    print(f'mmvos check: {numbers(found)}')
    has_error = any(findings.count('error') for findings in found)
    sys.exit(int(has_error))
