"""The sequence lengths that EAO averages over, by the year of the challenge (Kristan et al., VOT
2016 to 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

from mmvos.io.errors import DataError


@dataclass(frozen=True)
class Interval:
    """Sequence lengths (low, high) in frames: `plain` for the convention of the SiamMask and pysot
    tools, `toolkit` for that of the VOT toolkit.
    """

    plain: tuple[int, int]
    toolkit: tuple[int, int]


INTERVALS = {
    2016: Interval(plain=(100, 356), toolkit=(108, 371)),
    2018: Interval(plain=(100, 356), toolkit=(100, 356)),
    2019: Interval(plain=(46, 291), toolkit=(46, 291)),
}


def choose_interval(year: int, given: tuple[int, int] | None) -> Interval:
    """The interval of a year, or one that is given for own sequences, in both conventions.

    Raises:
        DataError: no interval is known for the year.
    """
    if given is None:
        if year not in INTERVALS:
            years = ', '.join(map(str, INTERVALS))
            raise DataError(f'the year of VOT must be one of {years}, not {year!r}')
        return INTERVALS[year]
    low, high = given
    return Interval((low, high), (low, high))
