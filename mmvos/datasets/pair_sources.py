"""Where the pairs of ``MaskPairDataset`` come from: folders of label images, YouTube-VIS JSON
files, image sets with COCO's JSON.

A source has a length (its videos or images) and ``draw(index, rng, count)``, which gives ``count``
(1 or 2) views of one object of a video, or None where the video shows no object. As in the
published code the object is drawn first, all alike, and then a frame among those that show it. The
second view is at most ``frame_range`` positions away from the first, in the list of those frames;
it may be the first again.

A view is a dict: ``img_path``, ``img_id``, ``frame_id``, ``video_id``, ``height``, ``width``,
``object_id``, ``gt_bboxes`` ((4,) float32 xyxy in continuous pixels, with an area) and ``gt_masks``
(BitmapMasks of one mask), which is None where only the box is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmvos.deprecation import register_old_name
from mmvos.io.coco import check_annotation, check_images, crowds_in_words, read_coco
from mmvos.io.errors import DataError
from mmvos.io.label_png import object_ids, read_label_png
from mmvos.io.rle import decode_mask
from mmvos.option_ranges import COUNT, NOT_NEGATIVE, SHARE, options_in
from mmvos.registry import DATASETS
from mmvos.structures.rle import tight_box

from .mask_folders import find_mask_videos

View = dict[str, Any]
Tracks = dict[int, list[int]]  # of each object the positions of the frames that show it
_FRAME_KEYS = ('img_path', 'img_id', 'frame_id', 'video_id', 'height', 'width')


@DATASETS.register_module()
@options_in(COUNT, 'frame_range')
@options_in(NOT_NEGATIVE, 'min_area')
@options_in(SHARE, 'from_start')
class MaskFolderPairs(BaseDataset):
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
        published_crops: the views are cut as the published crops of YouTube-VOS; see ``CropPair``.
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
        published_crops: bool = False,
        lazy_init: bool = False,
    ) -> None:
        self.split = split
        self.frame_range = frame_range
        self.min_area = min_area
        self.from_start = from_start
        self.previous = previous
        self.published_crops = published_crops
        self._tracks: dict[str, Tracks] = {}
        super().__init__(data_root=data_root, lazy_init=lazy_init)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return one record for each video: its name and its annotated frames."""
        records = []
        for video in find_mask_videos(self.data_root, self.split):
            # (position in the video, frame, label image)
            frames = []
            for t, (frame, mask) in enumerate(zip(video.frames, video.masks, strict=True)):
                if mask is not None:
                    frames.append((t, str(frame), str(mask)))
            records.append(dict(name=video.name, frames=frames))
        print_log(
            f'{self.data_root}, split {self.split}: pairs from {len(records)} videos',
            logger='current',
        )
        return records

    def draw(self, index: int, rng: np.random.Generator, count: int) -> list[View] | None:
        """Draw ``count`` views of one object; see the header."""
        video = self.get_data_info(index)
        tracks = self._tracks_of(video)
        if not tracks:
            return None
        # An object, and a frame among those that show it.
        object_id, positions = _draw_track(tracks, rng)
        first = int(rng.integers(len(positions)))
        if count == 1:
            return [self._view(video, positions[first], object_id)]
        if self.from_start and rng.random() < self.from_start:
            first = 0
        # Another one near to it.
        second = _draw_near(rng, first, self.frame_range, len(positions))
        template = self._view(video, positions[first], object_id)
        search = self._view(video, positions[second], object_id)
        # The annotated frame before it, where a tracker would have seen the object.
        before = positions[second] - 1
        if self.previous and before in positions:
            search['last_bbox'] = self._view(video, before, object_id)['gt_bboxes']
        return [template, search]

    def _tracks_of(self, video: dict[str, Any]) -> Tracks:
        """The objects of a video; its label images are read when it is drawn for the first time."""
        name = video['name']
        if name not in self._tracks:
            tracks: Tracks = {}
            for position, (_, _, label_path) in enumerate(video['frames']):
                labels = read_label_png(label_path)
                for object_id in object_ids(labels, self.min_area):
                    tracks.setdefault(object_id, []).append(position)
            self._tracks[name] = tracks
        return self._tracks[name]

    def _view(self, video: dict[str, Any], position: int, object_id: int) -> View:
        t, path, label_path = video['frames'][position]
        mask = read_label_png(label_path) == object_id
        height, width = mask.shape
        frame = dict(
            img_path=path,
            img_id=t,
            frame_id=t,
            video_id=video['name'],
            height=height,
            width=width,
        )
        view = _mask_view(frame, mask.view(np.uint8), object_id)
        view['published_crop'] = self.published_crops
        return view


@DATASETS.register_module()
@options_in(COUNT, 'frame_range')
@options_in(NOT_NEGATIVE, 'min_area')
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
        self.frame_range = frame_range
        self.min_area = min_area
        self._tracks: dict[int, Tracks] = {}

    def __len__(self) -> int:
        return len(self.dataset.videos)

    def draw(self, index: int, rng: np.random.Generator, count: int) -> list[View] | None:
        """Draw ``count`` views of one object; see the header."""
        tracks = self._tracks_of(index)
        if not tracks:
            return None
        object_id, items = _draw_track(tracks, rng)
        first = int(rng.integers(len(items)))
        if count == 1:
            return [self._view(items[first], object_id)]
        second = _draw_near(rng, first, self.frame_range, len(items))
        template = self._view(items[first], object_id)
        search = self._view(items[second], object_id)
        return [template, search]

    def _tracks_of(self, index: int) -> Tracks:
        """The objects of a video, with the items of the frames in which they are large enough."""
        if index not in self._tracks:
            tracks: Tracks = {}
            for item in self.dataset.frame_range(index):
                for instance in self.dataset.get_data_info(item)['instances']:
                    if self._is_large(instance):
                        tracks.setdefault(instance['instance_id'], []).append(item)
            self._tracks[index] = tracks
        return self._tracks[index]

    def _view(self, item: int, object_id: int) -> View:
        frame = self.dataset.get_data_info(item)
        for instance in frame['instances']:
            if instance['instance_id'] == object_id:
                return _json_view(frame, instance)
        raise AssertionError(f'object {object_id} is not in item {item}')

    def _is_large(self, instance: dict[str, Any]) -> bool:
        x1, y1, x2, y2 = instance['bbox']
        return bool((x2 - x1) * (y2 - y1) >= self.min_area)


@DATASETS.register_module()
@options_in(NOT_NEGATIVE, 'min_area')
class ImagePairs(BaseDataset):
    """Images of a COCO JSON; both views are the same image. An object without a segmentation is
    used with its box alone.

    Args:
        ann_file: the JSON file, relative to ``data_root``.
        data_root: root of ``ann_file`` and ``data_prefix``.
        data_prefix: ``img_path`` is the folder that the JSON's file names are relative to.
        min_area: objects with a smaller box are not used.
        crowds: whether annotations of crowds are objects too.
        image_sets: use only images of these sets, an image's ``source`` in the JSON; None: all.
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
        image_sets: Sequence[str] | None = None,
        lazy_init: bool = False,
    ) -> None:
        self.min_area = min_area
        self.crowds = crowds
        self.image_sets = image_sets
        super().__init__(
            ann_file,
            data_root=data_root,
            data_prefix=data_prefix or dict(img_path=''),
            lazy_init=lazy_init,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return one record for each image with a usable object."""
        content = read_coco(self.ann_file)
        images = check_images(content['images'], self.ann_file)
        objects: dict[Any, list[dict[str, Any]]] = {image_id: [] for image_id in images}
        for place, annotation in enumerate(content['annotations']):
            check_annotation(annotation, images, place, self.ann_file)
            if self._is_used(annotation):
                objects[annotation['image_id']].append(_object(annotation, place))
        folder = self.data_prefix['img_path']
        records = []
        for image_id, image in images.items():
            if not objects[image_id]:
                continue
            if self.image_sets is not None and image.get('source') not in self.image_sets:
                continue
            record = dict(
                img_path=str(Path(folder, image['file_name'])),
                img_id=image_id,
                height=image['height'],
                width=image['width'],
                objects=objects[image_id],
            )
            records.append(record)
        if not records:
            crowds = '' if self.crowds else crowds_in_words(content['annotations'])
            sets = '' if self.image_sets is None else f' in the sets {list(self.image_sets)}'
            raise DataError(
                f'{self.ann_file} has no object whose box has at least {self.min_area} pixels'
                f'{sets}{crowds}.'
            )
        print_log(
            f'{self.ann_file}: pairs from {len(records)} of {len(images)} images', logger='current'
        )
        return records

    def draw(self, index: int, rng: np.random.Generator, count: int) -> list[View] | None:
        """Draw ``count`` views of one object; see the header."""
        record = self.get_data_info(index)
        objects = record['objects']
        drawn = objects[rng.integers(len(objects))]
        frame = dict(
            img_path=record['img_path'],
            img_id=record['img_id'],
            frame_id=0,
            video_id=record['img_id'],
            height=record['height'],
            width=record['width'],
        )
        return [_json_view(frame, drawn)] * count

    def _is_used(self, annotation: dict[str, Any]) -> bool:
        if annotation.get('iscrowd') and not self.crowds:
            return False
        if not annotation.get('bbox'):
            return False
        _, _, w, h = annotation['bbox']
        return bool(w * h >= self.min_area)


def _object(annotation: dict[str, Any], place: int) -> dict[str, Any]:
    """A COCO annotation as a view needs it."""
    x, y, w, h = annotation['bbox']
    return dict(
        bbox=[x, y, x + w, y + h],
        mask=annotation.get('segmentation'),
        instance_id=annotation.get('id', place),
    )


def _draw_near(rng: np.random.Generator, first: int, reach: int, count: int) -> int:
    """A position among ``count``, at most ``reach`` from ``first``."""
    lowest = max(first - reach, 0)
    highest = min(first + reach, count - 1)
    return int(rng.integers(lowest, highest + 1))


def _draw_track(tracks: Tracks, rng: np.random.Generator) -> tuple[int, list[int]]:
    """An object, all alike, and its frames."""
    object_id = int(rng.choice(list(tracks)))
    return object_id, tracks[object_id]


def _json_view(frame: dict[str, Any], item: dict[str, Any]) -> View:
    """A view of an object of a JSON file.

    The box is the mask's where there is a mask that is not empty.

    Args:
        frame: has the keys ``_FRAME_KEYS``.
        item: the object: ``bbox`` xyxy, ``mask`` (polygons, run lengths or None), ``instance_id``.
    """
    object_id = item['instance_id']
    if item['mask']:
        where = f'{frame["img_path"]}: object {object_id}'
        mask = decode_mask(item['mask'], frame['height'], frame['width'], where)
        if mask.any():
            return _mask_view(frame, mask, object_id)
    view = {key: frame[key] for key in _FRAME_KEYS}
    view['object_id'] = object_id
    view['gt_masks'] = None
    view['gt_bboxes'] = np.array(item['bbox'], dtype=np.float32)
    return view


def _mask_view(frame: dict[str, Any], mask: np.ndarray, object_id: int) -> View:
    """A view of an object by its mask, (H, W) uint8."""
    view = {key: frame[key] for key in _FRAME_KEYS}
    height, width = mask.shape
    box = tight_box(mask)
    view['object_id'] = object_id
    view['gt_masks'] = BitmapMasks(mask[None], height, width)
    view['gt_bboxes'] = np.array(box, dtype=np.float32)
    return view


register_old_name(DATASETS, 'FolderPairs', MaskFolderPairs)
register_old_name(DATASETS, 'StillPairs', ImagePairs)
