"""What a project is made of: objects, prompts and results, and how they look in JSON.

Masks are COCO run lengths of the frame's size, kept as compressed strings (``counts``) and sent to
the page as lists of numbers. H, W: the frame's height and width.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmvos.apis.object_prompt import parse_box, parse_points
from mmvos.io.errors import DataError
from mmvos.io.rle import compress_mask, runs_of
from mmvos.structures import rle

# where an entry comes from
MODEL = 'model'
CORRECTED = 'corrected'
UNCERTAIN_BELOW = 0.8  # score of an entry that is worth a look
MAX_NAME = 200
MAX_POINTS = 1000
# Colors that are told apart well, on light and dark ground.
COLORS = (
    '#e6194b',
    '#3cb44b',
    '#4363d8',
    '#f58231',
    '#911eb4',
    '#42d4f4',
    '#f032e6',
    '#bfef45',
    '#fabed4',
    '#469990',
    '#ffe119',
    '#9a6324',
)
_COLOR = re.compile(r'#[0-9a-f]{6}')


@dataclass(frozen=True)
class StudioObject:
    """An object that is followed.

    Attributes:
        id: from 1, never given again.
        name, category: text, shown as it is.
        color: '#rrggbb'.
        visible: whether the page shows it.
        deleted: removed by the user; undo brings it back.
    """

    id: int
    name: str
    color: str
    category: str = 'object'
    visible: bool = True
    deleted: bool = False

    def to_json(self) -> dict[str, Any]:
        """As the page gets it."""
        return {
            'id': self.id,
            'name': self.name,
            'color': self.color,
            'category': self.category,
            'visible': self.visible,
        }


@dataclass(frozen=True)
class StoredPrompt:
    """What the user says about one object in one frame.

    Attributes:
        box: (x1, y1, x2, y2) in pixels, or None.
        points: (x, y, is on the object).
        mask: compressed counts of a painted mask, or None.
        base: compressed counts of the model's mask that was there when the first point was given,
            which points correct; the page does not see it.
    """

    box: tuple[float, float, float, float] | None = None
    points: tuple[tuple[float, float, bool], ...] = ()
    mask: str | None = None
    base: str | None = None

    def to_json(self, size: tuple[int, int]) -> dict[str, Any]:
        """As the page gets it; ``size`` is (H, W)."""
        box = None
        if self.box is not None:
            box = list(self.box)
        points = [[x, y, int(is_on)] for x, y, is_on in self.points]
        mask = None
        if self.mask is not None:
            mask = mask_to_json(self.mask, size)
        return {'box': box, 'points': points, 'mask': mask}


@dataclass(frozen=True)
class Entry:
    """One object in one frame.

    Attributes:
        counts: compressed run lengths.
        score: of the model in [0, 1].
        source: ``MODEL`` or ``CORRECTED``.
        area: in pixels.
        box: (x1, y1, x2, y2) around the mask, zeros where it is empty.
        near: id of another object that nearly merges with this one, or None.
    """

    counts: str
    score: float
    source: str
    area: int
    box: tuple[float, float, float, float]
    near: int | None = None

    @property
    def state(self) -> str:
        """What the timeline shows."""
        return state_of(self.source, self.area, self.score)

    def to_json(self, size: tuple[int, int]) -> dict[str, Any]:
        """As the page gets it; ``size`` is (H, W)."""
        return {
            'mask': mask_to_json(self.counts, size),
            'score': round(self.score, 4),
            'source': self.source,
            'box': list(self.box),
            'area': self.area,
            'state': self.state,
        }

    def decode(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """The mask as (H, W) bool."""
        return decode_counts(self.counts, size)


def state_of(source: str, area: int, score: float) -> str:
    """Say what the timeline shows of an entry.

    Args:
        source: ``MODEL`` or ``CORRECTED``.
        area: of the mask in pixels.
        score: of the model in [0, 1].
    """
    if source == CORRECTED:
        return 'corrected'
    if area == 0:
        return 'lost'
    return 'uncertain' if score < UNCERTAIN_BELOW else 'seen'


def make_entry(mask: rle.RLE, score: float, source: str, near: int | None = None) -> Entry:
    """Make the entry of a mask.

    Args:
        mask: run lengths.
        score: of the model in [0, 1].
        source: ``MODEL`` or ``CORRECTED``.
        near: id of another object that nearly merges with this one, or None.
    """
    return Entry(mask['counts'], float(score), source, rle.area(mask), rle.bounding_box(mask), near)


def decode_counts(counts: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Decode compressed counts to (H, W) bool."""
    return rle.decode(rle.RLE(size=list(size), counts=counts))


def mask_to_json(counts: str, size: tuple[int, int]) -> dict[str, Any]:
    """A mask as the page gets it: uncompressed run lengths."""
    return {'size': list(size), 'counts': runs_of(counts.encode('ascii'))}


def parse_mask(given: Any, size: tuple[int, int], where: str) -> str:
    """Check a mask that a page or a file gives.

    Args:
        given: run lengths, as the page writes them.
        size: (H, W) of the frame.
        where: what it is called in messages.

    Returns:
        Its compressed counts.

    Raises:
        DataError: it is none, or of another size.
    """
    compressed = compress_mask(given, *size, where)
    counts: bytes = compressed['counts']
    return counts.decode('ascii')


def parse_prompt(given: Any, size: tuple[int, int]) -> StoredPrompt:
    """Check a prompt that a page gives.

    Args:
        given: a ``Prompt`` of docs/studio.md.
        size: (H, W) of the frame.

    Raises:
        DataError: it is none.
    """
    if not isinstance(given, Mapping):
        raise DataError('a prompt must be an object with box, points or mask')
    box = None
    if given.get('box') is not None:
        box = _parse_box_inside(given['box'], size)
    points: tuple[tuple[float, float, bool], ...] = ()
    if given.get('points'):
        points = _parse_points_inside(given['points'], size)
    mask = None
    if given.get('mask') is not None:
        # A painted mask says more than a box.
        mask = parse_mask(given['mask'], size, 'the painted mask')
        box = None
    if box is None and mask is None and not points:
        raise DataError('a prompt needs a box, points or a mask')
    return StoredPrompt(box, points, mask)


def _parse_box_inside(given: Any, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the part of a box inside of the frame; one that lies outside has none."""
    height, width = size
    x1, y1, x2, y2 = parse_box(given, 'the box')
    x1 = max(x1, 0)
    y1 = max(y1, 0)
    x2 = min(x2, width)
    y2 = min(y2, height)
    if not (x2 > x1 and y2 > y1):
        raise DataError('the box lies outside of the frame')
    return x1, y1, x2, y2


def _parse_points_inside(
    given: Any, size: tuple[int, int]
) -> tuple[tuple[float, float, bool], ...]:
    """Check points, all of which must lie in the frame."""
    height, width = size
    points = parse_points(given, 'the points')
    if len(points) > MAX_POINTS:
        raise DataError(f'the prompt has {len(points)} points; at most {MAX_POINTS} are taken')
    for x, y, _ in points:
        if not (0 <= x <= width and 0 <= y <= height):
            raise DataError(f'the point {x:g},{y:g} lies outside of the frame')
    return points


def parse_name(given: Any, what: str) -> str:
    """Check a name or category: text without control characters, not too long.

    Raises:
        DataError: it is none.
    """
    if not isinstance(given, str) or not given.strip():
        raise DataError(f'the {what} must be a text')
    if len(given) > MAX_NAME:
        raise DataError(f'the {what} has {len(given)} characters; at most {MAX_NAME} are taken')
    if any(not character.isprintable() for character in given):
        raise DataError(f'the {what} has a character that cannot be shown')
    return given.strip()


def parse_color(given: Any) -> str:
    """Check a color '#rrggbb'.

    Raises:
        DataError: it is none.
    """
    if not isinstance(given, str) or not _COLOR.fullmatch(given.lower()):
        raise DataError('the color must be like #e6194b')
    return given.lower()


def color_to_bgr(color: str) -> tuple[int, int, int]:
    """'#rrggbb' as (B, G, R), 0..255."""
    red, green, blue = bytes.fromhex(color.removeprefix('#'))
    return blue, green, red


def parse_index(given: Any, what: str, count: int | None = None) -> int:
    """Check a whole number from 0 and below ``count``.

    Args:
        given: what a page gives.
        what: it is called in messages.
        count: None: there is no upper bound.

    Raises:
        DataError: it is none.
    """
    # In Python a bool is a number.
    is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
    if not is_number:
        raise DataError(f'{what} must be a whole number')
    is_whole = math.isfinite(given) and given == int(given)
    if not is_whole or given < 0:
        raise DataError(f'{what} must be a whole number from 0')
    index = int(given)
    if count is not None and index >= count:
        raise DataError(f'{what} is {index}, but the last frame is {count - 1}')
    return index
