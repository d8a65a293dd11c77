"""Notes that a reader gives once in a run, however many files they hold for."""

from __future__ import annotations

import warnings

_given: set[str] = set()


def note_once(kind: str, sentence: str) -> None:
    """Warn with a sentence, if this process has not given a note of this kind.

    Args:
        kind: names the kind of note.
        sentence: names the first file and what is done with it.
    """
    if kind in _given:
        return
    _given.add(kind)
    warnings.warn(sentence, stacklevel=3)


def forget_notes() -> None:
    """Let every kind of note be given again, as at the start of a run."""
    _given.clear()
