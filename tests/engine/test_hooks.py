"""The guard against losses that are not finite, and the seed of each iteration."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_masktrack import batch, two_objects

from mmvos.engine import IterationSeedHook, NonFiniteLossHook, hooks

NAN, FINE = (
    {'loss': torch.tensor(float('nan')), 'loss_cls': torch.tensor(1.0)},
    {'loss': torch.tensor(2.0)},
)


def runner(iteration: int = 0, seed: int = 3) -> SimpleNamespace:
    return SimpleNamespace(
        iter=iteration, seed=seed, logger=logging.getLogger('test'), optim_wrapper=SimpleNamespace()
    )


def test_stop_names_iteration_loss_and_files():
    hook = NonFiniteLossHook(action='stop')
    hook.after_train_iter(runner(), 0, batch(two_objects()), FINE)
    with pytest.raises(FloatingPointError) as error:
        hook.after_train_iter(runner(41), 41, batch(two_objects(1), two_objects(2)), NAN)
    message = str(error.value)
    assert 'iteration 42 (rank 0): loss is not finite' in message and 'loss_cls' not in message
    for name in ('video1/00000.jpg', 'video1/00001.jpg', 'video2/00000.jpg'):
        assert name in message


def test_skip_goes_on_and_counts_batches_in_a_row(caplog, monkeypatch):
    monkeypatch.setattr(hooks, 'MAX_SKIPS', 2)
    hook = NonFiniteLossHook(action='skip')
    infinite = {'loss_mask': torch.tensor(float('-inf'))}
    with caplog.at_level('WARNING'):
        for outputs in (NAN, infinite, FINE, NAN, NAN):
            hook.after_train_iter(runner(), 0, batch(two_objects()), outputs)
    assert len(caplog.records) == 4 and 'video0/00000.jpg' in caplog.text
    with pytest.raises(FloatingPointError):
        hook.after_train_iter(runner(), 0, batch(two_objects()), NAN)


def test_steps_that_were_skipped_do_not_go_unseen(caplog, monkeypatch):
    """Finite losses, but a gradient that is not: the step did nothing, which is said, and not for
    ever.
    """
    monkeypatch.setattr(hooks, 'MAX_SKIPS', 1)
    hook = NonFiniteLossHook(action='stop')
    training = runner()
    training.optim_wrapper.skip_reason = 'a gradient is not finite'
    with caplog.at_level('WARNING'):
        for training.optim_wrapper.skipped_steps in (0, 1, 1, 2):
            hook.after_train_iter(training, 0, batch(two_objects()), FINE)
    assert len(caplog.records) == 2 and 'a gradient is not finite' in caplog.text
    training.optim_wrapper.skipped_steps = 3
    with pytest.raises(FloatingPointError, match='a gradient'):
        hook.after_train_iter(training, 0, batch(two_objects()), FINE)


def test_an_unknown_action_is_refused():
    with pytest.raises(ValueError, match="'stop' or 'skip'"):
        NonFiniteLossHook(action='ignore')


def draw(iteration: int, seed: int = 3) -> tuple[float, float]:
    IterationSeedHook().before_train_iter(runner(iteration, seed), iteration)
    return torch.rand(1).item(), np.random.rand()


def test_random_numbers_belong_to_the_iteration():
    first = draw(5)
    torch.rand(100)
    np.random.rand(100)
    assert draw(5) == first
    assert (
        len({draw(5), draw(6), draw(5, seed=4)}) == 3
        and draw(6)[0] != first[0]
        and draw(6)[1] != first[1]
    )
