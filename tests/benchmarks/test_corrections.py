"""The benchmark of corrections: which frame is corrected, and what counts; the model knows the
truth beside the frames that it is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from colored_videos import write_split, write_videos

from mmvos.benchmarks.corrections import correct_sequence, read_truth, worst_frame
from mmvos.datasets.mask_folders import MaskVideo, find_mask_videos
from mmvos.structures import FrameResult, Prompts, TrackedObject
from mmvos.structures.rle import encode

FRAMES = 6


class NeighborsKnown:
    """Finds the object in the frames that it is given and in those next to them, else nothing."""

    def __init__(self, truth: list[np.ndarray]) -> None:
        self.truth = truth

    def infer(
        self, source: object, prompts: Mapping[int, Prompts], out_dir: object, direction: str
    ) -> Iterator[FrameResult]:
        for index, mask in enumerate(self.truth):
            is_near = min(abs(index - given) for given in prompts) <= 1
            found = encode(mask if is_near else np.zeros_like(mask))
            item = TrackedObject(1, 0, 1.0, (0, 0, 0, 0), found)
            yield FrameResult(index, mask.shape, (item,))


@pytest.fixture
def video(tmp_path: Path) -> MaskVideo:
    write_videos(tmp_path, {'a': (FRAMES, {1: 0})}, folder='480p')
    write_split(tmp_path, '2016/val', ['a'])
    (video,) = find_mask_videos(str(tmp_path), '2016/val')
    return video


def test_the_worst_frame_is_corrected_until_all_are_right(
    video: MaskVideo, capsys: pytest.CaptureFixture[str]
) -> None:
    model = NeighborsKnown(read_truth(video))
    first, second, third = correct_sequence(model, video, 'both', 2)
    assert [item.given for item in (first, second, third)] == [(0,), (0, 2), (0, 2, 4)]
    # frames 1 to 4 count: of them only 1 is near frame 0
    assert first.means() == pytest.approx((1 / 4, 1 / 4, 1 / 4))
    # 1, 2 and 3 are right; of the frames that were not given 1 and 3, not 4
    assert second.means() == pytest.approx((3 / 4, 3 / 4, 2 / 3))
    assert third.means() == pytest.approx((1, 1, 1))
    assert 'a both 2: J 1.000 F 1.000, given [0, 2, 4]' in capsys.readouterr().out


def test_a_frame_without_the_object_or_a_given_one_is_not_corrected() -> None:
    seen, hidden = np.ones((2, 2), bool), np.zeros((2, 2), bool)
    truth = [seen, hidden, seen, seen]
    assert worst_frame([0.1, 0.0, 0.5, 0.4], truth, [0]) == 3
    assert worst_frame([0.1, 0.0, 0.5, 0.4], truth, [0, 2, 3]) is None
