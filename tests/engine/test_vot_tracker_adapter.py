"""SiamMask in a supervised run: from which box it starts, and which regions it gives."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_siamese import HEIGHT, WIDTH, frame, tiny_siamese

from mmvos.engine import VOTTrackerAdapter
from mmvos.models import PromptedSegmenter
from mmvos.structures import Frame, FrameMeta


@pytest.fixture(scope='module')
def model() -> PromptedSegmenter:
    return tiny_siamese(refine=False)


@pytest.mark.parametrize(
    ('polygon', 'center', 'size'),
    [
        ([10, 20, 50, 20, 50, 40, 10, 40], (30, 30), (41, 21)),
        ([0, 10, 10, 0, 20, 10, 10, 20], (10, 10), (15.142136, 15.142136)),
        ([-30, 40, 10, 40, 10, 60, -30, 60], (-10, 50), (41, 21)),
    ],
    ids=['rectangle', 'diamond', 'half outside, not clipped'],
)
def test_it_starts_on_the_box_of_the_polygon(model, polygon, center, size):
    """Case 13 of the description of the published code."""
    tracker = VOTTrackerAdapter(model)
    tracker.init(frame(0), np.array(polygon, dtype=float))
    (state,) = tracker._state
    assert state.center == pytest.approx(center) and state.size == pytest.approx(size, abs=1e-6)
    region = tracker.track(frame(1))
    assert region.shape == (8,) and np.isfinite(region).all()
    assert tracker._state[0].region == tuple(map(tuple, region.reshape(4, 2)))


def test_regions_are_in_original_pixels(model):
    """The network sees every second pixel."""
    original = Frame(
        frame(1).image, FrameMeta(1, (2 * HEIGHT, 2 * WIDTH), (HEIGHT, WIDTH), (0.5, 0.5))
    )
    tracker = VOTTrackerAdapter(model)
    tracker.init(original, np.array([20, 40, 101, 40, 101, 81, 20, 81], dtype=float))
    assert tracker._state[0].center == pytest.approx((60.5 / 2, 60.5 / 2))
    assert tracker._state[0].size == pytest.approx((41, 21))
    region = tracker.track(original).reshape(4, 2)
    np.testing.assert_allclose(region / 2, tracker._state[0].region)


def test_the_start_window_is_that_of_the_polygon_itself(model, monkeypatch):
    """The polygon of ``test_crop_windows``, 94 pixels higher: its center is at 29.5, 36."""
    cut = []
    encode_crops = model.tracker.features.encode_crops
    monkeypatch.setattr(
        model.tracker.features,
        'encode_crops',
        lambda frame, windows, *rest: cut.append(windows) or encode_crops(frame, windows, *rest),
    )
    polygon = np.array([65, 12, 70, 50, -6, 60, -11, 22], dtype=float)
    VOTTrackerAdapter(model).init(frame(0), polygon)
    assert cut[0] == [(-28, -21, 113)]
