"""Exports: the result of a project in the formats that others read, written by the writers of
``mmvos.convert`` and ``mmvos.apis`` in a thread of its own.
"""

from __future__ import annotations

import threading
import traceback
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mmvos.convert import coco, cvat_writer, davis, labelme_writer, mots, yolo, youtube_vis
from mmvos.convert.annotation_model import Notes, TrackedObject, TrackedVideo
from mmvos.convert.youtube_vis import AnnotationFile
from mmvos.io.atomic import atomic_path, check_folder, make_folder
from mmvos.io.errors import DataError
from mmvos.io.paths import output_inside
from mmvos.structures import UNKNOWN_LABEL, FrameResult, rle
from mmvos.structures import TrackedObject as SeenObject

from .events import Hub
from .project import Project
from .records import Entry, StudioObject, color_to_bgr
from .video import StudioVideo
from .worker import BusyError, NotFoundError

_BATCH = 100  # frames whose masks are read at a time
_FPS_OF_IMAGES = 25


@dataclass(frozen=True)
class ExportFormat:
    """A format.

    Attributes:
        title: for people.
        note: what it does not hold.
        write: what writes it.
    """

    title: str
    note: str
    write: Callable[[Export, Path], None]


class Stopped(Exception):
    """The user stopped an export."""


class Export:
    """One export; its state is read by all threads.

    Args:
        number: its id.
        kind: name of its format.
        folder: that it is written to.
        project, video: what is exported.
        objects: that are exported.
    """

    def __init__(
        self,
        number: int,
        kind: str,
        folder: Path,
        project: Project,
        video: StudioVideo,
        objects: list[StudioObject],
    ) -> None:
        self.id = number
        self.kind = kind
        self.folder = folder
        self.project = project
        self.video = video
        self.objects = objects
        self.state = 'running'
        self.message = ''
        self.done = 0
        self.total = 0
        self.wants_stop = False
        self.tell: Callable[[], object] = lambda: None

    def to_json(self) -> dict[str, Any]:
        """The ``Export`` of docs/studio.md."""
        files = 0
        if self.state == 'finished':
            files = sum(path.is_file() for path in self.folder.rglob('*'))
        return {
            'id': self.id,
            'format': self.kind,
            'state': self.state,
            'done': self.done,
            'total': self.total,
            'folder': str(self.folder),
            'files': files,
            'message': self.message,
        }

    def frames(self) -> Iterator[tuple[int, dict[int, Entry]]]:
        """Go through all frames of the video with the masks of the objects; counts what is done.

        Yields:
            The number of a frame, and its entries by object id.

        Raises:
            Stopped: the user stopped it.
        """
        exported = {item.id for item in self.objects}
        self.total = self.video.frames
        for start in range(0, self.total, _BATCH):
            stop = min(start + _BATCH, self.total)
            entries = self.project.entries(start, stop)
            for index in range(start, stop):
                if self.wants_stop:
                    raise Stopped
                of_frame = {}
                for key, entry in entries.get(index, {}).items():
                    if key in exported:
                        of_frame[key] = entry
                yield index, of_frame
                self.done = index + 1
                # The page sees how far it is, but not each frame.
                if index % 10 == 0 or self.done == self.total:
                    self.tell()

    def annotations(self) -> AnnotationFile:
        """Return the whole project as one annotated video.

        Raises:
            Stopped: the user stopped it.
        """
        # The masks of each object by frame.
        height, width = self.video.size
        masks: dict[int, dict[int, Any]] = {item.id: {} for item in self.objects}
        for index, entries in self.frames():
            for key, entry in entries.items():
                if entry.area:
                    masks[key][index] = rle.RLE(size=[height, width], counts=entry.counts)

        # Classes in the order of the objects; an object without a mask is left out.
        names = dict.fromkeys(item.category for item in self.objects)
        categories = [{'id': number, 'name': name} for number, name in enumerate(names, 1)]
        tracks = []
        for item in self.objects:
            if masks[item.id]:
                tracks.append(TrackedObject(item.id, item.category, masks[item.id]))

        # One video, whose frames lie in a folder of its name.
        name = _folder_name(self.video)
        files = [f'{name}/{self.video.frame_name(index)}' for index in range(self.video.frames)]
        video = TrackedVideo(files, height, width, tracks, id=1, name=name)
        return AnnotationFile(self.video.name, [video], categories)


def _folder_name(video: StudioVideo) -> str:
    """A name for the video's folder in an export."""
    kept = ''
    for letter in Path(video.name).stem:
        if letter.isalnum() or letter in '-_ .':
            kept += letter
        else:
            kept += '_'
    kept = kept.strip(' .')
    return kept or 'video'


def _write_davis(export: Export, folder: Path) -> None:
    davis.write(folder, export.annotations(), 'val', '480p', 'keep', 'smaller', Notes())


def _write_youtube_vis(export: Export, folder: Path) -> None:
    source = export.annotations()
    path = folder / 'instances.json'
    description = 'made with mmvos studio'
    youtube_vis.write_videos(path, source.videos, source.categories, description, Notes())


def _write_coco(export: Export, folder: Path) -> None:
    coco.write(folder / 'coco.json', export.annotations(), Notes())


def _write_mots(export: Export, folder: Path) -> None:
    mots.write(folder, export.annotations(), 'number', 'smaller', Notes())


def _write_yolo(export: Export, folder: Path) -> None:
    yolo.write(folder, export.annotations(), Notes())


def _write_labelme(export: Export, folder: Path) -> None:
    labelme_writer.write(folder, export.annotations(), Notes())


def _write_cvat(export: Export, folder: Path) -> None:
    cvat_writer.write(folder, export.annotations(), Notes())


def _write_overlay(export: Export, folder: Path) -> None:
    from mmvos.apis.overlay_video import Look, OverlayVideo

    rate = Fraction(export.video.fps or _FPS_OF_IMAGES).limit_denominator(100_000)
    read = export.video.new_reader()
    size = export.video.size
    # Colors and names as the page shows them.
    looks = {}
    for item in export.objects:
        looks[item.id] = Look(color_to_bgr(item.color), item.name)
    with OverlayVideo(folder / 'overlay.mp4', rate, looks=looks) as video:
        for index, entries in export.frames():
            seen = []
            for key, entry in entries.items():
                if entry.area:
                    mask = rle.RLE(size=list(size), counts=entry.counts)
                    seen.append(SeenObject(key, UNKNOWN_LABEL, entry.score, entry.box, mask))
            video.write('', read(index), FrameResult(index, size, tuple(seen)))


def _write_cutouts(export: Export, folder: Path) -> None:
    from mmvos.apis.cutout_video import CutoutPngs

    with CutoutPngs(folder) as writer:
        _cut(export, writer.write)


def _write_webm(export: Export, folder: Path) -> None:
    from mmvos.apis.cutout_video import CutoutVideo

    rate = Fraction(export.video.fps or _FPS_OF_IMAGES).limit_denominator(1000)
    with CutoutVideo(folder / 'cutout.webm', rate) as writer:
        _cut(export, writer.write)


def _cut(export: Export, write: Callable[[str, Any, Any], None]) -> None:
    """Hand every frame with the union of its masks to a writer."""
    size = export.video.size
    read = export.video.new_reader()
    for index, entries in export.frames():
        union = np.zeros(size, bool)
        for entry in entries.values():
            union |= entry.decode(size)
        name = Path(export.video.frame_name(index)).stem
        write(name, read(index), union)


FORMATS: dict[str, ExportFormat] = {
    'davis': ExportFormat('Palette PNGs (DAVIS)', 'pixel value = object', _write_davis),
    'youtube-vis': ExportFormat(
        'YouTube-VIS JSON', 'run lengths, an entry for each object', _write_youtube_vis
    ),
    'coco': ExportFormat('COCO with track ids', 'run lengths, an entry for each mask', _write_coco),
    'yolo': ExportFormat('YOLO-seg', 'outlines without ids and holes', _write_yolo),
    'labelme': ExportFormat('labelme', 'a JSON for each frame', _write_labelme),
    'cvat': ExportFormat('CVAT for video 1.1', 'an XML with tracks of masks', _write_cvat),
    'mots': ExportFormat('MOTS', 'ids are class x 1000 + number', _write_mots),
    'overlay': ExportFormat(
        'Overlay video (mp4)', 'masks and names drawn on the frames', _write_overlay
    ),
    'cutout': ExportFormat('Cut-out PNGs', 'all but the objects is transparent', _write_cutouts),
    'webm': ExportFormat('Cut-out video (WebM)', 'with an alpha channel', _write_webm),
}


class Exports:
    """The exports of a session; one is written at a time.

    Args:
        root: the folder that everything is written into.
        project, video: what is exported.
        hub: is told of progress.
    """

    def __init__(self, root: Path, project: Project, video: StudioVideo, hub: Hub) -> None:
        self.root = root
        self._project = project
        self._video = video
        self._hub = hub
        self._exports: list[Export] = []
        self._lock = threading.Lock()

    def describe(self) -> list[dict[str, Any]]:
        """All exports since the start, the newest last."""
        return [export.to_json() for export in self._exports]

    def find(self, number: int) -> Export:
        """An export by id.

        Raises:
            NotFoundError: there is none.
        """
        for export in self._exports:
            if export.id == number:
                return export
        raise NotFoundError(f'there is no export {number}')

    def start(self, given: Any) -> dict[str, Any]:
        """Begin an export.

        Args:
            given: the body of ``POST /api/exports``.

        Returns:
            The export as the page gets it.

        Raises:
            DataError: it is wrong, or there is nothing to export.
            BusyError: another one is being written.
        """
        kind = given.get('format')
        if not isinstance(kind, str) or kind not in FORMATS:
            raise DataError(f'the format must be one of {", ".join(FORMATS)}')
        objects = self._objects(given.get('objects'))
        if not any(self._project.has_results(item.id) for item in objects):
            raise DataError('there is no mask to export yet')

        # One export at a time, in a folder of its own.
        with self._lock:
            if any(export.state == 'running' for export in self._exports):
                raise BusyError('an export is being written; wait for it or stop it')
            folder = self._folder(given.get('folder'), kind)
            number = len(self._exports) + 1
            export = Export(number, kind, folder, self._project, self._video, objects)
            self._exports.append(export)

        # It is written in a thread, which tells the pages how far it is.
        def tell() -> None:
            self._hub.publish('export', export=export.to_json())

        export.tell = tell
        tell()
        thread = threading.Thread(target=self._work, args=(export,), name='export', daemon=True)
        thread.start()
        return export.to_json()

    def stop(self, number: int) -> dict[str, Any]:
        """Stop an export; what it had written of frames stays."""
        export = self.find(number)
        export.wants_stop = True
        return export.to_json()

    def close(self) -> None:
        """Stop what is being written."""
        for export in self._exports:
            export.wants_stop = True

    def _objects(self, given: Any) -> list[StudioObject]:
        there = self._project.objects()
        if given is None:
            return there
        if not isinstance(given, list) or not given:
            raise DataError('objects must be a list of ids, or null for all')
        chosen = [item for item in there if item.id in given]
        if len(chosen) != len(set(map(str, given))):
            raise NotFoundError('one of the objects is not there')
        return chosen

    def _folder(self, name: Any, kind: str) -> Path:
        """A folder that is empty: the name, or the format with a number where it is taken."""
        if name is not None and not (isinstance(name, str) and name):
            raise DataError('folder must be a name')
        wanted = kind if name is None else name
        number = 1
        while True:
            shown = wanted if number == 1 else f'{wanted}-{number}'
            folder = output_inside(self.root, shown, 'the export')
            if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
                break
            number += 1
        check_folder(folder)
        return make_folder(folder)

    def _work(self, export: Export) -> None:
        try:
            export.video.wait_for_index()
            FORMATS[export.kind].write(export, export.folder)
            export.state = 'finished'
        except Stopped:
            export.state = 'stopped'
        except (DataError, OSError, ValueError, MemoryError) as error:
            export.state = 'failed'
            export.message = str(error) or 'the memory is used up'
        except Exception as error:  # a page waits for the end
            traceback.print_exc()
            export.state = 'failed'
            export.message = f'the export failed: {error}'
        export.tell()

    def pack(self, number: int) -> Path:
        """The file that a browser downloads: the only file of an export, else a zip of all.

        Raises:
            NotFoundError: there is none, or it is not finished.
        """
        export = self.find(number)
        if export.state != 'finished':
            raise NotFoundError('this export is not finished')
        files = sorted(path for path in export.folder.rglob('*') if path.is_file())
        if len(files) == 1:
            return files[0]
        # Not beside the export: a file of the user could have this name there.
        packed = self._project.folder / 'downloads' / f'{export.folder.name}.zip'
        if not packed.exists() or packed.stat().st_mtime < max(f.stat().st_mtime for f in files):
            with (
                atomic_path(packed, durable=False) as partial,
                zipfile.ZipFile(partial, 'w', zipfile.ZIP_DEFLATED) as archive,
            ):
                for path in files:
                    archive.write(path, path.relative_to(export.folder.parent))
        return packed
