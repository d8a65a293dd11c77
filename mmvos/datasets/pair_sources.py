"""Where the pairs of ``MaskPairDataset`` come from: folders of label images, YouTube-VIS JSON
files, image sets with COCO's JSON.

A source has a length (its videos or images) and ``draw(index, rng, count)``, which gives ``count``
(1 or 2) views of one object of a video, or None where the video shows no object. A view is a dict:
``img_path``, ``img_id``, ``frame_id``, ``video_id``, ``height``, ``width``, ``object_id``,
``gt_bboxes`` ((4,) float32 xyxy in continuous pixels, with an area) and ``gt_masks`` (BitmapMasks
of one mask), which is None where only the box is known. The second view is at most ``frame_range``
positions away from the first, in the list of the video's annotated frames; it may be the first
again.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from pycocotools.coco import COCO

from mmvos.io.label_png import object_ids, read_label_png
from mmvos.registry import DATASETS

from .mask_folders import find_mask_videos

View = dict[str, Any]
# frames that are tried before the search frame is the template's, or the video is given up
_DRAWS = 8


@DATASETS.register_module()
class FolderPairs(BaseDataset):
    """Videos in DAVIS or YouTube-VOS folders (see ``mask_folders``).

    Args:
        data_root: folder with JPEGImages and Annotations.
        split: as for ``find_mask_videos``.
        frame_range: see the header.
        min_area: objects with fewer pixels in a frame are not used there.
        from_start: probability that the first view is of the first frame that shows the object, as
            at a prompt.
        previous: the second view also has ``last_bbox``, the object's box in the annotated frame
            before, if it is seen there.
        lazy_init: look for the files at first use.

    Raises:
        ValueError: folders, split or files are missing or damaged; the message names the file.
    """

    def __init__(
        self,
        data_root: str,
        split: str | None = None,
        frame_range: int = 20,
        min_area: int = 1000,
        from_start: float = 0.0,
        previous: bool = False,
        lazy_init: bool = False,
    ) -> None:
        self.split, self.frame_range, self.min_area = split, frame_range, min_area
        self.from_start, self.previous = from_start, previous
        self._begins: dict[tuple[str, int], int] = {}
        super().__init__(data_root=data_root, lazy_init=lazy_init)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One record for each video: its name and its annotated frames."""
        records = []
        for video in find_mask_videos(self.data_root, self.split):
            frames = [
                (t, str(frame), str(mask))
                for t, (frame, mask) in enumerate(zip(video.frames, video.masks))
                if mask
            ]
            records.append(dict(name=video.name, frames=frames))
        print_log(
            f'{self.data_root}, split {self.split}: pairs from {len(records)} videos',
            logger='current',
        )
        return records

    def draw(self, index: int, rng: np.random.Generator, count: int) -> list[View] | None:
        """``count`` views of one object; see the header."""
        video = self.get_data_info(index)
        for _ in range(_DRAWS):
            first = int(rng.integers(len(video['frames'])))
            labels = read_label_png(video['frames'][first][2])
            ids = object_ids(labels, self.min_area)
            if ids:
                break
        else:
            return None
        object_id = int(rng.choice(ids))
        if count > 1 and self.from_start and rng.random() < self.from_start:
            first = self._begin(video, object_id)
            labels = read_label_png(video['frames'][first][2])
        views = [_folder_view(video, first, labels == object_id, object_id)]
        return (
            views
            if count == 1
            else [*views, self._second(video, first, object_id, rng) or views[0]]
        )

    def _second(
        self, video: dict[str, Any], first: int, object_id: int, rng: np.random.Generator
    ) -> View | None:
        for _ in range(_DRAWS):
            position = _near(rng, first, self.frame_range, len(video['frames']))
            mask = read_label_png(video['frames'][position][2]) == object_id
            if np.count_nonzero(mask) >= self.min_area:
                view = _folder_view(video, position, mask, object_id)
                if self.previous and position:
                    last = read_label_png(video['frames'][position - 1][2]) == object_id
                    if np.count_nonzero(last) >= self.min_area:
                        view['last_bbox'] = _folder_view(video, position - 1, last, object_id)[
                            'gt_bboxes'
                        ]
                return view
        return None

    def _begin(self, video: dict[str, Any], object_id: int) -> int:
        """The first of the annotated frames in which an object, which has enough pixels in one of
        them, has enough pixels.
        """
        key = video['name'], object_id
        if key not in self._begins:
            self._begins[key] = next(
                t
                for t, (_, _, path) in enumerate(video['frames'])
                if np.count_nonzero(read_label_png(path) == object_id) >= self.min_area
            )
        return self._begins[key]


@DATASETS.register_module()
class YouTubeVISPairs:
    """Videos of a ``YouTubeVISDataset``.

    Args:
        dataset: its config, without type and pipeline.
        frame_range: see the header.
        min_area: objects with a smaller box in a frame are not used there.
    """

    def __init__(
        self, dataset: dict[str, Any], frame_range: int = 20, min_area: int = 1000
    ) -> None:
        self.dataset = DATASETS.build(dict(type='mmvos.YouTubeVISDataset', **dataset))
        self.frame_range, self.min_area = frame_range, min_area

    def __len__(self) -> int:
        return len(self.dataset.videos)

    def draw(self, index: int, rng: np.random.Generator, count: int) -> list[View] | None:
        """``count`` views of one object; see the header."""
        items = self.dataset.frame_range(index)
        for _ in range(_DRAWS):
            first = int(rng.integers(len(items)))
            frame = self.dataset.get_data_info(items[first])
            objects = [item for item in frame['instances'] if self._is_large(item)]
            if objects:
                break
        else:
            return None
        chosen = objects[rng.integers(len(objects))]
        views = [_json_view(frame, chosen)]
        return (
            views
            if count == 1
            else [*views, self._second(items, first, chosen['instance_id'], rng) or views[0]]
        )

    def _second(
        self, items: range, first: int, object_id: int, rng: np.random.Generator
    ) -> View | None:
        for _ in range(_DRAWS):
            frame = self.dataset.get_data_info(
                items[_near(rng, first, self.frame_range, len(items))]
            )
            for item in frame['instances']:
                if item['instance_id'] == object_id and self._is_large(item):
                    return _json_view(frame, item)
        return None

    def _is_large(self, item: dict[str, Any]) -> bool:
        x1, y1, x2, y2 = item['bbox']
        return bool((x2 - x1) * (y2 - y1) >= self.min_area)


@DATASETS.register_module()
class StillPairs(BaseDataset):
    """Images of a COCO JSON; both views are the same image. An object without a segmentation is
    used with its box alone.

    Args:
        ann_file: the JSON file, relative to ``data_root``.
        data_root: root of ``ann_file`` and ``data_prefix``.
        data_prefix: ``img_path`` is the folder that the JSON's file names are relative to.
        min_area: objects with a smaller box are not used.
        crowds: whether annotations of crowds are objects too.
        lazy_init: read the file at first use.

    Raises:
        ValueError: the file is missing, is no COCO JSON, or has no usable object; the message names
            it.
    """

    def __init__(
        self,
        ann_file: str,
        data_root: str = '',
        data_prefix: dict[str, str] | None = None,
        min_area: int = 1000,
        crowds: bool = False,
        lazy_init: bool = False,
    ) -> None:
        self.min_area, self.crowds = min_area, crowds
        super().__init__(
            ann_file,
            data_root=data_root,
            data_prefix=data_prefix or dict(img_path=''),
            lazy_init=lazy_init,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """One record for each image with a usable object."""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                content = COCO(self.ann_file)
            images = content.dataset['images']
            records = [
                dict(
                    img_path=str(Path(self.data_prefix['img_path'], image['file_name'])),
                    img_id=image['id'],
                    height=image['height'],
                    width=image['width'],
                    objects=self._objects(content.imgToAnns.get(image['id'], ())),
                )
                for image in images
            ]
        except OSError as error:
            raise ValueError(f'{self.ann_file} cannot be read: {error.strerror}') from error
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise ValueError(
                f'{self.ann_file} is no COCO JSON file with images and annotations: {error}'
            ) from error
        records = [record for record in records if record['objects']]
        if not records:
            raise ValueError(
                f'{self.ann_file} has no object whose box has at least {self.min_area} pixels'
            )
        print_log(
            f'{self.ann_file}: pairs from {len(records)} of {len(images)} images', logger='current'
        )
        return records

    def draw(self, index: int, rng: np.random.Generator, count: int) -> list[View] | None:
        """``count`` views of one object; see the header."""
        record = self.get_data_info(index)
        chosen = record['objects'][rng.integers(len(record['objects']))]
        frame = dict(
            img_path=record['img_path'],
            img_id=record['img_id'],
            frame_id=0,
            video_id=record['img_id'],
            height=record['height'],
            width=record['width'],
        )
        return [_json_view(frame, chosen)] * count

    def _objects(self, annotations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        found = []
        for item in annotations:
            x, y, w, h = item['bbox']
            if (self.crowds or not item.get('iscrowd')) and w * h >= self.min_area:
                found.append(
                    dict(
                        bbox=[x, y, x + w, y + h],
                        mask=item.get('segmentation'),
                        instance_id=item['id'],
                    )
                )
        return found


def _near(rng: np.random.Generator, first: int, reach: int, count: int) -> int:
    """A position among ``count``, at most ``reach`` from ``first``."""
    return int(rng.integers(max(first - reach, 0), min(first + reach, count - 1) + 1))


def _folder_view(video: dict[str, Any], position: int, mask: np.ndarray, object_id: int) -> View:
    index, path, _ = video['frames'][position]
    frame = dict(
        img_path=path,
        img_id=index,
        frame_id=index,
        video_id=video['name'],
        height=mask.shape[0],
        width=mask.shape[1],
    )
    return _view(frame, mask.view(np.uint8), object_id)


def _json_view(frame: dict[str, Any], item: dict[str, Any]) -> View:
    """A view of an object of a JSON file; the box is the mask's where there is a mask that is not
    empty.
    """
    if item['mask']:
        mask = _decoded(item['mask'], frame['height'], frame['width'])
        if mask.any():
            return _view(frame, mask, item['instance_id'])
    keys = ('img_path', 'img_id', 'frame_id', 'video_id', 'height', 'width')
    return dict(
        {key: frame[key] for key in keys},
        object_id=item['instance_id'],
        gt_masks=None,
        gt_bboxes=np.array(item['bbox'], dtype=np.float32),
    )


def _view(frame: dict[str, Any], mask: np.ndarray, object_id: int) -> View:
    x, y, w, h = cv2.boundingRect(mask)
    keys = ('img_path', 'img_id', 'frame_id', 'video_id', 'height', 'width')
    return dict(
        {key: frame[key] for key in keys},
        object_id=object_id,
        gt_masks=BitmapMasks(mask[None], *mask.shape),
        gt_bboxes=np.array([x, y, x + w, y + h], dtype=np.float32),
    )


def _decoded(segmentation: Any, height: int, width: int) -> np.ndarray:
    """(H, W) uint8 mask of polygons or of run lengths."""
    coco = COCO()
    coco.imgs = {0: dict(height=height, width=width)}
    return np.ascontiguousarray(coco.annToMask(dict(image_id=0, segmentation=segmentation)))
