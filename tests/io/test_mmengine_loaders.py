"""All that mmengine loads goes through readers that run nothing, and own checkpoints resume."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import mmengine
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner, load_checkpoint
from torch import nn

from mmvos.io.errors import DataError
from mmvos.registry import DATASETS, MODELS

MARKER = 'made_by_checkpoint'
MAKES_FOLDER = f'import os\nos.mkdir("{MARKER}")\n'


class MakesFolder:
    """What an attacker puts into a pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (MARKER,)


@MODELS.register_module()
class OneWeightModel(BaseModel):
    """A model of one weight, to be trained within a millisecond."""

    def __init__(self, init_cfg: Any = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.layer = nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.layer.weight)

    def forward(self, x: Any, mode: str = 'tensor') -> Any:
        return {'loss': self.layer(torch.stack(x)).square().mean()}


@DATASETS.register_module()
class TwoNumbers(torch.utils.data.Dataset):
    """Two samples."""

    metainfo: dict[str, Any] = {}

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Any:
        return {'x': torch.full((1,), float(index + 1))}


def _runner(folder: Path, epochs: int, init_cfg: Any = None, **options: Any) -> Runner:
    config = Config(
        dict(
            default_scope='mmdet',
            model=dict(type='mmvos.OneWeightModel', init_cfg=init_cfg),
            work_dir=str(folder),
            train_dataloader=dict(
                batch_size=1,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=dict(type='mmvos.TwoNumbers'),
            ),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9)),
            param_scheduler=[dict(type='OneCycleLR', eta_max=0.05, total_steps=4, by_epoch=True)],
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)),
            experiment_name=f'test_{os.urandom(4).hex()}',
            log_level='ERROR',
        )
        | options
    )
    return Runner.from_cfg(config)


def _trained(runner: Runner) -> float:
    torch.manual_seed(0)
    return float(runner.train().layer.weight.detach())


def test_own_checkpoints_resume_as_with_a_full_pickle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _trained(_runner(tmp_path / 'half', 2))
    saved = str(tmp_path / 'half/epoch_2.pth')
    by_name = _runner(tmp_path / 'a', 4, resume=True, load_from=saved)
    weight = _trained(by_name)
    assert len(by_name.message_hub.get_scalar('train/loss').data[0]) == 8  # 4 epochs of 2
    assert _trained(_runner(tmp_path / 'half', 4, resume=True)) == weight
    full = torch.load(saved, weights_only=False)
    monkeypatch.setattr('mmvos.io.mmengine_loaders.load_checkpoint_file', lambda *_: full)
    assert _trained(_runner(tmp_path / 'b', 4, resume=True, load_from=saved)) == weight


def _evil_files(folder: Path) -> dict[str, Path]:
    """A pickle, and tensors with a config that mmengine would run."""
    state = {'layer.weight': torch.ones(1, 1)}
    files = {'pickle': folder / 'evil.pth', 'config': folder / 'config.pth'}
    torch.save({'state_dict': state, 'meta': {'a': MakesFolder()}}, files['pickle'])
    hub: dict[str, Any] = {'log_scalars': {}, 'runtime_info': {}, 'resumed_keys': {}}
    meta = {'epoch': 1, 'iter': 2, 'config': MAKES_FOLDER}
    torch.save({'state_dict': state, 'meta': meta, 'message_hub': hub}, files['config'])
    return files


@pytest.mark.parametrize('way', ['resume', 'resume of the last', 'load_from', 'init_cfg', 'prefix'])
def test_code_in_a_checkpoint_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.chdir(tmp_path)
    evil = str(_evil_files(tmp_path)['pickle'])
    pretrained = dict(type='Pretrained', checkpoint=evil)
    options: dict[str, Any] = {
        'resume': dict(resume=True, load_from=evil),
        'resume of the last': dict(resume=True),
        'load_from': dict(load_from=evil),
        'init_cfg': dict(init_cfg=pretrained),
        'prefix': dict(init_cfg=dict(pretrained, prefix='layer')),
    }[way]
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run/last_checkpoint').write_text(evil)
    with pytest.raises(DataError, match=r'evil\.pth holds objects'):
        _runner(tmp_path / 'run', 1, **options).train()
    assert not Path(MARKER).exists()


def test_a_config_in_a_checkpoint_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    harmful = str(_evil_files(tmp_path)['config'])
    runner = _runner(tmp_path / 'run', 2, resume=True, load_from=harmful)
    runner.train()
    assert not Path(MARKER).exists()


@pytest.mark.parametrize('name', ['{}', 's3://{}', 'petrel://{}', 'cluster:s3://{}', 'pavi://{}'])
def test_no_scheme_runs_a_pickle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    evil = _evil_files(tmp_path)['pickle']
    for load in (
        CheckpointLoader.load_checkpoint,
        lambda file: load_checkpoint(nn.Linear(1, 1), file),
    ):
        with pytest.raises(DataError):
            load(name.format(evil))
    assert not Path(MARKER).exists()


def test_every_scheme_of_mmengine_ends_in_our_loaders(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def read(source: Any, map_location: Any = None) -> dict[str, Any]:
        asked.append(str(source))
        return {'state_dict': {}}

    monkeypatch.setattr('mmvos.io.mmengine_loaders.load_checkpoint_file', read)
    monkeypatch.setattr(
        'mmengine.runner.checkpoint.get_torchvision_models',
        lambda: {'resnet50': 'https://x.y/resnet50.pth'},
    )
    names = ['a.pth', 'https://x.y/a.pth', 'torchvision://resnet50', 'open-mmlab://resnet50_v1c']
    for name in names:
        CheckpointLoader.load_checkpoint(name)
    CheckpointLoader.load_checkpoint('mmcls://mobilenet_v2')
    assert len(asked) == 5
    assert asked[:2] == names[:2]
    assert all(source.startswith('https://') for source in asked[1:])
    known = {'', 'http://', 'https://', 'torchvision://', 'modelzoo://', 'open-mmlab://'}
    known |= {'openmmlab://', 'mmcls://', 'pavi://', r'(\S+\:)?s3://', r'(\S+\:)?petrel://'}
    assert set(CheckpointLoader._schemes) <= known


def test_pickles_and_yaml_objects_are_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ('a.pkl', 'a.pickle'):
        Path(name).write_bytes(pickle.dumps(MakesFolder()))
        with pytest.raises(DataError, match='pickle'):
            mmengine.load(name)
    Path('a.yml').write_text(f'model: !!python/object/apply:os.mkdir [{MARKER}]\n')
    with pytest.raises(DataError, match='YAML'):
        mmengine.load('a.yml')
    with pytest.raises(DataError, match='YAML'):
        Config.fromfile('a.yml')
    assert not Path(MARKER).exists()
    mmengine.dump({'a': [1, 'b']}, 'b.yaml')
    assert mmengine.load('b.yaml') == {'a': [1, 'b']}
