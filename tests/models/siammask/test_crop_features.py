"""CropFeatures: what windows give, colours, and the patches from which masks are refined."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_siamese import CHANNELS, picture, tiny_siamese

from mmvos.models import AdjustLayer, CropFeatures
from mmvos.models.siammask.crop_features import cut_cells
from mmvos.ops.siamese_geometry import cut_window
from mmvos.structures import Frame, FrameMeta


@pytest.fixture(scope='module')
def features() -> CropFeatures:
    return tiny_siamese().tracker.features


@pytest.mark.parametrize(('size', 'cells'), [(127, 7), (143, 9), (255, 31)])
def test_sizes(features, size, cells):
    with torch.no_grad():
        adjusted, levels = features(torch.rand(1, 3, size, size) * 255)
    assert adjusted.shape == (1, CHANNELS, cells, cells) and len(levels) == 3


def test_the_adjusted_middle_is_cut_out_of_the_whole():
    adjust = AdjustLayer(in_channels=3, out_channels=4).eval()
    with torch.no_grad():
        maps = torch.rand(1, 3, 19, 19)
        assert torch.equal(adjust(maps), adjust.layer(maps)[:, :, 4:-4, 4:-4])
        assert adjust(torch.rand(1, 3, 20, 20)).shape[2:] == (20, 20)
        assert (adjust(-100 * torch.ones(1, 3, 9, 9)) < 0).any()  # no rectifier


def test_windows_of_a_frame_are_a_batch_of_crops(features):
    image = picture(3, 160, 160)
    whole = Frame(
        torch.from_numpy(image).permute(2, 0, 1)[None].float(),
        FrameMeta(0, (160, 160), (160, 160), (1.0, 1.0)),
    )
    with torch.no_grad():
        both, _ = features.encode_crops(
            whole, [(10, 20, 127), (-30, 0, 127)], [(0, 0, 0), (9, 8, 7)], 127
        )
        crops = torch.zeros(2, 3, 127, 127)
        crops[0] = whole.image[0, :, 20:147, 10:137]
        crops[1] = torch.tensor([9.0, 8, 7])[:, None, None]
        crops[1, :, :, 30:] = whole.image[0, :, :127, :97]
        expected, _ = features(crops)
    torch.testing.assert_close(both, expected, rtol=1e-4, atol=1e-4)


def test_padding_of_the_batch_is_not_seen_and_colours_are_truncated(features):
    image = torch.full((1, 3, 40, 40), 200.0)
    image[:, :, :2, :2] = torch.tensor([10.0, 0.0, 255.0])[None, :, None, None]
    image[0, 0, 0, 0] = 13  # blue 10.75
    small = Frame(image, FrameMeta(0, (2, 2), (2, 2), (1.0, 1.0)))
    assert features.border_color(small) == (10, 0, 255)


def test_patches_of_a_tracking_window_are_the_published_slices(features):
    """Zeros of 16, 8, 4 cells around, then 61 from 4 y, 31 from 2 y, 15 from y."""
    with torch.no_grad():
        _, levels = features(torch.rand(2, 3, 255, 255) * 255)
    index = torch.tensor([[0, 0, 24], [1, 12, 7]])
    found = features.mask_patches(levels, index)
    for patches, level, margin, size, step in zip(
        found, levels, (16, 8, 4), (61, 31, 15), (4, 2, 1), strict=True
    ):
        padded = torch.nn.functional.pad(level, (margin,) * 4)
        for patch, (image, row, column) in zip(patches, index.tolist(), strict=True):
            assert torch.equal(
                patch,
                padded[
                    image, :, row * step : row * step + size, column * step : column * step + size
                ],
            )


def test_patches_of_a_training_window_are_not_padded(features):
    with torch.no_grad():
        _, levels = features(torch.rand(1, 3, 143, 143) * 255)
    found = features.mask_patches(levels, torch.tensor([[0, 2, 1]]))
    for patch, level, size, step in zip(found, levels, (61, 31, 15), (4, 2, 1), strict=True):
        assert torch.equal(patch[0], level[0, :, 2 * step : 2 * step + size, step : step + size])


@torch.no_grad()
def test_windows_that_lie_apart_over_the_edges_or_outside(features):
    image = picture(1, 160, 200)
    item = Frame(
        torch.from_numpy(image).permute(2, 0, 1)[None].float(),
        FrameMeta(0, (160, 200), (160, 200), (1.0, 1.0)),
    )
    windows = [
        (-40, 20, 100),
        (60, 60, 80),
        (150, 120, 90),
        (500, 30, 50),
        (-300, -300, 20),
        (-60, -60, 400),
    ]
    colors = [(k, 2 * k, 3 * k) for k in range(6)]
    crops = np.stack(
        [cut_window(image, window, color, 127) for window, color in zip(windows, colors)]
    )
    expected, _ = features(torch.from_numpy(crops).permute(0, 3, 1, 2).float())
    for chosen in ([0, 1, 2, 3, 4, 5], [1], [0, 1], [2, 1], [3], [4, 3], [0, 4]):
        found, _ = features.encode_crops(
            item, [windows[k] for k in chosen], [colors[k] for k in chosen], 127
        )
        torch.testing.assert_close(found, expected[chosen], rtol=1e-4, atol=1e-4)


def test_cut_cells_equals_cutting_out_of_padded_maps():
    maps = torch.arange(2 * 3 * 6 * 7.0).view(2, 3, 6, 7)
    padded = torch.nn.functional.pad(maps, (4, 4, 4, 4))
    corners = [(-2, 3), (0, 0), (4, -3)]
    found = cut_cells(maps, [1, 0, 1], corners, 4)
    for part, image, (row, column) in zip(found, [1, 0, 1], corners, strict=True):
        assert torch.equal(part, padded[image, :, row + 4 : row + 8, column + 4 : column + 8])
    assert cut_cells(maps, [], [], 4).shape == (0, 3, 4, 4)
