"""SimulateClicks: clicks tell the truth, go into the largest wrong region, and change guides as the
class says.
"""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from mmdet.structures.mask import BitmapMasks

from mmvos.datasets import SimulateClicks
from mmvos.datasets.transforms import simulate_clicks
from mmvos.structures import GuideKind

HEIGHT, WIDTH = 60, 80


@pytest.fixture(autouse=True)
def seed() -> None:
    np.random.seed(0)


def square(x: int, y: int, side: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[y : y + side, x : x + side] = 1
    return mask


def clip(guides: list[np.ndarray], kinds: list[int], truth: np.ndarray) -> dict[str, list]:
    """Frames with the same true mask; guides are 0/1 masks."""
    return dict(
        gt_masks=[BitmapMasks(truth[None], HEIGHT, WIDTH) for _ in guides],
        gt_guides=[guide[None].astype(np.float32) * 2 - 1 for guide in guides],
        gt_guide_kinds=[np.array([kind]) for kind in kinds],
    )


def simulated(results: dict[str, list], **probabilities: float) -> dict[str, list]:
    """With the probabilities that are given; the others are 0."""
    off = dict(CLICKS_ALONE_PROB=0, CLICKS_PROB=0, LOST_PART_PROB=0)
    with patch.multiple(simulate_clicks, **off | probabilities):
        return SimulateClicks().transform(results)


def rows(results: dict[str, list], t: int) -> list[tuple[float, float, int]]:
    return [(x, y, int(sign)) for x, y, sign in results['gt_clicks'][t][0] if sign]


def test_a_frame_given_by_points_has_no_other_guide_and_its_first_click_is_inside() -> None:
    truth = square(20, 10, 30)
    for _ in range(20):
        results = simulated(
            clip([truth, truth], [GuideKind.GT_MASK, GuideKind.PERTURBED], truth),
            CLICKS_ALONE_PROB=1,
        )
        assert (
            not results['gt_guides'][0].any() and results['gt_guide_kinds'][0] == GuideKind.CLICKS
        )
        clicks = rows(results, 0)
        assert 1 <= len(clicks) <= 4 and clicks[0][2] == 1
        for x, y, sign in clicks:
            assert truth[int(y), int(x)] == (sign > 0)
        # A later frame is guided by its mask as before, without clicks.
        assert (results['gt_guides'][1][0] > 0).sum() == 900 and not rows(results, 1)


def test_corrections_go_into_the_largest_wrong_region_first() -> None:
    truth = square(20, 10, 30)
    guide = truth.copy()
    # 300 pixels of the object are missing, 100 of the background are taken for it.
    guide[10:20, 20:50] = 0
    guide[45:55, 60:70] = 1
    for _ in range(20):
        results = simulated(clip([guide], [GuideKind.PERTURBED], truth), CLICKS_PROB=1)
        clicks = rows(results, 0)
        x, y, sign = clicks[0]
        assert sign == 1 and 20 <= x < 50 and 10 <= y < 20
        for x, y, sign in clicks[1:]:
            assert sign == -1 and 60 <= x < 70 and 45 <= y < 55
        assert len(clicks) <= 2


def test_a_right_guide_gets_no_click() -> None:
    truth = square(20, 10, 30)
    results = simulated(clip([truth], [GuideKind.PERTURBED], truth), CLICKS_PROB=1)
    assert not rows(results, 0)


def test_boxes_have_a_value_of_their_own() -> None:
    truth = square(20, 10, 30)
    results = simulated(clip([truth, truth], [GuideKind.BOX, GuideKind.PERTURBED], truth))
    assert sorted(np.unique(results['gt_guides'][0])) == [-1, 0.5]
    assert sorted(np.unique(results['gt_guides'][1])) == [-1, 1]


def test_the_same_side_is_missing_from_all_later_guides() -> None:
    truth = square(20, 10, 30)
    results = simulated(
        clip([truth] * 3, [GuideKind.GT_MASK, GuideKind.PERTURBED, GuideKind.PERTURBED], truth),
        LOST_PART_PROB=1,
    )
    kept = [guide[0] > 0 for guide in results['gt_guides']]
    assert kept[0].sum() == 900 and np.array_equal(kept[1], kept[2])
    assert 0.35 * 900 < kept[1].sum() < 0.9 * 900
