"""The timeline: for each object where it is seen, lost, uncertain or corrected, and the frames that
are most worth a look.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .project import Project
from .records import CORRECTED, UNCERTAIN_BELOW, Entry, state_of

MAX_MARKS = 200
_CHANGE = 1.6  # ratio of the areas of two frames in a row that is sudden
_LARGEST_CHANGE = 4.0  # ratio that is as bad as it gets
_GAP = 2  # pixels between two masks that nearly merge
_APART = 3  # frames between two marks of the same kind
# Frames in which the model is least sure: one for so many frames, at most so many of an object.
_FRAMES_PER_LOOK = 20
_MOST_LOOKS = 10
_FEWEST_FRAMES = 12
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

    def most_severe_first(mark: dict[str, Any]) -> tuple[float, int, int]:
        return -mark['severity'], mark['frame'], mark['object']

    marks.sort(key=most_severe_first)
    return {'objects': objects, 'marks': marks[:MAX_MARKS]}


def runs_of_states(rows: Iterable[Row]) -> list[list[Any]]:
    """Frames in a row with the same state: [state, first, last]."""
    runs: list[list[Any]] = []
    for frame, area, score, source, _ in rows:
        state = state_of(source, area, score)
        if runs:
            last_state, _, last_frame = runs[-1]
            if last_state == state and last_frame == frame - 1:
                runs[-1][2] = frame
                continue
        runs.append([state, frame, frame])
    return runs


def marks_of_object(object_id: int, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The frames of one object that are worth a look: the worst of each stretch with a low score,
    where it is lost and comes back, sudden changes of the area, where it begins to touch another
    object; and those in which the model is least sure of it.
    """
    marks: list[dict[str, Any]] = []
    before: Row | None = None
    lowest: dict[str, Any] | None = None
    change: dict[str, Any] | None = None
    for row in rows:
        frame, area, score, _, near = row
        last = before if before is not None and before[0] == frame - 1 else None
        state = state_of(row[3], area, score)

        # A low score: one mark for all frames in a row.
        if state == 'uncertain':
            severity = round(1 - score / UNCERTAIN_BELOW / 2, 3)
            if lowest is None or last is None:
                lowest = _mark(frame, object_id, 'low_score', severity)
                marks.append(lowest)
            elif severity > lowest['severity']:
                lowest.update(frame=frame, severity=severity)
        else:
            lowest = None

        # A sudden change: what a user corrected is as it should be. Of changes that follow each
        # other closely the worst is marked.
        severity = 0.0
        if last is not None and state != 'corrected':
            severity = change_of_area(last[1], area)
        if severity > 0 and last is not None and 0 in (area, last[1]):
            kind = 'lost' if area == 0 else 'returns'
            marks.append(_mark(frame, object_id, kind, severity))
        elif severity > 0:
            if change is None or frame - change['frame'] > _APART:
                change = _mark(frame, object_id, 'area_change', severity)
                marks.append(change)
            elif severity > change['severity']:
                change.update(frame=frame, severity=severity)

        # Near another object, where it was not in the frame before.
        if near is not None and not (last is not None and last[4] == near):
            mark = _mark(frame, object_id, 'near_merge', 0.4)
            mark['other'] = near
            marks.append(mark)
        before = row
    return marks + least_sure(object_id, rows)


def least_sure(object_id: int, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The frames in which the model is least sure of an object, some frames apart from each other.

    A network's scores are all high and differ little, and errors grow with the distance to what the
    user gave. So a frame is judged by both: its place among the object's frames by score, and by
    the distance to the nearest corrected frame. On the held-back sequences of docs/studio.md either
    alone tells little.
    """
    found = [row for row in rows if state_of(row[3], row[1], row[2]) in ('seen', 'uncertain')]
    if len(found) < _FEWEST_FRAMES:
        return []
    frames = np.array([row[0] for row in found])
    scores = np.array([row[2] for row in found])
    given = np.array([row[0] for row in rows if row[3] == CORRECTED] or [frames[0]])
    doubt = _place(-scores) + _place(_distance_to_nearest(frames, given))  # 0 to 2
    count = min(max(len(found) // _FRAMES_PER_LOOK, 1), _MOST_LOOKS)
    apart = max(len(found) // (4 * count), _APART)
    marks: list[dict[str, Any]] = []
    for place in np.argsort(-doubt, kind='stable').tolist():
        frame = int(frames[place])
        if all(abs(frame - mark['frame']) > apart for mark in marks):
            severity = round(0.15 * float(doubt[place]), 3)
            marks.append(_mark(frame, object_id, 'least_sure', severity))
        if len(marks) == count:
            break
    return marks


def _place(values: NDArray[Any]) -> NDArray[np.float64]:
    """The place of each value among all that differ, from 0 (lowest) to 1 (highest)."""
    different, places = np.unique(values, return_inverse=True)
    return places / max(len(different) - 1, 1)


def _distance_to_nearest(frames: NDArray[Any], given: NDArray[Any]) -> NDArray[Any]:
    """Frames from each of ``frames`` to the nearest of ``given``; both are in order."""
    # The given frame at or behind each frame, and the one before that.
    place = np.searchsorted(given, frames)
    last = len(given) - 1
    later = given[np.clip(place, None, last)]
    earlier = given[np.clip(place - 1, 0, None)]
    to_later = np.abs(frames - later)
    to_earlier = np.abs(frames - earlier)
    return np.minimum(to_earlier, to_later)


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
    """Find the objects of a frame that touch or nearly touch another one.

    Args:
        entries: by object id.
        size: (H, W) of the frame.

    Returns:
        Object id -> id of the nearest such object with the lowest id.
    """
    seen = {}
    for key, entry in sorted(entries.items()):
        if entry.area:
            seen[key] = entry
    near: dict[int, int] = {}
    masks: dict[int, Any] = {}
    kernel = np.ones((2 * _GAP + 1, 2 * _GAP + 1), np.uint8)
    for first, second in combinations(seen, 2):
        window = _shared_window(seen[first], seen[second], size)
        if window is None:
            continue
        # Only masks of objects whose boxes meet are decoded.
        for key in (first, second):
            if key not in masks:
                masks[key] = seen[key].decode(size)
        # The one mask, grown by the gap, meets the other.
        part = masks[first][window].astype(np.uint8)
        grown = cv2.dilate(part, kernel).astype(bool)
        if (grown & masks[second][window]).any():
            near.setdefault(first, second)
            near.setdefault(second, first)
    return near


def _shared_window(one: Entry, two: Entry, size: tuple[int, int]) -> tuple[slice, slice] | None:
    """Return rows and columns where both boxes are, with the gap around them; None where they do
    not meet.
    """
    height, width = size
    x1, y1, x2, y2 = one.box
    other_x1, other_y1, other_x2, other_y2 = two.box
    left = int(max(x1, other_x1)) - _GAP
    top = int(max(y1, other_y1)) - _GAP
    right = int(min(x2, other_x2)) + _GAP
    bottom = int(min(y2, other_y2)) + _GAP
    # What lies in the frame.
    left = max(left, 0)
    top = max(top, 0)
    right = min(right, width)
    bottom = min(bottom, height)
    if right <= left or bottom <= top:
        return None
    return slice(top, bottom), slice(left, right)
