"""A folder of frames with labelme files beside some of them becomes one with a file beside each.

What somebody has drawn is never changed: drawn shapes stay as they are, and shapes are added for
objects that are not drawn in a frame. A shape that is added carries its score, and a fingerprint of
itself, so that a later call knows it from one that somebody has drawn or corrected since.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmvos.apis.sources import open_source
from mmvos.convert.annotation_model import Notes, as_rle
from mmvos.convert.labelme import NO_AREA, mask_pixels, shape_mask
from mmvos.convert.labelme_writer import VERSION, mask_shape, polygon_shapes
from mmvos.io.atomic import check_folder, write_json
from mmvos.io.errors import DataError
from mmvos.io.frame_names import list_files
from mmvos.io.images import read_header
from mmvos.io.json_file import read_json
from mmvos.structures import FrameResult, TrackedObject

from .drawn_objects import Drawing, DrawnObject, join_drawings, make_prompts

_LOCK = '.mmvos-propagate.lock'
_KNOWN_KINDS = ('polygon', 'rectangle', 'circle', 'oriented_rectangle', 'mask')
_TRIED_VERSIONS = ('3', '4', '5', '6')
_MADE_BY = 'made_by'  # key of a shape with its fingerprint
_DIGITS = 4  # of a score
_POINT_DIGITS = 2  # of a coordinate, by which a shape is known again
Row = Mapping[str, Any]


@dataclass
class _LabeledFrame:
    """A labelme file.

    Attributes:
        path: of the file.
        data: its content.
        drawn: those of its shapes that somebody has drawn.
    """

    path: Path
    data: dict[str, Any]
    drawn: list[dict[str, Any]] = field(default_factory=list)


class LabelmeFolder:
    """A folder of frames, some of which have a labelme file; see `propagate`.

    Args:
        folder: of the frames and the files.
        out: folder of the files that are written; by default the same.
        overwrite: whether files that are there are written again, with all that is drawn in them.
        polygons: whether objects become polygons, which labelme can edit, and not masks.
        notes: takes what is left out.

    Attributes:
        source, prompts, lock_file, output: see `PartlyAnnotated`.
        objects: what is drawn.

    Raises:
        DataError: no frame is annotated, a file or a frame cannot be used, or all files that would
            be written are there.
    """

    def __init__(
        self,
        folder: Path,
        out: Path | None = None,
        overwrite: bool = False,
        polygons: bool = False,
        notes: Notes | None = None,
    ) -> None:
        if not folder.is_dir():
            raise DataError(f'{folder} is no folder; give the one with the frames')
        self.folder = folder
        self.output = out or folder
        self.lock_file = self.output / _LOCK
        self.overwrite = overwrite
        self.polygons = polygons
        self.notes = notes or Notes()

        # The frames, of one size, and the files beside them.
        self.images = list_files(folder)
        if not self.images:
            raise DataError(f'{folder} holds no images; put the frames beside the files')
        self.source = open_source(folder)
        header = read_header(self.images[0])
        self.size = (header.height, header.width)
        self._labeled = self._read_files()

        # What is drawn in them becomes the prompts.
        drawings = self._read_drawings()
        if not drawings:
            raise DataError(
                f'no frame of {folder} is annotated: draw each object in at least one frame, as a '
                f'polygon, rectangle, circle or mask'
            )
        self.objects = join_drawings(drawings)
        self._give_groups()
        self.prompts = make_prompts(self.objects, self.size, self.notes)
        self._check_output()

    def _read_files(self) -> dict[int, _LabeledFrame]:
        """The labelme files by frame."""
        index_of = {path.name: index for index, path in enumerate(self.images)}
        stem_of = {path.stem: index for index, path in enumerate(self.images)}
        labeled: dict[int, _LabeledFrame] = {}
        for path in list_files(self.folder, ('.json',)):
            data = read_json(path)
            if not isinstance(data, dict) or not isinstance(data.get('shapes'), list):
                self.notes.add('files are no labelme files and are left alone', str(path))
                continue
            # The image that it names, or else the one of its own name.
            named = str(data.get('imagePath') or '').replace('\\', '/').rpartition('/')[2]
            index = index_of.get(named, stem_of.get(path.stem))
            if index is None:
                raise DataError(
                    f'{path} is about the image {named or path.stem}, which is not in '
                    f'{self.folder}; put the frames there'
                )
            if index in labeled:
                raise DataError(
                    f'{path} and {labeled[index].path.name} are both about the image '
                    f'{self.images[index].name}; keep one of them'
                )
            self._check_size(path, data)
            self._check_version(path, data)
            labeled[index] = _LabeledFrame(path, data)
        return labeled

    def _check_size(self, path: Path, data: Row) -> None:
        """Refuse a file that is about an image of another size."""
        size = data.get('imageHeight'), data.get('imageWidth')
        # Old versions of labelme do not say it.
        if None not in size and size != self.size:
            raise DataError(
                f'{path} is about an image of {size[1]}x{size[0]}, but the frames are '
                f'{self.size[1]}x{self.size[0]}'
            )

    def _check_version(self, path: Path, data: Row) -> None:
        """Say that a file is of a version of labelme that was not tried; it is read all the same.

        Very old files have none.
        """
        version = data.get('version')
        if version is None:
            return
        major = str(version).partition('.')[0]
        if major not in _TRIED_VERSIONS:
            self.notes.add(
                'files are of a version of labelme that was not tried (3 to 6 were): look at '
                'what comes of them',
                f'{path}, version {str(version)[:20]}',
            )

    def _read_drawings(self) -> list[Drawing]:
        """What somebody has drawn, of all files."""
        drawings = []
        for index, frame in sorted(self._labeled.items()):
            for number, shape in enumerate(frame.data['shapes']):
                place = f'{frame.path}: shape {number}'
                if not isinstance(shape, dict):
                    raise DataError(f'{place} is no shape of labelme')
                if _is_untouched(shape, place):
                    continue
                # A copy, into which a group id can be put.
                kept = dict(shape)
                frame.drawn.append(kept)
                drawing = self._drawing(index, kept, place)
                if drawing is not None:
                    drawings.append(drawing)
        return drawings

    def _drawing(self, index: int, shape: Row, place: str) -> Drawing | None:
        """A shape that is an object; None for one that is kept and says nothing."""
        kind = shape.get('shape_type') or 'polygon'
        if kind in NO_AREA:
            self.notes.add('lines and points are kept, and are no objects', place)
            return None
        if kind not in _KNOWN_KINDS:
            self.notes.add(f'shapes of the kind {kind!r} are kept, and are no objects', place)
            return None

        # What is drawn, and which object it is.
        label = shape.get('label')
        group = shape.get('group_id')
        if not isinstance(label, str):
            raise DataError(f'{place} has the label {str(label)[:40]}, which is no text')
        if isinstance(group, bool) or not isinstance(group, (int, str, type(None))):
            raise DataError(f'{place} has the group id {str(group)[:40]}, which is no number')
        mask = shape_mask({**shape, 'shape_type': kind}, self.size, place)
        return Drawing(index, label, group, mask, place, shape)

    def _give_groups(self) -> None:
        """Put the group ids of objects into shapes that have none."""
        for item in self.objects:
            for drawings in item.drawings.values():
                for drawing in drawings:
                    drawing.origin['group_id'] = item.group

    def _target(self, index: int) -> Path:
        """The file that is written for a frame."""
        frame = self._labeled.get(index)
        name = frame.path.name if frame is not None else f'{self.images[index].stem}.json'
        return self.output / name

    def _check_output(self) -> None:
        """Refuse an output that cannot be written, or to which nothing would be added."""
        check_folder(self.output)
        targets = [self._target(index) for index in range(len(self.images))]
        self._signatures = {path: _signature(path) for path in targets}
        if not self.overwrite and all(path.exists() for path in targets):
            raise DataError(
                f'all {len(targets)} frames have a file in {self.output}; --overwrite writes them '
                f'again and keeps what is drawn, --out DIR writes others'
            )
        if self.overwrite and not self._is_in_place():
            for index, target in enumerate(targets):
                if target.exists():
                    self._check_nothing_is_lost(index, target)

    def _is_in_place(self) -> bool:
        """Whether the files are written beside the frames."""
        return self.output.resolve() == self.folder.resolve()

    def _check_nothing_is_lost(self, index: int, target: Path) -> None:
        """Refuse to overwrite a file in another folder in which somebody has drawn since."""
        # 1. What is drawn beside the frames.
        frame = self._labeled.get(index)
        drawn: list[dict[str, Any]] = []
        if frame is not None:
            drawn = frame.drawn
        known = {_fingerprint(shape, str(target)) for shape in drawn}

        # 2. Whether there is more in the file that would be overwritten.
        data = read_json(target)
        shapes = data.get('shapes') if isinstance(data, dict) else None
        if not isinstance(shapes, list):
            return
        for number, shape in enumerate(shapes):
            place = f'{target}: shape {number}'
            if not isinstance(shape, dict) or _is_untouched(shape, place):
                continue
            if _fingerprint(shape, place) not in known:
                raise DataError(
                    f'{place} was drawn or corrected there and would be lost; put this file into '
                    f'{self.folder}, or give another --out'
                )

    def write(self, results: Iterable[FrameResult]) -> str:
        """Write a file for each frame that has none; see `PartlyAnnotated`."""
        written = 0
        kept = 0
        changed = 0
        for result in results:
            target = self._target(result.frame_index)
            # What somebody has drawn is never changed.
            if target.exists() and not self.overwrite:
                kept += 1
                continue
            if _signature(target) != self._signatures[target]:
                # Somebody has drawn in it while the model was at work.
                changed += 1
                continue
            write_json(target, self._content(result), durable=False, indent=2)
            written += 1
        said = f'{written} files in {self.output}'
        if kept:
            said += f'; {kept} that were there are left as they were (--overwrite adds to them)'
        if changed:
            said += f'; {changed} that were changed meanwhile are left as they are'
        return said

    def _content(self, result: FrameResult) -> dict[str, Any]:
        """The content of a frame's file: what is drawn, and the objects that are not."""
        index = result.frame_index
        frame = self._labeled.get(index)
        image = self.images[index]
        content: dict[str, Any] = {
            'version': self._version(),
            'flags': {},
            'shapes': [],
            'imagePath': image.name,
            'imageData': None,
            'imageHeight': self.size[0],
            'imageWidth': self.size[1],
        }
        shapes = []
        if frame is not None:
            content = {**content, **frame.data}
            shapes += frame.drawn
        for item in sorted(result.objects, key=lambda item: item.id):
            drawn = self.objects[item.id - 1]
            if index not in drawn.drawings:
                shapes += self._shapes_of(drawn, item, index)
        content['shapes'] = shapes
        if not self._is_in_place():
            # labelme looks for the image from its file on.
            place = os.path.relpath(image.resolve(), self.output.resolve())
            content['imagePath'] = place.replace(os.sep, '/')
        return content

    def _version(self) -> str:
        """The version of labelme that the files are of."""
        for frame in self._labeled.values():
            version = frame.data.get('version')
            if isinstance(version, str):
                return version
        return VERSION

    def _shapes_of(
        self, drawn: DrawnObject, found: TrackedObject, index: int
    ) -> Sequence[dict[str, Any]]:
        """The shapes of an object that was found in a frame; none where nothing is seen of it."""
        mask = as_rle(found.mask, *self.size)
        if found.box[2] <= found.box[0] or found.box[3] <= found.box[1]:
            return ()
        if self.polygons:
            shapes = polygon_shapes(drawn.label, drawn.group, mask)
        else:
            shapes = [mask_shape(drawn.label, drawn.group, mask)]

        # Flags and words are those of the nearest frame in which it is drawn.
        pattern = drawn.nearest(index).origin
        for shape in shapes:
            for key in ('flags', 'description'):
                if key in pattern:
                    shape[key] = pattern[key]
            shape['score'] = round(found.score, _DIGITS)
            shape[_MADE_BY] = _fingerprint(shape, 'a new shape')
        return shapes


def _signature(path: Path) -> tuple[int, int] | None:
    """Time and size of a file; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _is_untouched(shape: Row, place: str) -> bool:
    """Whether a shape was made by an earlier call, and nobody has changed it since."""
    mark = shape.get(_MADE_BY)
    return isinstance(mark, str) and mark == _fingerprint(shape, place)


def _fingerprint(shape: Row, place: str) -> str:
    """What tells a shape from one that was changed; the same after labelme has stored it again."""
    # labelme rounds when it stores.
    try:
        numbers = np.asarray(shape.get('points'), dtype=np.float64)
        points = np.round(numbers, _POINT_DIGITS).tobytes()
    except (ValueError, TypeError):
        points = repr(shape.get('points')).encode()
    kind = repr((shape.get('label'), shape.get('group_id'), shape.get('shape_type'))).encode()
    parts = [kind, points]

    # The pixels of a mask, since the same ones can be packed in several ways.
    text = shape.get('mask')
    if isinstance(text, str):
        pixels = mask_pixels(text, place)
        parts.append(repr(pixels.shape).encode() + np.packbits(pixels).tobytes())
    return f'mmvos {zlib.crc32(b"".join(parts)):08x}'
