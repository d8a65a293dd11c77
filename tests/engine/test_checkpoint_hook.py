"""A training that is killed at any moment ends with the checkpoints of the uninterrupted one.

The model is one number that grows by 1 in each of the two iterations of an epoch; its score is
looked up by epoch, so the best epoch is known.
"""

from __future__ import annotations

import os
from pathlib import Path

import mmengine.fileio
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmvos.engine.checkpoint_hook import (
    ResumableCheckpointHook,
    find_whole_checkpoint,
    is_whole,
)
from mmvos.engine.hooks import IterationSeedHook
from mmvos.io.atomic import write_text
from mmvos.io.errors import DataError
from mmvos.registry import DATASETS, HOOKS, METRICS, MODELS

SCORES = {1: 0.2, 2: 0.9, 3: 0.5}  # by epoch: the second is the best
validated: list[int] = []


class Killed(BaseException):
    """What stands for kill -9 in one process."""


@MODELS.register_module(force=True)
class OneNumber(BaseModel):
    def __init__(self):
        super().__init__()
        self.value = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, data_samples=None, mode='loss'):
        if mode == 'loss':
            return dict(loss=-self.value.sum())
        return [self.value.item()]


@DATASETS.register_module(force=True)
class FourItems(Dataset):
    def __init__(self, length=4):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return dict(inputs=torch.zeros(1), data_samples=index)


@METRICS.register_module(force=True)
class ScoreOfEpoch(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.extend(data_samples)

    def compute_metrics(self, results):
        epoch = round(results[0] / 2)
        validated.append(epoch)
        return dict(score=SCORES[epoch])


@HOOKS.register_module(force=True)
class NoteEta(Hook):
    """Keeps the largest and least estimate of the time that is left."""

    seen: list[float] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen.append(runner.message_hub.get_info('eta'))


def settings(work_dir: Path, **changes) -> Config:
    sampler = dict(type='DefaultSampler', shuffle=False)
    loader = dict(
        batch_size=2, num_workers=0, sampler=sampler, dataset=dict(type='mmvos.FourItems')
    )
    checkpoint = dict(type='CheckpointHook', interval=1, max_keep_ckpts=2, save_best='score')
    config = Config(
        dict(
            default_scope='mmdet',
            model=dict(type='mmvos.OneNumber'),
            work_dir=str(work_dir),
            train_dataloader=loader,
            val_dataloader=loader,
            train_cfg=dict(by_epoch=True, max_epochs=3, val_interval=1),
            val_cfg=dict(),
            val_evaluator=dict(type='mmvos.ScoreOfEpoch'),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1.0)),
            default_hooks=dict(checkpoint={**checkpoint, 'rule': 'greater'}),
            custom_hooks=[dict(type='mmvos.IterationSeedHook'), dict(type='mmvos.NoteEta')],
            log_level='ERROR',
            experiment_name=f'{work_dir.name}-{len(validated)}-{os.urandom(4).hex()}',
        )
    )
    config.merge_from_dict(changes)
    return config


def train(work_dir: Path, **changes) -> Runner:
    """Starts, or goes on from the newest whole checkpoint."""
    config = settings(work_dir, **changes)
    found = find_whole_checkpoint(work_dir)
    if found is not None:
        config.resume, config.load_from = True, str(found.path)
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


def checkpoints(work_dir: Path) -> dict[str, float]:
    """The model's number in each checkpoint."""
    return {
        path.name: torch.load(path, weights_only=False)['state_dict']['value'].item()
        for path in sorted(work_dir.glob('*.pth'))
    }


WHOLE = {'best_score_epoch_2.pth': 4.0, 'epoch_2.pth': 4.0, 'epoch_3.pth': 6.0}


def test_an_uninterrupted_training_keeps_the_best_and_the_last_two(tmp_path):
    runner = train(tmp_path)
    assert any(type(hook) is ResumableCheckpointHook for hook in runner.hooks)
    assert checkpoints(tmp_path) == WHOLE
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_3.pth')


def test_a_training_killed_at_any_rename_ends_as_the_uninterrupted_one(tmp_path, monkeypatch):
    """Each checkpoint gets its name by a rename; the run is stopped before each of them in turn."""
    replace, calls = os.replace, []

    def stop_at(number):
        def killing(*arguments):
            calls.append(arguments)
            if len(calls) == number:
                raise Killed
            replace(*arguments)

        calls.clear()
        monkeypatch.setattr(os, 'replace', killing)

    stop_at(None)
    train(tmp_path / 'whole')
    total = len(calls)
    assert total >= 10
    for number in range(1, total + 1):
        work_dir = tmp_path / str(number)
        stop_at(number)
        with pytest.raises(Killed):
            train(work_dir)
        stop_at(None)
        assert all(is_whole(path) for path in work_dir.glob('*.pth'))
        train(work_dir)
        assert checkpoints(work_dir) == WHOLE, number
        assert (work_dir / 'last_checkpoint').read_text() == str(work_dir / 'epoch_3.pth')


def test_a_validation_that_was_not_finished_is_made_up_for(tmp_path, monkeypatch):
    compute = ScoreOfEpoch.compute_metrics

    def killing(self, results):
        if round(results[0] / 2) == 2:
            raise Killed
        return compute(self, results)

    monkeypatch.setattr(ScoreOfEpoch, 'compute_metrics', killing)
    with pytest.raises(Killed):
        train(tmp_path)
    monkeypatch.setattr(ScoreOfEpoch, 'compute_metrics', compute)
    validated.clear()
    train(tmp_path)
    assert validated == [2, 3] and checkpoints(tmp_path) == WHOLE


def test_a_validation_whose_checkpoint_is_the_best_is_not_repeated(tmp_path):
    train(tmp_path, **{'train_cfg.max_epochs': 2})
    validated.clear()
    train(tmp_path)
    assert validated == [3] and checkpoints(tmp_path) == WHOLE


def test_damaged_checkpoints_are_named_and_passed_over(tmp_path):
    train(tmp_path)
    last = tmp_path / 'epoch_3.pth'
    content = last.read_bytes()
    for damaged in (content[:-100], b'', content[:200] + b'\xff' * 50 + content[250:]):
        last.write_bytes(damaged)
        found = find_whole_checkpoint(tmp_path)
        assert found.path == tmp_path / 'epoch_2.pth' and found.damaged == (last,)
        assert 'epoch_3.pth is damaged' in str(found)
    train(tmp_path)
    assert checkpoints(tmp_path) == WHOLE
    for path in tmp_path.glob('epoch_*.pth'):
        path.write_bytes(b'no checkpoint')
    with pytest.raises(DataError, match=r'epoch_3\.pth.*epoch_2\.pth: damaged'):
        find_whole_checkpoint(tmp_path)


def test_the_order_of_checkpoints(tmp_path):
    """epoch_10 is newer than epoch_9; epoch_12 of an earlier training in the folder is not."""
    assert find_whole_checkpoint(tmp_path) is None
    train(tmp_path / 'a', **{'train_cfg.max_epochs': 1})
    content = (tmp_path / 'a' / 'epoch_1.pth').read_bytes()
    for age, name in enumerate(['epoch_10', 'epoch_9', 'epoch_12']):
        (tmp_path / f'{name}.pth').write_bytes(content)
        os.utime(tmp_path / f'{name}.pth', (1000 - age, 1000 - age))
    assert find_whole_checkpoint(tmp_path).path.name == 'epoch_12.pth'
    write_text(tmp_path / 'last_checkpoint', '/moved/from/epoch_9.pth')
    assert find_whole_checkpoint(tmp_path).path.name == 'epoch_10.pth'
    write_text(tmp_path / 'last_checkpoint', '')
    assert find_whole_checkpoint(tmp_path).path.name == 'epoch_12.pth'


def test_mmengine_writes_beside_and_renames(tmp_path, monkeypatch):
    names = []
    replace = os.replace
    monkeypatch.setattr(os, 'replace', lambda a, b: (names.append(Path(b).name), replace(a, b)))
    mmengine.fileio.put(b'x', str(tmp_path / 'a.pth'))
    mmengine.fileio.put_text('x', str(tmp_path / 'b.txt'))
    assert names == ['a.pth', 'b.txt']


def test_time_left_is_positive_after_a_resume_with_fewer_iterations(tmp_path):
    """As two GPUs after one: an epoch has one iteration instead of two."""
    train(tmp_path, **{'train_cfg.max_epochs': 2})
    NoteEta.seen.clear()
    changes = {
        'train_dataloader.batch_size': 4,
        'train_cfg.max_epochs': 5,
        'val_dataloader': None,
        'val_cfg': None,
        'val_evaluator': None,
        'default_hooks.checkpoint.save_best': None,
    }
    runner = train(tmp_path, **changes)
    assert runner.iter == 5 and len(NoteEta.seen) == 3
    assert min(NoteEta.seen) >= 0 and NoteEta.seen[0] > 0
    assert any(isinstance(hook, IterationSeedHook) for hook in runner.hooks)


@pytest.mark.parametrize(
    'damage',
    [
        lambda state: state.pop('meta'),
        lambda state: state.pop('message_hub'),
        lambda state: state['meta'].pop('epoch'),
        lambda state: state['meta'].update(iter='4'),
        lambda state: state.update(meta=[]),
    ],
)
def test_weights_alone_cannot_be_resumed(tmp_path, damage):
    train(tmp_path / 'a', train_cfg=dict(by_epoch=True, max_epochs=1, val_interval=1))
    state = torch.load(tmp_path / 'a/epoch_1.pth', weights_only=False)
    damage(state)
    torch.save(state, tmp_path / 'weights.pth')
    config = settings(tmp_path / 'b', resume=True, load_from=str(tmp_path / 'weights.pth'))
    with pytest.raises(DataError, match=r'weights\.pth holds weights'):
        Runner.from_cfg(config).train()


def test_an_unknown_option_is_refused_before_the_training():
    with pytest.raises(DataError, match="'intervall'"):
        ResumableCheckpointHook(intervall=2)
