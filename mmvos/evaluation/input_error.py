"""The one error of the evaluation room: an input that cannot be scored.

The message is one sentence that names the file, the place in it (video, frame, annotation) and the
remedy. It is a leaf module, shared by all protocols, so that a command or a caller can catch bad
input without catching defects of the code.
"""

from __future__ import annotations

from mmvos.io.errors import DataError


class EvaluationInputError(DataError):
    """Ground truth or results that cannot be scored; the message is meant for the user as it
    stands.
    """
