"""Videos annotated in CVAT ("CVAT for video 1.1") as videos with tracked objects.

One XML file is one video, named after it (``annotations.xml``: after its folder). The objects are
its tracks; boxes, turned boxes, polygons and ellipses become polygons, masks run lengths, bit by
bit. As CVAT shows it: a box is interpolated between its keyframes, a mask stays until the next one,
and ``outside`` hides an object until its next shape. CVAT writes every frame of a polygon; one
with gaps is refused, unless no track has a shape in the gap: such frames were deleted in CVAT and
are left out. ``occluded``, attributes and the order of layers have no place in YouTube-VIS; masks
may overlap there. Polylines, points, cuboids and skeletons have no area and are left out with a
note.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from mmvos.convert.annotation_model import (
    MAX_FRAMES,
    ConversionError,
    Notes,
    TrackedObject,
    TrackedVideo,
    check_size,
    list_images,
)
from mmvos.convert.cvat_shapes import AREAS, CvatShape, masks_of_track, polygon_gaps, read_shape
from mmvos.io.progress_bar import with_bar
from mmvos.io.text import read_bytes

_VERSION = '1.1'  # of the format
_MAX_UNPACKED = 1 << 30  # bytes of an XML in a zip
_WHOLE_NUMBER = re.compile('-?[0-9]{1,18}')


@dataclass(frozen=True)
class CvatTrack:
    """A track of the XML file.

    Attributes:
        id, label: its own.
        shapes: by position of the frame in the task.
        element: of the XML.
    """

    id: int
    label: str
    shapes: dict[int, CvatShape]
    element: Element


@dataclass(frozen=True)
class CvatTask:
    """An XML file as it stands.

    Attributes:
        path: of the file.
        root: of the XML.
        name: of the video.
        size: (H, W) of the frames.
        numbers: of the task's frames.
        labels: their names in CVAT's order.
        tracks: those of shapes that have an area.
    """

    path: Path
    root: Element
    name: str
    size: tuple[int, int]
    numbers: list[int]
    labels: list[str]
    tracks: list[CvatTrack]


def parse_xml(path: Path) -> Element:
    """The root of an XML file; a file with a DOCTYPE, which could hold an entity bomb, is refused.

    Args:
        path: the file, or the zip that CVAT exports, in which it is the only XML.

    Raises:
        ConversionError: that, or the file is no complete XML.
    """
    text = _read_zipped(path) if path.suffix.lower() == '.zip' else read_bytes(path)
    if b'<!DOCTYPE' in text or b'<!ENTITY' in text or text[:2] in (b'\xff\xfe', b'\xfe\xff'):
        raise ConversionError(
            f'{path} declares a DOCTYPE or is no UTF-8, which CVAT does not write; it is not read.'
        )
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ConversionError(f'{path} is no complete XML ({error}).') from None


def _read_zipped(path: Path) -> bytes:
    """The only XML of a zip; no more is unpacked than an XML may have bytes."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [item for item in archive.infolist() if item.filename.endswith('.xml')]
            if len(members) != 1:
                raise ConversionError(
                    f'{path} holds {len(members)} XML files; it is no export of one task as "CVAT '
                    f'for video 1.1".'
                )
            with archive.open(members[0]) as stream:
                text = stream.read(_MAX_UNPACKED + 1)
    except FileNotFoundError:
        raise ConversionError(f'{path} does not exist.') from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ConversionError(f'{path} is no zip that can be unpacked ({error}).') from None
    if len(text) > _MAX_UNPACKED:
        raise ConversionError(f'{path}: its XML is larger than {_MAX_UNPACKED >> 20} MiB.')
    return text


def read_task(path: Path, notes: Notes) -> CvatTask:
    """Read an export.

    Args:
        path: XML file, "CVAT for video 1.1", or the zip that CVAT exports.
        notes: takes what is left out.

    Raises:
        ConversionError: at the first fault, with file, track and frame.
    """
    root = parse_xml(path)
    name = path.parent.resolve().name if path.stem == 'annotations' else path.stem
    if root.tag != 'annotations' or root.find('image') is not None or root.find('meta') is None:
        raise ConversionError(
            f'{path} is no "CVAT for video 1.1" file; choose this format in CVAT.'
        )
    version = (root.findtext('version') or _VERSION).strip()
    if version.partition('.')[0] != _VERSION.partition('.')[0]:
        raise ConversionError(
            f'{path} has version {version[:20]} of the format, {_VERSION} is read; choose "CVAT '
            f'for video {_VERSION}" in CVAT.'
        )
    tasks = (
        root.findall('./meta/task') + root.findall('./meta/job') + root.findall('./meta/project')
    )
    if len(tasks) != 1 or tasks[0].tag == 'project':
        raise ConversionError(
            f'{path} holds a project or several tasks; export each task (or job) on its own.'
        )
    task = tasks[0]
    height, width = (
        _number(
            task.findtext(f'original_size/{side}') or root.findtext(f'./meta/original_size/{side}'),
            side,
            path,
        )
        for side in ('height', 'width')
    )
    check_size(height, width, str(path))
    numbers = _frame_numbers(task, path)
    labels = [
        element.findtext('name') or ''
        for element in task.iter('label')
        if element.findtext('parent') is None
    ]
    tracks = [
        track
        for element in root.findall('track')
        if (track := _read_track(element, labels, numbers, (height, width), path, notes))
    ]
    for number, count in Counter(track.id for track in tracks).items():
        if count > 1:
            raise ConversionError(f'{path}: track {number} stands {count} times.')
    return CvatTask(path, root, name, (height, width), numbers, labels, tracks)


def _read_video(path: Path, frames: Path | None, notes: Notes) -> tuple[TrackedVideo, list[str]]:
    """One export: the video, and the names of its labels in CVAT's order."""
    task = read_task(path, notes)
    numbers = task.numbers
    deleted = _deleted_frames(task.tracks)
    for t in sorted(deleted):
        notes.add(
            'frames have no shape of any track, between polygons: they were deleted in CVAT, and '
            'are left out',
            f'{path}: frame {numbers[t]}',
        )
    files = _frame_files(task.name, numbers, deleted, frames, path)
    kept = [t for t in range(len(numbers)) if t not in deleted]

    # position among the kept frames by position in the task
    position = {t: place for place, t in enumerate(kept)}
    objects = []
    for track in task.tracks:
        shapes = {position[t]: shape for t, shape in track.shapes.items()}
        where = f'{path}: track {track.id}'
        masks = masks_of_track(shapes, len(kept), task.size, where)
        objects.append(TrackedObject(track.id, track.label, masks))
    return TrackedVideo(files, *task.size, objects), task.labels


def read(
    paths: Sequence[Path], frames: Path | None, notes: Notes
) -> tuple[list[TrackedVideo], list[str]]:
    """Read exports, one per video.

    Args:
        paths: XML files, "CVAT for video 1.1".
        frames: folder with a folder of frames per video; without it they are taken to be called
            VIDEO/frame_000000.PNG and so on, as CVAT exports them.
        notes: takes what is left out.

    Returns:
        The videos; the names of all labels in CVAT's order.

    Raises:
        ConversionError: at the first fault, with file, track and frame.
    """
    videos: list[TrackedVideo] = []
    labels: list[str] = []
    for path in with_bar(paths, 'reading'):
        video, own_labels = _read_video(path, frames, notes)
        if video.folder in [other.folder for other in videos]:
            raise ConversionError(f'{path}: two videos are called {video.folder}; rename the file.')
        videos.append(video)
        labels += own_labels
    return videos, labels


def _frame_numbers(task: Element, path: Path) -> list[int]:
    """Numbers of the task's frames in the XML: with a frame step of 5 they are 0, 5, 10, ..."""
    size = _number(task.findtext('size'), 'size', path)
    start = _number(task.findtext('start_frame') or '0', 'start_frame', path)
    step = 1
    frame_filter = task.findtext('frame_filter') or ''
    for part in frame_filter.split():
        if part.startswith('step='):
            step = _number(part.removeprefix('step='), 'frame_filter', path)

    # A wrong number would make a list that no memory holds.
    size_fits = 0 < size <= MAX_FRAMES
    step_fits = 0 < step <= MAX_FRAMES
    start_fits = 0 <= start < 10**9
    if not (size_fits and step_fits and start_fits):
        raise ConversionError(
            f'{path}: its size is {size}, its frame step {step} and its start {start}; size and '
            f'step must be 1 to {MAX_FRAMES}.'
        )
    return list(range(start, start + size * step, step))


def _deleted_frames(tracks: Sequence[CvatTrack]) -> set[int]:
    """Positions of frames that were deleted in CVAT.

    The export counts them, but has no shape in them: a polygon is missing there between two
    others, and no other track has a shape either.
    """
    gaps: set[int] = set()
    for track in tracks:
        gaps |= polygon_gaps(track.shapes)
    shown: set[int] = set()
    for track in tracks:
        shown |= track.shapes.keys()
    deleted = gaps - shown

    # A file with polygons in few frames only is no complete export.
    return deleted if len(deleted) < len(shown) else set()


def _frame_files(
    name: str, numbers: Sequence[int], deleted: set[int], frames: Path | None, path: Path
) -> list[str]:
    """File names of the frames that were not deleted.

    Args:
        name: of the video.
        numbers: of the task's frames.
        deleted: positions of deleted frames.
        frames: folder with a folder of images per video; they are all frames of the task, or all
            but the deleted ones.
        path: the XML file, for messages.

    Raises:
        ConversionError: there is another number of images.
    """
    if frames is None:
        # CVAT's own names.
        own_names = [f'{name}/frame_{number:06d}.PNG' for number in numbers]
        return [file for t, file in enumerate(own_names) if t not in deleted]

    # Images of all frames, or of those that were not deleted.
    files = [f'{name}/{image.name}' for image in list_images(frames / name)]
    if len(files) == len(numbers):
        return [file for t, file in enumerate(files) if t not in deleted]
    if len(files) != len(numbers) - len(deleted):
        raise ConversionError(
            f'{path} has {len(numbers)} frames, but {frames / name} holds {len(files)} images.'
        )
    return files


def _read_track(
    track: Element,
    labels: list[str],
    numbers: list[int],
    size: tuple[int, int],
    path: Path,
    notes: Notes,
) -> CvatTrack | None:
    """Read a track and its shapes by frame; None where its shapes have no area."""
    number = _number(track.get('id'), 'id of a track', path)
    where = f'{path}: track {number}'
    label = track.get('label')
    if not label or label not in labels:
        raise ConversionError(
            f'{where} has the label "{label}", which is none of the task\'s ({", ".join(labels)}).'
        )

    # Frames are named by their numbers in the task, of which some may be left out.
    position = {frame: t for t, frame in enumerate(numbers)}
    shapes: dict[int, CvatShape] = {}
    for element in track:
        if element.tag == 'attribute':
            continue
        if element.tag not in AREAS:
            notes.add(
                'tracks of lines, points, cuboids or skeletons have no area and are left out',
                where,
            )
            return None
        frame = _number(element.get('frame'), 'frame', path)
        if frame not in position:
            step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
            raise ConversionError(
                f'{where} has a shape in frame {frame}, but the task has {len(numbers)} frames, '
                f'{numbers[0]} to {numbers[-1]} in steps of {step}.'
            )
        t = position[frame]
        if t in shapes:
            raise ConversionError(f'{where} has two shapes in frame {frame}.')
        shapes[t] = read_shape(element, size, f'{where}, frame {frame}')
    return CvatTrack(number, label, shapes, track)


def _number(text: str | None, key: str, path: Path) -> int:
    # Python's int also takes '1_000', digits of other scripts, and more than 64 bits.
    digits = (text or '').strip()
    if not _WHOLE_NUMBER.fullmatch(digits):
        raise ConversionError(f'{path}: its {key} is {text!r}, which is no whole number.')
    return int(digits)
