"""Objects that neither move nor look other than before keep what was found of them."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from tiny_graphs import write_tiny_graphs
from tiny_segmenter import HEIGHT, WIDTH, find, frame, square_mask, start, tiny_segmenter

from mmvos.io.stored_state import load_state, save_state
from mmvos.models.masktrack import idle_objects
from mmvos.models.masktrack.idle_objects import IDLE_FRAMES
from mmvos.onnx.segmenter import OnnxSegmenter
from mmvos.onnx.settings import GraphError, read_settings
from mmvos.structures import Frame, Prompts

CHANGE = 0.05


@pytest.fixture(autouse=True)
def small_cells(monkeypatch):
    """Cells of a pixel, so that an object of 24 pixels is watched in a square of 34."""
    monkeypatch.setattr(idle_objects, 'IDLE_CELL_SIDE', 1)


def counting(tracker):
    """How many squares are computed in each call of the network."""
    counts = []
    compute = tracker._levels
    tracker._levels = lambda images, guides: counts.append(len(images)) or compute(images, guides)
    return counts


def brighter(number, x, y, by):
    """Frame ``number`` where a square of 6 pixels is brighter."""
    image = frame(1).image.clone()
    image[..., y : y + 6, x : x + 6] += by
    return Frame(image, frame(number).meta)


def idle_states(tracker, *masks):
    """States of objects that are idle in the next frame."""
    states = start(tracker, *masks)
    return find(tracker, states, *masks)


def test_an_object_that_stays_is_computed_in_every_eleventh_frame():
    tracker = tiny_segmenter(idle_change=CHANGE).tracker
    counts = counting(tracker)
    states = start(tracker, square_mask(10, 10))
    computed = []
    for _ in range(2 * IDLE_FRAMES + 3):
        counts.clear()
        states = find(tracker, states, square_mask(10, 10))
        computed.append(len(counts))
    # The frame after the prompt tells that it stays.
    assert computed == 2 * [1, *IDLE_FRAMES * [0]] + [1]


@torch.no_grad()
def test_what_is_kept_is_what_was_found_and_remembered():
    tracker = tiny_segmenter(idle_change=CHANGE).tracker
    states = start(tracker, square_mask(10, 10))
    found, states = tracker.propagate(frame(1), states)
    states = tracker.commit(states, torch.from_numpy(square_mask(10, 10))[None].float())
    kept, waiting = tracker.propagate(frame(1), states)
    assert torch.equal(kept, found)
    committed = tracker.commit(waiting, torch.from_numpy(square_mask(10, 10))[None].float())
    assert committed[0].last is states[0].last
    assert torch.equal(committed[0].box, states[0].box)
    assert (states[0].look.age, committed[0].look.age) == (0, 1)


@torch.no_grad()
@pytest.mark.parametrize(
    ('x', 'by', 'is_computed'),
    [
        (10, 0.5, True),
        (10, -0.5, True),
        (10, 0.04, False),
        # beside it, in the square, and beyond
        (36, 0.5, True),
        (60, 5.0, False),
    ],
)
def test_a_change_around_it_wakes_an_object(x, by, is_computed):
    tracker = tiny_segmenter(idle_change=CHANGE).tracker
    states = idle_states(tracker, square_mask(10, 10))
    counts = counting(tracker)
    tracker.propagate(brighter(2, x, 20, by), states)
    assert counts == [1] * is_computed


@torch.no_grad()
def test_slow_changes_add_up():
    """The frame is compared with the one in which the object was computed."""
    tracker = tiny_segmenter(idle_change=CHANGE).tracker
    states = idle_states(tracker, square_mask(10, 10))
    mask = torch.from_numpy(square_mask(10, 10))[None].float()
    counts = counting(tracker)
    for step in range(1, 4):
        _, states = tracker.propagate(brighter(1 + step, 10, 20, 0.02 * step), states)
        states = tracker.commit(states, mask)
    assert counts == [1]
    assert states[0].look.age == 0


def test_an_object_that_moves_is_computed_though_the_frame_stays():
    tracker = tiny_segmenter(idle_change=CHANGE).tracker
    states = idle_states(tracker, square_mask(10, 10))
    states = find(tracker, states, square_mask(10, 10))
    assert states[0].look.age == 1
    states = find(tracker, states, square_mask(16, 10))
    counts = counting(tracker)
    find(tracker, states, square_mask(16, 10))
    assert counts == [1]


def test_an_object_that_is_lost_or_told_anew_is_computed():
    tracker = tiny_segmenter(idle_change=CHANGE).tracker
    states = idle_states(tracker, square_mask(10, 10))
    lost = find(tracker, states, np.zeros_like(square_mask(10, 10)))
    again = start(tracker, square_mask(12, 10))
    corrected = tracker.correct(states[0], again[0])
    recalled = tracker.recall(states[0], again)
    assert tracker.keep_memory(states[0]).look is None
    counts = counting(tracker)
    for other in (lost[0], corrected, recalled):
        find(tracker, (other,), square_mask(10, 10))
    assert counts == [1, 1, 1]
    find(tracker, states, square_mask(10, 10))
    assert counts == [1, 1, 1]


@torch.no_grad()
def test_idle_and_busy_objects_are_found_as_each_alone():
    tracker = tiny_segmenter(idle_change=CHANGE, calm_size=48).tracker
    masks = [square_mask(64, 40), square_mask(4, 4), square_mask(64, 4)]
    found = {}
    for numbers in ([0, 1, 2], [0], [1], [2]):
        states = idle_states(tracker, *[masks[k] for k in numbers])
        # what is around the second one changes
        answer, waiting = tracker.propagate(brighter(2, 10, 10, 2.0), states)
        merged = torch.from_numpy(np.stack([masks[k] for k in numbers])).float()
        found[tuple(numbers)] = (answer, tracker.commit(waiting, merged))
    together, states = found[0, 1, 2]
    assert [state.look.age for state in states] == [1, 0, 1]
    for k in range(3):
        alone, [state] = found[k,]
        assert torch.allclose(together[k], alone[0], atol=1e-6)
        for one, other in zip(state.last, states[k].last, strict=True):
            assert torch.allclose(one, other, atol=1e-5)
        assert state.id == 1 and torch.equal(state.box, states[k].box)


@torch.no_grad()
def test_a_step_changes_no_state_and_results_stay():
    model = tiny_segmenter(idle_change=CHANGE)
    # a network that gives its guide back
    model.tracker._probabilities = lambda _, guides, *__: (guides[:, 0] > 0).float()
    prompts = Prompts((1, 2), (square_mask(10, 10), square_mask(60, 30)), (None, None))
    state, last = model.step(frame(0, seed=1), model.init_state(), prompts)
    for number in range(1, 4):
        before = [dataclasses.replace(item) for item in state]
        copies = [item.look and item.look.probabilities.clone() for item in state]
        first, result = model.step(frame(number, seed=1), state)
        second, again = model.step(frame(number, seed=1), state)
        assert result.objects == again.objects
        for item, old, copy in zip(state, before, copies, strict=True):
            assert item == old
            assert copy is None or torch.equal(copy, item.look.probabilities)
        # the numbers of an idle object are those that it had
        if all(item.look.age for item in first):
            assert result.objects == last.objects
        state, last = first, result
    assert len(second) == 2 and any(item.look.age for item in second)


def test_it_is_off_by_default_and_in_mode_roi():
    states = idle_states(tiny_segmenter().tracker, square_mask(10, 10))
    assert states[0].look is None
    assert tiny_segmenter(idle_change=CHANGE, mode='roi').tracker.idle_change is None


@pytest.fixture
def graphs(tmp_path):
    """The tiny graphs, in which an object is idle."""
    folder = write_tiny_graphs(tmp_path / 'graphs')
    settings = json.loads((folder / 'model.json').read_text())
    settings['tracker']['idle_change'] = CHANGE
    (folder / 'model.json').write_text(json.dumps(settings))
    return folder


def test_an_object_is_idle_without_torch(graphs):
    model = OnnxSegmenter(graphs)
    picture = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    picture[10:34, 10:34] = (0, 0, 250)
    frames = [model.prepare(index, picture) for index in range(4)]
    state = model.init_state()
    runs = []
    run = model.graphs.run
    model.graphs.run = lambda name, inputs: runs.append(name) or run(name, inputs)
    results = []
    for index, item in enumerate(frames):
        prompts = Prompts((1,), (square_mask(10, 10),), (None,)) if index == 0 else None
        state, result = model.step(item, state, prompts)
        results.append(result.objects)
    # the frame of the prompt and the one after it
    assert runs.count('encode') == runs.count('remember') == 2
    assert state[0].look.age == 2
    assert results[1] == results[2] == results[3]


def test_an_export_of_before_is_read(graphs):
    path = graphs / 'model.json'
    settings = json.loads(path.read_text())
    assert read_settings(graphs).tracker.idle_change == CHANGE
    del settings['tracker']['idle_change']
    path.write_text(json.dumps(settings))
    assert read_settings(graphs).tracker.idle_change is None
    del settings['tracker']['context']
    path.write_text(json.dumps(settings))
    with pytest.raises(GraphError, match='context'):
        read_settings(graphs)


@torch.no_grad()
def test_an_idle_object_goes_on_from_a_file(tmp_path):
    """A run that was killed reads the state of its objects again: what is kept is there."""
    tracker = tiny_segmenter(idle_change=CHANGE).tracker
    states = idle_states(tracker, square_mask(10, 10))
    save_state(tmp_path / 's.state', 2, states)
    index, read = load_state(tmp_path / 's.state')
    assert index == 2
    counts = counting(tracker)
    same = Frame(frame(1).image, frame(2).meta)
    expected, _ = tracker.propagate(same, states)
    found, waiting = tracker.propagate(same, read)
    assert counts == []
    assert torch.equal(found, expected)
    assert waiting[0].look.age == 1 + states[0].look.age
