"""Converts published weights:

    mmvos weights convert CONFIG SOURCE OUT

SOURCE is a SiamMask file (VOT, VOT_LD, DAVIS), pysot's siammask, the published MaskTrack R-CNN
(with masktrack-rcnn_r50_fpn_official.py), or an ImageNet ResNet-50 for SiamMask's backbone. CONFIG
is the config that it is for. Every weight is accounted for. Files are read as tensors only; --trust
also reads those that hold other objects, which can run code.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmvos.io.config_file import read_config_file

if TYPE_CHECKING:
    from mmvos.apis.published_checkpoints import Converted

EXPECTED_ERRORS = (ValueError,)


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Converts published weights.')
    parser.add_argument('config', help='config that the weights are for')
    parser.add_argument('source', help='the published file, or its URL')
    parser.add_argument('out', type=Path, help='file to write')
    parser.add_argument(
        '--trust',
        action='store_true',
        help='read the file even if it holds other objects than tensors: these can run any code',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert one file and say what it was.

    Raises:
        DataError, OSError, ValueError: what is wrong with the file or the config.
    """
    arguments = parse_arguments(argv)

    from mmvos.io.atomic import save_torch

    converted = convert(arguments)
    save_torch(arguments.out, {'state_dict': converted.weights})
    print(
        f'{arguments.source}: {converted.kind}, {len(converted.weights)} tensors -> {arguments.out}'
    )


def convert(arguments: argparse.Namespace) -> Converted:
    """Read the file and convert its weights.

    Raises:
        FileNotFoundError: there is no such config or file.
        ValueError: the file is not what it should be.
    """
    from mmengine.registry import init_default_scope
    from mmengine.utils import import_modules_from_strings

    from mmvos.apis.checkpoint import read_checkpoint
    from mmvos.apis.published_checkpoints import convert_weights
    from mmvos.registry import MODELS

    given = read_checkpoint(arguments.source, trust=arguments.trust).weights
    config = read_config_file(arguments.config)

    # The model says which names and shapes there are.
    import_modules_from_strings(
        **config.get('custom_imports', {'imports': ['mmvos.models.registered']})
    )
    init_default_scope(config.get('default_scope', 'mmdet'))
    model = MODELS.build(config.model)
    return convert_weights(given, model.state_dict(), arguments.source)
