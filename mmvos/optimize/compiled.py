"""torch.compile for the networks of the trackers whose shapes stay the same from frame to frame.

On a CPU torch's inductor packs the frozen weights itself and fuses what lies between convolutions;
on a GPU the kernels of a network become one CUDA graph (mode 'reduce-overhead'), so that they are
not started one by one. The first frames compile, which takes minutes; so does the first frame of
another number of objects.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from mmvos.io.errors import DataError
from mmvos.models import PromptedSegmenter, VideoModel
from mmvos.models.masktrack import MaskPropagator
from mmvos.models.siammask import SiameseTracker


def compile_networks(model: VideoModel) -> None:
    """Compile the networks of a SiamMask or a MaskTrack, in place and for good.

    Args:
        model: with folded batch norms, in evaluation mode; nothing in it is packed.

    Raises:
        DataError: it is another model, or there is no C++ compiler, which a CPU needs.
    """
    networks = _networks(model)
    device = next(model.parameters()).device
    compiler = os.environ.get('CXX') or 'g++'
    if device.type == 'cpu' and shutil.which(compiler) is None:
        raise DataError(
            f'torch.compile needs a C++ compiler on a CPU, and there is no {compiler!r}; install '
            'one or name it in CXX'
        )
    for owner, method in networks:
        setattr(owner, method, _compiled(getattr(owner, method), device))


def _networks(model: VideoModel) -> list[tuple[nn.Module, str]]:
    """List the modules, and of each the method, whose shapes do not depend on what is seen."""
    tracker: Any = model.tracker if isinstance(model, PromptedSegmenter) else None
    networks: list[tuple[nn.Module, str]] = []
    if isinstance(tracker, SiameseTracker):
        # Backbone, adjusting layer, search branches, heads and the refining module.
        networks.append((tracker.features.backbone, 'forward'))
        networks.append((tracker.features.adjust, 'forward'))
        for branch in tracker.neck.search.values():
            networks.append((branch, 'forward'))
        networks.append((tracker.head, 'forward'))
        if tracker.head.refine is not None:
            networks.append((tracker.head.refine, 'forward'))
        return networks
    if isinstance(tracker, MaskPropagator):
        # What reads the memory is left out: the number of remembered frames changes.
        networks.append((tracker.backbone, 'forward'))
        if tracker.neck is not None:
            networks.append((tracker.neck, 'forward'))
        networks.append((tracker.head, 'decode'))
        return networks
    raise DataError(
        'only the networks of SiamMask, S2iamMask and MaskTrack can be compiled: those of other '
        'models have other shapes in every frame'
    )


def _compiled(method: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    """Compile a method for inputs of fixed shapes."""
    if device.type == 'cpu':
        # Frozen weights are constants, so they can be packed.
        return torch.compile(method, dynamic=False, options={'freezing': True})
    graph = torch.compile(method, dynamic=False, mode='reduce-overhead')

    @wraps(method)
    def run(*args: Any, **kwargs: Any) -> Any:
        # The memory of a CUDA graph's results is written again by its next run.
        torch.compiler.cudagraph_mark_step_begin()
        result = graph(*args, **kwargs)
        if isinstance(result, Tensor):
            return result.clone()
        return tuple(item.clone() for item in result)

    return run
