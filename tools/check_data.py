"""Says what is wrong in a data set before a training does:

    python tools/check_data.py instances.json [--frames JPEGImages] [--images] [--test] [--checkpoint CKPT]
    python tools/check_data.py FOLDER [--split LIST] [--images]          DAVIS or YouTube-VOS layout
    python tools/check_data.py CONFIG.py [--images] [--checkpoint CKPT]  every data set of a config

Prints a table of findings with their number and the first places. Exit code: 0, or 1 where there is
an error; notes are no errors.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
# a checkout works without being installed
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data_checks.config_data import Classes, check_config, compare_classes
from data_checks.findings import Findings, numbers
from data_checks.mask_folder_data import check_mask_folder
from data_checks.youtube_vis_data import check_youtube_vis
from mmengine.config import Config

from mmvos.apis.checkpoint import read_checkpoint
from mmvos.cli.guard import run_command


def parse_arguments() -> argparse.Namespace:
    """The command line."""
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
    return parser.parse_args()


def check(arguments: argparse.Namespace) -> list[Findings]:
    """The findings of what the arguments name.

    Raises:
        FileNotFoundError, ValueError: the data or the checkpoint is none.
    """
    data = arguments.data
    if not data.exists():
        raise FileNotFoundError(f'{data} does not exist')
    classes: Classes = {}
    if data.suffix == '.py':
        found, classes = check_config(_config(data), arguments.images)
    elif data.is_dir():
        found = [Findings(str(data))]
        check_mask_folder(data, found[0], arguments.split, arguments.layout, arguments.images)
    else:
        found = [Findings(str(data))]
        beside = data.parent / 'JPEGImages'
        frames = arguments.frames or (beside if beside.is_dir() else None)
        names = check_youtube_vis(data, found[0], frames, arguments.images, not arguments.test)
        classes = {str(data): names} if names else {}
    if arguments.checkpoint:
        found.append(_check_checkpoint(arguments.checkpoint, classes))
    return found


def _config(path: Path) -> Config:
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is Python, which can fail in any way
        raise ValueError(
            f'{path} is no config ({type(error).__name__}: {str(error).splitlines()[0]})'
        ) from error


def _check_checkpoint(source: str, classes: Classes) -> Findings:
    findings = Findings(source)
    known = read_checkpoint(source).dataset_meta.get('classes')
    if not known:
        findings.note('the checkpoint does not say its classes', 'it has no dataset_meta.classes')
    elif not classes:
        findings.note('the data has no classes to be compared', 'only YouTube-VIS files have')
    for title, names in classes.items() if known else ():
        compare_classes(names, tuple(known), findings, title, 'the checkpoint')
    findings.summary = f'trained for {len(known)} classes' if known else ''
    return findings


def main() -> None:
    """Checks, prints the tables, and exits with 1 where there is an error."""
    arguments = parse_arguments()
    try:
        found = check(arguments)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'check_data: {error}')
    for findings in found:
        print(findings.table())
    print(f'check_data: {numbers(found)}')
    sys.exit(any(findings.count('error') for findings in found))


if __name__ == '__main__':
    run_command('check_data', main)
