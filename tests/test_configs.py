"""Every shipped config: it loads, its model builds, trains one step and tests one frame; and its
parts agree with each other.

Steps are made on synthetic frames of 64 x 64 pixels, so no data set is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_segmenter as segmenter
import tiny_siamese as siamese
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from tiny_masktrack import CONFIGS, batch, frame, two_objects

from mmvos.models import VideoModel
from mmvos.registry import HOOKS, MODELS
from mmvos.registry import METRICS as MMVOS_METRICS
from mmvos.structures import Prompts

NAMES = sorted(
    path.relative_to(CONFIGS).as_posix()
    for path in CONFIGS.rglob('*.py')
    if '_base_' not in path.parts
)
CLASSES_BY_DATA_SET = {'2019': 40, '2021': 40, 'ovis': 25}


def load(name: str) -> Config:
    init_default_scope('mmdet')
    return Config.fromfile(CONFIGS / name)


def masktrack_steps(model: VideoModel, wrapper: Any) -> None:
    torch.manual_seed(0)
    before = {
        name: value.detach().clone()
        for name, value in model.named_parameters()
        if value.requires_grad
    }
    losses = model.train_step(batch(two_objects(0), two_objects(1)), wrapper)
    assert all(torch.isfinite(value).all() for value in losses.values())
    changed = [
        name
        for name, value in model.named_parameters()
        if name in before and not torch.equal(value, before[name])
    ]
    for part in ('backbone', 'neck', 'rpn_head', 'bbox_head', 'mask_head', 'track_head'):
        assert any(part in name for name in changed), part
    model.eval()
    (result,) = model.run([frame(0)])
    assert len(result.objects) <= model.detector.test_cfg.rcnn.max_per_img and result.shape == (
        32,
        32,
    )


def mmdet_steps(model: VideoModel, wrapper: Any) -> None:
    """mmdet's own model learns and answers; its losses want the ignored objects, of which there are
    none here.
    """
    torch.manual_seed(0)
    content = batch(two_objects(0), two_objects(1))
    for pair in content['data_samples']:
        for sample in pair.video_data_samples:
            nothing = dict(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
            sample.ignored_instances = InstanceData(**nothing)
    before = model.detector.rpn_head.rpn_cls.weight.detach().clone()
    losses = model.train_step(content, wrapper)
    assert all(torch.isfinite(value).all() for value in losses.values())
    assert not torch.equal(before, model.detector.rpn_head.rpn_cls.weight)
    (result,) = model.eval().run([frame(0)])
    assert len(result.objects) <= model.detector.test_cfg.rcnn.max_per_img


def propagation_steps(model: VideoModel, wrapper: Any) -> None:
    torch.manual_seed(0)
    model.tracker.size = model.tracker.train_size = 64
    model.tracker.calm_size = None
    before = {
        name: value.detach().clone()
        for name, value in model.named_parameters()
        if value.requires_grad
    }
    masks = np.stack([segmenter.square_mask(20 + 4 * t, 20) for t in range(2)])[:, None]
    sample = segmenter.clip_sample(masks, masks * 2.0 - 1, np.array([[2], [1]]))
    images = torch.randint(0, 255, (2, 3, segmenter.HEIGHT, segmenter.WIDTH), dtype=torch.uint8)
    losses = model.train_step(dict(inputs=[images], data_samples=[sample]), wrapper)
    assert all(torch.isfinite(value).all() for value in losses.values())
    changed = {
        name
        for name, value in model.named_parameters()
        if name in before and not torch.equal(value, before[name])
    }
    for part in ('backbone', 'laterals', 'guides', 'predictor'):
        assert any(part in name for name in changed), part
    model.eval()
    prompts = {0: Prompts((1, 2), (masks[0, 0], None), (None, (50.0, 10.0, 80.0, 40.0)))}
    results = list(model.run([segmenter.frame(t) for t in range(2)], prompts))
    assert [[item.id for item in result.objects] for result in results] == [[1, 2], [1, 2]]


def siamese_steps(model: VideoModel, wrapper: Any) -> None:
    torch.manual_seed(0)
    before = {
        name: value.detach().clone()
        for name, value in model.named_parameters()
        if value.requires_grad
    }
    sample = siamese.pair_sample(143 if model.tracker.loss_weights == (0, 0, 36) else 255)
    losses = model.train_step(
        dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']]), wrapper
    )
    assert all(torch.isfinite(value).all() for value in losses.values())
    changed = {
        name
        for name, value in model.named_parameters()
        if name in before and not torch.equal(value, before[name])
    }
    voting = model.tracker.voting
    if voting is not None and not voting.refined and not model.tracker.joint_voting:
        assert changed and all(name.startswith('tracker.voting.') for name in changed)
    else:
        masks = 'head.mask' if model.tracker.head.refine is None else 'refine.v0'
        # a config may keep all of it as it is
        stem = ['backbone'] if any('.backbone.' in name for name in before) else []
        for part in (*stem, 'adjust', 'kernel.mask', 'search.mask', masks):
            assert any(part in name for name in changed), part
    model.eval()
    mask = np.zeros((siamese.HEIGHT, siamese.WIDTH), dtype=bool)
    mask[10:40, 10:50] = True
    prompts = {0: Prompts((1, 2), (mask, None), (None, (50.0, 10.0, 80.0, 40.0)))}
    results = list(model.run([siamese.frame(t) for t in range(2)], prompts))
    assert [[item.id for item in result.objects] for result in results] == [[1, 2], [1, 2]]


def part_steps(model: VideoModel, wrapper: Any) -> None:
    """The propagator learns, the matcher does not; both work when the model is tested."""
    model.tracker.propagator.size = model.tracker.propagator.train_size = 64
    before = {
        name: value.detach().clone() for name, value in model.tracker.matcher.named_parameters()
    }
    masks = np.stack([segmenter.square_mask(20 + 4 * t, 20) for t in range(2)])[:, None]
    sample = segmenter.clip_sample(masks, masks * 2.0 - 1, np.array([[2], [1]]))
    images = torch.randint(0, 255, (2, 3, segmenter.HEIGHT, segmenter.WIDTH), dtype=torch.uint8)
    losses = model.train_step(dict(inputs=[images], data_samples=[sample]), wrapper)
    assert all(torch.isfinite(value).all() for value in losses.values())
    assert all(
        torch.equal(value, before[name]) for name, value in model.tracker.matcher.named_parameters()
    )
    model.eval().tracker.parts = 2
    prompts = {0: Prompts((1, 2), (masks[0, 0], None), (None, (50.0, 10.0, 80.0, 40.0)))}
    results = list(model.run([segmenter.frame(t) for t in range(2)], prompts))
    assert [[item.id for item in result.objects] for result in results] == [[1, 2], [1, 2]]


STEPS: dict[str, Callable[[VideoModel, Any], None]] = {
    'mmvos.SiameseTracker': siamese_steps,
    'mmvos.MaskTrackRCNN': masktrack_steps,
    'MaskTrackRCNNTracker': mmdet_steps,
    'mmvos.MaskPropagator': propagation_steps,
    'mmvos.PartTracker': part_steps,
}
WITHOUT_TRAINING = {'optimizer': dict(type='SGD', lr=1e-4), 'type': 'OptimWrapper'}


def kind(config: Config) -> str:
    """What tells the models apart: the video model's type, or that of its tracker."""
    return config.model.tracker.type if 'tracker' in config.model else config.model.type


def test_there_are_configs():
    assert 'masktrack_rcnn/masktrack-rcnn_r18_fpn_sample.py' in NAMES


@pytest.mark.parametrize('name', NAMES)
def test_model_trains_one_step_and_tests_one_frame(name):
    config = load(name)
    torch.manual_seed(0)
    model = MODELS.build(config.model)  # no init_weights: nothing is downloaded
    settings = config.get('optim_wrapper', Config(WITHOUT_TRAINING)).to_dict()
    settings['optimizer']['lr'] = 1e-4  # without a warm-up
    STEPS[kind(config)](model.train(), build_optim_wrapper(model, settings))


@pytest.mark.parametrize(
    'name', [name for name in NAMES if kind(load(name)) == 'mmvos.MaskTrackRCNN']
)
def test_parts_of_instance_segmentation_agree(name):
    config = load(name)
    for split in ('train', 'val', 'test'):
        data = config[f'{split}_dataloader'].dataset
        for part in data.get('datasets', [data]):
            # mmengine's RepeatDataset holds the data set itself
            part = part.get('dataset', part)
            Compose(part.pipeline)
            assert bool(part.get('test_mode')) == (split != 'train')
        if split != 'train':
            assert Path(config[f'{split}_evaluator'].ann_file) == Path(
                data.data_root, data.ann_file
            )
            assert config[f'{split}_dataloader'].batch_size == 1
    heads = config.model.detector.roi_head
    counts = {heads.bbox_head.num_classes, heads.mask_head.num_classes}
    expected = {count for data_set, count in CLASSES_BY_DATA_SET.items() if data_set in name}
    assert len(counts) == 1 and (not expected or counts == expected)
    # Validation gives the number that the best checkpoint is chosen by.
    assert config.default_hooks.checkpoint.save_best == 'youtube_vis/AP'
    length = config.train_cfg.get('max_epochs') or config.train_cfg.max_iters
    assert config.train_cfg.val_interval <= length


@pytest.mark.parametrize(
    'name', [name for name in NAMES if kind(load(name)) == 'mmvos.MaskPropagator']
)
def test_parts_of_mask_propagation_agree(name):
    config = load(name)
    for split in ('val', 'test'):
        data, metric = config[f'{split}_dataloader'].dataset, config[f'{split}_evaluator']
        Compose(data.pipeline)
        assert (
            Path(metric.ground_truth) == Path(data.data_root)
            and config[f'{split}_dataloader'].batch_size == 1
        )
        assert data.get('merge_objects', False) == (metric.get('year') == 2016)
    if 'online' in config.test_cfg:
        Compose(config.test_cfg.online.pipeline)
    if 'train_dataloader' in config:
        sets = config.train_dataloader.dataset
        for data in sets.get('datasets', [sets]):
            Compose(data.pipeline)
        prefix = MMVOS_METRICS.get(metric.type.split('.')[-1]).default_prefix
        assert config.default_hooks.checkpoint.save_best.startswith(prefix + '/')
        assert (
            config.train_cfg.val_interval <= config.train_cfg.max_iters
            and not config.log_processor.by_epoch
        )


@pytest.mark.parametrize(
    'name', [name for name in NAMES if kind(load(name)) == 'mmvos.PartTracker']
)
def test_parts_of_part_tracking_are_those_of_other_models(name):
    """So that their weights fit: the propagator is the compact model's, the matcher that of a
    SiamMask without refined masks; or both are the light models.
    """
    config = load(name)
    tracker = config.model.tracker
    is_light = 'lite0' in name
    propagator = 'masktrack_lite0' if is_light else 'masktrack_r50s16_compact'
    compact = load(f'masktrack/{propagator}.py').model
    fpn = '_fpn' if tracker.matcher.features.type == 'mmvos.PyramidFeatures' else ''
    matcher = 'siammask-sharp_lite0' if is_light else f'siammask-base_r50{fpn}_4xb16-20e'
    siamese = load(f'siammask/{matcher}.py').model.tracker
    with torch.device('meta'):
        for mine, other in ((tracker.propagator, compact.tracker), (tracker.matcher, siamese)):
            shapes = [
                {key: value.shape for key, value in MODELS.build(part).state_dict().items()}
                for part in (mine, other)
            ]
            assert shapes[0] == shapes[1]
    assert config.model.data_preprocessor == compact.data_preprocessor
    if is_light:
        # also its settings, such as the size of a square: nothing but parts is added
        assert tracker.propagator == compact.tracker
    if 'restore' in tracker:
        assert tracker.restore == {key: compact.data_preprocessor[key] for key in ('mean', 'std')}
    for split in ('val', 'test'):
        data, metric = config[f'{split}_dataloader'].dataset, config[f'{split}_evaluator']
        Compose(data.pipeline)
        assert Path(metric.ground_truth) == Path(data.data_root) and data.merge_objects == (
            metric.year == 2016
        )


@pytest.mark.parametrize(
    'name', [name for name in NAMES if kind(load(name)) == 'mmvos.SiameseTracker']
)
def test_parts_of_siamese_tracking_agree(name):
    config = load(name)
    for split in ('val', 'test'):
        data = config[f'{split}_dataloader'].dataset
        Compose(data.pipeline)
        metric = config[f'{split}_evaluator']
        assert (
            Path(metric.ground_truth) == Path(data.data_root)
            and config[f'{split}_dataloader'].batch_size == 1
        )
        assert data.get('merge_objects', False) == (metric.get('year') == 2016)
    assert config.model['merge'] == 'hard-first'  # numpy's argmax over the objects
    if 'train_dataloader' not in config:  # for weights that another config trains
        return
    prefix = MMVOS_METRICS.get(config.val_evaluator.type.split('.')[-1]).default_prefix
    assert config.default_hooks.checkpoint.save_best.startswith(prefix + '/')
    assert config.log_processor.by_epoch == (config.train_cfg.type == 'EpochBasedTrainLoop')
    # Masks alone are trained on small windows, which their patches fill; everything else on whole
    # ones.
    for data in config.train_dataloader.dataset.get('datasets', [config.train_dataloader.dataset]):
        Compose(data.pipeline)
        crop = next(item for item in data.pipeline if item.type == 'mmvos.CropPair')
        assert crop.search_size == (
            143 if config.model.tracker.get('loss_weights') == (0, 0, 36) else 255
        )
    # The stage freezes what it should, by names that the model has.
    freezes = [hook for hook in config.custom_hooks if hook.type == 'mmvos.FreezeHook']
    # Short trainings have no stages within, except before a vote.
    tracker = config.model.tracker
    votes_alone = 'voting' in tracker and not tracker.get('joint_voting', False)
    staged = config.train_cfg.type == 'EpochBasedTrainLoop' or votes_alone
    assert len(freezes) == staged
    model = MODELS.build(config.model)
    for freeze in freezes:
        HOOKS.build(freeze).before_train(SimpleNamespace(model=model))
    # Windows are cut out of frames as they are, unless the features are those of a detector.
    normalised = config.model.data_preprocessor.std != [1, 1, 1]
    assert normalised == (config.model.tracker.features.type == 'mmvos.PyramidFeatures')
    if not normalised:
        assert not config.model.data_preprocessor.bgr_to_rgb
        (resize,) = (
            step
            for step in config.test_dataloader.dataset.pipeline[0].transforms
            if step.type == 'Resize'
        )
        assert resize.scale_factor == 1.0


def test_the_base_model_has_its_published_settings():
    """Penalty .09, window .39, rate .38 and threshold .30; the refined one for DAVIS .04, .40, 1
    and .35.
    """
    names = ('penalty', 'window_influence', 'size_rate', 'mask_threshold')
    for config, expected in (
        ('siammask/siammask-base_r50_4xb16-20e.py', [0.09, 0.39, 0.38, 0.30]),
        ('siammask/siammask-sharp_r50_4xb16-20e_davis.py', [0.04, 0.40, 1.0, 0.35]),
    ):
        tracker = load(config).model.tracker
        assert [tracker[name] for name in names] == expected


def test_the_published_data_is_cut_as_published():
    """YouTube-VOS alone: half a pixel off and masks from a fifth of a pixel on; own data is
    exact.
    """
    sources = load('siammask/siammask-base_r50_4xb16-20e.py').train_dataloader.dataset.sources
    assert [source.get('published_crops', False) for source in sources] == [True, False]
    sources = load('siammask/siammask-base_r50_mixed.py').train_dataloader.dataset.sources
    assert not any(source.get('published_crops', False) for source in sources)
