"""The one reader of JSON files: annotations, results, prompts, class names, journals.

Python's parser takes more than JSON allows and more than the code behind it can use: NaN and
Infinity, numbers beyond 64 bits, the same key twice in one object, thousands of nested lists. All
of that is refused here with its place, so that nobody behind has to think of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import DataError
from .text import MAX_TEXT_BYTES, decode_text, read_bytes

# Annotation files nest 6 deep. The limit leaves room for recursive code behind the reader.
MAX_DEPTH = 64
# Ids, sizes and counts become int64 in numpy and in pycocotools.
MAX_INTEGER = 2**63 - 1


class _BadValue(ValueError):
    """A value that Python's parser takes and JSON, or the code behind, does not."""


def read_json(path: str | Path, max_bytes: int = MAX_TEXT_BYTES) -> Any:
    """Read a JSON file.

    Args:
        path: the file, in UTF-8, or in UTF-16 with a byte order mark.
        max_bytes: a larger file is refused.

    Returns:
        dict, list, str, int, float, bool or None; all numbers are finite and within 64 bits.

    Raises:
        DataError: the file cannot be read, is too large, or `parse_json` refuses it.
    """
    return parse_json(read_bytes(path, max_bytes), path)


def parse_json(
    data: str | bytes,
    source: str | Path,
    object_hook: Callable[[dict[str, Any]], Any] | None = None,
) -> Any:
    """Parse JSON strictly; see `read_json`.

    Args:
        data: the text, or the bytes of a whole file.
        source: where it comes from, for messages.
        object_hook: called with each object, as in `json.loads`; what it returns takes its place.

    Raises:
        DataError: a fault of syntax (line and column are named), NaN or Infinity, a number beyond
            64 bits, a key that stands twice in one object, or more than `MAX_DEPTH` levels.
    """

    def make_object(pairs: list[tuple[str, Any]]) -> Any:
        item = _unique_keys(pairs)
        return item if object_hook is None else object_hook(item)

    text = decode_text(data, source) if isinstance(data, bytes) else data
    try:
        value = json.loads(text, object_pairs_hook=make_object, parse_constant=_refuse_constant)
        _check_values(value, MAX_DEPTH)
    except json.JSONDecodeError as error:
        raise DataError(
            f'{source} is not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}; '
            f'check that the file is complete.'
        ) from None
    except _BadValue as error:
        raise DataError(f'{source} is not usable JSON: {error}.') from None
    except RecursionError:
        raise DataError(
            f'{source} is not usable JSON: lists and objects are nested more than {MAX_DEPTH} deep.'
        ) from None
    except MemoryError:
        raise DataError(f'{source} cannot be read: it needs more than the free memory.') from None
    except ValueError:
        # Python refuses to convert integers of more than 4,300 digits.
        raise DataError(
            f'{source} is not usable JSON: it holds a number of thousands of digits.'
        ) from None
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs; of a key that stands twice Python would keep the last value."""
    item = dict(pairs)
    if len(item) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        start = str(item)[:60]
        raise _BadValue(f'the key "{repeated[:40]}" stands twice in the object {start}')
    return item


def _refuse_constant(name: str) -> Any:
    raise _BadValue(f'it holds {name}, which is no number; write finite numbers or null')


def _check_values(value: Any, depth: int) -> None:
    """Check the numbers and the nesting of a parsed value.

    Lists of numbers, most of a large file, are checked as a whole, without a step per number.

    Args:
        value: what the parser returned.
        depth: levels that are still allowed.
    """
    if isinstance(value, dict):
        items = list(value.values())
    elif isinstance(value, list):
        items = value
    else:
        items = [value]

    # Most lists hold numbers only.
    if set(map(type, items)) <= {int, float} and _within_limits(items):
        return

    # Else one by one, down to the allowed depth.
    for item in items:
        if type(item) is int:
            if abs(item) > MAX_INTEGER:
                raise _BadValue(_too_large(item))
        elif type(item) is float:
            if math.isinf(item):
                raise _BadValue('it holds a number beyond 1e308')
        elif type(item) is list or type(item) is dict:
            if depth == 0:
                raise _BadValue(f'lists and objects are nested more than {MAX_DEPTH} deep')
            _check_values(item, depth - 1)


def _within_limits(numbers: list[int | float]) -> bool:
    """Whether a quick look at the extremes says that all numbers are harmless."""
    return not numbers or (max(numbers) <= MAX_INTEGER and min(numbers) >= -MAX_INTEGER)


def _too_large(number: int) -> str:
    digits = str(number)
    return f'the number {digits[:20]}{"..." if len(digits) > 20 else ""} does not fit into 64 bits'
