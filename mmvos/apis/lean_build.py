"""Builds what inference needs of a config without the registries.

A registry that is asked for one name imports all of mmdet's and our models, or data sets and their
transforms, and with them more than a video's first frames cost. Where a config names only our
parts and those of mmdet's that stand here, their classes are put in the place of the names, and are
imported alone (``mmvos.lazy_packages``). The parts are the same either way.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from mmengine.registry import DefaultScope

from mmvos.lazy_packages import lazy_packages

MODELS = 'mmvos.models'
TRANSFORMS = 'mmvos.datasets.transforms'
# What the shipped configs take from elsewhere, and the packages that have it.
_OF_OTHERS = {
    'AnchorGenerator': 'mmdet.models.task_modules.prior_generators',
    'BboxOverlaps2D': 'mmdet.models.task_modules.assigners',
    'CrossEntropyLoss': 'mmdet.models.losses',
    'DeltaXYWHBBoxCoder': 'mmdet.models.task_modules.coders',
    'FCNMaskHead': 'mmdet.models.roi_heads.mask_heads',
    'FPN': 'mmdet.models.necks',
    'Linear': 'torch.nn',
    'LoadImageFromNDArray': 'mmdet.datasets.transforms',
    'MaskRCNN': 'mmdet.models.detectors',
    'MaxIoUAssigner': 'mmdet.models.task_modules.assigners',
    'PackTrackInputs': 'mmdet.datasets.transforms',
    'RandomSampler': 'mmdet.models.task_modules.samplers',
    'ResNet': 'mmdet.models.backbones',
    'Resize': 'mmdet.datasets.transforms',
    'Shared2FCBBoxHead': 'mmdet.models.roi_heads.bbox_heads',
    'SmoothL1Loss': 'mmdet.models.losses',
    'StandardRoIHead': 'mmdet.models.roi_heads',
    'TrackDataPreprocessor': 'mmdet.models.data_preprocessors',
    'TransformBroadcaster': 'mmcv.transforms',
}
# What they look up by its name where a config says nothing about it.
_DEFAULTS = {
    'MaxIoUAssigner': {'iou_calculator': {'type': 'BboxOverlaps2D'}},
    'Shared2FCBBoxHead': {
        'cls_predictor_cfg': {'type': 'Linear'},
        'reg_predictor_cfg': {'type': 'Linear'},
    },
}
# Values that are layers or functions of mmcv, which finds them itself; so are `norm_cfg` and its
# like, but not these.
_OF_MMCV = ('nms', 'roi_layer')
_PARTS_IN_CFG = ('train_cfg', 'cls_predictor_cfg', 'reg_predictor_cfg')

Built = TypeVar('Built')


def build_lean(config: Any, package: str, build: Callable[[Any], Built]) -> Built | None:
    """Build a part without the registries.

    Args:
        config: of the part, or a list of parts; it stays as it is.
        package: `MODELS` or `TRANSFORMS`, where our own parts are.
        build: makes the part from a config whose types are classes.

    Returns:
        None where the config names others than those that are known here.
    """
    with lazy_packages():
        if not _are_known(config, package):
            return None
        # mmcv looks its layers up in mmengine's registries, where it has put them, and not in
        # mmdet's.
        with DefaultScope.overwrite_default_scope('mmengine'):
            return build(_with_classes(config, package))


def _are_known(config: Any, package: str) -> bool:
    """Whether all parts that a config names can be imported by their names alone."""
    if isinstance(config, (list, tuple)):
        return all(_are_known(item, package) for item in config)
    if not isinstance(config, dict):
        return True
    if '_scope_' in config:
        return False
    kind = config.get('type')
    if kind is not None and (not isinstance(kind, str) or _home(kind, package) is None):
        return False
    return all(_are_known(value, package) for key, value in config.items() if _has_parts(key))


def _with_classes(config: Any, package: str) -> Any:
    """Copy a config, with classes in the place of their names."""
    if isinstance(config, (list, tuple)):
        return type(config)(_with_classes(item, package) for item in config)
    if not isinstance(config, dict):
        return config
    kind = config.get('type')
    copied = config.copy()
    for key, value in _DEFAULTS.get(str(kind), {}).items():
        copied.setdefault(key, value)
    for key, value in copied.items():
        if _has_parts(key):
            copied[key] = _with_classes(value, package)
    if kind is not None:
        home = _home(kind, package)
        copied['type'] = getattr(import_module(str(home)), kind.split('.')[-1])
    return copied


def _has_parts(key: str) -> bool:
    """Whether the value of a key may be a part that is looked up in mmdet's or our registries."""
    if key.endswith('_cfg'):
        return key in _PARTS_IN_CFG
    return key not in _OF_MMCV


def _home(kind: str, package: str) -> str | None:
    """The package that has a part; None where it is not known."""
    if not kind.startswith('mmvos.'):
        return _OF_OTHERS.get(kind.removeprefix('mmdet.'))
    names = import_module(package)
    registered = import_module('mmvos.models.registered') if package == MODELS else names
    return package if kind.split('.')[-1] in registered.__all__ else None
