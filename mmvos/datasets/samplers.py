"""Samplers over videos: whole videos per process at test time, batches of one orientation in
training.

Both give the same division of the work on every process without talking to each other, from the
data set and a seed alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import torch
from mmengine.dataset import DefaultSampler
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mmvos.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class VideoSampler(Sampler):
    """Gives each process whole videos, about the same number of frames to each; frames of a video
    are contiguous and in order.

    Args:
        dataset: has ``videos`` (with ``id`` and ``length``) and ``frame_range(video_index)``, as
            ``YouTubeVISDataset``.
        seed: ignored, nothing is random; mmengine's runner passes it.
        skip_videos: ids of videos to leave out, as those finished before a test run was killed.
    """

    def __init__(
        self, dataset: Any, seed: int | None = None, skip_videos: Collection[int] = ()
    ) -> None:
        self.dataset = dataset
        self.rank, self.world_size = get_dist_info()
        self.skip_videos = frozenset(skip_videos)

    def video_indices(self) -> list[int]:
        """Positions in ``dataset.videos`` of this process' videos, ascending."""
        frames = {
            i: len(self.dataset.frame_range(i))
            for i, video in enumerate(self.dataset.videos)
            if video.id not in self.skip_videos
        }
        loads = np.zeros(self.world_size, dtype=np.int64)
        mine = []
        # Longest first, each to the process with the least to do; ties go to the lower index, so
        # all processes agree.
        for index in sorted(frames, key=lambda i: (-frames[i], i)):
            rank = int(loads.argmin())
            loads[rank] += frames[index]
            if rank == self.rank:
                mine.append(index)
        return sorted(mine)

    def __iter__(self) -> Iterator[int]:
        for index in self.video_indices():
            yield from self.dataset.frame_range(index)

    def __len__(self) -> int:
        return sum(len(self.dataset.frame_range(index)) for index in self.video_indices())

    def set_epoch(self, epoch: int) -> None:
        """Nothing depends on the epoch."""


class SeededIndex(int):
    """An item index that carries the seed of the item's random numbers; arithmetic on it gives a
    plain int.

    Args:
        index: the item.
        seed: 0 <= seed < 2**32.
    """

    seed: int

    def __new__(cls, index: int, seed: int = 0) -> SeededIndex:
        item = super().__new__(cls, index)
        item.seed = seed
        return item


@DATA_SAMPLERS.register_module()
class OrientationBatchSampler(Sampler):
    """Batches that never mix landscape frames (wider than high) with portrait or square ones.

    Batches are formed for all processes together: P processes with batch size B see, step by step,
    the items that one process with batch size P * B sees. Every item comes with its own seed, a
    function of the sampler's seed, the epoch and the item, so that what is drawn for it does not
    depend on workers, processes or on where a resumed training started. The last batch of an
    orientation is filled up from the beginning of that orientation's order.

    mmdet's AspectRatioBatchSampler mixes orientations in the last batches of an epoch, and sorts
    per process.

    Args:
        sampler: mmengine's ``DefaultSampler``; gives the data set, the seed, the epoch and whether
            to shuffle.
        batch_size: items per process.
        drop_last: leave out the last batch of an orientation instead of filling it up.
    """

    def __init__(self, sampler: DefaultSampler, batch_size: int, drop_last: bool = False) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.rank, self.world_size = get_dist_info()
        self._landscape = _landscape(sampler.dataset)

    def __iter__(self) -> Iterator[list[int]]:
        step = self.batch_size * self.world_size
        groups: dict[bool, list[int]] = {True: [], False: []}
        filling: dict[bool, list[int]] = {True: [], False: []}
        for index in self._order():
            landscape = bool(self._landscape[index])
            group = groups[landscape]
            group.append(index)
            if len(filling[landscape]) < step:
                filling[landscape].append(index)
            if len(group) == step:
                yield self._mine(group)
                group.clear()
        for landscape, group in groups.items():
            if group and not self.drop_last:
                start = filling[landscape]
                group += [start[i % len(start)] for i in range(step - len(group))]
                yield self._mine(group)

    def __len__(self) -> int:
        step = self.batch_size * self.world_size
        sizes = [int(self._landscape.sum()), int((~self._landscape).sum())]
        return sum(size // step if self.drop_last else -(-size // step) for size in sizes)

    def _order(self) -> list[int]:
        if not self.sampler.shuffle:
            return list(range(len(self._landscape)))
        generator = torch.Generator().manual_seed(self.sampler.seed + self.sampler.epoch)
        return torch.randperm(len(self._landscape), generator=generator).tolist()

    def _mine(self, group: list[int]) -> list[int]:
        return [
            SeededIndex(index, self._seed(index)) for index in group[self.rank :: self.world_size]
        ]

    def _seed(self, index: int) -> int:
        entropy = [self.sampler.seed, self.sampler.epoch, index]
        return int(np.random.SeedSequence(entropy).generate_state(1, dtype=np.uint32)[0])


def _landscape(dataset: Any) -> np.ndarray:
    """(N,) bool; asks the data set at once where it can tell, else (mmengine's wrappers) item by
    item.
    """
    if (known := getattr(dataset, 'landscape', None)) is not None:
        return np.asarray(known, dtype=bool)
    infos = (dataset.get_data_info(index) for index in range(len(dataset)))
    return np.array([info['width'] > info['height'] for info in infos], dtype=bool)
