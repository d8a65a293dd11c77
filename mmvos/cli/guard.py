"""How a command line ends: what a user can mend is one sentence and exit status 1, an interrupt one
line and status 130; only a defect of the code shows a traceback.

This file imports nothing that takes time, so that an interrupt finds the guard in place.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from mmvos.cli.printing import print_any_name
from mmvos.io.atomic import explain_os_error
from mmvos.io.errors import DataError

INTERRUPTED = 128 + signal.SIGINT  # exit status of a shell's commands after Ctrl-C
_NOBODY_READS = 128 + getattr(signal, 'SIGPIPE', 13)
_TRACEBACK = 'MMVOS_TRACEBACK'  # an environment variable: show where an error comes from
# Faults of an output that have nothing to do with the file that was being read.
_OUTPUT_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
# Libraries of the full set-up, and those of extras with their extra.
_FULL_SETUP = ('torch', 'mmcv', 'mmdet', 'mmengine', 'scipy', 'safetensors', 'yaml')
_EXTRAS = {
    'onnxruntime': 'run',
    'openvino': 'openvino',
    'onnx': 'export',
    'onnxscript': 'export',
    'cvat_sdk': 'cvat',
    'label_studio_ml': 'label-studio',
    'ray': 'ray',
}
_PATIENCE = 10.0  # seconds in which more interrupts do not disturb the end of the first one


def run_command(
    name: str,
    main: Callable[[], object],
    *expected: type[Exception],
    kept: str = 'what was finished stays',
) -> None:
    """Run a command line's main function and end the process as its result says.

    Args:
        name: of the command, which its messages begin with.
        main: what to run.
        expected: errors of users beside `DataError` and `OSError`, e.g. ``ValueError``.
        kept: what an interrupt leaves, and how to go on; the rest of the sentence 'stopped: ...'.

    Raises:
        SystemExit: with the sentence, or the status of an interrupt.
    """
    mendable: tuple[type[BaseException], ...] = (DataError, OSError, *expected)
    print_any_name()
    try:
        with interrupted_once(is_end=True):
            main()
            sys.stdout.flush()
    except BrokenPipeError:
        _close_output()
        sys.exit(_NOBODY_READS)
    except mendable as error:
        if os.environ.get(_TRACEBACK):
            raise
        _close_output()
        sys.exit(f'{name}: {sentence_of(error)}')
    except ModuleNotFoundError as error:
        if os.environ.get(_TRACEBACK) or not is_left_out(error):
            raise
        _close_output()
        sys.exit(f'{name}: {how_to_install(error)}')
    except KeyboardInterrupt as stop:
        _close_output()
        # Whoever was stopped may know better what it kept.
        print(f'{name}: stopped: {stop.args[0] if stop.args else kept}', file=sys.stderr)
        sys.exit(INTERRUPTED)


def is_left_out(error: ModuleNotFoundError) -> bool:
    """Say whether a library is missing that some ways to install mmvos leave out."""
    return (error.name or '').split('.')[0] in (*_FULL_SETUP, *_EXTRAS)


def how_to_install(error: ModuleNotFoundError) -> str:
    """Say how to get a library that is left out; see `is_left_out`."""
    library = (error.name or '').split('.')[0]
    if library in _EXTRAS:
        return (
            f'this needs {library}, which is not installed; pip install "mmvos[{_EXTRAS[library]}]"'
        )
    return (
        f'this needs {library}, which "pip install mmvos[run]" leaves out; the full set-up is '
        f'bash tools/setup_env.sh in a clone of the project'
    )


def sentence_of(error: BaseException) -> str:
    """Say an error in one sentence.

    Args:
        error: what was raised; one of a data loader's worker carries the worker's traceback as
            its text, of which the last line is shown.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return _sentence_of_os_error(error)
    text = str(error) or type(error).__name__
    first_line = text.split('\n', 1)[0]
    if 'in DataLoader worker process' in first_line:
        last_line = text.rstrip().split('\n')[-1]
        return last_line.split(': ', 1)[-1]
    return text


def _sentence_of_os_error(error: OSError) -> str:
    """Say what the operating system refused, and where."""
    place = error.filename
    if isinstance(place, bytes):
        place = os.fsdecode(place)
    if error.errno in _OUTPUT_FAULTS:
        return explain_os_error(place or 'the output', error)
    reason = error.strerror or type(error).__name__
    if place is None:
        return reason
    return f'{place}: {reason}'


@contextmanager
def interrupted_once(is_end: bool = False) -> Iterator[None]:
    """Let the first Ctrl-C raise ``KeyboardInterrupt``, and those that follow at once do nothing,
    so that files which are being finished are finished.

    Args:
        is_end: the process ends after an interrupt, so what follows does nothing until its end:
            exit functions of libraries would be stopped in the middle.
    """
    before = signal.getsignal(signal.SIGINT)
    is_ours = threading.current_thread() is threading.main_thread()
    if before is not signal.default_int_handler or not is_ours:
        yield  # somebody else decides, e.g. a background job's shell
        return

    # From here on the first one counts.
    handler = _FirstInterrupt()
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        if not (is_end and handler.has_come):
            signal.signal(signal.SIGINT, before)


class _FirstInterrupt:
    """A signal handler that raises at the first interrupt and at those long after it."""

    def __init__(self) -> None:
        self._first: float | None = None

    @property
    def has_come(self) -> bool:
        """Whether there was an interrupt."""
        return self._first is not None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._first is not None and now - self._first < _PATIENCE:
            os.write(2, b'stopping: what has been begun is being finished\n')
            return
        self._first = now
        raise KeyboardInterrupt


def _close_output() -> None:
    """Print what is left, or forget it where nobody can take it."""
    try:
        sys.stdout.flush()
    except OSError:
        # Python would try again at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
