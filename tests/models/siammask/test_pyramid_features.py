"""PyramidFeatures: its cells see the pixels that CropFeatures' see, at every scale, and all objects
share one pass.
"""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmvos.models import PyramidFeatures
from mmvos.registry import MODELS
from mmvos.structures import Frame, FrameMeta

HEIGHT, WIDTH = 256, 320


@MODELS.register_module(name='CoordinateMaps', force=True)
class CoordinateMaps(nn.Module):
    """A pyramid of two channels: x and y of the middle of each cell, in image pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self.calls += 1
        levels = []
        for stride in (4, 8, 16, 32):
            y, x = torch.meshgrid(
                *(torch.arange(0, side, stride) + stride / 2 for side in images.shape[2:]),
                indexing='ij',
            )
            levels.append(torch.stack([x, y]).expand(len(images), -1, -1, -1))
        return tuple(levels)


@MODELS.register_module(name='Unchanged', force=True)
class Unchanged(nn.Identity):
    """In place of the backbone and the adjusting layer."""


@pytest.fixture
def features() -> PyramidFeatures:
    init_default_scope('mmdet')
    plain = dict(type='mmvos.Unchanged')
    return PyramidFeatures(plain, dict(type='mmvos.CoordinateMaps'), plain)


def frame() -> Frame:
    return Frame(
        torch.zeros(1, 3, HEIGHT, WIDTH), FrameMeta(0, (HEIGHT, WIDTH), (HEIGHT, WIDTH), (1.0, 1.0))
    )


@pytest.mark.parametrize(
    'window', [(40, 30, 200), (100, 80, 85), (120, 100, 40)], ids=['200', '85', '40']
)
@pytest.mark.parametrize(('size', 'cells'), [(127, 15), (143, 17), (255, 31)])
def test_cell_m_sees_pixel_8m_plus_7(features, window, size, cells):
    """Pixel p of a window (x, y, side) has its middle at x + (p + .5) side / size."""
    x, y, side = window
    found, _ = features.encode_crops(frame(), [window], [(0, 0, 0)], size)
    assert found.shape == (1, 2, cells, cells)
    pixels = (8 * torch.arange(cells) + 7 + 0.5) * side / size
    torch.testing.assert_close(found[0, 0], (x + pixels).expand(cells, cells), atol=0.02, rtol=1e-4)
    torch.testing.assert_close(
        found[0, 1], (y + pixels)[:, None].expand(cells, cells), atol=0.02, rtol=1e-4
    )


def test_patches_see_the_pixels_of_the_stem_and_of_the_stages(features):
    """Cell (12, 10): stem from 4 (y - 4) at pixels 2 i + 3, stage 1 from 2 (y - 4) at 4 j + 3,
    stage 2 from y - 4 at 8 m + 7.
    """
    _, views = features.encode_crops(frame(), [(5, 6, 10), (100, 80, 85)], [(0, 0, 0)] * 2, 255)
    found = features.mask_patches(views, torch.tensor([[1, 12, 10]]))
    for patch, count, step, pixel, offset in zip(
        found, (61, 31, 15), (4, 2, 1), (2, 4, 8), (3, 3, 7), strict=True
    ):
        assert patch.shape == (1, 2, count, count)
        for channel, first, corner in ((0, 6, 100), (1, 8, 80)):
            expected = (
                corner + ((first * step + torch.arange(count)) * pixel + offset + 0.5) * 85 / 255
            )
            seen = patch[0, channel] if channel == 0 else patch[0, channel].T
            torch.testing.assert_close(seen, expected.expand(count, count), atol=0.02, rtol=1e-4)


def test_windows_in_training_are_images_of_their_own(features):
    found, views = features(torch.zeros(2, 3, 143, 143))
    pixels = 8 * torch.arange(17) + 7.5
    torch.testing.assert_close(found[1, 0, 0], pixels, atol=0.02, rtol=1e-4)
    for row in (0, 2):  # no margin: the patch of row 0 begins at the first cell
        coarse = features.mask_patches(views, torch.tensor([[1, row, 0]]))[2]
        torch.testing.assert_close(
            coarse[0, 1, :, 0], 8 * (row + torch.arange(15)) + 7.5, atol=0.02, rtol=1e-4
        )


def test_levels_follow_the_scale(features):
    """Windows of 255 pixels that show 64, 255, 510 or 2000 of the frame have cells of 2, 8, 16, 63:
    levels 4, 8, 16, 32.
    """
    seen = []
    views = features.encode_crops(
        frame(), [(0, 0, side) for side in (64, 255, 510, 2000)], [(0, 0, 0)] * 4, 255
    )[1]
    for level in range(4):
        maps = tuple(torch.full_like(m, float(i == level)) for i, m in enumerate(views.maps))
        marked = type(views)(maps, views.index, views.corners, views.scales, views.cells)
        seen.append([bool(value) for value in (features._adjusted(marked)[:, 0, 0, 0] > 0)])
    assert seen == torch.eye(4).bool().tolist()


def test_one_pass_for_all_objects_and_all_calls(features):
    item = frame()
    for size in (127, 255):
        features.encode_crops(
            item, [(10, 10, 50), (60, 60, 90), (-20, -20, 60)], [(0, 0, 0)] * 3, size
        )
    assert features.neck.calls == 1


def test_training_windows_of_other_sizes_keep_their_cells(features):
    """Half the pixels for the network: cell m still sees pixel 8m + 7 of the window, that is 4m +
    3.75 of the smaller one.
    """
    features.train_scales = (0.5, 0.5)
    windows = torch.zeros(2, 3, 255, 255)
    found, _ = features.train()(windows)
    pixels = (8 * torch.arange(31) + 7.5) * 128 / 255
    torch.testing.assert_close(found[1, 0], pixels.expand(31, 31), atol=0.02, rtol=1e-4)
    assert features.eval()(windows)[1].scales.tolist() == [1, 1]
