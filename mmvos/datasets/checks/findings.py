"""What is wrong in a data set, as a table: kinds of findings with their number and the first
places.

An error stops a training or makes it wrong; a note may be meant so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

EXAMPLES = 3
_PLURAL = {'error': 'errors', 'note': 'notes'}


@dataclass
class Findings:
    """Findings of one data set, called ``title``; ``summary`` says what was looked at."""

    title: str
    summary: str = ''
    kinds: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def error(self, kind: str, place: str) -> None:
        """Takes an error: its kind, and a sentence that names the place."""
        self.kinds.setdefault(('error', kind), []).append(place)

    def note(self, kind: str, place: str) -> None:
        """Takes a note, likewise."""
        self.kinds.setdefault(('note', kind), []).append(place)

    def count(self, level: str) -> int:
        """Number of findings of a level, 'error' or 'note'."""
        return sum(
            len(places) for (its_level, _), places in self.kinds.items() if its_level == level
        )

    def table(self) -> str:
        """Several lines: title and summary, then errors and notes with their number and first
        places.
        """
        lines = [self.title + (f': {self.summary}' if self.summary else '')]
        if not self.kinds:
            lines.append('  nothing found')
        width = max((len(kind) for _, kind in self.kinds), default=0)
        # errors first
        for (level, kind), places in sorted(self.kinds.items(), key=lambda item: item[0][0]):
            lines.append(f'  {level:5} {kind:{width}} {len(places):7}')
            lines += [f'        {place}' for place in places[:EXAMPLES]]
            if len(places) > EXAMPLES:
                lines.append(f'        and {len(places) - EXAMPLES} more')
        return '\n'.join(lines)


def numbers(all_findings: list[Findings]) -> str:
    """'3 errors, 1 note' over all data sets."""
    counts = {level: sum(findings.count(level) for findings in all_findings) for level in _PLURAL}
    return ', '.join(
        f'{count} {level if count == 1 else _PLURAL[level]}' for level, count in counts.items()
    )
