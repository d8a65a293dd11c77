"""Short clips of one object for training, from videos in DAVIS or YouTube-VOS folders (see
``mask_folders``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmvos.io.label_png import object_ids, read_label_png
from mmvos.registry import DATASETS

from .mask_folders import find_mask_videos

_LEAST_AREA = 64  # pixels; smaller objects are not chosen
_DRAWS = 10


@DATASETS.register_module()
class MaskClipDataset(BaseDataset):
    """Clips of T annotated frames, with the masks of one object that is visible in the first of
    them.

    A video's item is another clip each time: start, gaps, direction and object are drawn from
    numpy's global generator. Between two frames of a clip lie 1 to ``max_gap`` steps of annotated
    frames, less where the video is too short, and 0 where it has fewer than T of them. The object
    may be absent from all frames but the first.

    An item given to the pipeline is a dict of lists of length T, in the clip's order, as mmdet's
    ``TransformBroadcaster`` expects: ``img_path``, ``img_id`` and ``frame_id`` (position of the
    frame in the video, from 0), ``video_id`` (name of the video), ``height``, ``width``,
    ``gt_masks`` (BitmapMasks of one mask) and ``gt_instances_ids`` (the id, (1,) int64).

    Args:
        data_root: folder with JPEGImages and Annotations.
        split: as for ``find_mask_videos``.
        clip_length: T.
        max_gap: largest step between neighbors, in annotated frames.
        reverse: how probably a clip is played backwards.
        samples_per_epoch: number of items, each of a random video; by default one item for each
            video.
        pipeline: transforms.
        lazy_init: look for the files at first use.

    Raises:
        ValueError: folders, split or files are missing or damaged; the message names the file.
    """

    def __init__(
        self,
        data_root: str,
        split: str | None = None,
        clip_length: int = 3,
        max_gap: int = 5,
        reverse: float = 0.5,
        samples_per_epoch: int | None = None,
        pipeline: Sequence[Any] = (),
        lazy_init: bool = False,
    ) -> None:
        if clip_length < 1 or max_gap < 1:
            raise ValueError(
                f'clip_length and max_gap must be at least 1, got {clip_length} and {max_gap}'
            )
        self.split, self.clip_length, self.max_gap, self.reverse = (
            split,
            clip_length,
            max_gap,
            reverse,
        )
        self.samples_per_epoch = samples_per_epoch
        super().__init__(data_root=data_root, pipeline=list(pipeline), lazy_init=lazy_init)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One record for each video: name, and the paths and positions of its annotated frames."""
        videos = find_mask_videos(self.data_root, self.split)
        records = []
        for video in videos:
            annotated = [t for t, mask in enumerate(video.masks) if mask is not None]
            records.append(
                dict(
                    name=video.name,
                    positions=annotated,
                    frames=[str(video.frames[t]) for t in annotated],
                    masks=[str(video.masks[t]) for t in annotated],
                )
            )
        count = sum(len(record['frames']) for record in records)
        print_log(
            f'{self.data_root}, split {self.split}: {len(records)} videos, {count} annotated '
            f'frames',
            logger='current',
        )
        return records

    def __len__(self) -> int:
        return self.samples_per_epoch or super().__len__()

    def prepare_data(self, idx: int) -> Any:
        """A clip through the pipeline; None where none of some starts drawn shows an object."""
        rng = np.random.default_rng(np.random.randint(1 << 31))
        videos = super().__len__()
        video = self.get_data_info(int(rng.integers(videos)) if self.samples_per_epoch else idx)
        for _ in range(_DRAWS):
            chosen = self._draw_frames(rng, len(video['frames']))
            labels = read_label_png(video['masks'][chosen[0]])
            ids = object_ids(labels, _LEAST_AREA)
            if ids:
                return self.pipeline(_item(video, chosen, labels, ids[rng.integers(len(ids))]))
        return None

    def _draw_frames(self, rng: np.random.Generator, count: int) -> list[int]:
        """T positions in a list of ``count`` annotated frames."""
        steps = self.clip_length - 1
        largest = min(self.max_gap, (count - 1) // max(steps, 1))
        gaps = rng.integers(1, largest + 1, steps) if largest else np.zeros(steps, dtype=int)
        offsets = np.concatenate([[0], np.cumsum(gaps)])
        chosen = offsets + rng.integers(count - offsets[-1])
        return [int(t) for t in (chosen[::-1] if rng.random() < self.reverse else chosen)]


def _item(
    video: dict[str, Any], chosen: Sequence[int], first: np.ndarray, object_id: int
) -> dict[str, list[Any]]:
    """The pipeline's input; ``first`` is the label map of the clip's first frame."""
    maps = [first, *(read_label_png(video['masks'][t]) for t in chosen[1:])]
    positions = [video['positions'][t] for t in chosen]
    return dict(
        img_path=[video['frames'][t] for t in chosen],
        video_id=[video['name'] for _ in chosen],
        img_id=positions,
        frame_id=positions,
        height=[labels.shape[0] for labels in maps],
        width=[labels.shape[1] for labels in maps],
        gt_masks=[
            BitmapMasks((labels == object_id).view(np.uint8)[None], *labels.shape)
            for labels in maps
        ],
        gt_instances_ids=[np.array([object_id], dtype=np.int64) for _ in maps],
    )
