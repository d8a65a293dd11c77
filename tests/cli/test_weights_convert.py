"""mmvos weights convert: what it writes can be loaded, and what it refuses it names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from tiny_siamese import tiny_config

from mmvos.apis.checkpoint import load_weights, read_checkpoint
from mmvos.cli.main import main
from mmvos.registry import MODELS

PUBLISHED = {
    'tracker.features.backbone.': 'features.features.',
    'tracker.features.adjust.layer.conv.': 'features.downsample.downsample.0.',
    'tracker.features.adjust.layer.bn.': 'features.downsample.downsample.1.',
    'tracker.head.refine.': 'refine_model.',
}
TOWERS = {'score': 'rpn_model.cls.', 'box': 'rpn_model.loc.', 'mask': 'mask_model.mask.'}
PUBLISHED |= {
    f'tracker.neck.{kind}.{ours}.': f'{theirs}conv_{kind}.'
    for kind in ('kernel', 'search')
    for ours, theirs in TOWERS.items()
}
PUBLISHED |= {f'tracker.head.{ours}.': f'{theirs}head.' for ours, theirs in TOWERS.items()}


class Anything:
    """What a pickle could hold."""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Calls the tool on a file's content and gives the path it writes."""
    init_default_scope('mmdet')
    config = tiny_config()
    config.dump(tmp_path / 'config.py')

    def call(content, *more: str) -> Path:
        torch.save(content, tmp_path / 'given.pth')
        monkeypatch.setattr(sys, 'argv', ['mmvos'])
        main(
            [
                'weights',
                'convert',
                str(tmp_path / 'config.py'),
                str(tmp_path / 'given.pth'),
                str(tmp_path / 'new/out.pth'),
                *more,
            ]
        )
        return tmp_path / 'new/out.pth'

    return call


def model_and_published():
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(tiny_config().model)
    names = {
        name: next(
            name.replace(ours, theirs)
            for ours, theirs in PUBLISHED.items()
            if name.startswith(ours)
        )
        for name in model.state_dict()
    }
    return model, {'module.' + names[name]: tensor for name, tensor in model.state_dict().items()}


def test_there_and_back(run, capsys):
    """A file as SiamMask writes it, with an epoch and the prefix of parallel training."""
    model, content = model_and_published()
    out = run({'epoch': 20, 'arch': 'Custom', 'state_dict': content, 'best_acc': 0.0})
    assert 'SiamMask, 356 tensors' in capsys.readouterr().out
    loaded = MODELS.build(tiny_config().model)
    load_weights(loaded, read_checkpoint(out))
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_objects_are_refused_unless_trusted(run):
    _, content = model_and_published()
    with pytest.raises(SystemExit, match=r'holds objects other than weights .*--trust'):
        run({'state_dict': content, 'extra': Anything()})
    assert run({'state_dict': content, 'extra': Anything()}, '--trust').is_file()


def test_faults_are_named(run, tmp_path):
    _, content = model_and_published()
    del content['module.rpn_model.cls.head.3.bias']
    with pytest.raises(SystemExit, match=r'given\.pth, a SiamMask, does not fit'):
        run(content)
    assert not (tmp_path / 'new').exists()
