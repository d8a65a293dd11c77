"""Samplers over videos: whole videos per process at test time, batches of one orientation in
training.

Both give the same division of the work on every process without talking to each other, from the
data set and a seed alone.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch
from mmengine.dataset import DefaultSampler
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mmvos.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class VideoSampler(Sampler):
    """Give each process whole videos, about the same number of frames to each; frames of a video
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
        """Return the positions in ``dataset.videos`` of this process' videos, ascending."""
        num_frames = {}
        for index, video in enumerate(self.dataset.videos):
            if video.id not in self.skip_videos:
                num_frames[index] = len(self.dataset.frame_range(index))
        # Longest first; ties go to the lower index, so all processes agree.
        longest_first = sorted(num_frames, key=lambda index: (-num_frames[index], index))
        # Each to the process with the least to do.
        loads = np.zeros(self.world_size, dtype=np.int64)
        own = []
        for index in longest_first:
            rank = int(loads.argmin())
            loads[rank] += num_frames[index]
            if rank == self.rank:
                own.append(index)
        return sorted(own)

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
        # Batches of all processes together, and the first of each orientation.
        size = self.batch_size * self.world_size
        batches: dict[bool, list[int]] = {True: [], False: []}
        first_batches: dict[bool, list[int]] = {True: [], False: []}
        for index in self._order():
            is_landscape = bool(self._landscape[index])
            batch = batches[is_landscape]
            batch.append(index)
            if len(first_batches[is_landscape]) < size:
                first_batches[is_landscape].append(index)
            if len(batch) == size:
                yield self._own_part(batch)
                batch.clear()
        if self.drop_last:
            return
        # The last batch of an orientation is filled up from the beginning of its order.
        for is_landscape, batch in batches.items():
            if batch:
                missing = size - len(batch)
                batch += islice(cycle(first_batches[is_landscape]), missing)
                yield self._own_part(batch)

    def __len__(self) -> int:
        size = self.batch_size * self.world_size
        num_landscape = int(self._landscape.sum())
        num_other = len(self._landscape) - num_landscape
        if self.drop_last:
            return num_landscape // size + num_other // size
        return math.ceil(num_landscape / size) + math.ceil(num_other / size)

    def _order(self) -> list[int]:
        """All items, in the order of this epoch."""
        count = len(self._landscape)
        if not self.sampler.shuffle:
            return list(range(count))
        seed = self.sampler.seed + self.sampler.epoch
        generator = torch.Generator()
        generator.manual_seed(seed)
        order = torch.randperm(count, generator=generator)
        return order.tolist()

    def _own_part(self, batch: list[int]) -> list[int]:
        """This process' items of a batch of all processes, with their seeds."""
        own = batch[self.rank :: self.world_size]
        return [SeededIndex(index, self._seed(index)) for index in own]

    def _seed(self, index: int) -> int:
        """The seed of an item in this epoch, the same on every process."""
        run_seed = self.sampler.seed
        epoch = self.sampler.epoch
        sequence = np.random.SeedSequence([run_seed, epoch, index])
        state = sequence.generate_state(1, dtype=np.uint32)
        return int(state[0])


def _landscape(dataset: Any) -> np.ndarray:
    """(N,) bool; asks the data set at once where it can tell, else (mmengine's wrappers) item by
    item.
    """
    known = getattr(dataset, 'landscape', None)
    if known is not None:
        return np.asarray(known, dtype=bool)
    is_landscape = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        is_landscape.append(info['width'] > info['height'])
    return np.array(is_landscape, dtype=bool)
