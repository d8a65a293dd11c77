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
        """Take an error: its kind, and a sentence that names the place."""
        self.kinds.setdefault(('error', kind), []).append(place)

    def note(self, kind: str, place: str) -> None:
        """Take a note, likewise."""
        self.kinds.setdefault(('note', kind), []).append(place)

    def count(self, level: str) -> int:
        """Return the number of findings of a level, 'error' or 'note'."""
        total = 0
        for (its_level, _), places in self.kinds.items():
            if its_level == level:
                total += len(places)
        return total

    def table(self) -> str:
        """Return title and summary, then errors and notes with their number and first places."""
        title = self.title
        if self.summary:
            title += f': {self.summary}'
        if not self.kinds:
            return f'{title}\n  nothing found'
        lines = [title]
        width = max(len(kind) for _, kind in self.kinds)
        # Errors come first; findings of one level stay in their order.
        for level, kind in sorted(self.kinds, key=lambda key: key[0]):
            places = self.kinds[level, kind]
            lines.append(f'  {level:5} {kind:{width}} {len(places):7}')
            for place in places[:EXAMPLES]:
                lines.append(f'        {place}')
            if len(places) > EXAMPLES:
                lines.append(f'        and {len(places) - EXAMPLES} more')
        return '\n'.join(lines)


def numbers(all_findings: list[Findings]) -> str:
    """Return '3 errors, 1 note' over all data sets."""
    parts = []
    for level, plural in _PLURAL.items():
        count = sum(findings.count(level) for findings in all_findings)
        word = level if count == 1 else plural
        parts.append(f'{count} {word}')
    return ', '.join(parts)
