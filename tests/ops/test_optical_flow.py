"""The motion between two frames, and maps that it moves."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from mmvos.ops.optical_flow import look_up, measure_motion, take_view


def textured(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(height, width) float32, spots of some pixels."""
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 3) * 10


def cut(picture: np.ndarray, x: int, y: int, height: int, width: int) -> np.ndarray:
    """A frame (1, 3, height, width) of a larger picture, whose left upper corner is at (x, y)."""
    part = picture[y : y + height, x : x + width]
    return np.stack([part] * 3)[None]


@pytest.mark.parametrize(('height', 'width'), [(120, 160), (121, 163)])
@pytest.mark.parametrize(('across', 'down'), [(0, 0), (6, -4), (-9, 5)])
def test_places_are_where_the_pixels_were(height: int, width: int, across: int, down: int) -> None:
    picture = textured(height + 40, width + 40)
    before = take_view(cut(picture, 20, 20, height, width))
    now = take_view(cut(picture, 20 - across, 20 - down, height, width))
    assert before is not None and now is not None
    assert now.shape == (height // 2, width // 2)

    motion = measure_motion(before, now, height, width)
    rows, columns = np.indices((height, width))
    inside = (slice(20, -20), slice(20, -20))
    error_x = (motion.places[..., 0] - (columns - across))[inside]
    error_y = (motion.places[..., 1] - (rows - down))[inside]
    assert np.abs(error_x).mean() < 0.15
    assert np.abs(error_y).mean() < 0.15
    # What moved so is explained.
    assert (motion.differences[10:-10, 10:-10] > 20).mean() < 0.005

    # A map goes the same way.
    before_map = cut(picture, 20, 20, height, width)[0, 0]
    now_map = cut(picture, 20 - across, 20 - down, height, width)[0, 0]
    error = look_up(before_map, motion.places) - now_map
    assert np.abs(error[inside]).mean() < 0.05 * np.abs(now_map).mean()


def test_brightness_and_contrast_change_nothing() -> None:
    """A model's normalization is not known here."""
    picture = textured(160, 200)
    motions = []
    for scale, offset in ((1.0, 0.0), (0.02, -3.0), (50.0, 100.0)):
        before = take_view(cut(picture * scale + offset, 20, 20, 120, 160))
        now = take_view(cut(picture * scale + offset, 24, 18, 120, 160))
        motions.append(measure_motion(before, now, 120, 160))
    for other in motions[1:]:
        assert np.abs(other.differences.astype(int) - motions[0].differences).max() <= 2
        assert np.abs(other.places - motions[0].places).mean() < 0.02


def test_a_small_object_moves_before_what_stands_still() -> None:
    before = textured(120, 160)
    now = before.copy()
    small = textured(40, 40, seed=3)
    before[40:80, 60:100] = small
    now[40:80, 66:106] = small
    views = [take_view(np.stack([picture] * 3)[None]) for picture in (before, now)]
    motion = measure_motion(views[0], views[1], 120, 160)
    rows, columns = np.indices((120, 160))
    errors = np.hypot(motion.places[..., 0] - columns + 6, motion.places[..., 1] - rows)
    assert np.median(errors[42:78, 68:104]) < 0.3


def test_a_map_goes_on_beyond_its_edge() -> None:
    values = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    places = np.array([[[-5, 0], [9, 1]], [[0.5, -3], [1, 0.5]]], np.float32)
    assert np.allclose(look_up(values, places), [[1, 4], [1.5, 3]])


def test_what_is_new_is_not_explained() -> None:
    picture = textured(120, 160)
    changed = picture.copy()
    changed[40:80, 60:100] = textured(40, 40, seed=5)
    motion = measure_motion(
        take_view(cut(picture, 0, 0, 120, 160)), take_view(cut(changed, 0, 0, 120, 160)), 120, 160
    )
    assert (motion.differences[22:38, 32:48] > 20).mean() > 0.3
    assert (motion.differences[:15] > 20).mean() == 0


def test_frames_of_one_color_stand_still() -> None:
    view = take_view(np.full((1, 3, 64, 80), 0.3, np.float32))
    with np.errstate(all='raise'):
        motion = measure_motion(view, view, 64, 80)
    assert motion.differences.max() == 0
    assert np.allclose(motion.places[10, 20], (20, 10))


def test_arrays_of_torch_and_numpy_give_the_same_view() -> None:
    image = cut(textured(64, 80), 0, 0, 64, 80)
    assert np.array_equal(take_view(image), take_view(torch.from_numpy(image)))


def test_a_frame_may_be_too_small() -> None:
    assert take_view(np.zeros((1, 3, 31, 400), np.float32)) is None
    assert take_view(np.zeros((1, 3, 32, 400), np.float32)) is not None


def test_the_number_of_threads_changes_nothing() -> None:
    picture = textured(160, 200)
    before = take_view(cut(picture, 20, 20, 120, 160))
    now = take_view(cut(picture, 26, 17, 120, 160))
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = measure_motion(before, now, 120, 160)
        cv2.setNumThreads(4)
        four = measure_motion(before, now, 120, 160)
    finally:
        cv2.setNumThreads(threads)
    assert np.array_equal(one.places, four.places)
