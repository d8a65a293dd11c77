"""Writes a model as ONNX graphs: mmvos export masktrack --out DIR

MaskTrack, SiamMask and S2iamMask are exported. DIR then holds three graphs (encode, segment and
remember of MaskTrack; template, search and refine of SiamMask) and model.json; docs/onnx.md
describes them. ``mmvos segment --graphs DIR`` uses them. In float16 the weights are half as large
and stand once, in DIR/weights.safetensors; the arithmetic is float32 in either case.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmvos.cli.config_options import add_config_options, read_config_options

EXPECTED_ERRORS = (ValueError,)
_PRECISIONS = ('float32', 'float16')


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Writes MaskTrack, SiamMask or S2iamMask as ONNX graphs.'
    )
    parser.add_argument(
        'model', help='masktrack, siammask, s2iammask, or another such model: its name or config'
    )
    parser.add_argument('--out', required=True, type=Path, metavar='DIR', help='folder to write')
    parser.add_argument(
        '--checkpoint', help='weights; default: those that come with the name or config'
    )
    parser.add_argument(
        '--precision',
        choices=_PRECISIONS,
        default='float32',
        help='of the stored weights (default: float32)',
    )
    add_config_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Export the model and list the files.

    Raises:
        DataError, OSError, ValueError: what a user can mend.
    """
    args = parse_arguments(argv)

    from mmvos.apis.model_loading import init_model, load_config, shipped_weights
    from mmvos.io.atomic import check_folder
    from mmvos.onnx.export import export_model

    check_folder(args.out)
    config = load_config(args.model)
    weights = args.checkpoint or shipped_weights(config)
    model = init_model(config, weights, 'cpu', read_config_options(args.cfg_options))
    for path in export_model(model, Path(weights), args.out, args.precision):
        print(f'  {path}  {path.stat().st_size / 1e6:.2f} MB')
