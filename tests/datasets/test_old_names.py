"""Data sets and transforms are built by the names of the version before, with a warning."""

from __future__ import annotations

import pytest

from mmvos.datasets import ImageClipDataset, ImagePairs, MaskFolderPairs, SimulateMotion
from mmvos.registry import DATASETS, TRANSFORMS


@pytest.mark.parametrize(
    ('registry', 'config', 'cls'),
    [
        (DATASETS, dict(type='mmvos.FolderPairs', data_root='x', lazy_init=True), MaskFolderPairs),
        (DATASETS, dict(type='mmvos.StillPairs', ann_file='x', lazy_init=True), ImagePairs),
        (
            DATASETS,
            dict(type='mmvos.StaticClipDataset', ann_file='x', lazy_init=True),
            ImageClipDataset,
        ),
        (TRANSFORMS, dict(type='mmvos.WarpClip', clip_length=2), SimulateMotion),
    ],
    ids=lambda value: value['type'] if isinstance(value, dict) else '',
)
def test_an_old_name_builds_the_class_of_today(registry, config, cls):
    with pytest.warns(FutureWarning, match=cls.__name__):
        assert type(registry.build(config)) is cls
