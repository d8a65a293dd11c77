"""Models by name: each config has a name, a wrong name gives close ones, weights come from the
metafiles.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mmengine.config import Config

import mmvos
from mmvos.apis import SYSTEMS, VideoInferencer, init_model
from mmvos.apis.model_index import (
    ShippedModel,
    find_model,
    model_of_config,
    project_root,
    shipped_models,
)
from mmvos.apis.model_loading import load_config, shipped_weights
from mmvos.apis.systems import describe_recipes

from .bright_spots import bright_spots_config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def models() -> dict[str, ShippedModel]:
    return shipped_models(project_root())


def test_every_config_has_a_name_and_no_base_has_one(models):
    configs = {path.stem for path in ROOT.glob('configs/[!_]*/*.py')}
    assert set(models) == configs and 'masktrack_r50s16' not in models
    for name in configs:
        assert find_model(name, models).config.stem == name


@pytest.mark.parametrize(
    'name, stem',
    [
        ('masktrack-rcnn_r50_fpn_youtubevis2019', 'masktrack-rcnn_r50_fpn_4xb8-12e_youtubevis2019'),
        (
            'masktrack-rcnn_r101_fpn_youtubevis2019',
            'masktrack-rcnn_r101_fpn_4xb8-12e_youtubevis2019',
        ),
        ('siammask-sharp_r50_davis', 'siammask-sharp_r50_4xb16-20e_davis'),
        ('s2iammask_r50', 's2iammask_r50_4xb16-10e'),
        ('masktrack_r50_fpn_davis', 'masktrack_r50_fpn_davis'),
    ],
)
def test_the_training_settings_may_be_left_out(models, name, stem):
    assert find_model(name, models).name == stem


def test_a_wrong_name_gives_close_ones_in_one_sentence(models):
    with pytest.raises(
        ValueError,
        match=r'youtubevis2018.* close .*4xb8-12e_youtubevis2019',
    ) as caught:
        find_model('masktrack-rcnn_r50_fpn_youtubevis2018', models)
    assert '\n' not in str(caught.value)
    with pytest.raises(ValueError, match=r'the models are .*masktrack_r50s16_compact'):
        find_model('yolo', models)
    two = {name: ShippedModel(name, Path(name), None) for name in ('a_4xb8-12e_x', 'a_2xb8-6e_x')}
    with pytest.raises(ValueError, match='several models: a_4xb8-12e_x, a_2xb8-6e_x'):
        find_model('a_x', two)


def test_weights_are_those_of_the_metafile(models):
    compact = models['masktrack_r50s16_compact']
    assert (
        compact.weights == str(ROOT / 'weights/masktrack_compact.safetensors')
        and compact.weights_are_here
    )
    assert models['masktrack-box_r50s16_compact'].weights == compact.weights
    assert models['masktrack_r50_fpn_coco'].weights is None
    light = models['masktrack_lite0']
    assert light.weights == str(ROOT / 'weights/masktrack_lite0.safetensors')
    assert shipped_weights(load_config('masktrack-box')) == light.weights
    assert (
        shipped_weights(load_config(ROOT / 'configs/masktrack/masktrack_r50s16_compact.py'))
        == compact.weights
    )
    assert ShippedModel('a', Path('a.py'), 'https://example.org/a.pth').weights_are_here


def test_weights_are_read_alike_without_libyaml(models, monkeypatch):
    monkeypatch.delattr('yaml.CSafeLoader')
    assert shipped_models(project_root()) == models


def test_an_installed_package_has_its_configs_in_its_own_folder(tmp_path):
    """As a wheel lays it out: site-packages/mmvos/.mim/configs; a folder configs of another project
    beside it does not matter.
    """
    package = tmp_path / 'site-packages/mmvos'
    (package.parent / 'configs/other').mkdir(parents=True)
    with pytest.raises(
        FileNotFoundError,
        match=r'configs of mmvos .*\.mim',
    ):
        project_root(package)
    shutil.copytree(ROOT / 'configs', package / '.mim/configs')
    shutil.copy(ROOT / 'model-index.yml', package / '.mim')
    assert project_root(package) == package / '.mim'
    models = shipped_models(package / '.mim')
    found = find_model('masktrack_r50s16_compact', models)
    assert Config.fromfile(found.config).model.type == 'mmvos.PromptedSegmenter'
    assert (
        found.weights == str(package / '.mim/weights/masktrack_compact.safetensors')
        and not found.weights_are_here
    )
    assert project_root(Path(mmvos.__file__).parent) == ROOT


def test_a_copy_of_a_config_is_not_the_shipped_one(models, tmp_path):
    path = tmp_path / 'masktrack_r50s16_compact.py'
    path.write_text('model = dict()')
    assert model_of_config(path, models) is None
    assert model_of_config(models[path.stem].config, models) is models[path.stem]


def test_there_are_no_silent_random_weights(tmp_path):
    bright_spots_config().dump(tmp_path / 'own.py')
    own = r'own\.py comes without weights.*\n  train: mmvos train .*own\.py'
    for model, sentence in (
        (tmp_path / 'own.py', own),
        (bright_spots_config(), 'CONFIG comes without weights'),
        (
            'masktrack_r50_fpn_coco',
            r'configs/masktrack/masktrack_r50_fpn_coco\.py comes without weights',
        ),
        (
            's2iammask_r50',
            r'train: .*s2iammask_r50_4xb16-10e\.py  -> '
            r'work_dirs/s2iammask_r50_4xb16-10e/\*\.pth',
        ),
    ):
        with pytest.raises(FileNotFoundError, match=sentence):
            VideoInferencer(model, device='cpu')
    with pytest.raises(FileNotFoundError, match=r'r50_fpn_coco\.py comes without weights'):
        init_model('masktrack_r50_fpn_coco', device='cpu')
    with pytest.raises(FileNotFoundError, match=r'the config gone\.py does not exist'):
        init_model('gone.py', device='cpu')


@pytest.mark.parametrize('name', SYSTEMS)
def test_rows_name_configs_and_commands_that_exist(models, name):
    system = SYSTEMS[name]
    model = find_model(system.model, models)
    assert (
        model.name == system.model
        and set(system.accepted_prompts) <= {'mask', 'box', 'points'}
        and system.recipes
    )
    files = [
        word
        for recipe in system.recipes
        for command in recipe.commands
        for word in command.split()
        if word.startswith(('tools/', 'configs/', 'weights', 'mmvos/'))
    ]
    assert files and all((ROOT / word).exists() for word in files), files
    for recipe in system.recipes:
        assert f'  {recipe.name}: ' in describe_recipes(
            system.model, 'unused'
        ) and f'-> {recipe.weights}' in describe_recipes(system.model, '')
        epochs = (
            load_config(
                ROOT / 'configs' / recipe.commands[-1].split('configs/')[-1].split()[0]
            ).train_cfg.get('max_epochs')
            if recipe.name == 'train'
            else None
        )
        assert epochs is None or recipe.weights == f'work_dirs/{system.model}/epoch_{epochs}.pth'
