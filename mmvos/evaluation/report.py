"""What an evaluation hands back, the same for every protocol: summary values by name, tables, and
notes for the reader.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Report:
    """Scores of one run.

    Attributes:
        metrics: summary values by name, fractions at full precision.
        tables: rows by table name, e.g. 'per_object', 'per_sequence', 'per_class'.
        undefined: names of summary values that no data defines; they are -1 in `metrics`.
        notes: one sentence each: what was left out of the scores and why.
    """

    metrics: dict[str, float]
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    undefined: frozenset[str] = frozenset()
