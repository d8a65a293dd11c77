"""Of many objects some are computed in a frame; the motion of the picture carries the others."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from tiny_graphs import write_tiny_graphs
from tiny_segmenter import HEIGHT, WIDTH, objects_of, square_mask, tiny_segmenter

from mmvos.apis.propagation import look_at_prompts, propagate
from mmvos.io.stored_state import load_state, save_state
from mmvos.models.carried_objects import FRAMES_CARRIED
from mmvos.models.masktrack import idle_objects, propagation
from mmvos.models.masktrack.idle_objects import IDLE_FRAMES
from mmvos.onnx.segmenter import OnnxSegmenter
from mmvos.onnx.settings import read_settings
from mmvos.structures import Frame, FrameMeta, Prompts

CORNERS = [(8, 6), (36, 6), (64, 6), (8, 40), (36, 40)]
SIDE = 20


def picture(seed: int = 0) -> np.ndarray:
    """(3, 2 HEIGHT, 2 WIDTH) float32, spots of some pixels."""
    noise = np.random.default_rng(seed).normal(size=(2 * HEIGHT, 2 * WIDTH, 3))
    spots = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 2.5)
    return 8 * spots.transpose(2, 0, 1)


PICTURE = picture()


def frame(index: int, shift: int = 0) -> Frame:
    """A frame in which everything has moved to the right by so many pixels."""
    left = WIDTH // 2 - shift
    part = PICTURE[:, 20 : 20 + HEIGHT, left : left + WIDTH]
    image = torch.from_numpy(part.copy())[None]
    return Frame(image, FrameMeta(index, (HEIGHT, WIDTH), (HEIGHT, WIDTH), (1.0, 1.0)))


def masks_at(shift: int = 0, count: int = 5) -> list[np.ndarray]:
    return [square_mask(x + shift, y, SIDE) for x, y in CORNERS[:count]]


def merged(masks: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(masks)).float()


def started(tracker, count: int = 5):
    """States after the frame of the prompt."""
    probabilities, states = tracker.start(frame(0), objects_of(*masks_at(0, count)))
    return tracker.commit(states, probabilities)


def go_on(tracker, states, first: int, last: int, pace: int = 1):
    """Go through frames in which the objects are found where they are: their states, and of each
    frame the numbers of the objects that were computed, and what was found.
    """
    computed = []
    found = []
    look_for = tracker._look_for
    for index in range(first, last):
        seen = []
        tracker._look_for = lambda item, some, seen=seen: (
            seen.extend(state.id for state in some) or look_for(item, some)
        )
        answer, waiting = tracker.propagate(frame(index, pace * index), states)
        states = tracker.commit(waiting, merged(masks_at(pace * index, len(states))))
        computed.append(seen)
        found.append(answer)
    tracker._look_for = look_for
    return states, computed, found


@pytest.fixture
def tracker():
    """Of which two objects are computed in a frame."""
    with torch.no_grad():
        yield tiny_segmenter(computed_objects=2).tracker


def test_two_are_computed_in_a_frame_in_turns(tracker) -> None:
    _, computed, _ = go_on(tracker, started(tracker), 1, 12)
    # Nothing is known of how they move before the first frame.
    assert computed[0] == [1, 2, 3, 4, 5]
    assert [len(ids) for ids in computed[1:]] == [2] * 10
    for object_id in range(1, 6):
        frames = [index for index, ids in enumerate(computed) if object_id in ids]
        gaps = np.diff([*frames, 11])
        assert gaps.max() <= FRAMES_CARRIED + 1


def test_a_carried_object_moves_with_the_picture(tracker) -> None:
    states, _, _ = go_on(tracker, started(tracker), 1, 3)
    _, [ids], [answer] = go_on(tracker, states, 3, 4)
    carried = [k for k in range(5) if k + 1 not in ids]
    assert len(carried) == 3
    for k in carried:
        mask = masks_at(3)[k]
        found = answer[k].numpy() > 0.5
        assert (found & mask).sum() / (found | mask).sum() > 0.93


def test_what_a_carried_object_knows(tracker) -> None:
    states, _, _ = go_on(tracker, started(tracker), 1, 3)
    after, [ids], _ = go_on(tracker, states, 3, 4)
    for before, state in zip(states, after, strict=True):
        if state.id in ids:
            assert state.frames_carried == 0
            assert state.last is not before.last
        else:
            # the frame is not remembered, as the network did not see it
            assert state.frames_carried == before.frames_carried + 1
            assert state.last is before.last
        assert state.top is None and state.square is None
        left, _, right, _ = state.box.tolist()
        expected = CORNERS[state.id - 1][0] + 3
        assert abs(left - expected) < 2 and abs(right - expected - SIDE) < 2


def test_few_objects_are_all_computed(tracker) -> None:
    plain = tiny_segmenter().tracker
    states, computed, found = go_on(tracker, started(tracker, 2), 1, 5)
    _, _, expected = go_on(plain, started(plain, 2), 1, 5)
    assert computed == [[1, 2]] * 4
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
    assert all(state.view is None for state in states)


def test_objects_that_move_fast_are_computed(tracker) -> None:
    states, computed, _ = go_on(tracker, started(tracker), 1, 6, pace=3)
    assert computed == [[1, 2, 3, 4, 5]] * 5
    assert not any(state.is_calm for state in states)


def test_an_object_that_is_covered_is_computed(tracker) -> None:
    states, _, _ = go_on(tracker, started(tracker), 1, 3)
    # that which would be carried, as it was computed last
    last = min(states, key=lambda state: (state.frames_carried, -state.id))
    x, y = CORNERS[last.id - 1]
    item = frame(3, 3)
    item.image[..., y : y + SIDE, x + 3 : x + 3 + SIDE] = torch.from_numpy(
        picture(seed=9)[:, :SIDE, :SIDE].copy()
    )
    seen: list[int] = []
    look_for = tracker._look_for
    tracker._look_for = lambda item, some: (
        seen.extend(state.id for state in some) or look_for(item, some)
    )
    tracker.propagate(item, states)
    assert last.id in seen


def test_idle_objects_are_not_all_computed_in_one_frame(monkeypatch) -> None:
    """Each is computed in every eleventh frame or a little later."""
    monkeypatch.setattr(idle_objects, 'IDLE_CELL_SIDE', 1)
    with torch.no_grad():
        tracker = tiny_segmenter(computed_objects=2, idle_change=0.05).tracker
        frames = 1 + 2 * (IDLE_FRAMES + 3)
        _, computed, _ = go_on(tracker, started(tracker), 1, frames, pace=0)
    counts = [len(ids) for ids in computed]
    assert counts[0] == 5
    assert max(counts[1:]) == 2
    for object_id in range(1, 6):
        seen = [index for index, ids in enumerate(computed) if object_id in ids]
        gaps = np.diff([*seen, frames - 1])
        assert min(np.diff(seen)) > IDLE_FRAMES - FRAMES_CARRIED
        assert gaps.max() <= IDLE_FRAMES + 1 + FRAMES_CARRIED


def test_a_lost_object_is_computed(tracker) -> None:
    states, _, _ = go_on(tracker, started(tracker), 1, 3)
    _, waiting = tracker.propagate(frame(3, 3), states)
    masks = masks_at(3)
    for mask in masks[:3]:
        mask[:] = False
    states = tracker.commit(waiting, merged(masks))
    assert [state.frames_lost for state in states] == [1, 1, 1, 0, 0]
    _, [ids], _ = go_on(tracker, states, 4, 5)
    assert {1, 2, 3} <= set(ids)


def test_objects_that_come_and_go_are_followed(tracker) -> None:
    """A new object is computed, and what is left of few is computed as ever."""
    states, _, _ = go_on(tracker, started(tracker), 1, 3)
    fresh = started(tracker)[4]
    states, [ids], _ = go_on(tracker, (*states[:4], fresh), 3, 4)
    assert 5 in ids
    few, [ids], _ = go_on(tracker, states[:2], 4, 5)
    assert ids == [1, 2]
    assert all(state.view is None and state.frames_carried == 0 for state in few)


def test_what_is_kept_of_a_prompt_holds_no_view(tracker) -> None:
    states, _, _ = go_on(tracker, started(tracker), 1, 3)
    assert states[0].view is not None
    assert tracker.keep_memory(states[0]).view is None


def test_an_object_that_remembers_something_else_is_computed(tracker) -> None:
    states, _, _ = go_on(tracker, started(tracker), 1, 3)
    own = tracker.keep_memory(states[0])
    other = tracker.keep_memory(states[1])
    recalled = tracker.recall(states[0], [own])
    assert recalled.view is states[0].view
    copies = tuple(rows.clone() for rows in own.first)
    recalled = tracker.recall(states[0], [replace(own, first=copies)])
    assert recalled.view is states[0].view
    for memories in ([other], [own, other], [other, own]):
        assert tracker.recall(states[0], memories).view is None
    corrected = tracker.recall(states[0], [own, other])
    assert tracker.recall(replace(corrected, view=states[0].view), [own]).view is None


def test_objects_are_carried_while_the_prompted_frames_are_remembered(tmp_path) -> None:
    """So do the studio and the passes in both directions, which go on from files, too."""
    model = tiny_segmenter(computed_objects=2)
    shift = 0
    model._merge = lambda found: merged(masks_at(shift, len(found))) if len(found) else found
    counts: list[int] = []
    look_for = model.tracker._look_for
    model.tracker._look_for = lambda item, some: counts.append(len(some)) or look_for(item, some)
    prompts = Prompts(tuple(range(1, 6)), tuple(masks_at()), (None,) * 5)
    prompted = {0: look_at_prompts(model, frame(0), prompts)}
    counts.clear()
    state = None
    for shift in range(6):
        if shift == 4:
            # in another process the prompted frames are looked at anew
            save_state(tmp_path / 's.state', 4, state)
            _, state = load_state(tmp_path / 's.state')
            known = len(counts)
            prompted = {0: look_at_prompts(model, frame(0), prompts)}
            del counts[known:]
        (step,) = propagate(model, [frame(shift, shift)], prompted, state)
        state = step.state
    assert counts == [0, 5, 2, 2, 2, 2]


def test_an_object_is_computed_though_it_is_idle_between(monkeypatch) -> None:
    """Something that is seen around it in some frames only, or a light that flickers."""
    monkeypatch.setattr(idle_objects, 'IDLE_CELL_SIDE', 1)
    plain = frame

    def flickering(index: int, shift: int = 0) -> Frame:
        item = plain(index, shift)
        if index % 3 == 1 and index > 3:
            item.image[:] += 0.3
        return item

    monkeypatch.setitem(globals(), 'frame', flickering)
    with torch.no_grad():
        tracker = tiny_segmenter(computed_objects=2, idle_change=0.05).tracker
        _, computed, _ = go_on(tracker, started(tracker), 1, 60, pace=0)
    for object_id in range(1, 6):
        seen = [index for index, ids in enumerate(computed) if object_id in ids]
        gaps = np.diff([*seen, 59])
        assert gaps.max() <= IDLE_FRAMES + FRAMES_CARRIED + 1


def test_it_is_off_by_default_and_in_mode_roi() -> None:
    assert tiny_segmenter().tracker.computed_objects is None
    assert tiny_segmenter(computed_objects=2, mode='roi').tracker.computed_objects is None
    with pytest.raises(ValueError, match='computed_objects'):
        tiny_segmenter(computed_objects=0)


def test_frames_too_small_for_a_flow_are_computed() -> None:
    with torch.no_grad():
        tracker = tiny_segmenter(computed_objects=1).tracker
        image = torch.randn(1, 3, 30, 90, generator=torch.Generator().manual_seed(0))
        small = Frame(image, FrameMeta(0, (30, 90), (30, 90), (1.0, 1.0)))
        masks = [np.zeros((30, 90), bool) for _ in range(3)]
        for k, mask in enumerate(masks):
            mask[5:25, 30 * k + 2 : 30 * k + 22] = True
        probabilities, states = tracker.start(small, objects_of(*masks))
        states = tracker.commit(states, probabilities)
        for _ in range(3):
            answer, waiting = tracker.propagate(small, states)
            assert all(state.top is not None for state in waiting)
            states = tracker.commit(waiting, merged(masks))
        assert len(answer) == 3


def test_carried_objects_go_on_from_a_file(tracker, tmp_path) -> None:
    states, _, _ = go_on(tracker, started(tracker), 1, 4)
    save_state(tmp_path / 's.state', 4, states)
    _, read = load_state(tmp_path / 's.state')
    _, ids, found = go_on(tracker, states, 4, 8)
    _, ids_of_file, found_of_file = go_on(tracker, read, 4, 8)
    assert ids == ids_of_file
    for one, other in zip(found, found_of_file, strict=True):
        assert torch.equal(one, other)


def test_objects_are_carried_without_torch(tmp_path) -> None:
    folder = write_tiny_graphs(tmp_path / 'graphs')
    path = folder / 'model.json'
    settings = json.loads(path.read_text())
    assert read_settings(folder).tracker.computed_objects is None
    settings['tracker']['computed_objects'] = 2
    path.write_text(json.dumps(settings))

    # Red squares on a texture, all of which moves to the right; red is what the network finds.
    model = OnnxSegmenter(folder)
    shape = (HEIGHT, WIDTH + 10, 3)
    noise = np.random.default_rng(0).integers(0, 250, shape).astype(np.uint8)
    texture = cv2.GaussianBlur(noise, (0, 0), 2)
    for x, y in CORNERS:
        inside = texture[y : y + SIDE, x + 10 : x + 10 + SIDE]
        inside //= 3
        inside[..., 2] += 160
    runs: list[int] = []
    run = model.graphs.run
    model.graphs.run = lambda name, inputs: (
        (name == 'encode' and runs.append(len(inputs['images']))) or run(name, inputs)
    )
    state = model.init_state()
    counts = []
    for index in range(8):
        image = texture[:, 10 - index : 10 - index + WIDTH].copy()
        prompts = None
        if index == 0:
            prompts = Prompts(tuple(range(1, 6)), tuple(masks_at()), (None,) * 5)
        runs.clear()
        state, result = model.step(model.prepare(index, image), state, prompts)
        counts.append(sum(runs))
        assert len(result.objects) == 5
    assert counts[1] == 5
    assert max(counts[2:]) < 5


def test_a_device_computes_all_objects_at_once(tracker, monkeypatch) -> None:
    states, _, _ = go_on(tracker, started(tracker), 1, 4)
    monkeypatch.setattr(propagation, 'is_on_host', lambda array: False)
    states, computed, _ = go_on(tracker, states, 4, 6)
    assert computed == [[1, 2, 3, 4, 5]] * 2
    assert all(state.view is None for state in states)
