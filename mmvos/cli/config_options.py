"""Config entries on a command line: ``--cfg-options model.backbone.depth=18 key=[1,2]``.

mmengine reads them, but its import takes a second or two; so the words are kept as they are until a
config is at hand.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from mmvos.io.errors import DataError


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help='override config entries: key=value ...',
    )


def read_config_options(words: Sequence[str]) -> dict[str, Any]:
    """Read config entries as mmengine does.

    Args:
        words: KEY=VALUE each.

    Returns:
        Value by key, as ``Config.merge_from_dict`` takes them.

    Raises:
        DataError: a word has no '=', or brackets that do not match.
    """
    from mmengine.config import DictAction

    # mmengine's own message for this is a traceback.
    for word in words:
        if '=' not in word:
            raise DataError(
                f'--cfg-options: {word!r} is no KEY=VALUE, e.g. model.backbone.depth=18.'
            )

    # mmengine reads values as Python: numbers, lists, None.
    found = argparse.Namespace(options={})
    read = DictAction(['--cfg-options'], 'options')
    try:
        read(argparse.ArgumentParser(), found, list(words))
    except AssertionError as error:
        raise DataError(f'--cfg-options: {error}; give as many ( and [ as ) and ].') from None
    options: dict[str, Any] = found.options
    return options
