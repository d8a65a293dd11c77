"""A file of CVAT ("CVAT for video 1.1") in which objects are drawn in some frames becomes one in
which they have a mask in each frame.

Only key frames count: what CVAT has put between them is not drawn by anybody. A shape that is no
track is written by CVAT as a track of one key frame that is outside in the next frame; such shapes
are joined as those of labelme, by their group and label. Where somebody says that a track is
outside, it stays so until its next shape. Everything else in the file stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from mmvos.apis.sources import open_source
from mmvos.apis.video_source import VideoSource
from mmvos.convert.annotation_model import Notes, as_rle
from mmvos.convert.cvat import CvatTask, CvatTrack, read_task
from mmvos.convert.cvat_shapes import AREAS
from mmvos.convert.cvat_writer import mask_attributes
from mmvos.io.atomic import write_bytes
from mmvos.io.errors import DataError
from mmvos.io.frame_names import list_files
from mmvos.structures import FrameResult, TrackedObject

from .drawn_objects import Drawing, FrameNames, frame_of, join_drawings, make_prompts
from .outputs import check_new_file, lock_beside


class CvatFile:
    """A file of CVAT and its video; see `propagate`.

    Args:
        path: the XML.
        video: the video, or the folder of its frames.
        out: the XML that is written.
        overwrite: whether it may be there.
        notes: takes what is left out.

    Attributes:
        source, prompts, lock_file, output: see `PartlyAnnotated`.
        objects: what is drawn.

    Raises:
        DataError: no frame is annotated, or a file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        video: Path,
        out: Path,
        overwrite: bool = False,
        notes: Notes | None = None,
    ) -> None:
        self.notes = notes or Notes()
        self.output = out
        self.lock_file = lock_beside(out)
        check_new_file(out, path, overwrite)
        self._task = read_task(path, self.notes)
        self.source = open_source(video)
        self._frames = frames_of_task(self._task, self.source, video)
        self._check_size(video)

        drawings = drawings_of(self._task, self._frames)
        if not drawings:
            raise DataError(
                f'no frame of {path} is annotated: draw each object in at least one frame, as a '
                f'mask, polygon, box or ellipse'
            )
        self.objects = join_drawings(drawings)
        self.prompts = make_prompts(self.objects, self._task.size, self.notes)

    def _check_size(self, video: Path) -> None:
        """Refuse a video whose frames have another size than those of the task."""
        [first] = self.source.seekable().read(0, 0)
        height, width = first.picture.shape[:2]
        if (height, width) != self._task.size:
            raise DataError(
                f'{self._task.path} is about frames of {self._task.size[1]}x{self._task.size[0]}, '
                f'but those of {video} are {width}x{height}; give the frames of this task'
            )

    def write(self, results: Iterable[FrameResult]) -> str:
        """Write the XML; see `PartlyAnnotated`."""
        # What was found of each object, by frame.
        found: dict[int, dict[int, TrackedObject]] = {}
        for result in results:
            for item in result.objects:
                found.setdefault(item.id, {})[result.frame_index] = item

        # Tracks with masks in all frames take the place of those in which the objects are drawn.
        count = 0
        for number, drawn in enumerate(self.objects, 1):
            tracks: list[CvatTrack] = []
            for drawings in drawn.drawings.values():
                for drawing in drawings:
                    if drawing.origin not in tracks:
                        tracks.append(drawing.origin)
            count += self._replace(tracks, found.get(number, {}))

        root = self._task.root
        ElementTree.indent(root)
        text = ElementTree.tostring(root, encoding='utf-8', xml_declaration=True)
        write_bytes(self.output, text + b'\n')
        return f'{count} masks of {len(self.objects)} objects in {self.output}'

    def _replace(self, tracks: Sequence[CvatTrack], found: dict[int, TrackedObject]) -> int:
        """Put the masks of an object into its first track, and remove its others.

        Returns:
            The number of masks.
        """
        first, *others = tracks
        for track in others:
            self._task.root.remove(track.element)
        attributes = _attributes_by_frame(tracks)
        for element in list(first.element):
            if element.tag in AREAS:
                first.element.remove(element)
        hidden = _outside(first, len(self._task.numbers)) if not others else set()

        count = 0
        is_shown = False
        for position, number in enumerate(self._task.numbers):
            item = found.get(self._frames[position])
            is_seen = item is not None and item.box[2] > item.box[0] and item.box[3] > item.box[1]
            if item is not None and is_seen and position not in hidden:
                mask = as_rle(item.mask, *self._task.size)
                shape = SubElement(first.element, 'mask', mask_attributes(number, mask))
                count += 1
                is_shown = True
                last = mask
            elif is_shown:
                # CVAT shows a mask until the next one.
                outside = mask_attributes(number, last) | {'outside': '1'}
                shape = SubElement(first.element, 'mask', outside)
                is_shown = False
            else:
                continue
            shape.extend(_nearest(attributes, number))
        return count


def frames_of_task(task: CvatTask, source: VideoSource, video: Path) -> list[int]:
    """The frame of the video for each frame of a task.

    Args:
        task: of a file.
        source: the opened video.
        video: its place.

    Raises:
        DataError: the video has other frames than the task.
    """
    count = source.length
    names = [path.name for path in list_files(video)] if video.is_dir() else []
    if count is None:
        count = source.seekable().count
    if count == len(task.numbers):
        return list(range(count))
    # The task takes some of the frames, or the folder holds some of the task's.
    if not names:
        names = [f'{index:06d}' for index in range(count)]
    known = FrameNames(source.name, names)
    try:
        frames = [frame_of(f'frame_{number:06d}', known) for number in task.numbers]
    except DataError as error:
        raise DataError(
            f'{task.path} has {len(task.numbers)} frames, but {video} has {count}; give the video '
            f'or the frames of this task ({error})'
        ) from error
    return frames


def drawings_of(task: CvatTask, frames: Sequence[int]) -> list[Drawing]:
    """What is drawn in the key frames of a task.

    Args:
        task: of a file.
        frames: of the video, by position in the task.
    """
    drawings = []
    for track in task.tracks:
        group: int | str | None = f'track {track.id}'
        # Shapes that stand alone are one object by their group, a track is one by itself.
        if _is_one_shape(track):
            group = track.element.get('group_id')
        for position, shape in sorted(track.shapes.items()):
            mask = shape.area_mask() if shape.is_keyframe else None
            if mask is None:
                continue
            place = f'{task.path}: track {track.id}, frame {task.numbers[position]}'
            drawing = Drawing(frames[position], track.label, group, mask, place, track)
            drawings.append(drawing)
    return drawings


def _is_one_shape(track: CvatTrack) -> bool:
    """Whether a track is a shape that stands alone in CVAT: one key frame, outside behind it."""
    shown = []
    hidden = []
    for position, shape in track.shapes.items():
        if shape.outside:
            hidden.append(position)
        else:
            shown.append(position)
    if len(shown) != 1:
        return False
    # Nothing behind it, or that it is gone in the next frame.
    following = shown[0] + 1
    return hidden in ([], [following])


def _outside(track: CvatTrack, length: int) -> set[int]:
    """Positions at which somebody says that the object is outside."""
    hidden: set[int] = set()
    if _is_one_shape(track):
        return hidden
    keyframes = []
    for position, shape in sorted(track.shapes.items()):
        if shape.is_keyframe:
            keyframes.append(position)
    # What a key frame says holds until the next one.
    ends = [*keyframes[1:], length]
    for start, end in zip(keyframes, ends, strict=True):
        if track.shapes[start].outside:
            hidden.update(range(start, end))
    return hidden


def _attributes_by_frame(tracks: Sequence[CvatTrack]) -> dict[int, list[Element]]:
    """The attributes of an object by number of the frame in which they are given."""
    found = {}
    for track in tracks:
        for element in track.element:
            number = element.get('frame')
            given = element.findall('attribute')
            if element.tag in AREAS and number is not None and given:
                found[int(number)] = given
    return found


def _nearest(attributes: dict[int, list[Element]], number: int) -> list[Element]:
    """The attributes that hold in a frame: the last ones before it, else the first ones."""
    if not attributes:
        return []
    before = [at for at in attributes if at <= number]
    return attributes[max(before) if before else min(attributes)]
