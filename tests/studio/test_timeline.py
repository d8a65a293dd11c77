"""What the timeline says about rows that are known."""

from __future__ import annotations

import numpy as np

from mmvos.structures import rle
from mmvos.studio.records import CORRECTED, MODEL, make_entry
from mmvos.studio.timeline import (
    change_of_area,
    find_near,
    least_sure,
    marks_of_object,
    runs_of_states,
    without_repeated_pairs,
)

SIZE = (48, 64)


def test_runs_of_states() -> None:
    rows = [
        (0, 100, 1.0, CORRECTED, None),
        (1, 100, 0.9, MODEL, None),
        (2, 100, 0.9, MODEL, None),
        (3, 100, 0.3, MODEL, None),
        (4, 0, 0.0, MODEL, None),
        (7, 0, 0.0, MODEL, None),
    ]
    assert runs_of_states(rows) == [
        ['corrected', 0, 0],
        ['seen', 1, 2],
        ['uncertain', 3, 3],
        ['lost', 4, 4],
        ['lost', 7, 7],
    ]


def test_each_stretch_of_low_scores_is_marked_once_at_its_worst() -> None:
    scores = [0.9, 0.5, 0.2, 0.4, 0.9, 0.5]
    rows = [(t, 100, score, MODEL, None) for t, score in enumerate(scores)]
    marks = marks_of_object(1, rows)
    assert [(mark['frame'], mark['kind']) for mark in marks] == [(2, 'low_score'), (5, 'low_score')]
    assert marks[0]['severity'] > marks[1]['severity']


def test_sudden_changes_and_losses_are_marked_unless_the_user_made_them() -> None:
    rows = [
        (0, 100, 0.9, MODEL, None),
        (1, 300, 0.9, MODEL, None),
        (2, 0, 0.0, MODEL, None),
        (3, 0, 0.0, MODEL, None),
        (4, 280, 0.9, MODEL, None),
    ]
    marks = marks_of_object(1, rows)
    assert [(mark['frame'], mark['kind']) for mark in marks] == [
        (1, 'area_change'),
        (2, 'lost'),
        (4, 'returns'),
    ]
    assert marks_of_object(1, [rows[0], (1, 300, 1.0, CORRECTED, None)]) == []
    assert marks_of_object(1, [rows[0], (5, 300, 0.9, MODEL, None)]) == []


def test_of_changes_in_a_row_the_worst_is_marked() -> None:
    areas = [100, 170, 510, 900, 900, 900, 900, 500]
    rows = [(t, area, 0.9, MODEL, None) for t, area in enumerate(areas)]
    marks = marks_of_object(1, rows)
    assert [(mark['frame'], mark['kind']) for mark in marks] == [
        (2, 'area_change'),
        (7, 'area_change'),
    ]


def test_where_the_model_is_least_sure() -> None:
    # Given in frames 0 and 40; the scores fall a little at 10 and at 25, which is farther from both.
    scores = [0.97] * 41
    scores[3], scores[10], scores[24] = 0.965, 0.96, 0.96
    rows = [(t, 100, score, MODEL, None) for t, score in enumerate(scores)]
    rows[0] = (0, 100, 1.0, CORRECTED, None)
    rows[40] = (40, 100, 1.0, CORRECTED, None)
    marks = least_sure(1, rows)
    assert [mark['frame'] for mark in marks] == [24]
    assert marks[0]['severity'] < 0.4  # below all that is known to be wrong
    # In twice as many frames there are three looks, apart from each other; in few frames none.
    twice = [*rows, *((t + 41, *row) for t, *row in rows[1:])]
    frames = [mark['frame'] for mark in least_sure(1, twice)]
    assert len(frames) == 3 and min(abs(a - b) for a in frames for b in frames if a != b) > 3
    assert least_sure(1, rows[:11]) == []


def test_how_sudden() -> None:
    assert change_of_area(100, 130) == 0
    assert change_of_area(100, 400) == change_of_area(400, 100) == 1
    assert 0 < change_of_area(100, 200) < 1
    assert change_of_area(0, 0) == 0


def test_near_objects() -> None:
    masks = []
    for left in (5, 16, 40):
        mask = np.zeros(SIZE, bool)
        mask[10:20, left : left + 10] = True
        masks.append(make_entry(rle.encode(mask), 0.9, MODEL))
    # 1 ends at column 14, 2 begins at 16; 3 is far away.
    assert find_near({1: masks[0], 2: masks[1], 3: masks[2]}, SIZE) == {1: 2, 2: 1}
    assert find_near({1: masks[0], 3: masks[2]}, SIZE) == {}


def test_two_objects_that_touch_are_marked_once() -> None:
    rows = {number: [(4, 100, 0.9, MODEL, 3 - number)] for number in (1, 2)}
    marks = marks_of_object(1, rows[1]) + marks_of_object(2, rows[2])
    marks += marks_of_object(3, [(4, 100, 0.9, MODEL, 1)])
    kept = without_repeated_pairs(marks)
    assert [(mark['object'], mark['other']) for mark in kept] == [(1, 2), (3, 1)]


def test_a_near_merge_is_marked_where_it_begins() -> None:
    rows = [(t, 100, 0.9, MODEL, 2 if 3 <= t <= 5 else None) for t in range(8)]
    (mark,) = marks_of_object(1, rows)
    assert (mark['frame'], mark['kind'], mark['other']) == (3, 'near_merge', 2)
