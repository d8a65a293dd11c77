"""The memory of instances: sequences worked out by hand."""

from __future__ import annotations

import pytest
import torch

from mmvos.models import InstanceMemory
from mmvos.models.masktrack_rcnn.instance_memory import MemoryState

# the same embedding gives the logit 64, another 0
A, B, C = [8.0, 0.0, 0.0], [0.0, 8.0, 0.0], [0.0, 0.0, 8.0]
LEFT, RIGHT, BELOW = [0.0, 0.0, 10.0, 10.0], [50.0, 0.0, 60.0, 10.0], [0.0, 50.0, 10.0, 60.0]


def see(
    state: MemoryState, *detections: tuple, memory: InstanceMemory | None = None
) -> tuple[MemoryState, list[int]]:
    """One frame of detections (embedding, box, label, score)."""
    columns = list(zip(*detections)) if detections else [[], [], [], []]
    state, ids = (memory or InstanceMemory()).match(
        state,
        torch.tensor(columns[0]).reshape(-1, 3),
        torch.tensor(columns[1]).reshape(-1, 4),
        torch.tensor(columns[2], dtype=torch.long),
        torch.tensor(columns[3]),
    )
    return state, ids.tolist()


def empty() -> MemoryState:
    return InstanceMemory.start(3, 'cpu')


def test_ids_count_from_one_in_the_order_of_first_sight():
    state, ids = see(empty(), (A, LEFT, 0, 0.9), (B, RIGHT, 1, 0.8))
    assert ids == [1, 2]
    state, ids = see(state, (B, RIGHT, 1, 0.8), (C, BELOW, 2, 0.7), (A, LEFT, 0, 0.9))
    assert ids == [2, 3, 1]
    state, ids = see(state, (A, LEFT, 0, 0.9))
    assert ids == [1]


def test_an_object_that_was_away_for_long_comes_back_and_ids_go_on():
    state, _ = see(empty(), (A, LEFT, 0, 0.9), (B, RIGHT, 1, 0.8))
    for _ in range(50):
        state, ids = see(state, (B, RIGHT, 1, 0.8))
        assert ids == [2]
    state, ids = see(state, (A, BELOW, 0, 0.5), (C, LEFT, 3, 0.9))
    assert ids == [1, 3]


def test_frames_without_detections_change_nothing():
    state, ids = see(empty())
    assert ids == [] and len(state.labels) == 0
    # late: the first object of the video, in its second frame
    state, ids = see(state, (A, LEFT, 0, 0.9))
    assert ids == [1]
    after, ids = see(state)
    assert ids == []
    for name in ('embeddings', 'boxes', 'labels', 'ids'):
        torch.testing.assert_close(getattr(after, name), getattr(state, name))
    assert see(after, (A, LEFT, 0, 0.9))[1] == [1]


def test_the_label_is_the_first_one_for_ever():
    """V6: an object of label 5 is seen once as 7 and matched; its label in the memory stays 5, so 5
    agrees and 7 does not.
    """
    state, _ = see(empty(), (A, LEFT, 5, 0.9))
    state, ids = see(state, (A, LEFT, 7, 0.9))
    assert ids == [1] and state.labels.tolist() == [5]
    zero = [0.0, 0.0, 0.0]  # the logit of any match is 0, so overlap and label decide
    assert see(state, (zero, LEFT, 5, 0.9))[1] == [1]  # 2 + 10 > 10
    assert see(state, (zero, LEFT, 7, 0.9))[1] == [2]  # 2 + 0 < 10


def test_embedding_and_box_are_those_of_the_last_sight():
    state, _ = see(empty(), (A, LEFT, 0, 0.9))
    moved = [6.0, 3.0, 0.0]
    state, ids = see(state, (moved, RIGHT, 0, 0.9))
    assert ids == [1] and state.embeddings.tolist() == [moved] and state.boxes.tolist() == [RIGHT]


def test_duplicates_vanish_and_the_best_one_refreshes_the_memory():
    state, _ = see(empty(), (A, LEFT, 0, 0.9))
    near = [1.0, 0.0, 10.0, 10.0]
    for first, second, ids in ((0.3, 0.9, [0, 1]), (0.9, 0.3, [1, 0]), (0.9, 0.9, [1, 0])):
        after, seen = see(state, (A, near, 0, first), (A, near, 0, second))
        assert seen == ids and len(after.labels) == 1
    after, seen = see(state, (A, near, 0, 0.4), (A, LEFT, 0, 0.4))
    # the same score: the larger overlap wins
    assert seen == [0, 1] and after.boxes.tolist() == [LEFT]


def test_a_new_object_is_not_matched_within_its_own_frame():
    assert see(empty(), (A, LEFT, 0, 0.9), (A, LEFT, 0, 0.9))[1] == [1, 2]


def test_matching_does_not_change_the_state_it_is_given():
    state, _ = see(empty(), (A, LEFT, 0, 0.9), (B, RIGHT, 1, 0.8))
    before = [tensor.clone() for tensor in (state.embeddings, state.boxes, state.labels)]
    frame = ((B, BELOW, 1, 0.8), (C, LEFT, 2, 0.7), (A, RIGHT, 4, 0.6))
    first, second = see(state, *frame), see(state, *frame)
    assert first[1] == second[1]
    for name, old in zip(('embeddings', 'boxes', 'labels'), before):
        assert torch.equal(getattr(state, name), old) and torch.equal(
            getattr(first[0], name), getattr(second[0], name)
        )


def test_the_order_of_detections_changes_only_the_order_of_ids():
    state, _ = see(empty(), (A, LEFT, 0, 0.9), (B, RIGHT, 1, 0.8))
    frame = [(B, RIGHT, 1, 0.8), (A, LEFT, 0, 0.7), (A, BELOW, 0, 0.6)]
    assert see(state, *frame)[1] == [2, 1, 0] and see(state, *frame[::-1])[1] == [0, 1, 2]


def test_the_weights_decide():
    """Without weight on the label, a box in place of the old one with another label and logit 0 is
    the old object.
    """
    state, _ = see(empty(), (A, LEFT, 0, 0.9))
    embedding = torch.zeros(1, 3)
    arguments = (state, embedding, torch.tensor([LEFT]), torch.tensor([1]), torch.tensor([0.9]))
    assert InstanceMemory(match_weights=(1.0, 2.0, 0.0)).match(*arguments)[1].tolist() == [1]
    assert InstanceMemory((1.0, 2.0, 10.0)).match(*arguments)[1].tolist() == [2]


def test_a_removed_instance_is_recognised_but_has_no_id():
    state, _ = see(empty(), (A, LEFT, 0, 0.9), (B, RIGHT, 1, 0.8))
    removed = InstanceMemory.remove(state, 1)
    for _ in range(3):  # it does not come back as object 3
        removed, ids = see(removed, (A, LEFT, 0, 0.9), (B, RIGHT, 1, 0.8))
        assert ids == [0, 2]
    removed, ids = see(removed, (C, BELOW, 2, 0.7))
    assert ids == [3]  # its id is not given again
    assert see(state, (A, LEFT, 0, 0.9))[1] == [1]  # the state before is as it was
    for number in (1, 7):
        with pytest.raises(ValueError, match=rf'no object {number} to remove; known are \[2, 3\]'):
            InstanceMemory.remove(removed, number)


def test_an_instance_away_for_longer_than_max_idle_is_forgotten():
    memory = InstanceMemory(max_idle=3)

    def after(frames: int) -> tuple[int, list[int]]:
        """The size of the memory, and the id of object 2 when it comes back, after so many frames
        without it.
        """
        state, _ = see(empty(), (A, LEFT, 0, 0.9), (B, RIGHT, 1, 0.8))
        for _ in range(frames):
            state, _ = see(state, (A, LEFT, 0, 0.9), memory=memory)
        state, ids = see(state, (B, RIGHT, 1, 0.8), memory=memory)
        return len(state.ids), ids

    assert after(3) == (2, [2]) and after(4) == (2, [3])


def test_an_endless_video_of_new_objects_fills_the_memory_only_without_max_idle():
    states = {None: empty(), 20: empty()}
    for index in range(300):
        new = [0.0, 0.0, 0.0]
        box = [100.0 * index, 0.0, 100.0 * index + 10, 10.0]
        for idle in states:
            states[idle], ids = see(
                states[idle], (new, box, index, 0.9), memory=InstanceMemory(max_idle=idle)
            )
            assert ids == [index + 1]
    assert len(states[None].ids) == 300 and len(states[20].ids) == 22
