"""The timeline: for each object where it is seen, lost, uncertain or corrected, and the frames that
are most worth a look.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import cv2
import numpy as np

from .project import Project
from .records import UNCERTAIN_BELOW, Entry, state_of

MAX_MARKS = 200
_CHANGE = 1.6  # ratio of the areas of two frames in a row that is sudden
_LARGEST_CHANGE = 4.0  # ratio that is as bad as it gets
_GAP = 2  # pixels between two masks that nearly merge
Row = tuple[int, int, float, str, int | None]  # frame, area, score, source, near


def make_timeline(project: Project) -> dict[str, Any]:
    """The ``Timeline`` of docs/studio.md."""
    objects = {}
    marks: list[dict[str, Any]] = []
    for item in project.objects():
        rows = list(project.summary(item.id))
        objects[str(item.id)] = {'runs': runs_of_states(rows)}
        marks += marks_of_object(item.id, rows)
    marks = without_repeated_pairs(marks)
    marks.sort(key=lambda mark: (-mark['severity'], mark['frame'], mark['object']))
    return {'objects': objects, 'marks': marks[:MAX_MARKS]}


def runs_of_states(rows: Iterable[Row]) -> list[list[Any]]:
    """Frames in a row with the same state: [state, first, last]."""
    runs: list[list[Any]] = []
    for frame, area, score, source, _ in rows:
        state = state_of(source, area, score)
        if runs and runs[-1][0] == state and runs[-1][2] == frame - 1:
            runs[-1][2] = frame
        else:
            runs.append([state, frame, frame])
    return runs


def marks_of_object(object_id: int, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The frames of one object that are worth a look: the worst of each stretch with a low score,
    sudden changes of the area, and where it begins to touch another object.
    """
    marks: list[dict[str, Any]] = []
    before: Row | None = None
    lowest: dict[str, Any] | None = None
    for row in rows:
        frame, area, score, _, near = row
        follows = before is not None and before[0] == frame - 1
        state = state_of(row[3], area, score)

        # A low score: one mark for all frames in a row.
        if state == 'uncertain':
            severity = round(1 - score / UNCERTAIN_BELOW / 2, 3)
            if lowest is None or not follows:
                lowest = _mark(frame, object_id, 'low_score', severity)
                marks.append(lowest)
            elif severity > lowest['severity']:
                lowest.update(frame=frame, severity=severity)
        else:
            lowest = None

        # A sudden change: what a user corrected is as it should be.
        if follows and before is not None and state != 'corrected':
            severity = change_of_area(before[1], area)
            if severity > 0:
                marks.append(_mark(frame, object_id, 'area_change', severity))

        # Near another object, where it was not in the frame before.
        if near is not None and not (follows and before is not None and before[4] == near):
            mark = _mark(frame, object_id, 'near_merge', 0.4)
            mark['other'] = near
            marks.append(mark)
        before = row
    return marks


def without_repeated_pairs(marks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Two objects that touch each other in a frame are marked once."""
    kept = []
    seen = set()
    for mark in marks:
        if mark['kind'] == 'near_merge':
            pair = (mark['frame'], frozenset((mark['object'], mark['other'])))
            if pair in seen:
                continue
            seen.add(pair)
        kept.append(mark)
    return kept


def change_of_area(before: int, after: int) -> float:
    """How sudden a change is: 0 where it is not, up to 1."""
    if before == 0 and after == 0:
        return 0.0
    if before == 0 or after == 0:
        return 0.9
    ratio = max(before / after, after / before)
    if ratio < _CHANGE:
        return 0.0
    return round(min(math.log(ratio) / math.log(_LARGEST_CHANGE), 1.0), 3)


def _mark(frame: int, object_id: int, kind: str, severity: float) -> dict[str, Any]:
    return {'frame': frame, 'object': object_id, 'kind': kind, 'severity': severity}


def find_near(entries: Mapping[int, Entry], size: tuple[int, int]) -> dict[int, int]:
    """The objects of a frame that touch or nearly touch another one.

    Args:
        entries: by object id.
        size: (H, W) of the frame.

    Returns:
        Object id -> id of the nearest such object with the lowest id.
    """
    height, width = size
    near: dict[int, int] = {}
    items = [(key, entry) for key, entry in sorted(entries.items()) if entry.area]
    masks: dict[int, Any] = {}
    kernel = np.ones((2 * _GAP + 1, 2 * _GAP + 1), np.uint8)
    for place, (first, one) in enumerate(items):
        for second, two in items[place + 1 :]:
            # Where both boxes are, with the gap around them.
            left = int(max(one.box[0], two.box[0])) - _GAP
            top = int(max(one.box[1], two.box[1])) - _GAP
            right = int(min(one.box[2], two.box[2])) + _GAP
            bottom = int(min(one.box[3], two.box[3])) + _GAP
            left, top = max(left, 0), max(top, 0)
            right, bottom = min(right, width), min(bottom, height)
            if right <= left or bottom <= top:
                continue
            for key, entry in ((first, one), (second, two)):
                if key not in masks:
                    masks[key] = entry.decode(size)
            window = np.s_[top:bottom, left:right]
            grown = cv2.dilate(masks[first][window].astype(np.uint8), kernel)
            if (grown.astype(bool) & masks[second][window]).any():
                near.setdefault(first, second)
                near.setdefault(second, first)
    return near
