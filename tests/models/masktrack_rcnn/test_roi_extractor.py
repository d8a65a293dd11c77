"""PyramidRoIExtractor against mmdet's SingleRoIExtractor on a pyramid of four levels."""

from __future__ import annotations

import pytest
import torch
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

from mmvos.models import PyramidRoIExtractor

SETTINGS = dict(out_channels=6, featmap_strides=[4, 8, 16, 32])


def pyramid(seed: int = 0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(2, 6, 256 // s, 384 // s, generator=generator)
        for s in SETTINGS['featmap_strides']
    )


def regions() -> torch.Tensor:
    """Random boxes of 4 to 1000 pixels, so that all levels are used, in no order; some reach over
    the edges.
    """
    generator = torch.Generator().manual_seed(1)
    sizes = (
        4
        * 250 ** torch.rand(40, 1, generator=generator)
        * (0.7 + 0.6 * torch.rand(40, 2, generator=generator))
    )
    centers = torch.rand(40, 2, generator=generator) * torch.tensor([384.0, 256.0])
    index = torch.randint(2, (40, 1), generator=generator)
    return torch.cat([index, centers - sizes / 2, centers + sizes / 2], dim=1)


LAYERS = [
    dict(type='RoIAlign', output_size=7, sampling_ratio=2),
    dict(type='RoIAlign', output_size=14, sampling_ratio=1),
    dict(type='RoIAlign', output_size=7, sampling_ratio=0),  # adaptive: left to mmcv
    dict(type='RoIAlign', output_size=7, sampling_ratio=2, aligned=False),
]


@pytest.mark.parametrize('roi_layer', LAYERS)
def test_equals_mmdet(roi_layer):
    ours = PyramidRoIExtractor(roi_layer=roi_layer, **SETTINGS)
    theirs = SingleRoIExtractor(roi_layer=roi_layer, **SETTINGS)
    levels = theirs.map_roi_levels(regions(), 4)
    assert set(levels.tolist()) == {0, 1, 2, 3}
    torch.testing.assert_close(
        ours(pyramid(), regions()), theirs(pyramid(), regions()), atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(
        ours(pyramid(), regions(), 1.3), theirs(pyramid(), regions(), 1.3), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize('roi_layer', LAYERS)
def test_order_in_memory_changes_nothing(roi_layer):
    """mmcv's op reads channels-last features as if they were channels-first."""
    extractor = PyramidRoIExtractor(roi_layer=roi_layer, **SETTINGS)
    last = tuple(level.to(memory_format=torch.channels_last) for level in pyramid())
    found = extractor(last, regions())
    torch.testing.assert_close(found, extractor(pyramid(), regions()), atol=1e-4, rtol=1e-4)


def test_no_region():
    extractor = PyramidRoIExtractor(
        roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=2), **SETTINGS
    )
    assert extractor(pyramid(), torch.zeros(0, 5)).shape == (0, 6, 7, 7)
