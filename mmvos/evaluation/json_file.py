"""Reads JSON files; what is wrong with one is said in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .input_error import EvaluationInputError


def read_json(path: str | Path) -> Any:
    """Parse a JSON file.

    Raises:
        EvaluationInputError: the file is missing or no JSON.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise EvaluationInputError(
            f'{path} cannot be read ({error.strerror or error}); check the path.'
        ) from None
    except (ValueError, RecursionError) as error:
        raise EvaluationInputError(
            f'{path} is no JSON ({str(error).splitlines()[0]}); write the file again.'
        ) from None
