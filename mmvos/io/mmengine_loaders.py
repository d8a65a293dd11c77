"""Replaces mmengine's loaders of files by ones that run nothing, for the whole process.

mmengine falls back to a full pickle where torch's reader of weights refuses a checkpoint, and reads
downloads, ``.pkl`` and YAML files in full anyway. Its loaders serve ``resume``, ``load_from``,
``init_cfg``, published model names and everything that mmdet reads, so they are replaced where
mmengine looks them up, when ``mmvos`` is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import yaml
from mmengine.dist import barrier, get_rank
from mmengine.fileio import register_handler
from mmengine.fileio.handlers import PickleHandler, YamlHandler
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

from .checkpoint_file import MapLocation, load_checkpoint_file
from .errors import DataError

_PRIVATE_SCHEMES = ('pavi://', r'(\S+\:)?s3://', r'(\S+\:)?petrel://')


def make_mmengine_safe() -> None:
    """Replace mmengine's loaders; calling it again changes nothing."""
    register = CheckpointLoader.register_scheme
    register('', load_from_local, force=True)
    register(('http://', 'https://'), load_from_http, force=True)
    register(_PRIVATE_SCHEMES, load_from_private_store, force=True)
    # The loaders of published names ('torchvision://resnet50') look these up in the module.
    mmengine_checkpoint.load_from_local = load_from_local
    mmengine_checkpoint.load_from_http = load_from_http
    mmengine_checkpoint._safe_torch_load = load_from_local
    register_handler(['pkl', 'pickle'])(RefusingPickleHandler)
    register_handler(['yaml', 'yml'])(SafeYamlHandler)


def load_from_local(filename: str, map_location: MapLocation = None, **_: Any) -> Mapping[str, Any]:
    """Read a checkpoint file for mmengine."""
    return load_checkpoint_file(filename, map_location)


def load_from_http(filename: str, map_location: MapLocation = None, **_: Any) -> Mapping[str, Any]:
    """Read a checkpoint from a URL for mmengine; of several processes the first downloads it."""
    if get_rank() > 0:
        barrier()
        return load_checkpoint_file(filename, map_location)
    try:
        return load_checkpoint_file(filename, map_location)
    finally:
        # The others go on, and say what is wrong, where the first one failed.
        barrier()


def load_from_private_store(filename: str, map_location: MapLocation = None, **_: Any) -> NoReturn:
    """Refuse the stores of mmengine's makers, whose loaders run what they get."""
    raise DataError(f'{filename} lies in a store that is not read; get the file and give its path')


class RefusingPickleHandler(PickleHandler):  # type: ignore[misc]
    """Writes pickles and reads none."""

    def load_from_fileobj(self, file: Any, **kwargs: Any) -> NoReturn:
        """Refuse a pickle."""
        name = getattr(file, 'name', 'the file')
        raise DataError(
            f'{name} is a pickle, which could run code and is not loaded; save the data as JSON'
        )


class SafeYamlHandler(YamlHandler):  # type: ignore[misc]
    """Reads YAML as plain values; tags that make Python objects are refused."""

    def load_from_fileobj(self, file: Any, **kwargs: Any) -> Any:
        """Read plain values."""
        try:
            return yaml.load(file, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            name = getattr(file, 'name', 'the file')
            reason = ' '.join(str(error).split())
            raise DataError(f'{name} is no YAML of plain values: {reason}') from error
