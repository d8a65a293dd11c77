"""J, F and their statistics: numbers of the specification, and a naive implementation as judge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from mmvos.evaluation.j_and_f import contour_radius, j_and_f, statistics

FRAME = 480, 854


def square(shift: int = 0) -> NDArray[np.bool_]:
    mask = np.zeros(FRAME, bool)
    mask[100:200, 100 + shift : 200 + shift] = True
    return mask


def naive(
    prediction: NDArray[np.bool_], truth: NDArray[np.bool_], tolerance: float = 0.008
) -> tuple[float, float]:
    """The definition, pixel by pixel, on whole frames."""

    def edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        height, width = mask.shape
        found = np.zeros_like(mask)
        for y in range(height):
            for x in range(width):
                others = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
                if y == height - 1 or x == width - 1:
                    others = others[:1] if y == height - 1 else others[1:2]
                found[y, x] = any(
                    b < height and a < width and mask[b, a] != mask[y, x] for b, a in others
                )
        return found

    union = (prediction | truth).sum()
    j = (prediction & truth).sum() / union if union else 1.0
    radius = int(np.ceil(tolerance * np.hypot(*truth.shape))) if tolerance < 1 else int(tolerance)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = y * y + x * x <= radius * radius
    edges = edge(prediction), edge(truth)
    near = [ndimage.binary_dilation(one, disk) for one in edges]
    if not edges[0].any() or not edges[1].any():
        return j, float(edges[0].any() == edges[1].any())
    precision, recall = ((edges[i] & near[1 - i]).sum() / edges[i].sum() for i in (0, 1))
    return j, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize(
    ('shift', 'j', 'f'),
    [
        (0, 1, 1),
        (4, 0.923077, 1),
        (8, 0.851852, 1),
        (9, 0.834862, 0.54),
        (10, 0.818182, 0.535),
        (50, 0.333333, 0.335),
        (100, 0, 0.2925),
    ],
)
def test_shifted_square(shift: int, j: float, f: float) -> None:
    assert j_and_f(square(shift), square()) == pytest.approx((j, f), abs=1e-6)


@pytest.mark.parametrize(('size', 'radius'), [((480, 854), 8), ((1080, 1920), 18), ((100, 100), 2)])
def test_radius_of_the_disk(size: tuple[int, int], radius: int) -> None:
    assert contour_radius(*size) == radius
    assert contour_radius(*size, tolerance=3) == 3


def test_empty_and_full_frames() -> None:
    empty, full = np.zeros(FRAME, bool), np.ones(FRAME, bool)
    assert j_and_f(empty, empty) == (1, 1)
    assert j_and_f(empty, square()) == j_and_f(square(), empty) == (0, 0)
    assert j_and_f(full, full) == (1, 1)
    assert j_and_f(empty, full) == (0, 1)  # neither has a contour


def test_void_pixels_count_nowhere() -> None:
    void = np.zeros(FRAME, bool)
    void[150:260, 150:300] = True
    assert j_and_f(square() | void, square(), void) == (1, 1)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_cut_equals_whole_frame_bit_for_bit(seed: int) -> None:
    """Objects of all sizes, at all borders and across the words of the packed image."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 14)), int(rng.integers(1, 150))
    pair = []
    for _ in range(2):
        mask = rng.random(size) < rng.choice([0, 0.02, 0.5, 0.98, 1])
        y, x = rng.integers(0, size[0]), rng.integers(0, size[1])
        if rng.random() < 0.7:
            mask[:y], mask[:, :x] = False, False
        if rng.random() < 0.5:
            mask = np.roll(mask, (-y, -x), (0, 1))
        pair.append(mask)
    tolerance = float(rng.choice([0.008, 1, 3, 7, 40, 70]))
    assert j_and_f(pair[0], pair[1], tolerance=tolerance) == naive(pair[0], pair[1], tolerance)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_perfect_scores_one_and_order_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = (rng.random((20, 70)) < rng.random() for _ in range(2))
    assert j_and_f(first, first) == (1, 1)
    assert j_and_f(first, second) == pytest.approx(j_and_f(second, first))


@pytest.mark.parametrize(
    ('values', 'mean', 'recall', 'decay'),
    [
        ([1, 0.8, 0.6, 0.4], 0.7, 0.75, 0.4),
        (np.linspace(1, 0.1, 10), 0.55, 0.5, 0.7),
        (np.linspace(1, 0.53, 48), 0.765, 1, 0.35),
        ([0.5, 0.5, 0.5, 0.6], 0.525, 0.25, -0.05),  # 0.5 itself is not above
        ([0.9, 0.3], 0.6, 0.5, 0.6),
        ([0.7], 0.7, 1, 0),
    ],
)
def test_statistics(values: list[float], mean: float, recall: float, decay: float) -> None:
    found = statistics(np.asarray(values, float))
    assert (found.mean, found.recall, found.decay) == pytest.approx((mean, recall, decay), abs=1e-9)


@pytest.mark.parametrize('length', [255, 256, 257, 1000])
def test_long_videos_do_not_overflow(length: int) -> None:
    """A line from 1 to 0: the quarters' means lie three quarters apart, up to the frames they
    share.
    """
    decay = statistics(np.linspace(1, 0, length)).decay
    assert decay == pytest.approx(0.75, abs=2 / length)
