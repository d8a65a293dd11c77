"""Checkpoints: what mm projects save can be read without running code, and what does not fit is
said.
"""

from __future__ import annotations

import os
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from safetensors.torch import save_file
from torch import nn

from mmvos.apis.checkpoint import load_weights, read_checkpoint


def _model(classes: int = 3) -> nn.Module:
    parts = {'conv': nn.Conv2d(3, 4, 1), 'bn': nn.BatchNorm2d(4), 'cls': nn.Linear(4, classes)}
    return nn.Sequential(OrderedDict(parts))


def _save(path, model: nn.Module, **more) -> str:
    torch.save({'state_dict': model.state_dict(), **more}, path)
    return str(path)


def test_what_mmengine_saves_is_read(tmp_path):
    hub = MessageHub('test')
    for value in (1.5, 2.5):
        hub.update_scalar('train/loss', value, 3)
    hub.update_scalar('train/acc', np.float32(0.5))
    hub.update_info('iter', 7)
    model = _model()
    optimizer = torch.optim.AdamW(model.parameters())
    model.cls(model.bn(model.conv(torch.rand(2, 3, 1, 1))).flatten(1)).sum().backward()
    optimizer.step()  # so that it has a state
    classes = {'classes': ('a', 'b', 'c'), 'category_ids': [4, 2, 9]}
    meta = {'epoch': 3, 'cfg': 'model = dict()', 'dataset_meta': classes}
    path = _save(
        tmp_path / 'epoch_3.pth',
        model,
        meta=meta,
        message_hub=hub.state_dict(),
        optimizer=optimizer.state_dict(),
        param_schedulers=[{'last_step': np.int64(3)}],
    )
    checkpoint = read_checkpoint(path)
    assert checkpoint.dataset_meta == classes
    other = _model()
    load_weights(other, checkpoint)
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)


def test_a_history_with_numpy_arrays_comes_back(tmp_path):
    _save(tmp_path / 'a.pth', _model(), message_hub={'log': HistoryBuffer([1.0, 2.0], [1, 1])})
    read_checkpoint(tmp_path / 'a.pth')


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_plain_weights_and_those_of_parallel_training(tmp_path, prefix):
    model = _model()
    torch.save(
        {
            prefix + name: value
            for name, value in model.state_dict().items()
            # torch 0.4.0 counted no batches
            if 'num_batches_tracked' not in name
        },
        tmp_path / 'a.pth',
    )
    other = _model()
    load_weights(other, read_checkpoint(tmp_path / 'a.pth'))
    assert torch.equal(other.cls.weight, model.cls.weight)


@pytest.mark.parametrize(
    'meta, classes',
    [
        ({'dataset_meta': {'CLASSES': ('a',), 'PALETTE': [(1, 2, 3)]}}, ('a',)),
        ({'CLASSES': ['a', 'b']}, ('a', 'b')),
        ({}, None),
    ],
)
def test_classes_of_older_files(tmp_path, meta, classes):
    path = _save(tmp_path / 'a.pth', _model(), meta=meta)
    assert read_checkpoint(path).dataset_meta.get('classes') == classes


class _MakesFolder:
    def __reduce__(self):
        return os.mkdir, ('made_by_checkpoint',)


class _Reaches:
    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


def test_getattr_gives_only_the_statistics_of_the_log(tmp_path):
    path = _save(tmp_path / 'a.pth', _model(), meta={'hook': _Reaches()})
    with pytest.raises(ValueError, match=r'a\.pth holds objects .*\(getattr'):
        read_checkpoint(path)


def test_code_in_a_checkpoint_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = _save(tmp_path / 'evil.pth', _model(), meta={'hook': _MakesFolder()})
    with pytest.raises(ValueError, match=r'evil\.pth holds objects .*\(posix\.mkdir\)'):
        read_checkpoint(path)
    assert not (tmp_path / 'made_by_checkpoint').exists()


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r'no/such\.pth does not exist'):
        read_checkpoint('no/such.pth')


def test_an_unreachable_url_is_named():
    with pytest.raises(FileNotFoundError, match=r'cannot download .*/a\.pth'):
        read_checkpoint('http://localhost:9/a.pth')


@pytest.mark.parametrize('content', [b'', b'<html>404</html>', 'half'])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / 'a.pth'
    _save(path, _model())
    path.write_bytes(path.read_bytes()[:500] if content == 'half' else content)
    with pytest.raises(ValueError, match=r'a\.pth is .*checkpoint (but|that is cut off)'):
        read_checkpoint(path)


@pytest.mark.parametrize('content', [[1, 2], {}, {'state_dict': {}}, {'epoch': 3}])
def test_a_file_without_weights(tmp_path, content):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=r'a\.pth holds (no weights|a list)'):
        read_checkpoint(tmp_path / 'a.pth')


def test_other_classes_are_said_and_nothing_is_loaded(tmp_path):
    path = _save(tmp_path / 'a.pth', _model(5), meta={'dataset_meta': {'classes': tuple('abcde')}})
    model = _model(3)
    before = model.conv.weight.clone()
    with pytest.raises(
        ValueError,
        match=r'cls\.weight \(5, 4\) instead of \(3, 4\)',
    ):
        load_weights(model, read_checkpoint(path))
    assert torch.equal(model.conv.weight, before)


def test_weights_of_another_model_are_said(tmp_path):
    path = _save(tmp_path / 'a.pth', nn.ModuleDict({'head': nn.Linear(2, 2)}))
    with pytest.raises(
        ValueError,
        match=r'8 weights are missing .*2 weights do not belong',
    ):
        load_weights(_model(), read_checkpoint(path))


def test_a_safetensors_file_of_half_floats(tmp_path):
    model = _model()
    half = {
        name: value.half() if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    save_file(half, tmp_path / 'a.safetensors', metadata={'license': 'Apache-2.0'})
    checkpoint = read_checkpoint(tmp_path / 'a.safetensors')
    assert checkpoint.dataset_meta == {}
    assert {value.dtype for value in checkpoint.weights.values()} == {torch.float32, torch.int64}
    other = _model()
    load_weights(other, checkpoint)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=2**-11, atol=1e-7)


def test_what_is_no_safetensors_file_is_said(tmp_path):
    path = tmp_path / 'a.safetensors'
    path.write_bytes(b'version https://git-lfs.github.com/spec/v1')
    with pytest.raises(ValueError, match=r'a\.safetensors .*Git LFS pointer'):
        read_checkpoint(path)


def test_weights_of_parts_have_files_of_their_own(tmp_path):
    save_file({'tracker.a': torch.ones(2), 'unused': torch.ones(1)}, tmp_path / 'm.safetensors')
    torch.save({'state_dict': {'tracker.a': torch.zeros(3)}}, tmp_path / 'p.pth')
    (tmp_path / 'parts.json').write_text('{"matcher": "m.safetensors", "propagator": "p.pth"}')
    weights = read_checkpoint(tmp_path / 'parts.json').weights
    assert {name: len(value) for name, value in weights.items()} == {
        'tracker.matcher.a': 2,
        'tracker.propagator.a': 3,
    }


@pytest.mark.parametrize(
    'text, fault',
    [
        ('[]', 'must name the checkpoints'),
        ('{}', 'must name the checkpoints'),
        ('{"matcher": 3}', 'must name the checkpoints'),
        ('{"matcher": "parts.json"}', 'must name the checkpoints'),
        ('{"matcher": "none.pth"}', r'none\.pth'),
        ('{"matcher": "../m.pth"}', r'\.\./m\.pth'),
    ],
)
def test_what_are_no_weights_of_parts(tmp_path, text, fault):
    (tmp_path / 'parts.json').write_text(text)
    with pytest.raises(ValueError, match=fault):
        read_checkpoint(tmp_path / 'parts.json')
