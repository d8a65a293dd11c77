"""The one reader of config files: what is no config is refused in a sentence that names its place.

A config is a Python program, which can fail in any way, or YAML or JSON, which mmengine reads.
"""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import DataError

if TYPE_CHECKING:
    from mmengine.config import Config

_SUFFIXES = ('.py', '.json', '.yaml', '.yml')


def read_config_file(path: str | Path) -> Config:
    """Read a config file and the files that it builds upon.

    Raises:
        DataError: there is no such file, or it is no config; with the line that failed.
    """
    from mmengine.config import Config  # takes seconds, and most of what is checked is no config

    from .mmengine_loaders import make_mmengine_safe

    make_mmengine_safe()  # its readers of YAML and pickles would run what such a file asks for
    if not os.path.isfile(path):
        raise DataError(f'the config {path} does not exist; check the path')
    if Path(path).suffix not in _SUFFIXES:
        kinds = ', '.join(_SUFFIXES)
        raise DataError(f'{path} is no config: its name ends in none of {kinds}')
    try:
        config: Config = Config.fromfile(path)
    except Exception as error:
        reason = (str(error) or 'no more is known').splitlines()[0]
        raise DataError(
            f'{path} is no config: {_place(error, path)}{type(error).__name__}: {reason} '
            '(MMVOS_TRACEBACK=1 shows where)'
        ) from error
    return config


def _place(error: Exception, path: str | Path) -> str:
    """The file and line of a config's own code that failed; '' where nobody knows."""
    if isinstance(error, SyntaxError):
        return f'{error.filename or path}, line {error.lineno}: '
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        is_of_a_library = 'site-packages' in frame.filename or frame.filename == __file__
        if not is_of_a_library and not frame.filename.startswith('<'):
            return f'{frame.filename}, line {frame.lineno}: '
    return ''
