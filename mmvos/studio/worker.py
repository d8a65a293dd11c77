"""The worker: the thread in which the model works, and nothing else touches it.

It does what it is given first (the user's prompts), then loads a system that was asked for, then
goes on with the run frame by frame; so a prompt waits for one frame at most.
"""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mmvos.io.errors import DataError

from .events import Hub
from .systems import list_systems

if TYPE_CHECKING:
    from .segmenter import Segmenter


class NotFoundError(DataError):
    """There is no such object, frame or export."""


class BusyError(DataError):
    """It cannot be done now."""


class ModelError(DataError):
    """The model cannot be loaded."""


class FrameByFrame(Protocol):
    """A run, as the worker sees it.

    Attributes:
        state: 'running' where it can go on.
        is_going: it is not over.
    """

    state: str
    wants_stop: bool

    @property
    def is_going(self) -> bool:
        """Whether it is not over."""

    def go_on(self) -> None:
        """Do the next frame."""

    def end(self, state: str, message: str = '') -> None:
        """End with a state."""

    def to_json(self) -> dict[str, Any]:
        """As the page gets it."""


@dataclass
class _Job:
    """Something to do.

    Attributes:
        do: is called in the thread.
        done: gets what it returns or raises.
        key: of two waiting jobs with the same key the later one is enough.
        instead: what the earlier one returns then.
    """

    do: Callable[[], Any]
    done: Future[Any]
    key: Any = None
    instead: Any = None


class Worker:
    """See the module.

    Args:
        hub: is told of the model's and the run's states.
        system: the system to begin with.
        weights: its checkpoint, None for the one that comes with it.
        device: see ``init_model``.

    Attributes:
        systems: that can be chosen, see ``list_systems``.
        run: the last one, or None.
    """

    def __init__(self, hub: Hub, system: str, weights: str | None, device: str | None) -> None:
        self.systems: Sequence[Mapping[str, Any]] = list_systems()
        self.run: FrameByFrame | None = None
        self._hub = hub
        self._weights = {system: weights}
        self._device = device
        self._system = system
        self._model_state = 'loading'
        self._model_message = ''
        self._segmenter: Segmenter | None = None
        self._wanted: str | None = system  # a system that is to be loaded
        self._condition = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._ends = False
        self._thread = threading.Thread(target=self._work, name='model', daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def close(self) -> None:
        """End after the frame in hand."""
        with self._condition:
            self._ends = True
            self._condition.notify_all()
        self._thread.join(30)

    def submit(self, do: Callable[[], Any], key: Any = None, instead: Any = None) -> Future[Any]:
        """Give the worker something to do before it goes on with a run.

        Args:
            do: is called in its thread.
            key: of two waiting jobs with the same key only the later one is done.
            instead: what the earlier one returns then.

        Raises:
            BusyError: the studio is closing.
        """
        job = _Job(do, Future(), key, instead)
        with self._condition:
            if self._ends:
                raise BusyError('the studio is closing')
            self._jobs.append(job)
            self._condition.notify_all()
        return job.done

    # ---- the model

    def describe_model(self) -> dict[str, Any]:
        """The ``model`` of docs/studio.md."""
        prompts: list[str] = []
        for system in self.systems:
            if system['name'] == self._system:
                prompts = system['prompts']
        return {
            'name': self._system,
            'state': self._model_state,
            'message': self._model_message,
            'prompts': prompts,
        }

    def choose_system(self, name: Any) -> None:
        """Ask for another system.

        Raises:
            NotFoundError: there is no such system.
            ModelError: it has no weights here.
            BusyError: a run is going.
        """
        chosen = self.find_system(name)
        if not chosen['prompts']:
            raise DataError(f'{chosen["title"]} finds objects by itself; use "find objects"')
        with self._condition:
            if self.run is not None and self.run.is_going:
                raise BusyError('a run is going; stop it first')
            self._wanted = name
            self._system = name
            self._condition.notify_all()
        self._set_model('loading')

    def find_system(self, name: Any) -> Mapping[str, Any]:
        """Find a system that has weights.

        Raises:
            NotFoundError, ModelError: see ``choose_system``.
        """
        for system in self.systems:
            if system['name'] == name:
                if not system['available'] and self._weights.get(name) is None:
                    raise ModelError(system['remedy'])
                return system
        raise NotFoundError('there is no such system')

    def load(self, name: str) -> Segmenter:
        """Load a system beside the chosen one; in the worker's thread.

        Raises:
            DataError: it cannot be loaded.
        """
        from .segmenter import load_segmenter

        return load_segmenter(name, self._weights.get(name), self._device)

    def segmenter(self) -> Segmenter:
        """The chosen model, loaded now where it waits to be; in the worker's thread.

        Raises:
            ModelError: it could not be loaded.
        """
        wanted = self._take_wanted()
        if wanted is not None:
            self._change_model(wanted)
        if self._segmenter is None:
            raise ModelError(self._model_message or 'the model is not loaded')
        return self._segmenter

    def _take_wanted(self) -> str | None:
        with self._condition:
            wanted = self._wanted
            self._wanted = None
        return wanted

    def _change_model(self, name: str) -> None:
        """Load the chosen system in place of the one before."""
        if self._segmenter is not None and self._segmenter.name == name:
            self._set_model('ready')
            return
        self._segmenter = None
        try:
            self._segmenter = self.load(name)
        except (DataError, MemoryError) as error:
            self._set_model('failed', str(error) or 'the memory is used up')
        except Exception as error:  # a page is waiting for an answer
            traceback.print_exc()
            self._set_model('failed', f'{name} cannot be loaded: {error}')
        else:
            self._set_model('ready')

    def _set_model(self, state: str, message: str = '') -> None:
        self._model_state = state
        self._model_message = message
        self._hub.publish('model', model=self.describe_model())

    # ---- runs

    def begin(self, make: Callable[[], FrameByFrame]) -> dict[str, Any]:
        """Begin a run.

        Args:
            make: makes it, where none is going.

        Raises:
            BusyError: one is going.
        """
        with self._condition:
            if self.run is not None and self.run.is_going:
                raise BusyError('a run is going; stop it first')
            run = make()
            self.run = run
            self._condition.notify_all()
        self._hub.publish('run', run=run.to_json())
        return run.to_json()

    def control(self, word: str) -> dict[str, Any]:
        """Pause, resume or stop the run.

        Args:
            word: 'pause', 'resume' or 'stop'.

        Raises:
            BusyError: none is going.
        """
        with self._condition:
            run = self.run
            if run is None or not run.is_going:
                raise BusyError('no run is going')
            run.state = 'paused' if word == 'pause' else 'running'
            if word == 'stop':
                run.wants_stop = True
            self._condition.notify_all()
        self._hub.publish('run', run=run.to_json())
        return run.to_json()

    # ---- the thread

    def _work(self) -> None:
        """Do what there is, the most urgent first."""
        while True:
            with self._condition:
                while not self._has_work():
                    self._condition.wait()
                if self._ends:
                    break
                # Of jobs with the same key only the last one is done.
                job = self._jobs.popleft() if self._jobs else None
                is_late = job is not None and job.key is not None
                if job is not None and is_late:
                    is_late = any(other.key == job.key for other in self._jobs)
            if job is not None:
                _do(job, is_late)
                continue

            # With no job left, another model, then the next frame of the run.
            wanted = self._take_wanted()
            if wanted is not None:
                self._change_model(wanted)
                continue
            if self.run is not None:
                self.run.go_on()

        # The end: nobody waits for ever.
        if self.run is not None and self.run.is_going:
            self.run.end('stopped')
        for job in self._jobs:
            job.done.set_exception(BusyError('the studio is closing'))

    def _has_work(self) -> bool:
        can_run = self.run is not None and self.run.state == 'running'
        return bool(self._ends or self._jobs or self._wanted or can_run)


def _do(job: _Job, is_late: bool) -> None:
    """Do a job and hand its result over."""
    if not job.done.set_running_or_notify_cancel():
        return
    if is_late:
        job.done.set_result(job.instead)
        return
    try:
        result = job.do()
    except BaseException as error:
        job.done.set_exception(error)
    else:
        job.done.set_result(result)
