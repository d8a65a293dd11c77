"""The order of features in memory: channels-last models, and mmcv's compiled ops in them.

Convolutions are faster on channels-last features and hand them on. mmcv's compiled ops (RoIAlign,
RoIPool, deformable convolutions) read memory as if features were channels-first, whatever order
they are in, and say nothing: what comes out are numbers from the wrong places.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

COMPILED_OPS = 'mmcv.ops.'


def to_channels_last(model: nn.Module) -> None:
    """Lay out the weights of a model channels-last, and give mmcv's ops in it what they can read.

    Args:
        model: changed in place; may be channels-last already.
    """
    # torch's signature knows no memory format alone
    lay_out: Any = model.to
    lay_out(memory_format=torch.channels_last)
    for module in model.modules():
        is_compiled = type(module).__module__.startswith(COMPILED_OPS)
        if is_compiled and not _is_prepared(module):
            module.register_forward_pre_hook(_make_contiguous)


def _is_prepared(module: nn.Module) -> bool:
    """Whether a module's inputs are laid out again already."""
    return _make_contiguous in module._forward_pre_hooks.values()


def _make_contiguous(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Lay out the tensors that a module is given channels-first."""
    laid_out = []
    for value in inputs:
        if isinstance(value, Tensor):
            value = value.contiguous()
        laid_out.append(value)
    return tuple(laid_out)
