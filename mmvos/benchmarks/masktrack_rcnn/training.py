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
    """Measure one training iteration of our model and of mmdet's.

    Ours trains in float32 and under bfloat16 autocast, mmdet's in float32. All have the same
    settings, the optimizer of the config and the same batch; they take turns.

    Args:
        model: ours; its weights change.
        config: of it, with the optimizer.
        dataset: for training.
        batch_size: items of the batch.
        rounds: how often each takes a turn, beside the warm-up.
        limit: seconds after which no further turn begins.
        clock: the seconds that are counted.

    Returns:
        Median seconds by name.
    """
    # One batch for all, spread over the data set.
    items = []
    for i in range(batch_size):
        items.append(dataset[i * len(dataset) // batch_size])
    batch = pseudo_collate(items)
    model.train()
    baseline = build_baseline(config, model)
    reduced = copy.deepcopy(model)
    candidates = {
        'mmdet float32': _step(baseline, config, batch, 'float32'),
        'ours bfloat16': _step(reduced, config, batch, 'bfloat16'),
        'ours float32': _step(model, config, batch, 'float32'),
    }

    # The first turn is warm-up; whoever waits is not measured.
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    begin = time.perf_counter()
    for turn in range(rounds + 1):
        is_warm_up = turn == 0
        for name, step in candidates.items():
            start = clock()
            step()
            if not is_warm_up:
                seconds[name].append(clock() - start)
        if not is_warm_up and time.perf_counter() - begin > limit:
            break
    return {name: statistics.median(values) for name, values in seconds.items()}


def _step(
    model: nn.Module, config: Config, batch: dict[str, Any], dtype: str
) -> Callable[[], object]:
    """Return what makes one training step of a model on the batch.

    Args:
        model: in training mode.
        config: with the optimizer.
        batch: of ``pseudo_collate``.
        dtype: float32, or of the autocast.
    """
    settings = config.optim_wrapper.to_dict()
    settings.pop('loss_scale', None)
    settings.pop('paramwise_cfg', None)
    optimizer = settings.pop('optimizer')
    optimizer_class = getattr(torch.optim, optimizer.pop('type'))
    optimizer['lr'] = 1e-6  # the weights must not run away; the work is the same
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    # The same guard against bad gradients around all of them.
    settings['type'] = 'mmvos.SafeOptimWrapper'
    settings['dtype'] = dtype
    settings['optimizer'] = optimizer_class(parameters, **optimizer)
    wrapper = OPTIM_WRAPPERS.build(settings)
    train_step: Any = model.train_step

    def step() -> object:
        return train_step(copy.copy(batch), wrapper)

    return step
