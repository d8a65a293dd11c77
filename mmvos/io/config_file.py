"""The one reader of config files and of entries that override theirs: what is no config, leads
nowhere or cannot be built is refused in a sentence that names its place.

A config is a Python program, which can fail in any way, or YAML or JSON, which mmengine reads.
"""

from __future__ import annotations

import inspect
import os
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError

if TYPE_CHECKING:
    from mmengine.config import Config

_SUFFIXES = ('.py', '.json', '.yaml', '.yml')
# The entries of a config that somebody reads: mmengine's runner, or we. All others are variables of
# the config file.
_ENTRIES = [
    'activation_checkpointing',
    'auto_scale_lr',
    'compile',
    'custom_hooks',
    'custom_imports',
    'data_preprocessor',
    'default_hooks',
    'default_scope',
    'efficient_conv_bn_eval',
    'env_cfg',
    'experiment_name',
    'find_unused_parameters',
    'launcher',
    'load_from',
    'log_level',
    'log_processor',
    'model',
    'model_wrapper_cfg',
    'optim_wrapper',
    'param_scheduler',
    'randomness',
    'resource_limit',
    'resume',
    'sync_bn',
    'test_cfg',
    'test_dataloader',
    'test_evaluator',
    'train_cfg',
    'train_dataloader',
    'val_cfg',
    'val_dataloader',
    'val_evaluator',
    'visualizer',
    'work_dir',
]
_ALIKE = 0.75  # names that are more alike than this are taken for one, mistyped
# Where mmengine builds the parts of a config: registries, and the runner's own functions.
_BUILDER = os.path.join('mmengine', 'registry', 'build_functions.py')
_RUNNER = os.path.join('mmengine', 'runner', 'runner.py')
# The functions of mmengine that hold its lock, and their file.
_MANAGER = os.path.join('mmengine', 'utils', 'manager.py')
_LOCKING = ('get_instance', 'get_current_instance')
_BUILDING = ('__init__', 'build_', 'set_', 'setup_', 'scale_lr')
_UNKNOWN_OPTION = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")


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

    # A config is a program, so anything may be raised.
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
        file = error.filename or path
        return f'{file}, line {error.lineno}: '
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        is_of_a_library = 'site-packages' in frame.filename or frame.filename == __file__
        is_no_file = frame.filename.startswith('<')
        if not is_of_a_library and not is_no_file:
            return f'{frame.filename}, line {frame.lineno}: '
    return ''


def merge_options(config: Config, options: Mapping[str, Any]) -> None:
    """Override entries of a config.

    An entry that a part of the config does not have yet is taken, for it may be an argument of that
    part; whether it is one is seen when the part is built (`config_errors`).

    Args:
        config: is changed.
        options: value by dotted key, e.g. ``{'model.tracker.size': 448}``.

    Raises:
        DataError: a key leads nowhere, or to something that nobody reads.
    """
    for key in options:
        _check_key(config, key)
    config.merge_from_dict(dict(options))


def _check_key(config: Config, key: str) -> None:
    """Refuse a dotted key that would change nothing; see `merge_options`."""
    first, *others = key.split('.')
    if first not in _ENTRIES:
        if first in config:
            raise DataError(
                f'the option {key}: {first} is a variable of the config, of which other entries '
                f'were made when the file was read; give these entries'
            )
        known = [name for name in _ENTRIES if name in config]
        raise DataError(
            f'the option {key}: the config has no {first!r}{_did_you_mean(first, known)}'
        )
    place = first
    node = config.get(first, {})
    for part in others:
        if isinstance(node, list):
            if not part.isdecimal() or int(part) >= len(node):
                raise DataError(
                    f'the option {key}: {place} is a list of {len(node)}, whose entries are '
                    f'numbered from 0, and has no {part!r}'
                )
            node = node[int(part)]
            # mmengine overrides what is inside an entry of a list, but not an entry
            if f'{place}.{part}' == key:
                raise DataError(f'the option {key}: {place} is a list; give all of it')
        elif isinstance(node, Mapping):
            if part not in node:
                # Parts with a type say themselves what they do not know.
                hint = '' if 'type' in node else _did_you_mean(part, node)
                if hint:
                    raise DataError(f'the option {key}: {place} has no {part!r}{hint}')
                return
            node = node[part]
        else:
            raise DataError(f'the option {key}: {place} is {node!r}, which has no parts')
        place = f'{place}.{part}'


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint at the name that is most like one that is unknown, or ''."""
    alike = get_close_matches(name, [str(other) for other in known], 1, _ALIKE)
    return f'; did you mean {alike[0]!r}?' if alike else ''


@contextmanager
def config_errors() -> Iterator[None]:
    """Say in one sentence which part of a config cannot be built.

    What is raised elsewhere than where mmengine builds a part passes as it is, and so do
    ``ValueError`` and ``OSError``, which are sentences already.

    Raises:
        DataError: a part cannot be built.
    """
    try:
        yield
    except Exception as error:
        _release_lock(error)
        if isinstance(error, (ValueError, OSError, ImportError)):
            raise
        built = _part_being_built(error)
        unknown = _UNKNOWN_OPTION.search(str(error))
        if unknown is not None:
            known: Iterable[str] = ()
            if inspect.isclass(built):
                known = inspect.signature(built).parameters
            raise DataError(
                f'the config gives {unknown[1]} the option {unknown[2]!r}, which it does not have'
                f'{_did_you_mean(unknown[2], known)}'
            ) from error
        if built is None:
            raise
        if isinstance(built, str):
            raise DataError(f'the config names {built}, which nobody knows') from error
        reason = (str(error) or 'no more is known').splitlines()[0]
        raise DataError(
            f'the config cannot be used: {built.__name__} cannot be built: {type(error).__name__}: '
            f'{reason} (MMVOS_TRACEBACK=1 shows where)'
        ) from error


def _release_lock(error: Exception) -> None:
    """Give back mmengine's lock, which it keeps where an object that it manages (a logger, a
    visualizer) cannot be made: other threads of the process would wait for it forever.

    Args:
        error: that was raised in this thread, which holds the lock.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        if code.co_filename.endswith(_MANAGER) and code.co_name in _LOCKING:
            from mmengine.utils import manager

            manager._release_lock()


def _part_being_built(error: Exception) -> Any:
    """Find the innermost part of a config that was being built when an error was raised.

    Returns:
        Its class, its type where no class of this name is known, or None.
    """
    built: Any = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        values = frame.f_locals
        if code.co_filename.endswith(_RUNNER) and code.co_name.startswith(_BUILDING):
            built = type(values['self']) if 'self' in values else built
        elif code.co_filename.endswith(_BUILDER):
            # a file of three functions, whose names for these are the same
            built = values.get('obj_cls') or values.get('obj_type') or built
    return built
