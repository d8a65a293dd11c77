"""The error of a file that cannot be used as it is: which file, where in it, what is wrong, what helps.

Readers raise `DataError` (or a child of it) for everything that a user can put right. Command lines
print its text as it stands and end with exit code 1; any other exception is a defect of the code.
"""

from __future__ import annotations


class DataError(ValueError):
    """Input or output that cannot be used; the message is one sentence meant for the user."""
