"""DeformGuides: which kinds of guides there are, how often, and what they look like."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import pytest
from mmdet.structures.mask import BitmapMasks

from mmvos.datasets import DeformGuides
from mmvos.datasets.transforms import deform_guides

SIZE = 120


@pytest.fixture(autouse=True)
def seed() -> None:
    np.random.seed(0)


def disk(x: int, y: int, radius: int = 12) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    return cv2.circle(mask, (x, y), radius, 1, -1) if radius else mask


def guided(
    *frames: Any, inside: tuple[int, int, int, int] | None = None, **constants: float
) -> tuple[list, list]:
    """Guides (T of (K, H, W)) and kinds of frames that are masks or lists of K masks."""
    stacks = [np.stack(frame) if isinstance(frame, list) else frame[None] for frame in frames]
    results: dict[str, Any] = dict(gt_masks=[BitmapMasks(stack, SIZE, SIZE) for stack in stacks])
    if inside is not None:
        results['inside'] = [inside] * len(frames)
    with patch.dict(vars(deform_guides), constants):
        results = DeformGuides().transform(results)
    return results['gt_guides'], [kinds.tolist() for kinds in results['gt_guide_kinds']]


def test_shapes_and_values() -> None:
    guides, kinds = guided([disk(30, 30), disk(80, 80)], [disk(40, 30), disk(80, 70)])
    assert all(guide.shape == (2, SIZE, SIZE) and guide.dtype == np.float32 for guide in guides)
    assert (
        len(guides) == len(kinds) == 2
        and set(np.unique(guides)) == {-1, 1}
        and all(len(k) == 2 for k in kinds)
    )


def test_shares_of_the_kinds() -> None:
    kinds = np.array([guided(disk(30, 30), disk(40, 30), disk(50, 30))[1] for _ in range(600)])[
        ..., 0
    ]
    first, later = (
        np.bincount(part.ravel(), minlength=4) / part.size for part in (kinds[:, 0], kinds[:, 1:])
    )
    np.testing.assert_allclose(first, [0.5, 0.15, 0.35, 0], atol=0.06)
    np.testing.assert_allclose(later, [0, 0.93, 0, 0.07], atol=0.03)


def test_exact() -> None:
    guides, kinds = guided(disk(30, 30), GT_MASK_PROB=1, BOX_PROB=0)
    assert kinds == [[0]] and ((guides[0][0] > 0) == disk(30, 30)).all()


def test_box() -> None:
    guides, kinds = guided(disk(60, 60), GT_MASK_PROB=0, BOX_PROB=1)
    x, _, w, h = cv2.boundingRect((guides[0][0] > 0).astype(np.uint8))
    assert (
        kinds == [[2]]
        and (guides[0][0] > 0).sum() == w * h
        and abs(w - 25) <= 2
        and abs(x - 48) <= 1
    )


def test_first_frame_deformed() -> None:
    guides, kinds = guided(disk(60, 60), GT_MASK_PROB=0, BOX_PROB=0, STEP_PROB=1)
    share = ((guides[0][0] > 0) & (disk(60, 60) > 0)).sum() / disk(60, 60).sum()
    assert kinds == [[1]] and ((guides[0][0] > 0) != disk(60, 60)).any() and share > 0.6


def test_later_guide_is_the_mask_before() -> None:
    first, second = disk(30, 30), disk(90, 90)
    guides, kinds = guided(first, second, second, ABSENT_PROB=0, UNCHANGED_PROB=1)
    assert [k[0] for k in kinds[1:]] == [1, 1]
    assert ((guides[1][0] > 0) == first).all() and ((guides[2][0] > 0) == second).all()


def test_later_guide_is_deformed_so_that_copying_is_wrong() -> None:
    same = 0
    for _ in range(50):
        guides, _ = guided(
            disk(60, 60, 30),
            disk(60, 60, 30),
            ABSENT_PROB=0,
            UNCHANGED_PROB=0,
            STEP_PROB=1,
            CUT_PROB=0,
        )
        positive, mask = guides[1][0] > 0, disk(60, 60, 30) > 0
        assert 0.4 < (positive & mask).sum() / (positive | mask).sum() <= 1
        same += int((positive == mask).all())
    assert same == 0
    # no step at all
    guides, kinds = guided(
        disk(60, 60), disk(60, 60), ABSENT_PROB=0, UNCHANGED_PROB=0, STEP_PROB=0, CUT_PROB=0
    )
    assert ((guides[1][0] > 0) == disk(60, 60)).all() and kinds[1] == [1]


def test_later_guide_can_lack_a_part_and_the_first_cannot() -> None:
    mask = disk(60, 60, 30) > 0
    for _ in range(20):
        guides, kinds = guided(
            mask, mask, GT_MASK_PROB=1, ABSENT_PROB=0, UNCHANGED_PROB=1, CUT_PROB=1
        )
        positive = guides[1][0] > 0
        assert (
            not (positive & ~mask).any()
            and 0.25 < positive.sum() / mask.sum() < 0.9
            and kinds[1] == [1]
        )
        assert ((guides[0][0] > 0) == mask).all()


def test_moved_away_has_nothing_around_it() -> None:
    mask = disk(25, 25)
    for _ in range(30):
        guides, kinds = guided(mask, mask, ABSENT_PROB=1)
        assert kinds[1] == [3]
        x, y, w, h = cv2.boundingRect((guides[1][0] > 0).astype(np.uint8))
        reach = 1.3 * max(w, h)
        left, top = max(int(x + w / 2 - reach), 0), max(int(y + h / 2 - reach), 0)
        assert (
            w
            and not mask[top : int(y + h / 2 + reach) + 1, left : int(x + w / 2 + reach) + 1].any()
        )


def test_no_room_to_move_away() -> None:
    everywhere = disk(60, 60, 55)
    assert all(guided(everywhere, everywhere, ABSENT_PROB=1)[1][1] == [1] for _ in range(10))


def test_absent_object_is_looked_for_where_it_was_last() -> None:
    first = disk(30, 30)
    guides, kinds = guided(
        first, disk(0, 0, 0), disk(0, 0, 0), disk(40, 40), ABSENT_PROB=0, UNCHANGED_PROB=1
    )
    assert all(((guide[0] > 0) == first).all() for guide in guides[1:])
    assert [k[0] for k in kinds[1:]] == [1, 1, 1]


def test_no_guide_is_ever_empty() -> None:
    speck = disk(3, 3, 1)
    for _ in range(100):
        guides, _ = guided(speck, speck, disk(0, 0, 0))
        assert all((guide[0] > 0).any() for guide in guides)


def test_padding_is_unknown() -> None:
    for _ in range(20):
        guides, _ = guided(disk(60, 60), disk(60, 60), inside=(20, 30, 100, 110), ABSENT_PROB=0.5)
        for guide in guides:
            known = np.zeros((SIZE, SIZE), dtype=bool)
            known[30:110, 20:100] = True
            assert ((guide[0] != 0) == known).all()
            assert (guide > 0).any()


def test_object_absent_from_the_first_frame_is_refused() -> None:
    with pytest.raises(AssertionError, match='absent from the first frame'):
        guided(disk(0, 0, 0), disk(30, 30))
