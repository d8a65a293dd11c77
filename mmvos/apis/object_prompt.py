"""What a user says about one object in one frame, checked value by value, and the `Prompts` that
several of these make.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmvos.io.errors import DataError
from mmvos.structures import Point, Prompts

Box = tuple[float, float, float, float]
_SHOWN = 80  # characters of a wrong value in a message


@dataclass(frozen=True)
class ObjectPrompt:
    """The prompt of one object: a mask; or a box, points, or both.

    Attributes:
        mask: (H, W) bool, or None.
        box: (x1, y1, x2, y2), continuous original pixels, or None.
        points: continuous original pixels, on the object or not on it.
        restart: see `Prompts`.
    """

    mask: NDArray[np.bool_] | None = None
    box: Box | None = None
    points: tuple[Point, ...] = ()
    restart: bool = False


def check_kinds(entry: Mapping[str, Any], place: str) -> None:
    """Refuse an entry that does not say where its object is, or says it twice.

    Args:
        entry: may have ``mask``, ``box`` and ``points``.
        place: what the entry is called in messages.

    Raises:
        DataError: the entry has none of the three, or a mask and something else.
    """
    if 'mask' in entry and ('box' in entry or 'points' in entry):
        raise DataError(
            f'{place} has a mask and a box or points; a mask says it all, leave the others out'
        )
    if not any(kind in entry for kind in ('mask', 'box', 'points')):
        raise DataError(f'{place} must have a box, a mask or points')


def parse_box(numbers: Any, name: str) -> Box:
    """Check a box.

    Args:
        numbers: left, top, right and bottom in pixels.
        name: what the box is called in messages.

    Raises:
        DataError: it is no box, or has no area.
    """
    try:
        if isinstance(numbers, (str, bytes)):
            raise TypeError('a text is no list of numbers')
        if any(isinstance(number, bool) for number in numbers):
            raise TypeError('true and false are no numbers')
        x1, y1, x2, y2 = (float(number) for number in numbers)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f'{name} must be four numbers x1, y1, x2, y2, it is {str(numbers)[:_SHOWN]}'
        ) from error

    # It lies somewhere, and has an area.
    shown = f'{x1:g}, {y1:g}, {x2:g}, {y2:g}'
    if not all(math.isfinite(number) for number in (x1, y1, x2, y2)):
        raise DataError(
            f'{name} must have finite numbers, it is {shown}; an object that reaches beyond the '
            f'frame ends at the edge of the frame'
        )
    if not (x2 > x1 and y2 > y1):
        raise DataError(f'{name} has no area: {shown}; the numbers are left, top, right, bottom')
    return x1, y1, x2, y2


def parse_points(points: Any, name: str) -> tuple[Point, ...]:
    """Check the points of one object.

    Args:
        points: a list of [x, y, 1] for a point on the object and [x, y, 0] for one that is not on
            it, in pixels; at least one.
        name: what the points are called in messages.

    Raises:
        DataError: it is no such list.
    """
    is_list = isinstance(points, (Sequence, np.ndarray))
    is_text = isinstance(points, (str, bytes))
    if not is_list or is_text:
        raise DataError(f'{name} must be a list of [x, y, 1 or 0], not {str(points)[:_SHOWN]}')
    if len(points) == 0:
        raise DataError(f'{name} are an empty list; give at least one [x, y, 1 or 0]')
    parsed = []
    for number, point in enumerate(points):
        place = f'{name}: point {number}'
        parsed.append(_parse_point(point, place))
    return tuple(parsed)


def _parse_point(point: Any, name: str) -> Point:
    """Check one point."""
    fault = (
        f'{name} must be [x, y, 1] on the object or [x, y, 0] not on it, it is '
        f'{str(point)[:_SHOWN]}'
    )
    try:
        if isinstance(point, (str, bytes)):
            raise TypeError('a text is no list of numbers')
        x, y, kind = point
        if isinstance(x, bool) or isinstance(y, bool):
            raise TypeError('true and false are no numbers')
        x = float(x)
        y = float(y)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(fault) from error
    if not (math.isfinite(x) and math.isfinite(y)):
        raise DataError(fault)
    # 1 == True == 1.0: the kind may be any of these, e.g. in an array of floats.
    if isinstance(kind, str) or kind not in (0, 1):
        raise DataError(fault)
    return x, y, bool(kind)


def parse_restart(value: Any, name: str) -> bool:
    """Check whether an object starts anew.

    Raises:
        DataError: the value is neither true nor false.
    """
    if not isinstance(value, bool):
        raise DataError(f'{name} must be true or false, it is {str(value)[:_SHOWN]}')
    return value


def join_objects(
    objects: Mapping[int, ObjectPrompt], known_ids: Collection[int], place: str
) -> Prompts:
    """Join what is said about the objects of one frame.

    Whether objects start anew is a property of the frame's prompts; it means nothing to an object
    that no frame before has named.

    Args:
        objects: by id.
        known_ids: ids that earlier frames have named.
        place: the frame, as it is called in messages.

    Raises:
        DataError: of the objects known before, some start anew and others do not; or one starts
            anew from points none of which is on it.
    """
    # An object that starts anew must be somewhere.
    for object_id, prompt in objects.items():
        has_place = prompt.mask is not None or prompt.box is not None
        has_point_on_it = any(is_on for _, _, is_on in prompt.points)
        if prompt.restart and not has_place and not has_point_on_it:
            raise DataError(
                f'{place}: object {object_id} starts anew, and none of its points is on it; give '
                f'one that is'
            )

    # Of the known objects all start anew, or none.
    restarts_of_known = set()
    for object_id, prompt in objects.items():
        if object_id in known_ids:
            restarts_of_known.add(prompt.restart)
    if len(restarts_of_known) > 1:
        raise DataError(
            f'{place}: some of the objects start anew and others do not; say restart for all of '
            f'them or for none, or for some of them in the next frame'
        )
    prompts = objects.values()
    restarts = restarts_of_known or {prompt.restart for prompt in prompts}
    return Prompts(
        ids=tuple(objects),
        masks=tuple(prompt.mask for prompt in prompts),
        boxes=tuple(prompt.box for prompt in prompts),
        points=tuple(prompt.points for prompt in prompts),
        restart=any(restarts),
    )


def split_objects(prompts: Prompts) -> dict[int, ObjectPrompt]:
    """Give what prompts say by object id; the opposite of `join_objects`."""
    objects = {}
    given = zip(prompts.ids, prompts.masks, prompts.boxes, prompts.points, strict=True)
    for object_id, mask, box, points in given:
        objects[object_id] = ObjectPrompt(mask, box, points, prompts.restart)
    return objects
