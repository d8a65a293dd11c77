"""Runs: the model goes through the video frame by frame, so that a prompt, a pause or a stop
comes in between.

What the user corrected in a frame is given to the model as it comes there, and is never written
over.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mmvos.io.errors import DataError

from .events import Hub
from .project import Project
from .records import COLORS, CORRECTED, MODEL, Entry, StudioObject, make_entry, parse_index
from .timeline import find_near
from .video import StudioVideo
from .worker import Worker

if TYPE_CHECKING:
    from .prompt_memory import PromptMemory

DIRECTIONS = ('forward', 'backward', 'both')
_EVENT_SECONDS = 0.2  # between two events about progress
_RATE_FRAMES = 30  # by which the rate is measured


@dataclass(frozen=True)
class RunRequest:
    """What is to be done.

    Attributes:
        kind: 'run' follows objects, 'find' finds objects of known classes.
        direction: one of ``DIRECTIONS``.
        start: the first frame.
        stop: the last frame, None: the last or first one of the video.
        until_corrected: end before the next frame in which one of the objects was prompted.
        objects: ids, None for all.
        system: that finds objects.
        min_score: of an object that is found.
    """

    kind: str = 'run'
    direction: str = 'forward'
    start: int = 0
    stop: int | None = None
    until_corrected: bool = False
    objects: tuple[int, ...] | None = None
    system: str = ''
    min_score: float = 0.4


def parse_run(given: Any, count: int | None) -> RunRequest:
    """Check what a page asks for.

    Args:
        given: the body of ``POST /api/run``.
        count: frames of the video, None where it is not known yet.

    Raises:
        DataError: it is wrong.
    """
    if not isinstance(given, dict):
        raise DataError('a run must be an object with direction and start')
    direction = given.get('direction', 'forward')
    if direction not in DIRECTIONS:
        raise DataError(f'the direction must be one of {", ".join(DIRECTIONS)}')

    # The frames: from start to stop, in the direction; both ways there is no stop.
    start = parse_index(given.get('start', 0), 'the first frame', count)
    stop = None
    if given.get('stop') is not None:
        stop = parse_index(given['stop'], 'the last frame', count)
        fits = {'forward': stop >= start, 'backward': stop <= start, 'both': False}
        if not fits[direction]:
            raise DataError(f'a run {direction} from frame {start} cannot end at frame {stop}')
    until_corrected = given.get('until_corrected', False)
    if not isinstance(until_corrected, bool):
        raise DataError('until_corrected must be true or false')

    # The objects: all, or those that are named.
    objects = given.get('objects')
    if objects is not None:
        if not isinstance(objects, list) or not objects:
            raise DataError('objects must be a list of ids, or null for all')
        objects = tuple(parse_index(item, 'an id') for item in objects)
    return RunRequest('run', direction, start, stop, until_corrected, objects)


def parse_find(given: Any, count: int | None) -> RunRequest:
    """Check what a page asks for; see ``parse_run``."""
    if not isinstance(given, dict):
        raise DataError('a search must be an object with system and start')
    start = parse_index(given.get('start', 0), 'the first frame', count)
    stop = None
    if given.get('stop') is not None:
        stop = parse_index(given['stop'], 'the last frame', count)
        if stop < start:
            raise DataError(f'a search from frame {start} cannot end at frame {stop}')

    # Tracks with a lower score become no objects.
    min_score = given.get('min_score', 0.4)
    is_number = isinstance(min_score, (int, float)) and not isinstance(min_score, bool)
    if not is_number or not 0 <= min_score <= 1:
        raise DataError('min_score must be a number from 0 to 1')

    # The model that finds objects by itself.
    system = given.get('system', 'masktrack-rcnn')
    if not isinstance(system, str):
        raise DataError('system must be a name')
    return RunRequest('find', 'forward', start, stop, system=system, min_score=float(min_score))


class Run:
    """One run; its state is read by all threads, the work is the worker's.

    Args:
        number: its id.
        request: what is to be done.
        project: where masks are stored.
        video: whose frames are gone through.
        hub: is told of frames and progress.
        worker: has the model.

    Attributes:
        state: 'running', 'paused', 'finished', 'stopped' or 'failed'.
        wants_stop: it is to end before the next frame.
        prompts_changed: the user said something since the last frame.
    """

    def __init__(
        self,
        number: int,
        request: RunRequest,
        project: Project,
        video: StudioVideo,
        hub: Hub,
        worker: Worker,
    ) -> None:
        self.id = number
        self.request = request
        self.state = 'running'
        self.wants_stop = False
        self.prompts_changed = False
        self._project = project
        self._video = video
        self._hub = hub
        self._worker = worker
        self._message = ''
        self._frame = request.start
        self._done = 0
        self._total = 0
        self._times: list[float] = []
        self._told = 0.0
        self._begun = time.time()
        self._steps: Iterator[tuple[int, dict[int, Entry]]] | None = None

    @property
    def is_going(self) -> bool:
        """Whether it is not over."""
        return self.state in ('running', 'paused')

    def to_json(self) -> dict[str, Any]:
        """The ``Run`` of docs/studio.md."""
        # Frames per second over the last ones, and how long the rest takes at this rate.
        rate = 0.0
        if len(self._times) > 1:
            seconds = self._times[-1] - self._times[0]
            rate = (len(self._times) - 1) / max(seconds, 1e-6)
        seconds_left = None
        if rate > 0 and self.is_going:
            frames_left = self._total - self._done
            seconds_left = round(frames_left / rate, 1)
        return {
            'id': self.id,
            'kind': self.request.kind,
            'state': self.state,
            'direction': self.request.direction,
            'frame': self._frame,
            'done': self._done,
            'total': self._total,
            'rate': round(rate, 2),
            'seconds_left': seconds_left,
            'message': self._message,
        }

    def go_on(self) -> None:
        """Do the next frame; in the worker thread."""
        if self.wants_stop:
            self.end('stopped')
            return

        # The next frame; a fault of the data is one the user can mend.
        try:
            if self._steps is None:
                self._steps = self._begin()
            step = next(self._steps, None)
        except (DataError, ValueError, MemoryError) as error:
            self.end('failed', str(error) or 'the memory is used up')
            return
        except Exception as error:  # a page waits for the end
            traceback.print_exc()
            self.end('failed', f'the run failed: {error}')
            return
        if step is None:
            self.end('finished')
            return

        # The pages get each frame, and a few times a second how far it is.
        self._frame, entries = step
        self._done += 1
        now = time.monotonic()
        self._times = [*self._times[-_RATE_FRAMES:], now]
        self._tell_frame(self._frame, entries)
        if now - self._told > _EVENT_SECONDS:
            self._told = now
            self._hub.publish('run', run=self.to_json())

    def end(self, state: str, message: str = '') -> None:
        """End, and tell the pages."""
        self.state = state
        self._message = message
        self._steps = None
        self._hub.publish('run', run=self.to_json())
        self._hub.publish('timeline')

    def _tell_frame(self, frame: int, entries: dict[int, Entry]) -> None:
        """Tell the pages what a frame shows."""
        size = self._video.size
        shown = {}
        for key, entry in entries.items():
            shown[str(key)] = entry.to_json(size)
        self._hub.publish('frame', frame=frame, entries=shown)

    def _begin(self) -> Iterator[tuple[int, dict[int, Entry]]]:
        """Find out which frames there are to be done."""
        self._video.wait_for_index()
        first = 0
        last = self._video.frames - 1
        request = self.request
        start = min(request.start, last)
        stop = request.stop
        self._hub.publish('run', run=self.to_json())
        if request.kind == 'find':
            stop = last if request.stop is None else min(request.stop, last)
            self._total = stop - start + 1
            return self._find(range(start, stop + 1))

        ids = self._ids()
        stops = {'forward': last, 'backward': first}
        if stop is not None:
            stops[request.direction] = stop
        ways = ['forward', 'backward'] if request.direction == 'both' else [request.direction]
        passes = []
        for way in ways:
            end = stops[way]
            if request.until_corrected:
                end = self._before_next_prompt(ids, start, way, end)
            step = 1 if way == 'forward' else -1
            passes.append(range(start, end + step, step))
        # The way back begins beside the first frame, which the way there has done.
        if len(passes) == 2:
            passes[1] = passes[1][1:]
        self._total = sum(len(frames) for frames in passes)
        self._check_begin(ids, passes)
        return self._go_passes(passes, ids)

    def _ids(self) -> list[int]:
        """The objects that are followed."""
        there = [item.id for item in self._project.objects()]
        wanted = self.request.objects
        ids = there if wanted is None else [number for number in there if number in wanted]
        if not ids:
            raise DataError('there is no object to follow: draw one first')
        return ids

    def _before_next_prompt(self, ids: list[int], start: int, way: str, end: int) -> int:
        """The frame before the next one in which one of the objects was prompted."""
        prompted = [frame for frame, _ in self._project.prompts(ids)]
        if way == 'forward':
            ahead = [frame for frame in prompted if start < frame <= end]
            next_stop = min(ahead, default=None)
            return end if next_stop is None else next_stop - 1
        ahead = [frame for frame in prompted if end <= frame < start]
        next_stop = max(ahead, default=None)
        return end if next_stop is None else next_stop + 1

    def _check_begin(self, ids: list[int], passes: list[range]) -> None:
        """Refuse a run in which no object comes up."""
        begin = passes[0][0]
        entries = self._project.entries(begin, begin + 1)
        known = entries.get(begin, {}).keys() & set(ids)
        if known:
            return
        for frame, _ in self._project.prompts(ids):
            if any(frame in frames for frames in passes):
                return
        raise DataError(
            f'no object is known in frame {begin} or on the way from there: draw one there, or '
            f'begin elsewhere'
        )

    def _go_passes(
        self, passes: list[range], ids: list[int]
    ) -> Iterator[tuple[int, dict[int, Entry]]]:
        """Go through the frames of each pass, store their masks and yield them."""
        from mmvos.apis.propagation import propagate

        from .prompt_memory import PromptMemory

        memory = PromptMemory(self._project, self._video, self._worker.segmenter(), ids)
        read = self._video.new_reader()
        for frames in passes:
            if not len(frames):
                continue
            backwards = frames.step < 0
            segmenter = memory.segmenter
            # A pass begins with what is known where it begins.
            state = self._state_before(frames, ids, memory)
            for index in frames:
                # A correction on the way counts from the next frame on.
                if self.prompts_changed:
                    self.prompts_changed = False
                    memory.forget()
                # The frame, with what is remembered of the prompted ones around it.
                prepared = segmenter.frame(index, read(index))
                prompted = memory.around(index)
                (step,) = propagate(segmenter.model, [prepared], prompted, state, backwards)
                state = step.state
                entries = {}
                for item in step.result.objects:
                    entries[item.id] = make_entry(item.mask, item.score, MODEL)
                yield index, self._store(index, entries)

    def _state_before(self, frames: range, ids: list[int], memory: PromptMemory) -> Any:
        """The model's state with which a pass begins.

        It follows the objects that have a mask in the first frame, or else in the frame before it
        on the way, also those that a run had found there. Objects that are given in the first frame
        begin with what is given.
        """
        from .segmenter import mask_prompts

        size = self._video.size
        segmenter = memory.segmenter
        state = segmenter.model.init_state()
        begin = frames[0]
        before = begin - frames.step
        in_first = self._project.entries(begin, begin + 1).get(begin, {})
        in_earlier = self._project.entries(before, before + 1).get(before, {})

        # Of the frame before, what the first frame does not have; of the first, what is not given.
        followed: dict[int, dict[int, Entry]] = {before: {}, begin: {}}
        for number, entry in in_earlier.items():
            if number not in in_first:
                followed[before][number] = entry
        for number, entry in in_first.items():
            if entry.source != CORRECTED:
                followed[begin][number] = entry

        for index, entries in followed.items():
            masks = {}
            for number, entry in entries.items():
                if number in ids and entry.area:
                    masks[number] = entry.decode(size)
            if masks:
                prepared = segmenter.frame(index, self._video.read(index))
                state, _ = segmenter.step(prepared, state, mask_prompts(masks))
        return state

    def _find(self, frames: range) -> Iterator[tuple[int, dict[int, Entry]]]:
        """Let a model find its objects; each track becomes an object.

        A track that is seen in one frame only, or with a low score, becomes none.
        """
        segmenter = self._worker.load(self.request.system)
        classes = segmenter.model.dataset_meta['classes']
        state = segmenter.model.init_state()
        read = self._video.new_reader()
        numbers: dict[int, int] = {}  # object id by id of the track
        waiting: dict[int, tuple[int, Entry]] = {}  # of tracks that were seen once
        for index in frames:
            frame = segmenter.frame(index, read(index))
            state, result = segmenter.step(frame, state, None)
            entries = {}
            for item in result.objects:
                entry = make_entry(item.mask, item.score, MODEL)
                if item.score < self.request.min_score or not entry.area:
                    continue
                if item.id in numbers:
                    entries[numbers[item.id]] = entry
                elif item.id in waiting:
                    # Seen for the second time: an object, also in the frame of the first.
                    category = 'object'
                    if 0 <= item.label < len(classes):
                        category = str(classes[item.label])
                    number = self._make_object(category)
                    numbers[item.id] = number
                    first, seen = waiting.pop(item.id)
                    stored = self._store(first, {number: seen})
                    self._tell_frame(first, stored)
                    entries[number] = entry
                else:
                    waiting[item.id] = (index, entry)
            yield index, self._store(index, entries)

    def _make_object(self, category: str) -> int:
        """Make an object of a track; all of a run are undone together."""
        number = self._project.free_id()
        color = COLORS[(number - 1) % len(COLORS)]
        made = StudioObject(number, f'{category} {number}', color, category)
        run = f'find {self.id} {self._begun}'
        with self._project.action('find objects', part_of=run) as action:
            action.put_object(made)
        objects = [item.to_json() for item in self._project.objects()]
        self._hub.publish('objects', objects=objects)
        self._hub.publish('history', **self._project.labels())
        return number

    def _store(self, frame: int, found: dict[int, Entry]) -> dict[int, Entry]:
        """Store the masks of a frame; return all that changed, as they are stored."""
        # What the user has corrected stays.
        known = self._project.entries(frame, frame + 1).get(frame, {})
        corrected = {key: entry for key, entry in known.items() if entry.source == CORRECTED}

        # Whom each object touches is found among all objects of the frame.
        merged = {**known, **found, **corrected}
        near = find_near(merged, self._video.size)
        changed = {}
        for key, entry in found.items():
            if key not in corrected:
                changed[key] = replace(entry, near=near.get(key))
        rows = [(frame, key, entry) for key, entry in changed.items()]
        self._project.store_results(rows)
        return changed
