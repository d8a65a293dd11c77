"""YouTube-VIS data set: video instance segmentation ground truth in its native JSON (2019, 2021,
OVIS, own classes).

One item is one frame. In training an item is a key frame together with a reference frame of the
same video (Yang et al., Video Instance Segmentation, ICCV 2019); at test time it is a single frame,
in video order and then frame order. The file and its frames are checked when the data set is
opened. Masks stay run lengths or polygons until a pipeline decodes them, and every frame's record
is kept as pickled bytes that the loader's workers share.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from mmdet.visualization.palette import get_palette
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from pycocotools import mask as coco_mask

from mmvos.deprecation import accept_old_options
from mmvos.io.coco import crowds_in_words
from mmvos.io.errors import DataError
from mmvos.io.youtube_vis import (
    annotation_problems,
    category_names,
    is_absent,
    read_youtube_vis,
    video_problems,
)
from mmvos.registry import DATASETS

from .frame_files import damaged_images, missing_frames

_SHOWN_PROBLEMS = 5


@dataclass(frozen=True)
class Video:
    """One video of the data set.

    Attributes:
        id: the JSON's id.
        name: folder of the first frame, or the id where the frames lie in no folder.
        length: number of frames in the JSON.
        height, width: frame size in pixels, from the JSON.
    """

    id: int
    name: str
    length: int
    height: int
    width: int


@DATASETS.register_module()
@accept_old_options(removed=('ground_truth_in_test', 'drop_single_frame_videos'))
class YouTubeVISDataset(BaseDataset):
    """Frames (test) or pairs of frames (training) of a YouTube-VIS JSON file.

    A frame is usable for training when it has at least one ground truth that is not crowd, with a
    box of at least one pixel on each side, an area above zero and a mask; crowd objects and all
    others are left out. One epoch has every usable frame once as key frame; its reference frame is
    drawn uniformly from all other usable frames of the video. A video with a single usable frame
    uses that frame as its own reference.

    An item given to the pipeline is a dict of lists (one entry per frame, key frame first), as
    mmdet's ``TransformBroadcaster`` and ``PackTrackInputs`` expect: ``img_path``, ``img_id``
    (position of the frame in the file, from 0), ``frame_id`` (in the video, from 0), ``video_id``
    (the JSON's), ``video_length``, ``height``, ``width``; in training also ``key_frame_flags`` and
    ``instances`` (``bbox`` xyxy in continuous pixels, ``bbox_label`` from 0, ``mask``,
    ``instance_id`` = annotation id >= 1, ``ignore_flag`` 0).

    Args:
        ann_file: the JSON file, relative to ``data_root``; ``annotations`` may be absent or null
            when ``test_mode`` is set.
        data_root: root of ``ann_file`` and ``data_prefix``.
        data_prefix: ``img_path`` is the folder that the JSON's file names are relative to.
        pipeline: transforms.
        test_mode: items are single frames, all of them.
        metainfo: ``classes``, names of the JSON's categories to be used, in the order of the
            labels; all of them, in the JSON's order, by default.
        on_error: 'raise' stops at bad input; 'skip' leaves bad videos and annotations out and logs
            their number.
        check_images: also look at the first and last bytes of every JPEG and PNG frame when the
            file is opened, to find those that are cut off or of another size. Missing frames are
            always found.
        lazy_init: read the file at first use.
    """

    def __init__(
        self,
        ann_file: str,
        data_root: str = '',
        data_prefix: dict[str, str] | None = None,
        pipeline: Sequence[Any] = (),
        test_mode: bool = False,
        metainfo: dict[str, Any] | None = None,
        on_error: str = 'raise',
        check_images: bool = True,
        lazy_init: bool = False,
    ) -> None:
        if on_error not in ('raise', 'skip'):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        self.on_error = on_error
        self.check_images = check_images
        self._videos: list[Video] = []
        # (V + 1,) item index of each video's first item
        self._starts: np.ndarray = np.zeros(1, dtype=np.int64)
        super().__init__(
            ann_file,
            metainfo,
            data_root,
            data_prefix or dict(img_path=''),
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
        )

    @property
    def videos(self) -> list[Video]:
        """The videos that have items, in the order of the JSON."""
        self.full_init()
        return self._videos

    @property
    def landscape(self) -> np.ndarray:
        """(len(self),) bool, whether the frames of an item are wider than high."""
        self.full_init()
        is_landscape = [video.width > video.height for video in self._videos]
        items_of_video = np.diff(self._starts)
        return np.repeat(is_landscape, items_of_video)

    def frame_range(self, video_index: int) -> range:
        """Return the items of ``self.videos[video_index]``, in the order of its frames."""
        self.full_init()
        return range(int(self._starts[video_index]), int(self._starts[video_index + 1]))

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the labels in the (key) frame of an item, for mmengine's
        ``ClassBalancedDataset``.
        """
        instances = self.get_data_info(idx).get('instances', [])
        return [instance['bbox_label'] for instance in instances]

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the file; return one record per frame, grouped by video.

        Raises:
            ValueError: the file is not usable; the message says where and why.
        """
        content = read_youtube_vis(self.ann_file)
        if not self.test_mode and content['annotations'] is None:
            raise DataError(
                f'{self.ann_file} has no annotations, as a test split; it can only be used with '
                'test_mode=True'
            )
        names = category_names(content['categories'], self.ann_file)
        label_of = self._set_metainfo(names)
        self._leave_out_bad(content)
        annotations_of = self._annotations_by_video(content)
        # The frames of one video after the other.
        records: list[dict[str, Any]] = []
        starts = [0]
        first_image = 0
        for video in content['videos']:
            annotations = annotations_of.get(video['id'], [])
            frames = self._frames(video, annotations, label_of, first_image)
            first_image += len(video['file_names'])
            if frames:
                self._videos.append(_video(video))
                records.extend(frames)
                starts.append(len(records))
        self._starts = np.asarray(starts)
        if not records:
            raise DataError(self._nothing_to_use(content))
        use = 'frames' if self.test_mode else 'key frames'
        print_log(
            f'{self.ann_file}: {len(records)} of {first_image} frames in {len(self._videos)} of '
            f'{len(content["videos"])} videos are {use}, {len(label_of)} classes',
            logger='current',
        )
        return records

    def _annotations_by_video(self, content: dict[str, Any]) -> dict[int, list[dict[str, Any]]]:
        """The annotations that are used, by the id of their video."""
        by_video: dict[int, list[dict[str, Any]]] = {}
        if self.test_mode:
            return by_video
        for annotation in content['annotations']:
            video = annotation['video_id']
            by_video.setdefault(video, []).append(annotation)
        return by_video

    def _nothing_to_use(self, content: dict[str, Any]) -> str:
        """What a user is told where no frame is left."""
        if self.test_mode:
            return f'{self.ann_file} has no frame'
        crowds = crowds_in_words(content['annotations'])
        return f'{self.ann_file} has no frame with a usable object{crowds}'

    def prepare_data(self, idx: int) -> Any:
        """Return one item, after the pipeline.

        Args:
            idx: item index; an index with an attribute ``seed`` (see ``OrientationBatchSampler``)
                makes the reference frame and the pipeline's random numbers depend on that seed
                alone, not on the worker, the rank or what was drawn before.
        """
        if self.test_mode:
            return self.pipeline(_collate([self.get_data_info(idx)]))
        with _seeded(getattr(idx, 'seed', None)):
            key = int(idx)
            reference = self._draw_reference(key)
            pair = _collate([self.get_data_info(key), self.get_data_info(reference)])
            pair['key_frame_flags'] = [True, False]
            return self.pipeline(pair)

    def _draw_reference(self, key: int) -> int:
        """Another item of the key frame's video; the key frame itself where it is the only one."""
        video_index = int(np.searchsorted(self._starts, key, side='right')) - 1
        items = self.frame_range(video_index)
        if len(items) == 1:
            return key
        drawn = items.start + random.randrange(len(items) - 1)
        # The key frame is left out.
        return drawn + 1 if drawn >= key else drawn

    def _set_metainfo(self, names: Mapping[int, str]) -> dict[int, int]:
        """Complete ``metainfo``; return category id -> label of the classes in use."""
        id_of = {name: number for number, name in names.items()}
        classes = tuple(self._metainfo.get('classes', id_of))
        for name in classes:
            if name not in id_of:
                raise DataError(
                    f'{self.ann_file} has no category called {name!r}; it has: {", ".join(id_of)}'
                )
        category_ids = tuple(id_of[name] for name in classes)

        palette = []
        for color in get_palette('random', len(classes)):
            palette.append(tuple(int(value) for value in color))
        self._metainfo.update(classes=classes, category_ids=category_ids)
        self._metainfo.setdefault('palette', palette)
        return {number: label for label, number in enumerate(category_ids)}

    def _leave_out_bad(self, content: dict[str, Any]) -> None:
        """Take bad videos and annotations out of the JSON's content, or raise ValueError."""
        videos = content['videos']
        annotations = content['annotations'] or []
        folder = self.data_prefix['img_path']
        bad_videos = dict(video_problems(videos))
        bad_videos |= missing_frames(_without(videos, bad_videos), folder)
        if self.check_images:
            bad_videos |= damaged_images(_without(videos, bad_videos), folder)
        bad_annotations = dict(annotation_problems(annotations, videos, content['categories']))
        problems = [*bad_videos.values(), *bad_annotations.values()]
        if not problems:
            return
        shown = '\n  '.join(problems[:_SHOWN_PROBLEMS])
        if len(problems) > _SHOWN_PROBLEMS:
            shown += f'\n  and {len(problems) - _SHOWN_PROBLEMS} more'
        if self.on_error == 'raise':
            raise DataError(
                f"{self.ann_file} or its frames need repair (on_error='skip' in the data set's "
                f'config leaves bad videos and annotations out):\n  {shown}'
            )
        print_log(
            f'{self.ann_file}: skipped {len(bad_videos)} of {len(videos)} videos and '
            f'{len(bad_annotations)} of {len(annotations)} annotations:\n  {shown}',
            logger='current',
            level=logging.WARNING,
        )
        content['videos'] = list(filter(None, _without(videos, bad_videos)))
        content['annotations'] = list(filter(None, _without(annotations, bad_annotations)))

    def _frames(
        self,
        video: dict[str, Any],
        annotations: Sequence[dict[str, Any]],
        label_of: dict[int, int],
        first_image: int,
    ) -> list[dict[str, Any]]:
        """The records of a video's items."""
        folder = self.data_prefix['img_path']
        length = len(video['file_names'])
        frames = []
        for t, file_name in enumerate(video['file_names']):
            frame = dict(
                img_path=os.path.join(folder, file_name),
                img_id=first_image + t,
                frame_id=t,
                video_id=video['id'],
                video_length=length,
                height=video['height'],
                width=video['width'],
            )
            if not self.test_mode:
                frame['instances'] = list(_instances(annotations, t, label_of))
            if self.test_mode or frame['instances']:
                frames.append(frame)
        return frames


def _without(rows: Sequence[dict[str, Any]], bad: Mapping[int, str]) -> list[dict[str, Any] | None]:
    """The rows, None in place of the bad ones."""
    return [None if position in bad else row for position, row in enumerate(rows)]


def _video(video: dict[str, Any]) -> Video:
    folder = PurePosixPath(video['file_names'][0]).parent.name
    return Video(
        video['id'],
        folder or str(video['id']),
        len(video['file_names']),
        video['height'],
        video['width'],
    )


def _instances(
    annotations: Sequence[dict[str, Any]], t: int, label_of: dict[int, int]
) -> Iterator[dict[str, Any]]:
    """The usable objects of frame t."""
    for annotation in annotations:
        label = label_of.get(annotation['category_id'])
        if label is None or annotation.get('iscrowd'):
            continue
        box = annotation['bboxes'][t]
        mask = annotation['segmentations'][t]
        if is_absent(box) or is_absent(mask):
            continue
        x, y, w, h = box
        if w < 1 or h < 1:
            continue
        stated_areas = annotation.get('areas')
        if stated_areas is not None and not stated_areas[t]:
            continue
        yield dict(
            bbox=[x, y, x + w, y + h],
            bbox_label=label,
            mask=_compressed(mask),
            instance_id=annotation['id'],
            ignore_flag=0,
        )


def _compressed(mask: Any) -> Any:
    """A mask as mmdet's loader takes it; compressed run lengths have a tenth of the size."""
    if isinstance(mask, list) or isinstance(mask['counts'], str):
        return mask
    height, width = mask['size']
    compressed = coco_mask.frPyObjects(mask, height, width)
    return dict(mask, counts=compressed['counts'].decode('ascii'))


def _collate(frames: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """From a list of dicts to a dict of lists."""
    return {key: [frame[key] for frame in frames] for key in frames[0]}


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Seed numpy's and Python's random numbers inside the block, then put the old states back.

    Does nothing for None.
    """
    if seed is None:
        yield
        return
    states = np.random.get_state(), random.getstate()
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(states[0])
        random.setstate(states[1])
