"""One loop of Python over all systems: results of one type, stable ids, objects added and removed
on the way, bounded memory.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import numpy as np
import pytest
import torch

from mmvos.apis import SYSTEMS
from mmvos.structures import UNKNOWN_LABEL, FrameResult, Prompts, rle

from .tiny_systems import HEIGHT, WIDTH, picture, tiny_inferencer

BOXES = [(10, 20, 34, 44), (52, 42, 84, 66)]
LENGTH = 4


def prompts_of(system: str) -> list[tuple[int, ...]] | None:
    return BOXES if SYSTEMS[system].accepted_prompts else None


def ids_of(result: FrameResult) -> list[int]:
    return [item.id for item in result.objects]


def test_the_same_video_through_all_systems_by_one_loop():
    video = [picture(0)] * LENGTH
    for name, system in SYSTEMS.items():
        results = list(
            tiny_inferencer(name).infer(video, BOXES if system.accepted_prompts else None)
        )
        assert [result.frame_index for result in results] == list(range(LENGTH)), name
        for result in results:
            assert type(result) is FrameResult and result.shape == (HEIGHT, WIDTH), name
            # nothing moves
            assert ids_of(result) == ids_of(results[0]) and ids_of(result)[:2] == [1, 2], name
            assert result.label_map().shape == (HEIGHT, WIDTH), name
            for item in result.objects:
                assert rle.decode(item.mask).shape == (HEIGHT, WIDTH) and 0 <= item.score <= 1, name
                x1, y1, x2, y2 = item.box
                assert 0 <= x1 <= x2 <= WIDTH and 0 <= y1 <= y2 <= HEIGHT, name
                assert (item.label == UNKNOWN_LABEL) == bool(system.accepted_prompts), name


@pytest.mark.parametrize('system', SYSTEMS)
def test_frame_by_frame_it_is_what_infer_gives(system):
    inferencer = tiny_inferencer(system)
    video = [picture(index) for index in range(LENGTH)]
    whole = list(inferencer.infer(video, prompts_of(system)))
    inferencer.start(prompts_of(system))
    assert [inferencer.step(frame) for frame in video] == whole
    inferencer.start()  # another video, whose objects come later and count from 1 again
    if prompts_of(system):
        assert inferencer.step(video[0]).objects == ()
        assert inferencer.add(BOXES) == (1, 2)
        assert ids_of(inferencer.step(video[1])) == [1, 2]
    else:
        assert inferencer.step(video[0]) == whole[0]


@pytest.mark.parametrize('system', [name for name, row in SYSTEMS.items() if row.accepted_prompts])
def test_objects_are_added_and_removed(system):
    inferencer = tiny_inferencer(system)
    inferencer.start(BOXES[:1])
    assert ids_of(inferencer.step(picture(0))) == [1]
    assert inferencer.add(BOXES[1:]) == (2,)
    result = inferencer.step(picture(1))
    assert ids_of(result) == [1, 2] and rle.area(result.objects[1].mask) > 0
    inferencer.remove(1)
    assert ids_of(inferencer.step(picture(2))) == [2]
    for gone in (1, 9):
        with pytest.raises(ValueError, match=f'no object {gone} to remove'):
            inferencer.remove(gone)
    with pytest.raises(ValueError, match=r'object 1 was removed.* 3'):
        inferencer.add(Prompts((1,), (None,), (BOXES[0],)))
    assert inferencer.add([BOXES[0]]) == (3,)
    inferencer.remove(2)
    assert ids_of(inferencer.step(picture(3))) == [3]
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10:30, 60:80] = True
    assert inferencer.add(Prompts((3,), (mask,), (None,))) == (3,)  # a known object begins anew
    np.testing.assert_array_equal(rle.decode(inferencer.step(picture(4)).objects[0].mask), mask)


def test_a_finder_shows_a_removed_object_no_more_under_any_id():
    inferencer = tiny_inferencer('masktrack-rcnn')
    inferencer.start()
    first = inferencer.step(picture(0))
    gone = first.objects[1]
    inferencer.remove(gone.id)
    for _ in range(2):
        result = inferencer.step(picture(0))
        assert [(item.id, item.mask) for item in result.objects] == [
            (item.id, item.mask) for item in first.objects if item.id != gone.id
        ]
    with pytest.raises(ValueError, match=f'no object {gone.id} to remove'):
        inferencer.remove(gone.id)
    for tell in (
        inferencer.add,
        inferencer.start,
        lambda prompts: inferencer.infer([picture(0)], prompts),
    ):
        with pytest.raises(
            ValueError,
            match='MaskTrackRCNN takes no prompts',
        ):
            tell(BOXES)


def size(state: object) -> int:
    """Number of values in the tensors of a state."""
    if isinstance(state, torch.Tensor):
        return state.numel()
    if isinstance(state, (tuple, list)):
        return sum(size(item) for item in state)
    return (
        sum(size(getattr(state, field.name)) for field in fields(state))
        if is_dataclass(state)
        else 0
    )


@pytest.mark.parametrize('system', SYSTEMS)
def test_a_state_does_not_grow_and_removing_leaves_it_as_it_was(system):
    model, prepare = tiny_inferencer(system).model, tiny_inferencer(system)._prepare
    frames = [model.make_frame(prepare(index, picture(0))) for index in range(8)]
    prompts = Prompts((1, 2), (None, None), tuple(BOXES)) if prompts_of(system) else None
    state, sizes = model.init_state(), []
    with torch.no_grad():
        for index, frame in enumerate(frames):
            state, _ = model.step(frame, state, None if index else prompts)
            sizes.append(size(state))
        assert max(sizes[2:]) <= 1.02 * sizes[1], sizes
        before = model.step(frames[7], state)[1]
        assert ids_of(model.step(frames[7], model.remove(state, 1))[1]) == ids_of(before)[1:]
        assert model.step(frames[7], state)[1] == before
