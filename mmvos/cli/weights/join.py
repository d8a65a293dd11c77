"""Joins checkpoints of several models in one:

    mmvos weights join CONFIG OUT.safetensors PART=CHECKPOINT ...

For a model whose tracker holds other trackers, as ``mmvos.PartTracker`` does:

    mmvos weights join configs/parts/parts_r50_fpn_davis.py checkpoints/parts_r50_fpn.safetensors
        matcher=checkpoints/siammask-base_r50_fpn.pth
        propagator=weights/masktrack_compact.safetensors

PART is a part of the tracker, CHECKPOINT that of a model whose whole tracker it is. All weights of
the config's model must be there; those that it does without (a head for refined masks) are left out
and named. OUT fits CONFIG.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mmvos.cli.arguments import safetensors_file
from mmvos.cli.config_options import add_config_options, read_config_options

if TYPE_CHECKING:
    from torch import Tensor

    from mmvos.apis.checkpoint import Checkpoint

EXPECTED_ERRORS = (ValueError,)
_TRACKER = 'tracker.'


def joined(
    own: Mapping[str, Tensor], parts: Mapping[str, Checkpoint]
) -> tuple[dict[str, Tensor], list[str]]:
    """Take the weights of a model from those of its tracker's parts, and the names of those that it
    has no place for.

    Args:
        own: name -> tensor, what the model has.
        parts: name of a part -> the checkpoint of a model whose tracker it is.

    Raises:
        ValueError: the model has no such part, or a checkpoint has no tracker.
    """
    weights: dict[str, Tensor] = {}
    surplus: list[str] = []
    for part, checkpoint in parts.items():
        prefix = f'{_TRACKER}{part}.'
        if not any(name.startswith(prefix) for name in own):
            raise ValueError(f'the tracker of the config has no part {part!r}')
        # tracker.X of the checkpoint becomes tracker.PART.X.
        given = {}
        for name, value in checkpoint.weights.items():
            if name.startswith(_TRACKER):
                given[prefix + name.removeprefix(_TRACKER)] = value
        if not given:
            raise ValueError(f'{checkpoint.source} has no weights of a tracker')
        for name, value in given.items():
            if name in own:
                weights[name] = value.contiguous()
            else:
                surplus.append(name)
    return weights, surplus


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Joins checkpoints of several models in one.')
    parser.add_argument('config', help='of the model that the weights are for')
    parser.add_argument('out', type=safetensors_file, help='the .safetensors file')
    parser.add_argument(
        'parts', nargs='+', metavar='PART=CHECKPOINT', help='e.g. matcher=siammask.pth'
    )
    add_config_options(parser)
    arguments = parser.parse_args(argv)
    wrong = [item for item in arguments.parts if '=' not in item]
    if wrong:
        parser.error(f'expected PART=CHECKPOINT, got {wrong[0]!r}')
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Read, join and write.

    Raises:
        DataError, OSError, ValueError: what is wrong with the config or a checkpoint.
    """
    arguments = parse_arguments(argv)

    from safetensors.torch import save

    from mmvos.apis import init_model
    from mmvos.apis.checkpoint import Checkpoint, load_weights, read_checkpoint
    from mmvos.io.atomic import write_bytes

    options = read_config_options(arguments.cfg_options)
    model = init_model(arguments.config, device='cpu', cfg_options=options)
    parts = {}
    for item in arguments.parts:
        part, path = item.split('=', 1)
        parts[part] = read_checkpoint(path)
    weights, surplus = joined(model.state_dict(), parts)
    # Loading them shows whether the config's model has all of its weights.
    load_weights(model, Checkpoint(', '.join(arguments.parts), weights, {}))

    write_bytes(arguments.out, save(weights, metadata={'format': 'pt'}))
    left_out = f'; left out: {", ".join(surplus)}' if surplus else ''
    megabytes = arguments.out.stat().st_size / 1e6
    print(f'{arguments.out}: {len(weights)} tensors, {megabytes:.1f} MB{left_out}')
