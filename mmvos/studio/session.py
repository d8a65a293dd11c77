"""The session: what pages ask of project, video and model of one server.

Everything that changes is stored first, and told to all pages then.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmvos.convert.annotation_model import Notes
from mmvos.io.errors import DataError
from mmvos.structures import rle

from .events import Hub
from .exports import FORMATS as EXPORT_FORMATS
from .exports import Exports
from .imports import FORMATS as IMPORT_FORMATS
from .imports import read_masks, store
from .project import Project
from .records import (
    COLORS,
    CORRECTED,
    Entry,
    StoredPrompt,
    StudioObject,
    make_entry,
    parse_color,
    parse_name,
    parse_prompt,
)
from .runs import Run, RunRequest
from .timeline import make_timeline
from .video import StudioVideo
from .worker import BusyError, NotFoundError, Worker

FORMAT = 1  # of what page and server say to each other
_MANY_FRAMES = 50  # that an action changed: the page reads them anew


class Session:
    """See the module.

    Args:
        project: open.
        video: open.
        hub: where changes are told.
        system: name of the system to begin with.
        weights: its checkpoint, by default the one that comes with it.
        device: see ``init_model``.
        export_folder: where exports are written, by default in the project.
    """

    def __init__(
        self,
        project: Project,
        video: StudioVideo,
        hub: Hub,
        system: str,
        weights: str | None = None,
        device: str | None = None,
        export_folder: Path | None = None,
    ) -> None:
        self.project = project
        self.video = video
        self.hub = hub
        self.worker = Worker(hub, system, weights, device)
        self.exports = Exports(export_folder or project.folder / 'exports', project, video, hub)
        self.run: Run | None = None
        self._run_count = 0
        self._read = video.new_reader()

    # ---- life

    def start(self) -> None:
        """Begin to work."""
        self.video.start_index(self._video_is_known)
        self.worker.start()

    def close(self) -> None:
        """End the work after the frame in hand."""
        self.exports.close()
        self.worker.close()

    def _video_is_known(self) -> None:
        self.hub.publish('video', video=self.video.describe())

    # ---- what pages read

    def describe(self, server: str) -> dict[str, Any]:
        """The ``Project`` of docs/studio.md, less what the server adds."""
        run = None
        if self.run is not None:
            run = self.run.to_json()
        export_formats = []
        for name, kind in EXPORT_FORMATS.items():
            export_formats.append({'name': name, 'title': kind.title, 'note': kind.note})
        import_formats = []
        for name, (title, accept) in IMPORT_FORMATS.items():
            import_formats.append({'name': name, 'title': title, 'accept': accept})
        return {
            'server': server,
            'version': FORMAT,
            'video': self.video.describe(),
            'systems': self.worker.systems,
            'model': self.worker.describe_model(),
            'objects': self.list_objects(),
            'run': run,
            'history': self.project.labels(),
            'export_formats': export_formats,
            'import_formats': import_formats,
            'export_folder': str(self.exports.root),
        }

    def list_objects(self) -> list[dict[str, Any]]:
        """All objects that are there."""
        return [item.to_json() for item in self.project.objects()]

    def masks(self, start: int, stop: int) -> dict[str, Any]:
        """The masks of frames ``start`` to ``stop`` - 1."""
        frames = {}
        for frame, entries in self.project.entries(start, stop).items():
            frames[str(frame)] = self._entries_json(entries)
        return {'frames': frames}

    def prompts(self) -> dict[str, Any]:
        """All prompts by frame and object."""
        size = self.video.size
        frames: dict[str, dict[str, Any]] = {}
        for (frame, object_id), prompt in self.project.prompts().items():
            of_frame = frames.setdefault(str(frame), {})
            of_frame[str(object_id)] = prompt.to_json(size)
        return {'prompts': frames}

    def timeline(self) -> dict[str, Any]:
        """The ``Timeline`` of docs/studio.md."""
        return make_timeline(self.project)

    def _entries_json(self, entries: dict[int, Entry]) -> dict[str, Any]:
        return {str(key): entry.to_json(self.video.size) for key, entry in entries.items()}

    # ---- objects

    def add_object(self, given: dict[str, Any]) -> StudioObject:
        """Make an object.

        Args:
            given: the body of ``POST /api/objects``.

        Raises:
            DataError: a member of ``given`` is wrong.
        """
        name = None
        if given.get('name') is not None:
            name = parse_name(given['name'], 'name')
        category = parse_name(given.get('category') or 'object', 'category')
        color = None
        if given.get('color') is not None:
            color = parse_color(given['color'])

        # What is not given follows from the number; colors repeat after the last one.
        number = self.project.free_id()
        if name is None:
            name = f'object {number}'
        if color is None:
            color = COLORS[(number - 1) % len(COLORS)]
        item = StudioObject(number, name, color, category)
        with self.project.action('add an object') as action:
            action.put_object(item)
        self._tell_objects()
        self._tell_history()
        return item

    def change_object(self, object_id: int, given: dict[str, Any]) -> StudioObject:
        """Rename, color, show or hide an object.

        Raises:
            NotFoundError: there is no such object.
            DataError: a member of ``given`` is wrong.
        """
        item = self._object(object_id)
        changed = item
        if given.get('name') is not None:
            changed = replace(changed, name=parse_name(given['name'], 'name'))
        if given.get('category') is not None:
            changed = replace(changed, category=parse_name(given['category'], 'category'))
        if given.get('color') is not None:
            changed = replace(changed, color=parse_color(given['color']))

        # Showing and hiding is no action, so undo leaves it as it is.
        visible = given.get('visible')
        if visible is not None and not isinstance(visible, bool):
            raise DataError('visible must be true or false')
        if changed != item:
            with self.project.action('change an object') as action:
                action.put_object(changed)
        if visible is not None and visible != item.visible:
            self.project.set_visible(object_id, visible)
        self._tell_objects()
        self._tell_history()
        return self._object(object_id)

    def remove_object(self, object_id: int) -> None:
        """Remove an object; its masks are kept for undo.

        Raises:
            NotFoundError: there is no such object.
        """
        item = self._object(object_id)
        with self.project.action('remove an object') as action:
            action.put_object(replace(item, deleted=True))
        self._tell_objects()
        self.hub.publish('timeline')
        self._tell_history()

    def _object(self, object_id: int) -> StudioObject:
        item = self.project.find_object(object_id)
        if item is None:
            raise NotFoundError(f'there is no object {object_id}')
        return item

    def _check_frame(self, frame: int) -> None:
        if self.video.is_known and not 0 <= frame < self.video.frames:
            raise NotFoundError(
                f'there is no frame {frame}; the video has {self.video.frames}, counted from 0'
            )

    # ---- prompts

    def put_prompt(
        self, frame: int, object_id: int, given: Any, label: str | None = None
    ) -> Future[dict[str, Any]]:
        """Say where an object is in a frame; replaces what was said before.

        Returns:
            What is answered, when the mask is there.

        Raises:
            NotFoundError: there is no such frame or object.
            DataError: it is no prompt.
        """
        self._check_frame(frame)
        self._object(object_id)
        prompt = parse_prompt(given, self.video.size)
        label = label or _label_of(prompt)
        superseded = {'prompt': given, 'entry': None, 'superseded': True}
        return self.worker.submit(
            lambda: self._prompt(frame, object_id, prompt, label),
            ('prompt', frame, object_id),
            superseded,
        )

    def _prompt(
        self, frame: int, object_id: int, prompt: StoredPrompt, label: str
    ) -> dict[str, Any]:
        """Find the mask of a prompt and store both; in the worker thread."""
        # Points correct the mask that a run had found here, also from the second point on.
        known = self.project.prompt(frame, object_id)
        before = self.project.entry(frame, object_id)
        base = None if known is None else known.base
        if known is None and before is not None and before.area:
            base = before.counts
        prompt = replace(prompt, base=base)

        # A painted mask is what it is; everything else is segmented.
        if prompt.mask is not None and not prompt.points:
            mask = rle.RLE(size=list(self.video.size), counts=prompt.mask)
            entry = make_entry(mask, 1.0, CORRECTED)
        else:
            segmenter = self.worker.segmenter()
            prepared = segmenter.frame(frame, self._read(frame))
            found = segmenter.segment(prepared, object_id, prompt)
            entry = make_entry(found.mask, found.score, CORRECTED)

        self._object(object_id)  # may have been removed in the meantime

        # Stored, then told to all pages.
        with self.project.action(label) as action:
            action.put_prompt(frame, object_id, prompt)
            action.put_entry(frame, object_id, entry)
        shown = prompt.to_json(self.video.size)
        entry_json = entry.to_json(self.video.size)
        self.hub.publish('prompt', frame=frame, object=object_id, prompt=shown)
        self.hub.publish('frame', frame=frame, entries={str(object_id): entry_json})
        self.hub.publish('timeline')
        self._tell_history()
        self._prompts_changed()
        return {'prompt': shown, 'entry': entry_json, 'superseded': False}

    def remove_prompt(self, frame: int, object_id: int) -> Future[None]:
        """Take back what was said about an object in a frame, and its mask there.

        Raises:
            NotFoundError: there is no such object.
        """
        self._object(object_id)

        def remove() -> None:
            with self.project.action('remove a correction') as action:
                action.put_prompt(frame, object_id, None)
                action.put_entry(frame, object_id, None)
            self.hub.publish('prompt', frame=frame, object=object_id, prompt=None)
            self.hub.publish('frame', frame=frame, entries={str(object_id): None})
            self.hub.publish('timeline')
            self._tell_history()
            self._prompts_changed()

        return self.worker.submit(remove)

    def undo(self, again: bool = False) -> Future[dict[str, Any]]:
        """Undo the last action, or do again what was undone last.

        Raises (in the future):
            BusyError: there is none.
        """

        def go() -> dict[str, Any]:
            step = self.project.redo() if again else self.project.undo()
            if step is None:
                raise BusyError(f'there is nothing to {"redo" if again else "undo"}')
            label, changes = step
            self._tell_changes(changes)
            self._tell_history()
            self._prompts_changed()
            return {'label': label}

        return self.worker.submit(go)

    def _tell_changes(self, changes: list[list[Any]]) -> None:
        """Tell the pages which rows an action changed."""
        changes_objects = False
        keys = set()
        for table, key, *_ in changes:
            if table == 'objects':
                changes_objects = True
            else:
                frame, object_id = key
                keys.add((frame, object_id))
        if changes_objects:
            self._tell_objects()

        # After many changes the pages ask for what they show; few are sent to them.
        frames = {frame for frame, _ in keys}
        if len(frames) > _MANY_FRAMES or changes_objects:
            self.hub.publish('results', start=0, stop=self.video.frames - 1, objects=None)
        else:
            for frame, object_id in sorted(keys):
                self._tell_row(frame, object_id)
        self.hub.publish('timeline')

    def _tell_row(self, frame: int, object_id: int) -> None:
        """Tell the pages what there is of an object in a frame, None where there is nothing."""
        size = self.video.size
        shown = None
        prompt = self.project.prompt(frame, object_id)
        if prompt is not None:
            shown = prompt.to_json(size)
        self.hub.publish('prompt', frame=frame, object=object_id, prompt=shown)

        found = None
        entry = self.project.entry(frame, object_id)
        if entry is not None:
            found = entry.to_json(size)
        self.hub.publish('frame', frame=frame, entries={str(object_id): found})

    def _tell_objects(self) -> None:
        self.hub.publish('objects', objects=self.list_objects())

    def _tell_history(self) -> None:
        self.hub.publish('history', **self.project.labels())

    def _prompts_changed(self) -> None:
        """What the model remembers for the run that is going is to be made anew."""
        if self.run is not None:
            self.run.prompts_changed = True

    def bring(self, folder: Path, kind: str) -> Future[dict[str, Any]]:
        """Import the files of a folder as prompts of new objects.

        Args:
            folder: with the files.
            kind: their format, or 'auto'.

        Raises (in the future):
            DataError: they cannot be read, or do not fit the video.
        """

        def store_all() -> dict[str, Any]:
            # Only then all frames are known.
            self.video.wait_for_index()
            notes = Notes()
            masks = read_masks(folder, kind, self.video, notes)
            made = store(self.project, masks, kind)
            self._tell_objects()

            # The pages ask for what they show of these frames.
            frames = sorted({item.frame for item in masks})
            self.hub.publish('results', start=frames[0], stop=frames[-1], objects=None)
            self.hub.publish('timeline')
            self._tell_history()
            self._prompts_changed()
            return {
                'objects': [item.to_json() for item in made],
                'frames': frames,
                'notes': notes.sentences(),
            }

        return self.worker.submit(store_all)

    # ---- runs

    def start_run(self, request: RunRequest) -> dict[str, Any]:
        """Begin a run.

        Raises:
            BusyError: one is going.
            NotFoundError, ModelError: the system that is to find objects is not here.
        """
        if request.kind == 'find':
            self.worker.find_system(request.system)

        def make() -> Run:
            self._run_count += 1
            self.run = Run(
                self._run_count, request, self.project, self.video, self.hub, self.worker
            )
            return self.run

        return self.worker.begin(make)


def _label_of(prompt: StoredPrompt) -> str:
    """What undo calls a prompt."""
    if prompt.points:
        return 'add a point'
    return 'paint' if prompt.mask is not None else 'draw a box'
