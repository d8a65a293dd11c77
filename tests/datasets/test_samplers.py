"""VideoSampler and OrientationBatchSampler: who gets what, on one process and on several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from mmengine.dataset import DefaultSampler, RepeatDataset

from mmvos.datasets import OrientationBatchSampler, VideoSampler, samplers


@dataclass(frozen=True)
class FakeVideo:
    id: int
    length: int


class FakeDataset:
    """Videos of given lengths; the first ``landscape`` items are wider than high."""

    metainfo: dict[str, Any] = {}

    def __init__(self, lengths: list[int], landscape: int = 0) -> None:
        self.videos = [FakeVideo(100 + i, length) for i, length in enumerate(lengths)]
        self.ends = np.cumsum(lengths).tolist()
        self.landscape = np.arange(sum(lengths)) < landscape

    def frame_range(self, index: int) -> range:
        return range(self.ends[index] - self.videos[index].length, self.ends[index])

    def __len__(self) -> int:
        return self.ends[-1]

    def get_data_info(self, index: int) -> dict[str, int]:
        return dict(width=2, height=1) if self.landscape[index] else dict(width=1, height=1)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Sets (rank, world size) for what is built next."""

    def become(rank: int, size: int) -> None:
        monkeypatch.setattr(samplers, 'get_dist_info', lambda: (rank, size))

    yield become


def test_one_process_gets_all_frames_in_order() -> None:
    sampler = VideoSampler(FakeDataset([3, 1, 4]))
    assert list(sampler) == list(range(8))
    assert len(sampler) == 8


def test_processes_share_whole_videos_evenly(world: Any) -> None:
    data = FakeDataset([36, 5, 20, 5, 36, 20, 36, 2])  # 160 frames
    shares = []
    for rank in range(3):
        world(rank, 3)
        sampler = VideoSampler(data)
        shares.append(list(sampler))
        assert len(sampler) == len(shares[-1])
        inside = {i for i, v in enumerate(data.videos) if data.frame_range(i)[0] in shares[-1]}
        # whole, contiguous, in order
        assert shares[-1] == [frame for i in sorted(inside) for frame in data.frame_range(i)]
    assert sorted(frame for share in shares for frame in share) == list(range(160))
    # By hand, longest first to the least loaded: 36+5+5+2, 36+20, 36+20.
    assert sorted(map(len, shares)) == [48, 56, 56]


def test_more_processes_than_videos_leaves_some_without_work(world: Any) -> None:
    lengths = []
    for rank in range(4):
        world(rank, 4)
        lengths.append(len(list(VideoSampler(FakeDataset([3, 2])))))
    assert lengths == [3, 2, 0, 0]


def test_finished_videos_can_be_skipped_and_the_rest_is_shared_anew(world: Any) -> None:
    data = FakeDataset([3, 1, 4, 2])
    assert list(VideoSampler(data, skip_videos={100, 102})) == [3, 8, 9]
    shares = []
    for rank in range(2):
        world(rank, 2)
        sampler = VideoSampler(data)
        sampler.skip_videos = frozenset({102})
        shares.append(list(sampler))
    assert shares == [[0, 1, 2], [3, 8, 9]]


def batches(
    data: Any, batch_size: int, epoch: int = 0, seed: int = 5, shuffle: bool = True, **kwargs: Any
) -> list[list[int]]:
    sampler = DefaultSampler(data, shuffle=shuffle, seed=seed)
    sampler.set_epoch(epoch)
    batch_sampler = OrientationBatchSampler(sampler, batch_size, **kwargs)
    drawn = list(batch_sampler)
    assert len(drawn) == len(batch_sampler)
    return drawn


def test_batches_never_mix_orientations_and_cover_the_epoch() -> None:
    data = FakeDataset([50], landscape=31)
    for epoch in range(5):
        drawn = batches(data, 4, epoch)
        assert len(drawn) == 8 + 5  # 31 and 19 items in batches of 4
        assert all(len(batch) == 4 and len({index < 31 for index in batch}) == 1 for batch in drawn)
        counts = Counter(index for batch in drawn for index in batch)
        assert sorted(counts) == list(range(50))
        # each orientation is filled up by one item
        assert sum(counts.values()) == 52 and max(counts.values()) == 2
    assert batches(data, 4, epoch=0) != batches(data, 4, epoch=1)
    assert batches(data, 4, seed=1) != batches(data, 4, seed=2)


def test_drop_last_leaves_out_what_does_not_fill_a_batch() -> None:
    drawn = batches(FakeDataset([50], landscape=31), 4, drop_last=True)
    assert len(drawn) == 7 + 4
    assert max(Counter(index for batch in drawn for index in batch).values()) == 1


def test_a_group_smaller_than_a_batch_repeats_its_items() -> None:
    drawn = batches(FakeDataset([3], landscape=1), 4, shuffle=False)
    assert sorted(drawn) == [[0, 0, 0, 0], [1, 2, 1, 2]]


def test_two_processes_see_step_by_step_what_one_sees(world: Any) -> None:
    data = FakeDataset([37], landscape=22)
    alone = batches(data, 6, epoch=3)
    shares = []
    for rank in range(2):
        world(rank, 2)
        shares.append(batches(data, 3, epoch=3))
    for whole, first, second in zip(alone, *shares, strict=True):

        def seeded(items: list[Any]) -> list[tuple[int, int]]:
            return sorted((int(item), item.seed) for item in items)

        assert seeded(first + second) == seeded(whole)


def test_seeds_differ_between_items_and_epochs_but_not_between_runs() -> None:
    def seeds(epoch: int) -> dict[int, int]:
        return {
            int(item): item.seed for batch in batches(FakeDataset([40]), 4, epoch) for item in batch
        }

    assert seeds(2) == seeds(2)
    assert len({*seeds(2).values(), *seeds(3).values()}) == 80


def test_data_sets_inside_mmengines_wrappers_are_asked_item_by_item(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = FakeDataset([5], landscape=2)
    data.full_init = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setattr('mmengine.dataset.dataset_wrapper.is_abs', bool, raising=False)
    repeated = RepeatDataset.__new__(RepeatDataset)
    repeated.dataset, repeated.times, repeated._fully_initialized, repeated._ori_len = (
        data,
        2,
        True,
        5,
    )
    drawn = batches(repeated, 2)
    assert all(len({index % 5 < 2 for index in batch}) == 1 for batch in drawn)
    assert sorted({index for batch in drawn for index in batch}) == list(range(10))
