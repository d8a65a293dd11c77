"""Converts published weights: python tools/convert_checkpoint.py CONFIG SOURCE OUT

SOURCE is a SiamMask file (VOT, VOT_LD, DAVIS), pysot's siammask, the published MaskTrack R-CNN
(with masktrack-rcnn_r50_fpn_official.py), or an ImageNet ResNet-50 for SiamMask's backbone. CONFIG
is the config that it is for. Every weight is accounted for. Files are read as tensors only; --trust
also reads those that hold other objects, which can run code.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# a checkout works without being installed
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings

from mmvos.apis.checkpoint import read_checkpoint
from mmvos.apis.convert import Converted, convert_weights
from mmvos.cli.guard import run_command
from mmvos.io.atomic import save_torch
from mmvos.io.config_file import read_config_file
from mmvos.registry import MODELS


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Converts published weights.')
    parser.add_argument('config', help='config that the weights are for')
    parser.add_argument('source', help='the published file, or its URL')
    parser.add_argument('out', type=Path, help='file to write')
    parser.add_argument(
        '--trust',
        action='store_true',
        help='read the file even if it holds other objects than tensors: these can run any code',
    )
    return parser.parse_args()


def main() -> None:
    """Converts one file and says what it was, or ends with what is wrong with it."""
    arguments = parse_arguments()
    try:
        converted = convert(arguments)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'convert_checkpoint: {error}')
    save_torch(arguments.out, {'state_dict': converted.weights})
    print(
        f'{arguments.source}: {converted.kind}, {len(converted.weights)} tensors -> {arguments.out}'
    )


def convert(arguments: argparse.Namespace) -> Converted:
    """Reads the file and converts its weights.

    Raises:
        FileNotFoundError: there is no such config or file.
        ValueError: the file is not what it should be.
    """
    given = read_checkpoint(arguments.source, trust=arguments.trust).weights
    config = read_config_file(arguments.config)
    import_modules_from_strings(**config.get('custom_imports', {'imports': ['mmvos.models']}))
    init_default_scope(config.get('default_scope', 'mmdet'))
    return convert_weights(given, MODELS.build(config.model).state_dict(), arguments.source)


if __name__ == '__main__':
    run_command('convert_checkpoint', main)
