"""`EvaluationInputError`, the older name of `mmvos.io.errors.DataError`: an input that cannot be
scored.
"""

from __future__ import annotations

from mmvos.io.errors import DataError

EvaluationInputError = DataError
