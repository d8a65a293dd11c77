"""Ranges of numbers that the options of a registered class may have.

A number out of its range would end somewhere in the middle of a video or of a training, in a
traceback that names no option. It is refused where the class is built, in a sentence that does.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeVar

Class = TypeVar('Class', bound=type)


@dataclass(frozen=True)
class Range:
    """Numbers that an option, or each entry of a list, may be.

    Attributes:
        low, high: the bounds.
        has_low, has_high: whether the bounds belong to it.
        step: of which the numbers are multiples above ``low``; 0: any number.
    """

    low: float
    high: float = math.inf
    has_low: bool = True
    has_high: bool = True
    step: int = 0

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, Real):
            return False
        number = float(value)
        if not math.isfinite(number) or (self.step and (number - self.low) % self.step):
            return False
        is_above = number > self.low or (self.has_low and number == self.low)
        is_below = number < self.high or (self.has_high and number == self.high)
        return is_above and is_below

    def __str__(self) -> str:
        if self.step > 1:
            return f'{self.low:g} plus a multiple of {self.step}'
        kind = 'a whole number' if self.step else 'a number'
        low = f'at least {self.low:g}' if self.has_low else f'above {self.low:g}'
        if self.high == math.inf:
            return f'{kind}, {low}'
        high = f'at most {self.high:g}' if self.has_high else f'below {self.high:g}'
        return f'{kind}, {low} and {high}'


COUNT = Range(1, step=1)
COUNT_OR_ZERO = Range(0, step=1)
POSITIVE = Range(0, has_low=False)
NOT_NEGATIVE = Range(0)
SHARE = Range(0, 1)
INNER_SHARE = Range(0, 1, has_low=False, has_high=False)


def options_in(allowed: Range, *names: str) -> Callable[[Class], Class]:
    """Make a class decorator that refuses options out of a range.

    None passes, where an option may be left out.

    Args:
        allowed: the range; of a list or tuple each entry must lie in it.
        names: of the options.
    """

    def decorate(cls: Class) -> Class:
        init = cls.__init__  # type: ignore[misc]
        signature = inspect.signature(init)

        @functools.wraps(init)
        def init_in_range(self: Any, *args: Any, **kwargs: Any) -> None:
            try:
                given = signature.bind(self, *args, **kwargs).arguments
            except TypeError:
                given = {}  # the constructor itself says which argument it does not take
            # Each option that is given, or each entry of one.
            for name in names:
                value = given.get(name)
                entries = value if isinstance(value, (list, tuple)) else [value]
                for entry in entries:
                    if entry is not None and entry not in allowed:
                        raise ValueError(f'{cls.__name__}: {name} must be {allowed}, not {entry!r}')
            init(self, *args, **kwargs)

        cls.__init__ = init_in_range  # type: ignore[misc]
        return cls

    return decorate
