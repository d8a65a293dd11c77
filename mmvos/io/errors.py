"""The error of a file that cannot be used as it is: which file, where in it, what is wrong, what
helps.

Readers raise `DataError` (or a child of it) for everything that a user can put right. Command lines
print its text as it stands and end with exit code 1; any other exception is a defect of the code.
"""

from __future__ import annotations

import re

# No name of a file has more letters, so a longer word is a value that the message quotes.
_LONGEST_WORD = 255
_SHOWN = 60
_SHOWN_END = 20
_LONG_WORD = re.compile(rf'[^\s/\\]{{{_LONGEST_WORD + 1},}}')


def _shorten(word: re.Match[str]) -> str:
    """Return the beginning and the end of a word."""
    text = word[0]
    return f'{text[:_SHOWN]}...{text[-_SHOWN_END:]}'


class DataError(ValueError):
    """Input or output that cannot be used; the message is one sentence meant for the user.

    A value of thousands of letters, which the message quotes, is cut.
    """

    def __str__(self) -> str:
        return _LONG_WORD.sub(_shorten, super().__str__())
