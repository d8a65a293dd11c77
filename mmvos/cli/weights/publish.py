"""Makes a checkpoint fit to be given away:

    mmvos weights publish CHECKPOINT OUT.safetensors --license L [--note K=V]

Takes the weights alone (no optimizer, no paths, nothing pickled), in float16 by default, with the
license and the notes in the file's header, and prints size and SHA-256. CHECKPOINT is what training
wrote.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmvos.cli.arguments import safetensors_file

if TYPE_CHECKING:
    import torch
    from torch import Tensor

EXPECTED_ERRORS = (ValueError,)
LARGEST_HALF = 65504.0


def published(weights: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Bring the weights into ``dtype``; integers as they are, without batch norms' counters and the
    data preprocessor's constants.

    Raises:
        ValueError: a weight is too large for the type.
    """
    import torch

    kept = {}
    for name, value in weights.items():
        # Neither is needed to compute.
        if name.endswith('num_batches_tracked') or name.startswith('data_preprocessor.'):
            continue
        if value.is_floating_point():
            if dtype == torch.float16 and value.abs().max() > LARGEST_HALF:
                raise ValueError(
                    f'{name} has values beyond {LARGEST_HALF:.0f}, which float16 does not hold; '
                    f'use --dtype float32'
                )
            value = value.to(dtype)
        kept[name] = value.contiguous()
    return kept


def without_part(weights: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    """Leave out the weights of a part.

    Args:
        weights: of a model.
        part: the name of a module.

    Raises:
        ValueError: there is no such part.
    """
    prefix = f'{part}.'
    kept = {}
    for name, value in weights.items():
        if not name.startswith(prefix):
            kept[name] = value
    if len(kept) == len(weights):
        raise ValueError(f'the checkpoint has no weights of {part}, which --without names')
    return kept


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Makes a checkpoint fit to be given away.')
    parser.add_argument('checkpoint', help='what training wrote')
    parser.add_argument('out', type=safetensors_file, help='the .safetensors file')
    parser.add_argument('--license', required=True, help='of the weights, e.g. Apache-2.0')
    parser.add_argument(
        '--note',
        nargs='*',
        default=[],
        metavar='KEY=VALUE',
        help='more for the header: data, command, scores',
    )
    parser.add_argument(
        '--without',
        metavar='PART',
        help='leave out the weights of a part, e.g. tracker.voting (SiamMask out of S2iamMask)',
    )
    parser.add_argument('--dtype', choices=['float16', 'float32'], default='float16')
    arguments = parser.parse_args(argv)
    wrong = [note for note in arguments.note if '=' not in note]
    if wrong:
        parser.error(f'a note is KEY=VALUE, got {wrong[0]!r}')
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Read, write, and say what was written.

    Raises:
        DataError, OSError, ValueError: what is wrong with the checkpoint.
    """
    arguments = parse_arguments(argv)

    import hashlib

    import torch
    from safetensors.torch import save

    from mmvos.apis.checkpoint import read_checkpoint
    from mmvos.io.atomic import write_bytes

    checkpoint = read_checkpoint(arguments.checkpoint)
    weights = dict(checkpoint.weights)
    if arguments.without is not None:
        weights = without_part(weights, arguments.without)

    # What is written, and what the file says about itself.
    weights = published(weights, getattr(torch, arguments.dtype))
    notes = dict(note.split('=', 1) for note in arguments.note)
    content = save(weights, metadata={'format': 'pt', 'license': arguments.license, **notes})
    write_bytes(arguments.out, content)
    digest = hashlib.sha256(content).hexdigest()
    megabytes = arguments.out.stat().st_size / 1e6
    print(f'{arguments.out}: {len(weights)} tensors, {megabytes:.2f} MB, SHA-256 {digest}')
