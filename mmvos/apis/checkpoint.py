"""Reads checkpoints without running code from them, and puts their weights into a model.

Checkpoints of mm projects hold more than tensors (the log as ``HistoryBuffer``, numpy numbers);
exactly these types are allowed in addition to torch's own list, everything else is refused. A
safetensors file holds tensors only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.utils import digit_version
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

_SHOWN = 3  # names of weights in a message


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file says.

    Attributes:
        source: path or URL.
        weights: name -> tensor, on the CPU, without the ``module.`` of parallel training.
        dataset_meta: the ``meta.dataset_meta`` of mmengine (classes, palette, ...), empty where the
            file has none.
    """

    source: str
    weights: Mapping[str, Tensor]
    dataset_meta: Mapping[str, Any]


def read_checkpoint(source: str | Path, trust: bool = False) -> Checkpoint:
    """Reads a checkpoint of mmengine, or a plain state dict, also as a safetensors file.

    Args:
        source: a file, or a URL that starts with http(s); a download is kept in torch's cache.
            Numbers of a ``.safetensors`` file, which may be float16 to be small, become float32.
        trust: also read objects other than weights, which can run any code.

    Raises:
        FileNotFoundError: no such file, or the URL does not answer.
        ValueError: the file is damaged, holds other objects than weights, or no weights.
    """
    content = _load(str(source), not trust)
    if not isinstance(content, Mapping):
        raise ValueError(f'{source} holds a {type(content).__name__}, not the weights of a model')
    weights = content.get('state_dict', content)
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ValueError(f'{source} holds no weights: neither a state_dict nor plain tensors')
    meta = content.get('meta') or {}
    # mmengine before 0.4 wrote upper-case keys; old mmdet files have only meta.CLASSES.
    dataset_meta = {key.lower(): value for key, value in (meta.get('dataset_meta') or {}).items()}
    if not dataset_meta and meta.get('CLASSES'):
        dataset_meta = {'classes': tuple(meta['CLASSES'])}
    weights = {name.removeprefix('module.'): value for name, value in weights.items()}
    return Checkpoint(str(source), weights, dataset_meta)


def _load(source: str, weights_only: bool) -> Any:
    _allow_types_of_mm_checkpoints()
    if source.startswith(('http://', 'https://')):
        if source.endswith('.safetensors'):
            raise ValueError(
                f'{source} is a safetensors file, which is read from the disk; download it and '
                f'give its path'
            )
        try:
            return torch.hub.load_state_dict_from_url(
                source, map_location='cpu', weights_only=weights_only
            )
        except (URLError, OSError) as error:
            raise FileNotFoundError(
                f'cannot download the checkpoint {source} ({error}); if the host is '
                f'gone, get the file elsewhere and give its path'
            ) from error
    path = Path(source).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f'the checkpoint {source} does not exist; give the path of a .pth or .safetensors file'
        )
    if path.suffix == '.safetensors':
        try:
            tensors = load_file(path)
        except SafetensorError as error:
            raise ValueError(_damaged(source, error)) from error
        return {
            name: value.float() if value.is_floating_point() else value
            for name, value in tensors.items()
        }
    try:
        return torch.load(path, map_location='cpu', weights_only=weights_only)
    except UnpicklingError as error:
        refused = re.search(r'(?:Unsupported global:|unsupported) (?:GLOBAL )?(\S+)', str(error))
        if refused:
            raise ValueError(
                f'{source} holds objects other than weights ({refused[1]}), which could run '
                f'code and are not loaded; if you trust the file, tools/convert_checkpoint.py '
                f'--trust reads it, or allow them with torch.serialization.add_safe_globals'
            ) from error
        raise ValueError(_damaged(source, error)) from error
    except (RuntimeError, EOFError, KeyError, ValueError) as error:
        raise ValueError(_damaged(source, error)) from error


def _allow_types_of_mm_checkpoints() -> None:
    HistoryBuffer()  # it names its methods when the first one is made
    numpy: Any = np  # the stubs know only one of the two places
    modern = digit_version(np.__version__) >= digit_version('2.0.0')
    multiarray = numpy._core.multiarray if modern else numpy.core.multiarray
    rebuild, scalar = multiarray._reconstruct, multiarray.scalar
    kinds = (np.bool_, np.int32, np.int64, np.uint8, np.float32, np.float64)
    dtypes = [type(np.dtype(kind)) for kind in kinds]
    allowed: list[Any] = [
        HistoryBuffer,
        np.ndarray,
        np.dtype,
        rebuild,
        scalar,
        *dtypes,
        _statistics_method,
    ]
    if digit_version(torch.__version__) >= digit_version('2.6.0'):
        # A file written under numpy 1 names these functions by another path than numpy 2, and the
        # reverse.
        for path in ('numpy.core.multiarray', 'numpy._core.multiarray'):
            allowed += [(rebuild, f'{path}._reconstruct'), (scalar, f'{path}.scalar')]
    torch.serialization.add_safe_globals(allowed)


def _statistics_method(owner: Any, name: str) -> Any:
    """``HistoryBuffer.min`` and its like, which pickle writes down as a call of ``getattr``.

    Raises:
        UnpicklingError: anything else is asked for.
    """
    if owner is not HistoryBuffer or name not in HistoryBuffer._statistics_methods:
        raise UnpicklingError(f'Unsupported global: getattr({owner!r}, {name!r})')
    return HistoryBuffer._statistics_methods[name]


# torch looks functions up by the name that the file gives.
_statistics_method.__module__, _statistics_method.__qualname__ = 'builtins', 'getattr'
_statistics_method.__name__ = 'getattr'


def load_weights(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Puts all weights of a checkpoint into a model.

    Raises:
        ValueError: a weight of the model is missing in the checkpoint, of another shape, or the
            checkpoint holds weights that the model does not have; the model is then unchanged.
    """
    own = model.state_dict()
    weights = checkpoint.weights
    # torch before 0.4.1 did not count batches.
    missing = [
        name for name in own if name not in weights and not name.endswith('num_batches_tracked')
    ]
    surplus = [
        name for name in weights if name not in own and not name.endswith('num_batches_tracked')
    ]
    resized = [
        f'{name} {tuple(weights[name].shape)} instead of {tuple(own[name].shape)}'
        for name in own
        if name in weights and weights[name].shape != own[name].shape
    ]
    found = {
        'are missing': missing,
        'have another shape': resized,
        'do not belong to the model': surplus,
    }
    faults = [
        f'{len(names)} weights {fault} ({_some(names)})' for fault, names in found.items() if names
    ]
    if faults:
        classes = checkpoint.dataset_meta.get('classes')
        trained = f'; it was trained for {len(classes)} classes' if classes else ''
        raise ValueError(
            f'the checkpoint {checkpoint.source} does not fit the model of the config: '
            f'{", ".join(faults)}{trained}; give the config it was trained with'
        )
    model.load_state_dict({name: weights[name] for name in own if name in weights}, strict=False)


def _damaged(source: str, error: Exception) -> str:
    # torch surrounds the reason with advice.
    reason = str(error).split('WeightsUnpickler error: ')[-1] or type(error).__name__
    return f'{source} is not a checkpoint, or it is damaged ({reason.splitlines()[0]})'


def _some(names: list[str]) -> str:
    return ', '.join(names[:_SHOWN]) + (', ...' if len(names) > _SHOWN else '')
