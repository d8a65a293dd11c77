"""The optimizer wrapper that leaves out steps on gradients that are not finite."""

from __future__ import annotations

import warnings

import pytest
import torch

from mmvos.engine import SafeOptimWrapper
from mmvos.ops import precision
from mmvos.registry import HOOKS, OPTIM_WRAPPERS


def wrapped(dtype: str = 'float32', **kwargs) -> tuple[torch.nn.Linear, SafeOptimWrapper]:
    model = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    return model, SafeOptimWrapper(
        dtype, optimizer=torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9), **kwargs
    )


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_a_step_is_skipped_and_the_next_one_counts(bad):
    model, wrapper = wrapped(clip_grad=dict(max_norm=10))
    wrapper.update_params(model(torch.tensor([[bad, 1.0]])).sum())
    assert model.weight.tolist() == [[1.0, 1.0]] and wrapper.skipped_steps == 1
    wrapper.update_params(model(torch.tensor([[2.0, 0.0]])).sum())
    # 1 - 0.5 * 2; no trace of the bad step
    assert model.weight.tolist() == [[0.0, 1.0]] and wrapper.skipped_steps == 1
    assert wrapper.skip_reason == 'a gradient is not finite'


def test_a_step_on_a_loss_that_is_too_large_is_skipped():
    """A loss of 1e4 is the largest that counts; of accumulated batches one that is too large is
    enough.
    """
    model, wrapper = wrapped(max_loss=1e4)
    wrapper.update_params(model(torch.tensor([[1e4, 1.0]])).sum())
    assert model.weight.tolist() == [[1.0, 1.0]] and (
        wrapper.skipped_steps,
        wrapper.skip_reason,
    ) == (
        1,
        'the loss is above 10000',
    )
    wrapper.update_params(model(torch.tensor([[9999.0, 1.0]])).sum())
    assert model.weight.tolist() == [[1 - 9999 / 2, 0.5]] and wrapper.skipped_steps == 1
    model, wrapper = wrapped(max_loss=10, accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    for size in (11.0, 1.0, 1.0, 1.0):
        wrapper.update_params(model(torch.tensor([[size, 0.0]])).sum())
    assert model.weight.tolist() == [[0.5, 1.0]] and wrapper.skipped_steps == 1


def test_gradients_are_clipped_and_accumulated_as_by_mmengine():
    model, wrapper = wrapped(clip_grad=dict(max_norm=1.0))
    wrapper.update_params(model(torch.tensor([[3.0, 4.0]])).sum())
    torch.testing.assert_close(model.weight.data, torch.tensor([[1 - 0.3, 1 - 0.4]]))
    model, wrapper = wrapped(accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    wrapper.update_params(model(torch.tensor([[2.0, 0.0]])).sum())
    assert model.weight.tolist() == [[1.0, 1.0]]
    wrapper.update_params(model(torch.tensor([[0.0, 2.0]])).sum())
    torch.testing.assert_close(model.weight.data, torch.tensor([[0.5, 0.5]]))


@pytest.mark.parametrize(
    'dtype, expected', [('float32', torch.float32), ('bfloat16', torch.bfloat16)]
)
def test_precision_of_the_forward_pass(dtype, expected):
    model, wrapper = wrapped(dtype)
    with wrapper.optim_context(model):
        assert model(torch.ones(1, 2)).dtype == expected
    assert model(torch.ones(1, 2)).dtype == torch.float32


@pytest.mark.parametrize(('fast', 'expected'), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_depends_on_the_machine(monkeypatch, fast, expected):
    monkeypatch.setattr(precision, '_cpu_has_bfloat16', lambda: fast)
    model, wrapper = wrapped('auto')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        with wrapper.optim_context(model):
            assert model(torch.ones(1, 2)).dtype == expected


def test_bfloat16_that_is_slow_is_warned_of_once(monkeypatch):
    monkeypatch.setattr(precision, '_cpu_has_bfloat16', lambda: False)
    model, wrapper = wrapped('bfloat16')
    with pytest.warns(UserWarning, match='bfloat16 is slow on this cpu') as caught:
        for _ in range(2):
            with wrapper.optim_context(model):
                assert model(torch.ones(1, 2)).dtype == torch.bfloat16
    assert len(caught) == 1


def test_float16_is_left_to_mmengine():
    with pytest.raises(ValueError, match='AmpOptimWrapper'):
        wrapped('float16')


def test_the_names_of_the_version_before_are_accepted():
    optimizer = torch.optim.SGD(torch.nn.Linear(2, 1).parameters(), lr=0.5)
    with pytest.warns(FutureWarning, match='GuardedOptimWrapper.*SafeOptimWrapper'):
        wrapper = OPTIM_WRAPPERS.build(
            dict(type='mmvos.GuardedOptimWrapper', optimizer=optimizer, max_loss=3.0)
        )
    assert type(wrapper) is SafeOptimWrapper and wrapper.max_loss == 3.0
    with pytest.warns(FutureWarning, match='left_out.*skipped_steps'):
        assert wrapper.left_out == 0
    with pytest.warns(FutureWarning, match='FixedNormHook.*FreezeBatchNormHook'):
        assert HOOKS.build(dict(type='mmvos.FixedNormHook', begin=0.25)).begin == 0.25
