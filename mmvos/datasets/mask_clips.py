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

from mmvos.deprecation import accept_old_options
from mmvos.io.label_png import object_ids, read_label_png
from mmvos.option_ranges import COUNT, options_in
from mmvos.registry import DATASETS

from .mask_folders import find_mask_videos

_MIN_AREA = 64  # pixels; smaller objects are not chosen
_MAX_DRAWS = 10  # of frames until the first one shows an object
REVERSE_PROB = 0.5  # that a clip is played backwards


@DATASETS.register_module()
@accept_old_options(removed=('reverse',))
@options_in(COUNT, 'clip_length', 'max_gap', 'samples_per_epoch')
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
        samples_per_epoch: int | None = None,
        pipeline: Sequence[Any] = (),
        lazy_init: bool = False,
    ) -> None:
        self.split = split
        self.clip_length = clip_length
        self.max_gap = max_gap
        self.samples_per_epoch = samples_per_epoch
        super().__init__(data_root=data_root, pipeline=list(pipeline), lazy_init=lazy_init)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return one record for each video: name, annotated frames, their masks and positions."""
        records = []
        for video in find_mask_videos(self.data_root, self.split):
            positions = [t for t, mask in enumerate(video.masks) if mask is not None]
            record = dict(
                name=video.name,
                positions=positions,
                frames=[str(video.frames[t]) for t in positions],
                masks=[str(video.masks[t]) for t in positions],
            )
            records.append(record)
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
        """Return a clip, after the pipeline; None where no start that was drawn shows an object."""
        rng = np.random.default_rng(np.random.randint(1 << 31))
        num_videos = super().__len__()
        if self.samples_per_epoch:
            idx = int(rng.integers(num_videos))
        video = self.get_data_info(idx)
        for _ in range(_MAX_DRAWS):
            positions = self._draw_frames(rng, len(video['frames']))
            # An object of the clip's first frame.
            first_labels = read_label_png(video['masks'][positions[0]])
            ids = object_ids(first_labels, _MIN_AREA)
            if ids:
                object_id = ids[rng.integers(len(ids))]
                return self.pipeline(_clip(video, positions, first_labels, object_id))
        return None

    def _draw_frames(self, rng: np.random.Generator, count: int) -> list[int]:
        """T positions in a list of ``count`` annotated frames."""
        steps = self.clip_length - 1
        # The gaps, so small that the clip fits into the video,
        max_gap = min(self.max_gap, (count - 1) // max(steps, 1))
        gaps = rng.integers(1, max_gap + 1, steps) if max_gap else np.zeros(steps, dtype=int)
        offsets = np.concatenate([[0], np.cumsum(gaps)])
        # the start,
        start = rng.integers(count - offsets[-1])
        positions = [int(start + offset) for offset in offsets]
        # and the direction.
        if rng.random() < REVERSE_PROB:
            positions.reverse()
        return positions


def _clip(
    video: dict[str, Any], positions: Sequence[int], first_labels: np.ndarray, object_id: int
) -> dict[str, list[Any]]:
    """What the pipeline takes.

    Args:
        video: its record.
        positions: T positions among its annotated frames.
        first_labels: (H, W), label image of the clip's first frame.
        object_id: the object.
    """
    label_maps = [first_labels]
    for t in positions[1:]:
        label_maps.append(read_label_png(video['masks'][t]))
    masks = []
    for labels in label_maps:
        mask = (labels == object_id).view(np.uint8)
        masks.append(BitmapMasks(mask[None], *mask.shape))
    frame_ids = [video['positions'][t] for t in positions]
    return dict(
        img_path=[video['frames'][t] for t in positions],
        video_id=[video['name']] * len(positions),
        img_id=frame_ids,
        frame_id=frame_ids,
        height=[labels.shape[0] for labels in label_maps],
        width=[labels.shape[1] for labels in label_maps],
        gt_masks=masks,
        gt_instances_ids=[np.array([object_id], dtype=np.int64)] * len(positions),
    )
