"""'Find objects' with MaskTrack R-CNN itself: the light model, whose weights are random here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import init_default_scope

from mmvos.apis import model_loading
from mmvos.apis.model_loading import load_config
from mmvos.apis.systems import SYSTEMS
from mmvos.registry import MODELS
from mmvos.studio import systems
from mmvos.studio.worker import Worker

from .stand_ins import follow_colors, open_studio, write_frames

LIGHT = 'masktrack-rcnn_lite0_fpn'
CLASSES = {'person', 'animal', 'vehicle', 'other'}  # of the config


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the light model's weights be shipped."""
    import mmvos.models.registered  # noqa: F401

    config = load_config(LIGHT)
    init_default_scope('mmdet')
    torch.manual_seed(0)
    weights = tmp_path / 'light.pth'
    torch.save({'state_dict': MODELS.build(config.model).state_dict()}, weights)

    monkeypatch.setitem(SYSTEMS, 'masktrack-rcnn', replace(SYSTEMS['masktrack-rcnn'], model=LIGHT))
    known = systems.shipped_models

    def with_weights(root: Path) -> Any:
        models = known(root)
        return {**models, LIGHT: replace(models[LIGHT], weights=str(weights))}

    monkeypatch.setattr(systems, 'shipped_models', with_weights)
    monkeypatch.setattr(model_loading, 'shipped_models', with_weights)
    return weights


def test_a_model_with_shipped_weights_finds_objects(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Worker.load
    follow_colors(monkeypatch)
    follower = Worker.load

    def load_either(self: Worker, name: str) -> Any:
        return load(self, name) if name == 'masktrack-rcnn' else follower(self, name)

    monkeypatch.setattr(Worker, 'load', load_either)
    with open_studio(write_frames(tmp_path / 'clip', 3), tmp_path / 'project') as studio:
        listed = studio.client.get('/api/project').json()['systems']
        (finder,) = [system for system in listed if not system['prompts']]
        assert finder['name'] == 'masktrack-rcnn' and finder['available']
        asked = {'system': finder['name'], 'start': 0, 'min_score': 0}
        answer = studio.client.post('/api/find', json=asked)
        assert answer.status_code == 202, answer.text
        ended = studio.wait()
        assert (ended['state'], ended['done']) == ('finished', 3), ended
        objects = studio.client.get('/api/project').json()['objects']
        assert objects and {item['category'] for item in objects} <= CLASSES


def test_without_weights_there_is_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = replace(SYSTEMS['masktrack-rcnn'], model=LIGHT)
    monkeypatch.setitem(SYSTEMS, 'masktrack-rcnn', model)
    known = systems.shipped_models

    def without_weights(root: Path) -> Any:
        models = known(root)
        return {**models, LIGHT: replace(models[LIGHT], weights=str(tmp_path / 'none.pth'))}

    monkeypatch.setattr(systems, 'shipped_models', without_weights)
    (row,) = [system for system in systems.list_systems() if system['name'] == 'masktrack-rcnn']
    assert not row['available']
    assert 'git checkout -- weights/masktrack-rcnn_lite0.safetensors' in row['remedy']
