"""A COCO file in which objects are annotated in some frames of a video becomes one in which they
are in all frames.

The objects of annotations are their ``track_id`` (``instance_id``, ``attributes.track_id``); where
they have none, classes tell objects apart as far as they can, see `join_drawings`. Images and
annotations of the file stay as they are, but for the track ids that they are given.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from pycocotools import mask as coco_mask

from mmvos.apis.sources import open_source
from mmvos.convert import coco
from mmvos.convert.annotation_model import Notes, TrackedVideo, as_rle, stored
from mmvos.io.atomic import write_json
from mmvos.io.coco import read_coco
from mmvos.io.errors import DataError
from mmvos.io.frame_names import list_files
from mmvos.structures import FrameResult

from .drawn_objects import Drawing, FrameNames, frame_of, join_drawings, make_prompts
from .outputs import check_new_file, lock_beside

_DIGITS = 4  # of a score


class CocoFile:
    """A COCO file about one video and the folder of its frames; see `propagate`.

    Args:
        path: the JSON.
        folder: of all frames of the video.
        out: the JSON that is written.
        overwrite: whether it may be there.
        notes: takes what is left out.

    Attributes:
        source, prompts, lock_file, output: see `PartlyAnnotated`.
        objects: what is drawn; their group is the track id.

    Raises:
        DataError: no frame is annotated, a file cannot be used, or it is about several videos.
    """

    def __init__(
        self,
        path: Path,
        folder: Path,
        out: Path,
        overwrite: bool = False,
        notes: Notes | None = None,
    ) -> None:
        self.notes = notes or Notes()
        self.output = out
        self.lock_file = lock_beside(out)
        check_new_file(out, path, overwrite)
        if not folder.is_dir():
            raise DataError(f'{folder} is no folder; give the one with the frames')
        self.source = open_source(folder)
        self._names = [image.name for image in list_files(folder)]
        self._data = read_coco(path)
        number_objects(self._data, path)
        self._video = read_video(self._data, path, self.notes, fill_boxes=True)
        self.size = (self._video.height, self._video.width)

        # 1. Which frame each image of the file is.
        known = FrameNames(self.source.name, self._names)
        self._frames = [frame_of(name, known) for name in self._video.file_names]
        if len(set(self._frames)) < len(self._frames):
            raise DataError(f'{path}: two of its images are the same frame of {folder}')

        # 2. What is drawn in it.
        drawings = []
        for item in self._video.objects:
            for t, mask in item.masks.items():
                place = f'{path}: object {item.id} in {self._video.file_names[t]}'
                drawings.append(Drawing(self._frames[t], item.category, item.id, mask, place))
        if not drawings:
            raise DataError(f'no image of {path} is annotated: annotate at least one frame')
        self.objects = join_drawings(drawings)
        self.prompts = make_prompts(self.objects, self.size, self.notes)

    def write(self, results: Iterable[FrameResult]) -> str:
        """Write the JSON; see `PartlyAnnotated`."""
        image_of = self._list_images()
        category_of = {str(row['name']): row['id'] for row in self._data['categories']}
        annotations = self._data['annotations']
        free = max((int(row['id']) for row in annotations), default=0) + 1
        pattern = annotations[0]
        count = 0
        for result in results:
            index = result.frame_index
            for item in sorted(result.objects, key=lambda item: item.id):
                drawn = self.objects[item.id - 1]
                mask = as_rle(item.mask, *self.size)
                area = int(coco_mask.area(mask))
                if index in drawn.drawings or area == 0:
                    continue
                row: dict[str, Any] = {
                    'id': free + count,
                    'image_id': image_of[index],
                    'category_id': category_of[drawn.label],
                    'segmentation': stored(mask),
                    'bbox': coco_mask.toBbox(mask).tolist(),
                    'area': area,
                    'iscrowd': 0,
                    'score': round(item.score, _DIGITS),
                    **_track_like(pattern, drawn.group),
                }
                if 'video_id' in pattern:
                    row['video_id'] = pattern['video_id']
                annotations.append(row)
                count += 1
        # Run lengths in lists are read as arrays.
        write_json(self.output, self._data, default=lambda array: array.tolist())
        return f'{count} annotations added to {len(annotations) - count}, in {self.output}'

    def _list_images(self) -> dict[int, int]:
        """List the frames that the file does not name; return the id of each frame's image."""
        images = self._data['images']
        by_name = {row['file_name']: row for row in images}
        rows = [by_name[name] for name in self._video.file_names]
        image_of = {index: int(row['id']) for index, row in zip(self._frames, rows, strict=True)}

        # Frames without an image get one, in the same folder and video.
        free = max(int(row['id']) for row in images) + 1
        folder = PurePosixPath(self._video.file_names[0]).parent
        for index, name in enumerate(self._names):
            if index in image_of:
                continue
            row = {
                'id': free,
                'file_name': (folder / name).as_posix(),
                'height': self.size[0],
                'width': self.size[1],
            }
            if 'video_id' in rows[0]:
                row['video_id'] = rows[0]['video_id']
            images.append(row)
            image_of[index] = free
            free += 1
        self._number_frames(image_of)
        return image_of

    def _number_frames(self, image_of: dict[int, int]) -> None:
        """Number all frames where the file numbers its own, which may be some of the video's."""
        images = self._data['images']
        for key in coco.FRAME_NUMBERS:
            if key in images[0]:
                frame_of_image = {number: index for index, number in image_of.items()}
                for row in images:
                    row[key] = frame_of_image[row['id']]


def number_objects(data: dict[str, Any], path: Path) -> None:
    """Give track ids to the annotations of a file about one video that have none.

    Args:
        data: of ``read_coco``; its annotations are changed.
        path: of the file, for messages.

    Raises:
        DataError: nobody can know which annotations are one object, see `join_drawings`.
    """
    drawings = []
    for place, entry in enumerate(data['annotations']):
        where = f'{path}: annotation {entry.get("id", f"at position {place}")}'
        image = entry.get('image_id')
        category = entry.get('category_id')
        if not isinstance(image, int):
            return  # the reader says what is wrong
        track = coco.track_of(entry, where)
        drawings.append(Drawing(image, str(category), track, None, where, entry))

    # Those that are one object get one number.
    for item in join_drawings(drawings):
        for group in item.drawings.values():
            for drawing in group:
                if drawing.group is None:
                    drawing.origin['track_id'] = item.group


def read_video(
    data: dict[str, Any], path: Path, notes: Notes, fill_boxes: bool = False
) -> TrackedVideo:
    """The only video of a COCO file.

    Args:
        data: of ``read_coco``, with track ids.
        path: of the file.
        notes: takes what is worth a look.
        fill_boxes: annotations without a mask have their box; else they are refused.

    Raises:
        DataError: the file is about several videos, or cannot be used.
    """
    videos, _ = coco.parse(data, path, notes, fill_boxes, ignore_crowds=True)
    if len(videos) != 1:
        raise DataError(
            f'{path} is about {len(videos)} videos; give the annotations of one of them'
        )
    return videos[0]


def _track_like(pattern: dict[str, Any], track: int | str) -> dict[str, Any]:
    """The track id of an annotation, where others of the file have it."""
    found: dict[str, Any] = {}
    for key in coco.TRACK_IDS:
        if key in pattern:
            found[key] = track

    # CVAT writes it among the attributes.
    attributes = pattern.get('attributes')
    if isinstance(attributes, dict):
        for key in coco.TRACK_IDS:
            if key in attributes:
                found['attributes'] = {key: track}
    return found or {'track_id': track}
