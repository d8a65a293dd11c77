"""Freezing for a part of the training, and the learning rates of the two stages of SiamMask."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope
from torch import nn

from mmvos.engine import FreezeBatchNormHook, FreezeHook, ResetOptimizerStateHook

SCHEDULES = Path(__file__).resolve().parents[2] / 'configs/_base_/schedules'


class Stages(nn.Module):
    """Two stages with a batch norm; ``first`` keeps its norm in evaluation mode, as mmdet's ResNet
    does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        self.last = nn.Sequential(nn.Linear(3, 1), nn.BatchNorm1d(1))
        self.last[1].bias.requires_grad_(False)

    def train(self, mode: bool = True) -> Stages:
        super().train(mode)
        self.first[1].eval()
        return self


def trained(model: nn.Module) -> list[str]:
    return [name for name, p in model.named_parameters() if p.requires_grad]


def run(
    hook: FreezeBatchNormHook | FreezeHook,
    model: Stages,
    iterations: int,
    optimizer: torch.optim.Optimizer,
    start: int = 0,
) -> list[list[str]]:
    """A loop as mmengine's, with four iterations an epoch; returns what changed in each."""
    runner = SimpleNamespace(model=model, iter=start, max_iters=8, logger=logging.getLogger('test'))
    hook.before_train(runner)
    changes = []
    for runner.iter in range(start, start + iterations):
        if runner.iter % 4 == 0 or runner.iter == start:
            model.train()
        hook.before_train_iter(runner, runner.iter)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        optimizer.zero_grad()
        x = model.last(model.first(torch.randn(5, 2)))
        ((x - 3) ** 3).sum().backward()
        optimizer.step()
        changes.append(
            [
                name
                for name, value in model.state_dict().items()
                if not torch.equal(value, before[name])
            ]
        )
    return changes


@pytest.mark.parametrize('start', [0, 2])
def test_a_stage_is_frozen_for_the_first_half_and_then_trained(start):
    torch.manual_seed(0)
    model = Stages()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    changes = run(FreezeHook(['last'], until=0.75), model, 8 - start, optimizer, start)
    for t, names in enumerate(changes, start):
        assert 'first.0.weight' in names
        assert any(name.startswith('last') for name in names) == (t >= 6)
    assert {'last.0.weight', 'last.1.weight', 'last.1.running_mean'} <= set(changes[-1])
    assert 'last.1.bias' not in changes[-1]  # the model froze it
    assert 'first.1.running_mean' not in changes[-1]


def test_a_thawed_norm_keeps_the_mode_that_the_model_gives_it():
    torch.manual_seed(0)
    model = Stages()
    changes = run(
        FreezeHook([r'fir.t'], until=0.25), model, 8, torch.optim.SGD(model.parameters(), lr=0.1)
    )
    assert (
        all('first.0.weight' not in names for names in changes[:2])
        and 'first.0.weight' in changes[2]
    )
    assert all('first.1.running_mean' not in names for names in changes)


def test_frozen_for_good_by_default():
    model = Stages()
    run(FreezeHook(['first']), model, 8, torch.optim.SGD(model.parameters(), lr=0.1))
    assert trained(model) == ['last.0.weight', 'last.0.bias', 'last.1.weight']


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r'not 1\.5'):
        FreezeHook(['a'], until=1.5)
    with pytest.raises(ValueError, match="no module 'firs'"):
        FreezeHook(['firs']).before_train(SimpleNamespace(model=Stages()))


@pytest.mark.parametrize('start', [0, 5])
def test_norms_use_their_running_statistics_in_the_last_part(start):
    torch.manual_seed(0)
    model = Stages()
    changes = run(
        FreezeBatchNormHook(begin=0.5),
        model,
        8 - start,
        torch.optim.SGD(model.parameters(), lr=0.1),
        start,
    )
    for t, names in enumerate(changes, start):
        assert ('last.1.running_mean' in names) == (t < 4)
        assert {'first.0.weight', 'last.0.weight', 'last.1.weight'} <= set(names)
    with pytest.raises(ValueError, match='begin is a share'):
        FreezeBatchNormHook(begin=1.5)


def rates(schedule: str) -> list[list[float]]:
    """The learning rates of the 20 epochs, of an ordinary parameter and of one of the backbone."""
    init_default_scope('mmdet')
    config = Config.fromfile(SCHEDULES / f'{schedule}.py')
    model = nn.ModuleDict(
        {'head': nn.Linear(1, 1), 'features': nn.ModuleDict({'backbone': nn.Linear(1, 1)})}
    )
    optimizer = build_optim_wrapper(model, config.optim_wrapper.to_dict()).optimizer
    schedulers = [
        PARAM_SCHEDULERS.build(dict(item, optimizer=optimizer)) for item in config.param_scheduler
    ]
    found = []
    for _ in range(config.train_cfg.max_epochs):
        found.append([optimizer.param_groups[0]['lr'], optimizer.param_groups[-1]['lr']])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return found


def test_learning_rates_of_the_base_stage():
    head, backbone = zip(*rates('siammask_base'))
    known = {
        0: 0.001,
        1: 0.00137973,
        2: 0.00190365,
        3: 0.00262653,
        4: 0.0036239,
        5: 0.005,
        6: 0.00475848,
        18: 0.00262689,
        19: 0.0025,
    }
    for epoch, value in known.items():
        assert head[epoch] == pytest.approx(value, rel=2e-5)
        assert backbone[epoch] == pytest.approx(value / 10, rel=2e-5)


def test_learning_rates_of_the_refine_stage():
    head, _ = zip(*rates('siammask_refine'))
    for epoch, value in {0: 0.01, 1: 0.00929635, 18: 0.00268923, 19: 0.0025}.items():
        assert head[epoch] == pytest.approx(value, rel=2e-5)


@pytest.mark.parametrize(
    ('hook', 'start', 'fresh'),
    [
        (ResetOptimizerStateHook(), 0, []),
        (ResetOptimizerStateHook(at=[0.5]), 0, [4]),
        (ResetOptimizerStateHook(at=[0.5]), 5, []),
        (ResetOptimizerStateHook(at=[0.3, 0.9]), 0, [3]),
        (ResetOptimizerStateHook(every_epoch=True), 0, [0, 4]),
    ],
)
def test_momentum_is_forgotten_where_a_new_optimizer_is_due(hook, start, fresh):
    """Eight iterations of two epochs; .3 is in the third, .9 after the seventh, which is the
    last.
    """
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1, momentum=0.9)
    runner = SimpleNamespace(
        iter=0, max_iters=8, optim_wrapper=SimpleNamespace(optimizer=optimizer)
    )
    weight.grad = torch.ones(1)
    optimizer.step()
    found = []
    for runner.iter in range(start, 8):
        if runner.iter % 4 == 0:
            hook.before_train_epoch(runner)
        hook.before_train_iter(runner, runner.iter)
        before = weight.item()
        optimizer.step()
        if before - weight.item() == 1:  # without momentum the step is the gradient
            found.append(runner.iter)
    assert found == fresh


def test_shares_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r'not \[0\.5, 2\]'):
        ResetOptimizerStateHook(at=[0.5, 2])


@pytest.mark.parametrize(
    ('name', 'settings'),
    [('siammask_base', dict(at=(0.5,))), ('siammask_refine', dict(every_epoch=True))],
)
def test_published_stages_forget_their_momentum(name, settings):
    hooks = Config.fromfile(SCHEDULES / f'{name}.py').stage_hooks
    assert dict(type='mmvos.ResetOptimizerStateHook', **settings) in [dict(hook) for hook in hooks]
