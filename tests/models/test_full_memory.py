"""A state with all the frames that it may remember: it stays as large as it is, and as it was."""

from __future__ import annotations

import gc
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_segmenter import clicked_segmenter, frame, square_mask, tiny_segmenter
from torch import Tensor

from mmvos.io.stored_state import digest_of, take_apart
from mmvos.models.masktrack.state import MAX_CORRECTIONS
from mmvos.structures import Prompts

PICTURES = 12


def given(x: int, y: int = 10) -> Prompts:
    return Prompts((1, 2), (square_mask(x, y), square_mask(x, y + 30)), (None, None))


def size_of(state) -> int:
    """Bytes of all tensors in a state."""

    def count(value) -> int:
        if isinstance(value, Tensor):
            # What a view keeps alive counts.
            return value.untyped_storage().nbytes()
        if isinstance(value, list):
            return sum(count(item) for item in value)
        if isinstance(value, dict):
            return sum(count(item) for item in value.values())
        return 0

    return count(take_apart(state))


@torch.no_grad()
def full_state(model):
    """The state after a first frame and as many corrections as are remembered, and one more."""
    state = model.init_state()
    for index in range(MAX_CORRECTIONS + 2):
        state, _ = model.step(frame(index % PICTURES), state, given(10 + 2 * index))
    assert [len(item.corrections) for item in state] == [MAX_CORRECTIONS] * 2
    return state


def resident_bytes() -> int:
    return int(Path('/proc/self/statm').read_text().split()[1]) * 4096


@torch.no_grad()
def run_on(model, state, count: int) -> dict[int, tuple[int, int]]:
    """Goes on for a number of frames; by frame the sizes of the state and of the process."""
    frames = [frame(index) for index in range(PICTURES)]
    sizes = {}
    for index in range(count):
        # The image is the same, what was computed of it is forgotten as in a video.
        image = frames[index % PICTURES]
        state, _ = model.step(type(image)(image.image, image.meta), state)
        if index % 50 == 49:
            gc.collect()
            sizes[index] = (size_of(state), resident_bytes())
    return sizes


def check_sizes(sizes: dict[int, tuple[int, int]]) -> None:
    of_state = {size for size, _ in sizes.values()}
    assert len(of_state) == 1, of_state
    resident = [size for _, size in sizes.values()]
    half = len(resident) // 2
    assert max(resident[half:]) - max(resident[:half]) < 3_000_000, resident


@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='resident memory is from /proc')
def test_memory_stays_with_full_memories():
    model = tiny_segmenter()
    check_sizes(run_on(model, full_state(model), 300))


@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='resident memory is from /proc')
def test_memory_stays_with_objects_that_are_idle_by_turns():
    """Each keeps what was found of it, and nothing of the other."""
    model = tiny_segmenter(idle_change=1e9)
    state = full_state(model)
    # a network that gives its guide back: both stay, and are computed in every eleventh frame
    model.tracker._probabilities = lambda _, guides, *__: (guides[:, 0] > 0).float()
    for index in range(3):
        state, _ = model.step(frame(index), state)
    assert [item.look.age for item in state] == [2, 2]
    together = size_of(state)
    first = replace(state[0], look=replace(state[0].look, age=5))
    sizes = run_on(model, (first, state[1]), 300)
    check_sizes(sizes)
    assert sizes[49][0] == together


@pytest.mark.slow
@pytest.mark.skipif(
    'MMVOS_LONG_TESTS' not in os.environ, reason='takes minutes; MMVOS_LONG_TESTS=1 runs it'
)
@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='resident memory is from /proc')
def test_memory_stays_over_5000_frames_with_full_memories():
    model = tiny_segmenter()
    check_sizes(run_on(model, full_state(model), 5000))


@torch.no_grad()
@pytest.mark.parametrize('build', [tiny_segmenter, clicked_segmenter])
def test_no_step_changes_a_state_with_corrections(build):
    model = build()
    state = full_state(model)
    before = digest_of(state)
    kept = model.keep_memory(model.step(frame(0), model.init_state(), given(20))[0])
    memory = digest_of(kept)
    asked = [None, given(30), given(30)]
    if model.tracker.accepts_points:
        asked.append(Prompts((1,), (None,), (None,), (((30.0, 40.0, False),),)))
    results = []
    for _ in range(2):
        for prompts in asked:
            after, result = model.step(frame(7), state, prompts)
            results.append(result)
            model.recall(after, {key: [value] * 7 for key, value in kept.items()})
            assert digest_of(state) == before and digest_of(kept) == memory
    assert results[: len(asked)] == results[len(asked) :]


@torch.no_grad()
def test_recalled_frames_replace_those_of_the_state_and_are_bounded():
    model = tiny_segmenter()
    state = full_state(model)
    others = []
    for index in range(MAX_CORRECTIONS + 3):
        after, _ = model.step(frame(index), model.init_state(), given(5 + 3 * index))
        others.append(model.keep_memory(after)[1])
    recalled = model.recall(state, {1: others})
    # Object 2 is not named and keeps what it has.
    assert recalled[1] is state[1]
    first = recalled[0]
    assert first.first[1] is others[0].first[1]
    kept = [memory[1] for memory in first.corrections]
    assert len(kept) == MAX_CORRECTIONS
    assert all(value is item.first[1] for value, item in zip(kept, others[1:], strict=False))
    assert first.last is state[0].last and torch.equal(first.guide, state[0].guide)
    # What is remembered tells in the next frame.
    plain, remembering = (
        model.step(frame(9), item)[1].objects[0].score for item in (state, recalled)
    )
    assert not np.isclose(plain, remembering, atol=1e-7)


def test_a_kept_memory_is_small():
    model = tiny_segmenter()
    with torch.no_grad():
        state, _ = model.step(frame(0), model.init_state(), given(20))
    kept = model.keep_memory(state)
    assert set(kept) == {1, 2}
    whole, small = size_of(state[0]), size_of(kept[1])
    assert small < whole / 2
