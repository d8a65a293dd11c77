"""Joins checkpoints of several models in one: python tools/join_checkpoints.py CONFIG
OUT.safetensors PART=CHECKPOINT ...

For a model whose tracker holds other trackers, as ``mmvos.PartTracker`` does:

    python tools/join_checkpoints.py configs/parts/parts_r50_fpn_davis.py
    checkpoints/parts_r50_fpn.safetensors \\
        matcher=checkpoints/siammask-base_r50_fpn.pth
        propagator=weights/masktrack_compact.safetensors

PART is a part of the tracker, CHECKPOINT that of a model whose whole tracker it is. All weights of
the config's model must be there; those that it does without (a head for refined masks) are left out
and named. OUT fits CONFIG.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

# a checkout works without being installed
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmengine.config import DictAction
from safetensors.torch import save
from torch import Tensor

from mmvos.apis import init_model
from mmvos.apis.checkpoint import Checkpoint, load_weights, read_checkpoint
from mmvos.cli.guard import run_command
from mmvos.io.atomic import write_bytes

_TRACKER = 'tracker.'


def joined(
    own: Mapping[str, Tensor], parts: Mapping[str, Checkpoint]
) -> tuple[dict[str, Tensor], list[str]]:
    """The weights of a model from those of its tracker's parts, and the names of those that it has
    no place for.

    Args:
        own: name -> tensor, what the model has.
        parts: name of a part -> the checkpoint of a model whose tracker it is.

    Raises:
        ValueError: the model has no such part, or a checkpoint has no tracker.
    """
    weights, surplus = {}, []
    for part, checkpoint in parts.items():
        prefix = f'{_TRACKER}{part}.'
        given = {
            prefix + name.removeprefix(_TRACKER): value
            for name, value in checkpoint.weights.items()
            if name.startswith(_TRACKER)
        }
        if not any(name.startswith(prefix) for name in own):
            raise ValueError(f'the tracker of the config has no part {part!r}')
        if not given:
            raise ValueError(f'{checkpoint.source} has no weights of a tracker')
        weights.update({name: value.contiguous() for name, value in given.items() if name in own})
        surplus += [name for name in given if name not in own]
    return weights, surplus


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Joins checkpoints of several models in one.')
    parser.add_argument('config', help='of the model that the weights are for')
    parser.add_argument('out', type=Path, help='the .safetensors file')
    parser.add_argument(
        'parts', nargs='+', metavar='PART=CHECKPOINT', help='e.g. matcher=siammask.pth'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='override config entries: key=value ...',
    )
    arguments = parser.parse_args()
    if arguments.out.suffix != '.safetensors':
        parser.error(f'OUT must end in .safetensors, got {arguments.out}')
    wrong = [item for item in arguments.parts if '=' not in item]
    if wrong:
        parser.error(f'expected PART=CHECKPOINT, got {wrong[0]!r}')
    return arguments


def main() -> None:
    """Reads, joins, writes."""
    arguments = parse_arguments()
    try:
        model = init_model(arguments.config, device='cpu', cfg_options=arguments.cfg_options)
        parts = {
            part: read_checkpoint(path)
            for part, path in (item.split('=', 1) for item in arguments.parts)
        }
        weights, surplus = joined(model.state_dict(), parts)
        load_weights(model, Checkpoint(', '.join(arguments.parts), weights, {}))
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'join_checkpoints: {error}')
    write_bytes(arguments.out, save(weights, metadata={'format': 'pt'}))
    left_out = f'; left out: {", ".join(surplus)}' if surplus else ''
    print(
        f'{arguments.out}: {len(weights)} tensors, {arguments.out.stat().st_size / 1e6:.1f} '
        f'MB{left_out}'
    )


if __name__ == '__main__':
    run_command('join_checkpoints', main)
