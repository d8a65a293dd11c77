"""Passes through a video in which objects are given in any frames: backwards, or both ways.

'backward' is what 'forward' is on the reversed video. 'both' goes forwards and backwards from each
prompted frame, with all prompted frames remembered; between two of them an object's mask is that
of the pass that comes from the nearer one. Where all objects are given again in the next prompted
frame a pass ends in the middle, so most frames are computed once.

Each result is written to the journal of the run, with the model's state beside it, so a run that is
killed goes on in the middle of a pass; when all passes are over the results are put together in the
order of the frames.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from mmvos.io.errors import DataError
from mmvos.models.video_steps import VideoSteps
from mmvos.structures import Frame, FrameResult, Prompts
from mmvos.structures.rle import bounding_box, encode

from .object_prompt import join_objects, split_objects
from .propagation import PromptedFrame, PropagationStep, look_at_prompts, propagate
from .video_run import VideoRun
from .video_source import SourceFrame, VideoSource

DIRECTIONS = ('forward', 'backward', 'both')


@dataclass(frozen=True)
class FrameRange:
    """Frames that a pass goes through.

    Attributes:
        start, stop: the first and the last of them, both included.
        backwards: whether it goes from later to earlier frames.
    """

    start: int
    stop: int
    backwards: bool

    def __len__(self) -> int:
        return abs(self.stop - self.start) + 1

    def indices(self) -> range:
        """Return the frames in their order."""
        step = -1 if self.backwards else 1
        end = self.stop + step
        return range(self.start, end, step)


@dataclass(frozen=True)
class GivenFrames:
    """The frames in which one object is given.

    Attributes:
        frames: ascending.
        restarts: those in which it starts anew.
        points: those in which points alone correct it, so that a pass must come there first.
    """

    frames: tuple[int, ...]
    restarts: tuple[int, ...]
    points: tuple[int, ...]

    def is_live(self, index: int, backwards: bool) -> bool:
        """Whether a pass that has come to a frame follows the object."""
        return self.frames[-1] >= index if backwards else self.frames[0] <= index

    def is_forward(self, index: int) -> bool:
        """Whether the mask of a frame is that of the pass forwards."""
        before = [at for at in self.frames if at <= index]
        after = [at for at in self.frames if at >= index]
        if not before:
            return False
        if not after:
            return True
        last = before[-1]
        following = after[0]
        if following in self.restarts:
            return True
        return index - last <= following - index


def given_frames(prompts: Mapping[int, Prompts]) -> dict[int, GivenFrames]:
    """Collect by id the frames in which each object is given.

    Args:
        prompts: by frame index.
    """
    found: dict[int, GivenFrames] = {}
    for index in sorted(prompts):
        for object_id, prompt in split_objects(prompts[index]).items():
            known = found.get(object_id, GivenFrames((), (), ()))
            frames = (*known.frames, index)
            restarts = known.restarts
            points = known.points
            is_later = bool(known.frames)
            has_points_alone = prompt.mask is None and prompt.box is None
            if is_later and prompt.restart:
                restarts = (*restarts, index)
            elif is_later and has_points_alone:
                points = (*points, index)
            found[object_id] = GivenFrames(frames, restarts, points)
    return found


def plan_passes(prompts: Mapping[int, Prompts], count: int, direction: str) -> list[FrameRange]:
    """Plan which frames are gone through, and how.

    Args:
        prompts: by frame index.
        count: frames of the video.
        direction: 'backward' or 'both'.

    Returns:
        The ranges in the order in which they are computed; first all forwards.
    """
    if direction == 'backward':
        return [FrameRange(max(prompts), 0, True)]
    objects = list(given_frames(prompts).values())
    prompted = sorted(prompts)
    forward = _plan_pass(objects, [*prompted, count], False)
    backward = _plan_pass(objects, [*reversed(prompted), -1], True)
    return [*forward, *backward]


def _plan_pass(
    objects: Sequence[GivenFrames], ends: Sequence[int], backwards: bool
) -> list[FrameRange]:
    """Plan one of the two passes.

    Args:
        objects: of the video.
        ends: the prompted frames in the order of the pass, and what comes behind the last frame.
        backwards: which of the two it is.
    """
    step = -1 if backwards else 1
    ranges: list[FrameRange] = []
    # From the last gap between prompted frames to the first.
    is_needed_later = False
    for begin, end in reversed(list(pairwise(ends))):
        live = [item for item in objects if item.is_live(begin, backwards)]
        stop = end - step
        given_again = all(end in item.frames and end not in item.points for item in live)
        if given_again or not is_needed_later:
            # Go as far as the mask of any object is taken from this pass.
            while stop != begin - step and not any(
                item.is_forward(stop) != backwards for item in live
            ):
                stop -= step
        is_needed_later = stop != begin - step
        if is_needed_later:
            ranges.insert(0, FrameRange(begin, stop, backwards))
    return _joined(ranges)


def _joined(ranges: list[FrameRange]) -> list[FrameRange]:
    """Join ranges that go on where the one before ended."""
    joined: list[FrameRange] = []
    for item in ranges:
        step = -1 if item.backwards else 1
        if joined and joined[-1].stop + step == item.start:
            joined[-1] = replace(joined[-1], stop=item.stop)
        else:
            joined.append(item)
    return joined


@dataclass(frozen=True)
class PassState:
    """What a run that is stopped goes on with.

    Attributes:
        model: the model's state after the last frame.
        corrected: the prompts of frames in which points corrected objects, by their masks.
    """

    model: Any
    corrected: Mapping[int, Prompts]


class VideoPasses:
    """The passes through one video.

    Args:
        model: that follows prompts.
        prompts: by frame index, at least one.
        count: frames of the video.
        direction: 'backward' or 'both'.
        read: gives the frames from its first argument to its second one, both included, in either
            direction, as the model takes them.

    Attributes:
        ranges: the frames of the passes.
        steps: how many frames they have in all.

    Raises:
        DataError: a prompt is for a frame after the end.
    """

    def __init__(
        self,
        model: VideoSteps,
        prompts: Mapping[int, Prompts],
        count: int,
        direction: str,
        read: Callable[[int, int], Generator[Frame, None, None]],
    ) -> None:
        if max(prompts) >= count:
            raise _no_such_frame('the video', count, max(prompts))
        self.model = model
        self.prompts = prompts
        self.direction = direction
        self.ranges = plan_passes(prompts, count, direction)
        self.steps = sum(len(item) for item in self.ranges)
        self._objects = given_frames(prompts)
        self._read = read

    def compute(self, run: VideoRun) -> Iterator[int]:
        """Go through all passes, from where an earlier run was stopped.

        Args:
            run: gets the results, and has those of the run that was stopped.

        Yields:
            After each frame how many are done.
        """
        done, stored = run.start()
        state: Any = None
        corrected: dict[int, Prompts] = {}
        if isinstance(stored, PassState):
            state = stored.model
            corrected.update(stored.corrected)
        if done == self.steps:
            run.index_results()
            return

        # Both ways, what is remembered of prompted frames is there from the start.
        prompted: dict[int, PromptedFrame] = {}
        if self.direction == 'both':
            prompted = self._look_at_prompts(corrected)

        passed = 0
        for item in self.ranges:
            skipped = max(done - passed, 0)
            if skipped < len(item):
                step = -1 if item.backwards else 1
                rest = replace(item, start=item.start + skipped * step)
                if self.direction == 'backward':
                    steps = self._plain_steps(rest, state)
                else:
                    steps = self._steps(rest, prompted, corrected, state)
                for count, made in enumerate(steps, passed + skipped + 1):
                    state = made.state
                    run.append(made.result, PassState(state, dict(corrected)))
                    yield count
            passed += len(item)
        run.store_state()
        run.index_results()

    def result(self, index: int, shape: tuple[int, int], run: VideoRun) -> FrameResult:
        """Put the result of a frame together, when all passes are over.

        Args:
            index: of the frame.
            shape: (height, width) of the frame.
            run: that `compute` filled.
        """
        forward = None
        backward = None
        passed = 0
        for item in self.ranges:
            indices = item.indices()
            if index in indices:
                result = run.read(passed + indices.index(index))
                if item.backwards:
                    backward = result
                else:
                    forward = result
            passed += len(item)
        if forward is None or backward is None:
            return forward or backward or FrameResult(index, shape, ())
        return self._merged(index, forward, backward)

    def _look_at_prompts(self, corrected: Mapping[int, Prompts]) -> dict[int, PromptedFrame]:
        """Look at the frames with prompts; points of known objects wait until a pass is there."""
        prompted = {}
        for index, prompts in sorted(self.prompts.items()):
            # A frame that a pass has corrected is given by what came out.
            given = corrected.get(index)
            if given is None:
                given = self._without_corrections(index, prompts)
            if given is None:
                continue
            (frame,) = self._read(index, index)
            looked_at = look_at_prompts(self.model, frame, given)
            assert looked_at is not None, 'nothing is corrected here'
            prompted[index] = looked_at
        return prompted

    def _without_corrections(self, index: int, prompts: Prompts) -> Prompts | None:
        """Return the prompts of a frame without the points that correct objects; None if none is
        left.
        """
        objects = {}
        for object_id, prompt in split_objects(prompts).items():
            if index not in self._objects[object_id].points:
                objects[object_id] = prompt
        if not objects:
            return None
        return join_objects(objects, (), f'frame {index}')

    def _plain_steps(self, item: FrameRange, state: Any) -> Iterator[PropagationStep]:
        """The steps of a pass that knows only the prompts that it has come by."""
        states: list[Any] = [state]

        def keep_state(after: Any) -> None:
            states[0] = after

        due = {index: prompts for index, prompts in self.prompts.items() if index <= item.start}
        with closing(self._read(item.start, item.stop)) as frames:
            for result in self.model.run(frames, due, state, keep_state):
                yield PropagationStep(result, states[0])

    def _steps(
        self,
        item: FrameRange,
        prompted: dict[int, PromptedFrame],
        corrected: dict[int, Prompts],
        state: Any,
    ) -> Iterator[PropagationStep]:
        """The steps of a range with all prompted frames remembered.

        Args:
            item: the range.
            prompted: gets the frames in which points correct objects when the range comes there.
            corrected: gets their prompts.
            state: after the frame before the range.
        """
        with closing(self._read(item.start, item.stop)) as frames:
            for frame in frames:
                index = frame.meta.index
                is_due = any(index in given.points for given in self._objects.values())
                if is_due and not item.backwards and index not in corrected:
                    looked_at = self._correct(frame, prompted, state)
                    if looked_at is not None:
                        prompted[index] = looked_at
                        corrected[index] = looked_at.prompts
                (step,) = propagate(self.model, [frame], prompted, state, item.backwards)
                state = step.state
                yield step

    def _correct(
        self, frame: Frame, prompted: Mapping[int, PromptedFrame], state: Any
    ) -> PromptedFrame | None:
        """Look at a frame in which points correct what is found without them."""
        index = frame.meta.index
        others = {}
        for at, prompted_frame in prompted.items():
            if at != index:
                others[at] = prompted_frame
        (step,) = propagate(self.model, [frame], others, state)
        return look_at_prompts(self.model, frame, self.prompts[index], step.result)

    def _merged(self, index: int, forward: FrameResult, backward: FrameResult) -> FrameResult:
        """Take each object from the pass that comes from its nearer prompted frame."""
        from_forward = {item.id: item for item in forward.objects}
        found = {item.id: item for item in backward.objects}
        for object_id, item in from_forward.items():
            is_nearer = object_id not in found or self._objects[object_id].is_forward(index)
            if is_nearer:
                found[object_id] = item
        objects = [found[object_id] for object_id in sorted(found)]
        result = FrameResult(index, forward.shape, tuple(objects))

        origins = {from_forward.get(item.id) is item for item in objects}
        if len(origins) < 2:
            return result
        # Masks of two passes may overlap: a pixel is the more certain object's.
        labels = result.label_map()
        apart = []
        for item in objects:
            mask = encode(labels == item.id)
            box = bounding_box(mask)
            apart.append(replace(item, mask=mask, box=box))
        return replace(result, objects=tuple(apart))


def check_prompted_frames(prompts: Mapping[int, Prompts], source: VideoSource) -> None:
    """Refuse prompts for frames after the end, where the length is known before the work.

    Raises:
        DataError: there is no such frame.
    """
    last = max(prompts, default=0)
    if source.length is not None and last >= source.length:
        raise _no_such_frame(source.name, source.length, last)


def check_prompts_at_start(source: VideoSource, prompts: Mapping[int, Prompts]) -> VideoSource:
    """Return the source with all prompts checked against the size of its first frame, so that one
    of a late frame that cannot be meant is not found out after hours. The frames yield DataError.
    """

    def read() -> Iterator[SourceFrame]:
        is_checked = False
        for frame in source.read():
            if not is_checked:
                height, width = frame.picture.shape[:2]
                _check_prompts_fit(prompts, height, width)
                is_checked = True
            yield frame

    return replace(source, read=read)


def _check_prompts_fit(prompts: Mapping[int, Prompts], height: int, width: int) -> None:
    """Refuse prompts that lie outside of frames of (height, width), or masks of another size."""
    for index, given in prompts.items():
        try:
            given.fitted(height, width)
        except ValueError as error:
            raise DataError(f'frame {index}: {error}') from error


def check_direction(direction: str, source: VideoSource, takes_prompts: bool) -> None:
    """Refuse a direction that does not exist, or that source or model cannot go.

    Raises:
        DataError: it is so.
    """
    if direction not in DIRECTIONS:
        raise DataError(f'the direction must be one of {", ".join(DIRECTIONS)}, not {direction!r}')
    if direction == 'forward':
        return
    if not takes_prompts:
        raise DataError(
            f'the direction {direction!r} is for models that follow prompts; this one finds its '
            f'objects by itself, frame by frame from the first'
        )
    source.check_seekable()


def _no_such_frame(name: str, count: int, index: int) -> DataError:
    return DataError(
        f'{name} has {count} frames, so there is no frame {index}, for which there is a prompt; '
        f'frames count from 0'
    )
