"""Arguments that several commands have, and values that argparse does not read by itself."""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

_NEGATIVE_NUMBERS = re.compile(r'-[0-9.]')


def frame_rate(text: str) -> Fraction:
    """Return a frame rate, e.g. '25' or '30000/1001'; the type of an option.

    Raises:
        argparse.ArgumentTypeError: it is none; argparse prints the sentence.
    """
    from mmvos.apis.overlay_video import parse_frame_rate
    from mmvos.io.errors import DataError

    try:
        return parse_frame_rate(text)
    except DataError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def score(text: str) -> float:
    """A score.

    Raises:
        ArgumentTypeError: it is no number from 0 to 1.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:  # also of nan
        raise argparse.ArgumentTypeError(f'a score is a number from 0 to 1, it is {text}')
    return value


def positive_number(text: str) -> int:
    """A whole number from 1 on.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0):
        raise argparse.ArgumentTypeError(f'it must be a whole number from 1 on, it is {text}')
    return int(text)


def safetensors_file(text: str) -> Path:
    """Return the path of a ``.safetensors`` file; the type of an argument.

    Raises:
        argparse.ArgumentTypeError: it has another suffix; argparse prints the sentence.
    """
    path = Path(text)
    if path.suffix != '.safetensors':
        raise argparse.ArgumentTypeError(f'it must end in .safetensors, got {text}')
    return path


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Add the options by which a launcher of several processes says what a process is."""
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def keep_local_rank(arguments: argparse.Namespace) -> None:
    """Put ``--local_rank`` where mmengine looks for it."""
    os.environ.setdefault('LOCAL_RANK', str(arguments.local_rank))


def join_negative_values(arguments: Sequence[str], option: str) -> list[str]:
    """Write '--box -5,0,40,30' as '--box=-5,0,40,30', which argparse takes for a value.

    Args:
        arguments: of the command line.
        option: whose values may begin with a minus.
    """
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == option and _NEGATIVE_NUMBERS.match(argument):
            joined[-1] = f'{option}={argument}'
        else:
            joined.append(argument)
    return joined
