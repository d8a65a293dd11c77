"""Joining checkpoints: what is written fits the config and is what was given; what does not fit is
named.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from tiny_parts import matcher_settings, tiny_parts
from tiny_segmenter import tiny_settings

from mmvos.apis import init_model
from mmvos.apis.checkpoint import Checkpoint
from mmvos.cli.main import main
from mmvos.cli.weights.join import joined


@pytest.fixture(scope='module')
def files(tmp_path_factory) -> Path:
    """A config, and checkpoints of a matcher and of a propagator, whose weights differ from those
    of a new model.
    """
    folder = tmp_path_factory.mktemp('join')
    settings = tiny_settings()
    tracker = dict(
        type='mmvos.PartTracker', matcher=matcher_settings(), propagator=settings['tracker']
    )
    Config(dict(default_scope='mmdet', model=settings | dict(tracker=tracker))).dump(
        folder / 'parts.py'
    )
    for seed, part in enumerate(('matcher', 'propagator'), 1):
        weights = getattr(tiny_parts(seed=seed).tracker, part).state_dict()
        torch.save(
            {'state_dict': {f'tracker.{name}': value for name, value in weights.items()}},
            folder / f'{part}.pth',
        )
    refined = torch.load(folder / 'matcher.pth')['state_dict'] | {
        'tracker.head.refine.x.weight': torch.zeros(1)
    }
    torch.save({'state_dict': refined}, folder / 'refined.pth')
    return folder


def join(monkeypatch, folder: Path, *parts: str) -> Path:
    out = folder / 'out' / 'joined.safetensors'
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, 'argv', ['mmvos'])
    main(['weights', 'join', 'parts.py', str(out), *parts])
    return out


def test_the_joined_file_fits_the_config_and_holds_both(files, monkeypatch, capsys):
    out = join(monkeypatch, files, 'matcher=refined.pth', 'propagator=propagator.pth')
    assert 'left out: tracker.matcher.head.refine.x.weight' in capsys.readouterr().out
    model = init_model(files / 'parts.py', out, 'cpu')
    for part in ('matcher', 'propagator'):
        given = torch.load(files / f'{part}.pth')['state_dict']
        own = getattr(model.tracker, part).state_dict()
        assert own.keys() == {name.removeprefix('tracker.') for name in given}
        assert all(torch.equal(value, given[f'tracker.{name}']) for name, value in own.items())


@pytest.mark.parametrize(
    ('parts', 'message'),
    [
        (('matcher=matcher.pth',), 'weights are missing'),
        (('matcher=propagator.pth', 'propagator=propagator.pth'), 'weights are missing'),
        (
            ('matcher=matcher.pth', 'masks=propagator.pth'),
            "the tracker of the config has no part 'masks'",
        ),
        (
            ('matcher=matcher.pth', 'propagator=nothing.pth'),
            'the checkpoint nothing.pth does not exist',
        ),
    ],
)
def test_what_does_not_fit_is_named(files, monkeypatch, parts, message):
    with pytest.raises(SystemExit) as error:
        join(monkeypatch, files, *parts)
    assert message in str(error.value)


def test_a_checkpoint_of_something_else_is_named():
    with pytest.raises(ValueError, match=r'backbone\.pth has no weights'):
        joined(
            {'tracker.matcher.w': torch.zeros(1)},
            {'matcher': Checkpoint('backbone.pth', {'conv1.weight': torch.zeros(1)}, {})},
        )
