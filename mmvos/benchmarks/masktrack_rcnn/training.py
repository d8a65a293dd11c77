"""Training iterations side by side: the same batch of key and reference frames, losses, gradients
and optimizer step.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

from mmvos.models import VideoModel

from .compared_models import build_baseline


def iteration_seconds(
    model: VideoModel,
    config: Config,
    dataset: BaseDataset,
    batch_size: int,
    rounds: int,
    limit: float,
    clock: Callable[[], float],
) -> dict[str, float]:
    """Median seconds of one iteration: ours in float32 and under bfloat16 autocast, mmdet's in
    float32.

    All have the same settings, the optimizer of the config and the same batch; they take turns.
    Ends after ``limit`` seconds.
    """
    batch = pseudo_collate([dataset[i * len(dataset) // batch_size] for i in range(batch_size)])
    model.train()
    candidates = {
        'mmdet float32': _step(build_baseline(config, model), config, batch, 'float32'),
        'ours bfloat16': _step(copy.deepcopy(model), config, batch, 'bfloat16'),
        'ours float32': _step(model, config, batch, 'float32'),
    }
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    begin = time.perf_counter()
    for turn in range(rounds + 1):
        for name, step in candidates.items():
            start = clock()
            step()
            if turn:  # the first is warm-up
                seconds[name].append(clock() - start)
        if turn and time.perf_counter() - begin > limit:
            break
    return {name: statistics.median(values) for name, values in seconds.items()}


def _step(
    model: nn.Module, config: Config, batch: dict[str, Any], dtype: str
) -> Callable[[], object]:
    settings = dict(config.optim_wrapper.to_dict(), type='mmvos.SafeOptimWrapper', dtype=dtype)
    settings.pop('loss_scale', None)
    optimizer = dict(settings.pop('optimizer'))
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    kind = getattr(torch.optim, optimizer.pop('type'))
    optimizer['lr'] = 1e-6  # the weights must not run away; the work is the same
    settings.pop('paramwise_cfg', None)
    wrapper = OPTIM_WRAPPERS.build(dict(settings, optimizer=kind(parameters, **optimizer)))
    step: Any = model.train_step
    return lambda: step(copy.copy(batch), wrapper)
