"""Imports: masks of some frames, made elsewhere, become objects and prompts of a project, from
which a run goes on ("propagate my annotations").

Files come in from the browser, into a folder of their own inside the project, and are read by the
readers of ``mmvos.convert``. A frame is found by its name, or by the last number of its name.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmvos.annotate.coco_file import number_objects, read_video
from mmvos.annotate.cvat_file import drawings_of
from mmvos.annotate.drawn_objects import frame_of, join_drawings, mask_of
from mmvos.convert import cvat, labelme
from mmvos.convert.annotation_model import Notes, TrackedVideo, as_rle, stored
from mmvos.io.coco import read_coco
from mmvos.io.errors import DataError
from mmvos.io.frame_names import is_foreign, list_files
from mmvos.io.json_file import read_json
from mmvos.io.label_png import object_ids, read_label_png
from mmvos.io.paths import output_inside
from mmvos.structures import rle

from .project import Project
from .records import COLORS, CORRECTED, MAX_NAME, StoredPrompt, StudioObject, make_entry
from .video import StudioVideo

FORMATS = {
    'labelme': ('labelme', '.json,.zip'),
    'cvat': ('CVAT for video 1.1', '.xml,.zip'),
    'coco': ('COCO', '.json,.zip'),
    'davis': ('Label PNGs (DAVIS)', '.png,.zip'),
}
MAX_FILES = 10_000
_MAX_UNPACKED = 4 << 30  # bytes of a zip
_MAX_MASKS = 20_000
_VOID = 255


@dataclass(frozen=True)
class ImportedMask:
    """A mask of one object in one frame.

    Attributes:
        frame: index in the video.
        key: of the object in its file.
        category: class of the object.
        mask: run lengths of the frame's size.
    """

    frame: int
    key: int
    category: str
    mask: rle.RLE


@contextmanager
def receive(folder: Path) -> Iterator[Path]:
    """A folder for files that come in; it is removed at the end.

    Args:
        folder: of the project.
    """
    place = Path(tempfile.mkdtemp(prefix='.import-', dir=folder))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def unpack(path: Path, folder: Path) -> None:
    """Unpack a zip.

    Args:
        path: of the zip.
        folder: that gets its files.

    Raises:
        DataError: it is none, a name leads out of the folder, or it is too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [item for item in archive.infolist() if not item.is_dir()]
            size = sum(member.file_size for member in members)
            if len(members) > MAX_FILES or size > _MAX_UNPACKED:
                raise DataError(f'{path.name} holds too many files, or too large ones')
            for member in members:
                # What operating systems put beside the user's files.
                if is_foreign(Path(member.filename).name):
                    continue
                target = output_inside(folder, member.filename, path.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, open(target, 'wb') as out:
                    _copy(source, out, member.file_size)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise DataError(f'{path.name} is no zip that can be unpacked ({error})') from error


def _copy(source: Any, target: Any, size: int) -> None:
    """Copy what a member of a zip announces, and no more."""
    left = size
    while left > 0:
        part = source.read(min(left, 1 << 20))
        if not part:
            break
        target.write(part)
        left -= len(part)


def read_masks(folder: Path, kind: str, video: StudioVideo, notes: Notes) -> list[ImportedMask]:
    """Read the masks of files.

    Args:
        folder: with the files.
        kind: one of ``FORMATS``, or 'auto'.
        video: whose frames they are about.
        notes: takes what is left out.

    Raises:
        DataError: they cannot be read, or do not fit the video.
    """
    for path in sorted(folder.rglob('*.zip')):
        unpack(path, folder)
        path.unlink()

    # What the files are is seen by their names, if nobody says it.
    if kind == 'auto':
        kind = _guess(folder)
    readers = {'labelme': _labelme, 'cvat': _cvat, 'coco': _coco, 'davis': _davis}
    if kind not in readers:
        raise DataError(f'the format must be auto or one of {", ".join(FORMATS)}')
    masks = list(readers[kind](folder, video, notes))
    if not masks:
        raise DataError('there is no mask in these files')
    if len(masks) > _MAX_MASKS:
        raise DataError(f'these files hold {len(masks)} masks; at most {_MAX_MASKS} are taken')
    return masks


def _guess(folder: Path) -> str:
    """The format of the files."""
    if any(folder.rglob('*.xml')):
        return 'cvat'
    for path in folder.rglob('*.json'):
        content = read_json(path)
        if isinstance(content, dict) and 'shapes' in content:
            return 'labelme'
        if isinstance(content, dict) and 'annotations' in content:
            return 'coco'
    if any(folder.rglob('*.png')):
        return 'davis'
    raise DataError('these files are none of labelme, CVAT, COCO or label PNGs; choose the format')


def _labelme(folder: Path, video: StudioVideo, notes: Notes) -> Iterator[ImportedMask]:
    paths = list(folder.rglob('*.json'))
    places = {path.parent for path in paths}
    for place in sorted(places):
        has_groups = all(
            shape.get('group_id') is not None
            for path in list_files(place, ('.json',))
            for shape in _shapes(path)
        )
        # Without numbers of objects each class has one.
        track_by = 'group' if has_groups else 'label'
        (found,), _ = labelme.read(place, track_by, 'skip', notes)
        yield from _masks_of(found, video, notes)


def _shapes(path: Path) -> list[dict[str, Any]]:
    """Read the shapes of a file of labelme."""
    content = read_json(path)
    shapes = None
    if isinstance(content, dict):
        shapes = content.get('shapes')
    if isinstance(shapes, list) and all(isinstance(shape, dict) for shape in shapes):
        return shapes
    raise DataError(f'{path.name} is no file of labelme')


def _cvat(folder: Path, video: StudioVideo, notes: Notes) -> Iterator[ImportedMask]:
    paths = sorted(folder.rglob('*.xml'))
    if not paths:
        raise DataError('there is no XML of CVAT in these files')
    if len(paths) > 1:
        raise DataError('these files are about several videos; give the one of this video')
    task = cvat.read_task(paths[0], notes)
    _check_size(task.name, task.size, video)
    frames = [frame_of(f'frame_{number:06d}', video) for number in task.numbers]
    for number, item in enumerate(join_drawings(drawings_of(task, frames)), 1):
        for frame, drawings in sorted(item.drawings.items()):
            mask = rle.encode(mask_of(drawings, video.size))
            if rle.area(mask):
                yield ImportedMask(frame, number, item.label, mask)
            else:
                notes.add('masks without a pixel are left out', drawings[0].place)


def _coco(folder: Path, video: StudioVideo, notes: Notes) -> Iterator[ImportedMask]:
    paths = sorted(folder.rglob('*.json'))
    if len(paths) != 1:
        raise DataError(f'these are {len(paths)} JSON files; give one of COCO')
    data = read_coco(paths[0])
    number_objects(data, paths[0])
    yield from _masks_of(read_video(data, paths[0], notes), video, notes)


def _davis(folder: Path, video: StudioVideo, notes: Notes) -> Iterator[ImportedMask]:
    paths = [path for path in sorted(folder.rglob('*.png')) if not is_foreign(path.name)]
    for path in paths:
        labels = read_label_png(path)
        _check_size(path.name, labels.shape, video)
        frame = frame_of(path.name, video)
        ids = object_ids(labels)
        # DAVIS-2016 and many tools write an object as 255.
        if not ids and (labels == _VOID).any():
            ids = [_VOID]
        for number in ids:
            key = 1 if number == _VOID else number
            yield ImportedMask(frame, key, 'object', rle.encode(labels == number))


def _masks_of(found: TrackedVideo, video: StudioVideo, notes: Notes) -> Iterator[ImportedMask]:
    """Yield the masks of an annotated video as masks of this one."""
    size = (found.height, found.width)
    _check_size(found.folder, size, video)
    for item in found.objects:
        for t, mask in item.masks.items():
            frame = frame_of(found.file_names[t], video)
            code = stored(as_rle(mask, *size))
            whole = rle.RLE(size=code['size'], counts=code['counts'])
            if not rle.area(whole):
                notes.add('masks without a pixel are left out', f'object {item.id}, frame {frame}')
                continue
            yield ImportedMask(frame, item.id, item.category, whole)


def _check_size(name: str, size: tuple[int, ...], video: StudioVideo) -> None:
    """Refuse annotations of frames of another size."""
    if size != video.size:
        raise DataError(
            f'{name} is about frames of {size[1]}x{size[0]}, but the video has '
            f'{video.width}x{video.height}'
        )


def store(project: Project, masks: list[ImportedMask], kind: str) -> list[StudioObject]:
    """Store masks as prompts of new objects, in one action.

    Args:
        project: gets them.
        masks: with the object of each.
        kind: of the import, for the history.

    Returns:
        The objects.
    """
    # The class of each object is that of its first mask.
    categories: dict[int, str] = {}
    for item in masks:
        categories.setdefault(item.key, item.category)

    # New objects, named after class and id in the file.
    objects = {}
    for key, category in sorted(categories.items()):
        number = project.free_id()
        color = COLORS[(number - 1) % len(COLORS)]
        shown = _printable(category)
        name = f'{shown} {key}'[:MAX_NAME]
        objects[key] = StudioObject(number, name, color, shown)

    # One undo takes all of it back.
    with project.action(f'import {kind}') as action:
        for made in objects.values():
            action.put_object(made)
        for item in masks:
            number = objects[item.key].id
            prompt = StoredPrompt(mask=item.mask['counts'])
            entry = make_entry(item.mask, 1.0, CORRECTED)
            action.put_prompt(item.frame, number, prompt)
            action.put_entry(item.frame, number, entry)
    return list(objects.values())


def _printable(text: str) -> str:
    """A category as the page takes it."""
    kept = ''.join(letter for letter in text if letter.isprintable()).strip()[: MAX_NAME - 20]
    return kept or 'object'
