"""Videos on a Ray cluster: an actor holds a model, on a GPU or on some CPU cores, and is given one
video after the other. A video is never cut, so its results are those of one process.

The folders of the videos, of the prompts and of the results must be there on all machines under the
same paths, and mmvos must be installed on them. An actor whose machine is lost is forgotten; its
video is given to another one, which goes on where the first one stopped. Machines that join are
used.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray
import ray.exceptions

from mmvos.io.atomic import OutputError
from mmvos.io.errors import DataError
from mmvos.models.video_steps import VideoSteps

from .outcome import Outcome
from .videos import Video
from .worker import BatchSettings, VideoWorker, resolved

_PAUSE = 1.0  # seconds in which something may happen
_MOST_ATTEMPTS = 3  # at a video whose actors die
# A lost machine may hold a video's lock for a while: how often it is tried, and after how long.
_MOST_TRIES = 60
_SECONDS_BETWEEN = 5.0
_ADDRESS = 'RAY_ADDRESS'  # an environment variable of Ray: the cluster to connect with
# Ray itself tries an address that nobody answers at for minutes, without a word.
_REACH_SECONDS = 12.0
_STORE_BYTES = 80 << 20  # of Ray's store of objects, of which nothing here makes use


class VideoActor:
    """A model on a machine of the cluster.

    Args:
        make_model: builds it.
        settings: of all videos.
        cores: that it computes with.
    """

    def __init__(
        self, make_model: Callable[[], VideoSteps], settings: BatchSettings, cores: int
    ) -> None:
        # Libraries read it when they are imported.
        os.environ['OMP_NUM_THREADS'] = str(cores)
        self._make_model = make_model
        self._settings = settings
        self._worker: VideoWorker | None = None

    def load(self) -> str:
        """Build the model.

        Returns:
            Why it cannot be built, a sentence; '' where it is there.
        """
        try:
            self._worker = VideoWorker(self._make_model(), self._settings, waits=True)
        except (DataError, OSError, ValueError, ImportError) as error:
            return str(error) or type(error).__name__
        return ''

    def segment(self, video: Video) -> Outcome | str | None:
        """Segment a video.

        Returns:
            What came of it; why nothing can be written any more, a sentence; None where another
            process holds the video.
        """
        assert self._worker is not None
        try:
            return self._worker.segment(video)
        except OutputError as error:
            return str(error)


@dataclass
class _Queue:
    """The videos that nobody works on.

    Attributes:
        ready: numbers of those that can be given away.
        later: when each of the others can, and its number.
    """

    ready: deque[int]
    later: list[tuple[float, int]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.ready or self.later)

    def wake(self) -> None:
        """Make those ready whose time has come."""
        now = time.monotonic()
        waiting = self.later
        self.later = [item for item in waiting if item[0] > now]
        self.ready += [number for moment, number in waiting if moment <= now]


class _Actors:
    """The actors of a run, as many as the cluster has room for.

    Args:
        make: makes one.
        cores: of each, where the cluster has no GPU; else each has one.
        most: how many are of use.
    """

    def __init__(self, make: Callable[..., Any], cores: int, most: int) -> None:
        self.idle: list[Any] = []
        self.working: dict[Any, tuple[Any, int]] = {}  # what is to come -> actor, video
        self._loading: dict[Any, Any] = {}  # what is to come -> actor
        self._make = make
        self._cores = cores
        self._most = most

    def add(self) -> None:
        """Start actors for which there is room, also that of machines that have just joined.

        Raises:
            DataError: the cluster is too small for one.
        """
        resources = ray.cluster_resources()
        gpus = int(resources.get('GPU', 0))
        cpus = int(resources.get('CPU', 0))
        room = gpus or cpus // self._cores
        count = len(self.idle) + len(self.working) + len(self._loading)
        if not room and not count:
            raise DataError(
                f'the Ray cluster has {cpus} CPUs and no GPU, but --threads asks for '
                f'{self._cores} of them for a model'
            )
        needed_gpus = 1 if gpus else 0
        while count < min(room, self._most):
            actor = self._make(needed_gpus)
            self._loading[actor.load.remote()] = actor
            count += 1

    def wait(self) -> list[Any]:
        """Wait until something has come, not for long.

        Returns:
            What has come of those that work.

        Raises:
            DataError: the model cannot be built.
        """
        done, _ = ray.wait([*self.working, *self._loading], num_returns=1, timeout=_PAUSE)
        for reference in done:
            if reference not in self._loading:
                continue
            actor = self._loading.pop(reference)
            with suppress(ray.exceptions.RayActorError):
                fault = ray.get(reference)
                if fault:
                    raise DataError(fault)
                self.idle.append(actor)
        return [reference for reference in done if reference in self.working]

    def end(self) -> None:
        """End all actors."""
        actors = [*self.idle, *self._loading.values()]
        actors += [actor for actor, _ in self.working.values()]
        for actor in actors:
            with suppress(ray.exceptions.RayError):
                ray.kill(actor)


def segment_on_ray(
    make_model: Callable[[], VideoSteps],
    settings: BatchSettings,
    videos: Sequence[Video],
    cores: int,
    report: Callable[[Outcome], object],
    say: Callable[[str], object] = print,
) -> list[Outcome]:
    """Segment videos on a Ray cluster; see the head of this file.

    The cluster is that of RAY_ADDRESS, or that of this machine, or else a new one of this machine
    alone.

    Args:
        make_model: builds the model; a function that other processes can import, with arguments.
        settings: of all videos; all paths are absolute.
        videos: in the order in which they are begun.
        cores: of each model, where the cluster has no GPU.
        report: is told of each outcome as it comes.
        say: is told what else happens.

    Returns:
        The outcomes of all videos in their order.

    Raises:
        DataError: the model cannot be built, or the cluster has no room for it.
        OutputError: nothing can be written any more.
    """
    _connect()
    kind = ray.remote(VideoActor)

    def make(num_gpus: int) -> Any:
        options = kind.options(num_cpus=cores, num_gpus=num_gpus, scheduling_strategy='SPREAD')
        return options.remote(make_model, settings, cores)

    actors = _Actors(make, cores, len(videos))
    queue = _Queue(deque(range(len(videos))))
    outcomes: dict[int, Outcome] = {}
    deaths: Counter[int] = Counter()
    tries: Counter[int] = Counter()

    def keep(number: int, outcome: Outcome) -> None:
        outcomes[number] = outcome
        report(outcome)

    def fail(number: int, fault: str) -> None:
        video = videos[number]
        keep(number, Outcome(video.name, str(video.path), fault=fault, is_new=True))

    try:
        while len(outcomes) < len(videos):
            # 1. Give videos to whoever is free.
            actors.add()
            queue.wake()
            while queue.ready and actors.idle:
                number = queue.ready.popleft()
                actor = actors.idle.pop()
                actors.working[actor.segment.remote(resolved(videos[number]))] = (actor, number)

            # 2. Take what has come.
            for reference in actors.wait():
                actor, number = actors.working.pop(reference)
                try:
                    answer = ray.get(reference)
                except ray.exceptions.RayActorError:
                    deaths[number] += 1
                    if deaths[number] < _MOST_ATTEMPTS:
                        say(f'{videos[number].name}: its actor died; another one goes on with it')
                        queue.ready.appendleft(number)
                    else:
                        fail(number, f'{deaths[number]} actors died while they worked on it')
                    continue
                actors.idle.append(actor)
                if isinstance(answer, str):
                    raise OutputError(answer)
                if answer is not None:
                    keep(number, answer)
                    continue

                # 3. A video that another process holds is tried again.
                tries[number] += 1
                if tries[number] < _MOST_TRIES:
                    queue.later.append((time.monotonic() + _SECONDS_BETWEEN, number))
                else:
                    fail(number, 'another process writes its results all the time')
    finally:
        actors.end()
    return [outcomes[number] for number in range(len(videos))]


def _connect() -> None:
    """Connect with a cluster, or start one.

    Raises:
        DataError: the cluster cannot be reached, or has another version of Ray or Python.
    """
    if ray.is_initialized():
        return
    quiet: dict[str, Any] = {'logging_level': logging.ERROR, 'log_to_driver': False}
    named = os.environ.get(_ADDRESS)
    try:
        if named:
            _reach(named)
        try:
            ray.init(address=named or 'auto', **quiet)
        except ConnectionError:
            if named:
                raise
            # There is none here.
            ray.init(include_dashboard=False, object_store_memory=_STORE_BYTES, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        place = f'at {named}' if named else 'of this machine'
        raise DataError(f'the Ray cluster {place} cannot be used: {reason}') from error


def _reach(address: str) -> None:
    """Wait until something listens at an address, but not for long; it may just be starting.

    Args:
        address: HOST:PORT, also with ray:// before it; others are left to Ray.

    Raises:
        OSError: there is no such host, or nobody answers.
    """
    host, _, port = address.removeprefix('ray://').rpartition(':')
    if not host or not port.isdecimal():
        return
    end = time.monotonic() + _REACH_SECONDS
    while True:
        left = end - time.monotonic()
        try:
            with socket.create_connection((host.strip('[]'), int(port)), timeout=max(left, 0.1)):
                return
        except (OSError, OverflowError) as error:
            if time.monotonic() + _PAUSE > end:
                raise OSError(
                    f'nobody answers there ({error}); is its head running, and {_ADDRESS} right?'
                ) from error
        time.sleep(_PAUSE)
