"""What is sampled on a device is what OpenCV and torch's resizing give on a CPU: to one gray level
of 255, and to a hundredth of a pixel.
"""

import numpy as np
import pytest
import torch

from mmvos.models.siammask import crop_features
from mmvos.ops import crop, device_sampling, masks, siamese_geometry

HEIGHT, WIDTH = 90, 120
# inside, over each edge, larger than the frame, tiny, and outside
SQUARES = [
    [20, 10, 40],
    [-15, 5, 64],
    [80, -20, 70],
    [10, 60, 97],
    [-40, -40, 200],
    [50, 40, 3],
    [7, 7, 1],
    [300, 20, 30],
]


def picture(channels: int = 3) -> torch.Tensor:
    """(C, H, W) whole values from 0 to 255: blobs and sharp edges."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, channels, HEIGHT // 6, WIDTH // 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(HEIGHT, WIDTH), mode='bicubic')[0]
    image = smooth.clamp(0, 1) * 255
    image[:, 30:50, 40:41] = 255
    image[:, 60:62, 10:90] = 0
    return image.round()


@pytest.mark.parametrize('size', [16, 64, 127])
def test_squares_are_cut_as_on_a_cpu(size):
    image = picture()[None] / 255
    squares = torch.tensor(SQUARES)
    index = [0] * len(squares)
    expected = crop.crop_squares(image, index, squares, size)
    found = device_sampling.crop_squares(image, index, squares, size)
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) < 1e-4


def test_squares_of_several_frames_are_cut_each_from_its_own():
    images = torch.stack([picture(1), picture(1).flip(2)])
    squares = torch.tensor([[5, 5, 30], [20, 30, 50], [0, 0, 90]])
    expected = crop.crop_squares(images, [1, 0, 1], squares, 24)
    found = device_sampling.crop_squares(images, [1, 0, 1], squares, 24)
    assert float((found - expected).abs().max()) < 0.05


@pytest.mark.parametrize('size', [16, 64, 127])
def test_squares_are_pasted_as_on_a_cpu(size):
    crops = torch.rand(len(SQUARES), size, size, generator=torch.Generator().manual_seed(1))
    squares = torch.tensor(SQUARES)
    expected = crop.paste_squares(crops, squares, HEIGHT, WIDTH)
    found = device_sampling.paste_squares(crops, squares, HEIGHT, WIDTH)
    assert float((found - expected).abs().max()) < 1e-4


@pytest.mark.parametrize('size', [127, 191, 255])
def test_windows_are_cut_as_by_opencv(size):
    """With the OpenCV that is installed here to the last bit; one gray level is what is asked."""
    image = picture()
    array = image.permute(1, 2, 0).numpy().astype(np.uint8)
    colors = [(10 * k, 255 - 20 * k, 128) for k in range(len(SQUARES))]
    found = device_sampling.cut_windows(image, torch.tensor(SQUARES), torch.tensor(colors), size)
    for window, color, window_found in zip(SQUARES, colors, found, strict=True):
        expected = siamese_geometry.cut_window(array, tuple(window), color, size)
        difference = window_found.permute(1, 2, 0).numpy() - expected
        assert np.abs(difference).max() <= 1
        assert np.abs(difference).mean() < 0.01


@pytest.mark.parametrize('size', [63, 127])
def test_masks_are_pasted_as_by_opencv_to_one_gray_level(size):
    generator = torch.Generator().manual_seed(2)
    coarse = torch.rand(5, 1, 9, 9, generator=generator)
    probabilities = torch.nn.functional.interpolate(coarse, size=(size, size), mode='bilinear')[
        :, 0
    ]
    areas = [
        (20.3, 10.7, 41.2),
        (-15.5, 5.1, 63.9),
        (80.2, -20.4, 20.0),
        (-40, -40, 200),
        (500, 9, 9),
    ]
    found = device_sampling.paste_masks(
        probabilities, torch.tensor(areas, dtype=torch.float64), HEIGHT, WIDTH
    )
    for mask, area, pasted in zip(probabilities, areas, found, strict=True):
        expected = siamese_geometry.paste_mask(mask.numpy(), area, HEIGHT, WIDTH)
        assert np.abs(pasted.numpy() - expected).max() <= 1 / 255


def test_masks_of_boxes_are_pasted_as_on_a_cpu():
    boxes = torch.tensor(
        [[10.2, 5.5, 60.1, 50.3], [-20.0, -5, 30, 140], [70, 60, 70.2, 61], [200, 0, 210, 9]]
    )
    probabilities = torch.rand(4, 28, 28, generator=torch.Generator().manual_seed(3))
    found = device_sampling.paste_in_boxes(probabilities, boxes, HEIGHT, WIDTH)
    for mask, box, pasted in zip(probabilities, boxes, found, strict=True):
        part, top, left = masks.paste_in_box(mask, box, HEIGHT, WIDTH)
        expected = torch.zeros(HEIGHT, WIDTH)
        expected[top : top + part.shape[0], left : left + part.shape[1]] = part
        assert float((pasted - expected).abs().max()) < 1e-4


def test_cells_are_cut_as_on_a_cpu():
    features = torch.rand(2, 5, 20, 24)
    index = [0, 1, 1, 0]
    corners = [(3, 4), (-2, -3), (15, 20), (17, 2)]
    expected = crop_features.cut_cells(features, index, corners, 7)
    found = device_sampling.cut_cells(features, torch.tensor(index), torch.tensor(corners), 7)
    assert torch.equal(found, expected)


def test_regions_are_sampled_each_from_its_own_level():
    generator = torch.Generator().manual_seed(5)
    levels = [torch.rand(2, 6, 24 // 2**k, 32 // 2**k, generator=generator) for k in range(3)]
    rois = torch.tensor(
        [[0, 3.0, 4, 60, 50], [1, 0, 0, 190, 120], [1, -10, 20, 30, 140], [0, 50, 50, 52, 53]]
    )
    numbers = torch.tensor([0, 2, 1, 0])
    found = crop.roi_align_levels(levels, (4, 8, 16), rois, numbers, 5, 2)
    for roi, number, cells in zip(rois, numbers.tolist(), found, strict=True):
        stride = 4 * 2**number
        expected = crop.roi_align(levels[number], roi[None], 5, 1 / stride, 2)[0]
        assert torch.allclose(cells, expected, atol=1e-6)
