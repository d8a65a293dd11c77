"""Following objects from any frame of a video in either direction, with all prompts remembered,
also those of frames that come later.

A frame with a prompt is looked at by itself first (`look_at_prompts`): that gives what is
remembered of its objects, without a pass through the video. `propagate` then goes through any run
of frames in the order in which they are given. Wherever it begins and whenever it comes to a frame
with a prompt, each object takes up the prompted frames that matter there: the nearest on both sides
and further ones by distance, as many as the tracker keeps. So the frames between two prompted
frames use both.

    prompted = {index: look_at_prompts(model, frame, prompts), ...}
    for step in propagate(model, frames, prompted, state):
        step.result, step.state        # the state goes on from there, or from any step before

Nothing is kept between calls, and no state is ever changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mmvos.models.video_steps import VideoSteps
from mmvos.structures import Frame, FrameResult, Prompts
from mmvos.structures.rle import decode

from .object_prompt import ObjectPrompt, join_objects, split_objects


@dataclass(frozen=True)
class PromptedFrame:
    """A frame in which objects are given.

    Attributes:
        index: of the frame.
        prompts: its objects; those that points corrected by the masks that came of it.
        memories: by id what is remembered of the objects in this frame.
        result: their masks.
    """

    index: int
    prompts: Prompts
    memories: Mapping[int, Any]
    result: FrameResult


@dataclass(frozen=True)
class PropagationStep:
    """What there is after one frame.

    Attributes:
        result: the frame's objects.
        state: the model's state, with which `propagate` goes on in either direction.
    """

    result: FrameResult
    state: Any


def look_at_prompts(
    model: VideoSteps, frame: Frame, prompts: Prompts, found: FrameResult | None = None
) -> PromptedFrame | None:
    """Look at a frame in which objects are given, by itself.

    Args:
        model: that follows prompts.
        frame: the frame.
        prompts: its objects.
        found: what was found in this frame so far. Objects of it that are now given by points alone
            are corrected there, and are from then on given by their corrected masks.

    Returns:
        None where nothing is left of the corrected objects, and there are no others.

    Raises:
        ValueError: the prompts do not fit the frame or the model; an object is new, and given by
            points of which none is on it.
    """
    objects = split_objects(prompts)
    known = _objects_to_correct(objects, found)
    if known:
        # The mask that was found is the prior of the points.
        state, _ = model.inference_step(frame, model.init_state(), _join(known, frame))
        corrections = {object_id: objects[object_id] for object_id in known}
        _, corrected = model.inference_step(frame, state, _join(corrections, frame))
        # From now on these objects are given by what came out; one of which nothing is left by
        # nothing.
        for item in corrected.objects:
            mask = decode(item.mask)
            if mask.any():
                objects[item.id] = replace(objects[item.id], mask=mask, points=())
            else:
                del objects[item.id]
        if not objects:
            return None
        prompts = _join(objects, frame)

    state, result = model.inference_step(frame, model.init_state(), prompts)
    memory = model.keep_memory(state)
    return PromptedFrame(frame.meta.index, prompts, memory, result)


def _objects_to_correct(
    objects: Mapping[int, ObjectPrompt], found: FrameResult | None
) -> dict[int, ObjectPrompt]:
    """Return the masks found so far of the objects that are given by points alone, as prompts."""
    known: dict[int, ObjectPrompt] = {}
    if found is None:
        return known
    for item in found.objects:
        prompt = objects.get(item.id)
        if prompt is None or prompt.mask is not None or prompt.box is not None:
            continue
        mask = decode(item.mask)
        if mask.any():
            known[item.id] = ObjectPrompt(mask=mask)
    return known


def _join(objects: Mapping[int, ObjectPrompt], frame: Frame) -> Prompts:
    return join_objects(objects, (), f'frame {frame.meta.index}')


def propagate(
    model: VideoSteps,
    frames: Iterable[Frame],
    prompted: Mapping[int, PromptedFrame],
    state: Any = None,
    backwards: bool = False,
) -> Iterator[PropagationStep]:
    """Follow objects through frames in the order in which they come, forwards or backwards.

    Args:
        model: that follows prompts.
        frames: neighboring frames of a video; each has its place in the video as index. They are
            taken one at a time.
        prompted: all frames of the video in which objects are given, by their index. One of them
            that comes gives its objects anew, and keeps given masks; of the others only the memory
            is used. An object is followed from the first of its prompted frames on that comes.
        state: of a step after a neighbor of the first frame; by default nothing is followed yet.
            It is not changed.
        backwards: whether each frame lies before the one that was given before it.

    Yields:
        Result and state after each frame.

    Raises:
        ValueError: see ``PromptedSegmenter.step``.
    """
    if state is None:
        state = model.init_state()
    is_first = True
    for frame in frames:
        index = frame.meta.index
        if is_first:
            state = model.recall(state, nearest_memories(prompted, index, backwards))
            is_first = False
        given = prompted.get(index)
        prompts = None if given is None else given.prompts
        state, result = model.inference_step(frame, state, prompts)
        if given is not None:
            state = model.recall(state, nearest_memories(prompted, index, backwards))
        yield PropagationStep(result, state)


def nearest_memories(
    prompted: Mapping[int, PromptedFrame], index: int, backwards: bool
) -> dict[int, list[Any]]:
    """Order what is remembered of each object by how much it matters at a frame.

    An object that starts anew in a frame (``Prompts.restart``) has two lives, before that frame and
    from it on; only prompted frames of the life at hand count.

    Args:
        prompted: by frame index.
        index: of the frame.
        backwards: whether the frames before it come next.

    Returns:
        By id the memories, the same for all frames between two prompted ones: of these two, the one
        that lies behind first, and of all others by distance.
    """
    frames_of: dict[int, list[int]] = {}
    for at in sorted(prompted):
        for object_id in prompted[at].memories:
            frames_of.setdefault(object_id, []).append(at)
    ordered = {}
    for object_id, frames in frames_of.items():
        restarts = [at for at in frames[1:] if prompted[at].prompts.restart]
        same_life = life_of(index, frames, restarts)
        memories = []
        for at in by_importance(index, same_life, backwards):
            memories.append(prompted[at].memories[object_id])
        ordered[object_id] = memories
    return ordered


def life_of(index: int, frames: Collection[int], restarts: Collection[int]) -> list[int]:
    """Return those of an object's prompted frames that no restart divides from a frame.

    Args:
        index: of the frame.
        frames: in which the object is given, ascending.
        restarts: those of them in which it starts anew.
    """
    earlier = [at for at in restarts if at <= index]
    later = [at for at in restarts if at > index]
    begin = max(earlier, default=min(frames))
    end = min(later, default=max(frames) + 1)
    return [at for at in frames if begin <= at < end]


def by_importance(index: int, frames: Collection[int], backwards: bool) -> list[int]:
    """Order prompted frames: the two around a frame, then the others by distance to these.

    Args:
        index: of the frame.
        frames: ascending.
        backwards: whether the frames before it come next.
    """
    # A frame that is prompted itself lies where the pass comes from.
    before = [at for at in frames if at < index]
    after = [at for at in frames if at > index]
    if index in frames:
        if backwards:
            after.insert(0, index)
        else:
            before.append(index)

    # The last one that was gone through, then the next one.
    around = [*before[-1:], *after[:1]]
    if backwards:
        around.reverse()

    def distance(at: int) -> tuple[int, int]:
        nearest = min(abs(at - near) for near in around)
        return nearest, at

    others = [at for at in frames if at not in around]
    others.sort(key=distance)
    return around + others
