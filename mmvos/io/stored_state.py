"""The state of a model between two frames as a file that holds arrays and plain values only.

States are dataclasses of this project with tensors or arrays, numbers, texts and tuples. They are
taken apart and put together here, so that reading a file never runs code from it. A state with
tensors is written by ``torch.save``, one without them by ``numpy.savez``, without torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from .atomic import save_torch, write_bytes

_PACKAGE = 'mmvos.'
_PLAIN = (type(None), bool, int, float, str)
_STRUCTURE = 'structure'


class CannotStoreError(TypeError):
    """A value of a kind that is not stored."""


def save_state(path: Path, index: int, state: Any) -> None:
    """Write the state after some frames.

    Args:
        path: of the file.
        index: number of the frames.
        state: of a model.

    Raises:
        CannotStoreError: the state holds other things than tensors, arrays, plain values and
            dataclasses of this project.
        OutputError: the file cannot be written.
    """
    parts = take_apart(state)
    if _holds_tensors(parts):
        content = {'index': index, 'state': _as_tensors(parts)}
        save_torch(path, content)
        return

    # Arrays of numpy, and one with the text of what they are.
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    text = json.dumps([index, _number_arrays(parts, arrays)])
    structure = {_STRUCTURE: np.array(text)}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **structure, **arrays)
    write_bytes(path, buffer.getbuffer())


def load_state(path: Path) -> tuple[int, Any] | None:
    """Read what `save_state` wrote; None where there is no such file, or a damaged one."""
    try:
        # torch does not look at the check sums of the zip that it writes.
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
            is_numpy = f'{_STRUCTURE}.npy' in archive.namelist()
        if is_numpy:
            with np.load(path, allow_pickle=False) as arrays:
                index, parts = json.loads(str(arrays[_STRUCTURE]))
                return int(index), put_together(_insert_arrays(parts, arrays))
        import torch

        content = torch.load(path, weights_only=True)
        return int(content['index']), put_together(content['state'])
    except Exception:  # a damaged file makes torch and numpy raise many unrelated kinds
        return None


def _holds_tensors(parts: Any) -> bool:
    """Whether there is a tensor in what `take_apart` gave."""
    if isinstance(parts, list):
        return any(_holds_tensors(part) for part in parts)
    if isinstance(parts, dict):
        return any(_holds_tensors(part) for part in parts.values())
    return bool(is_torch_array(parts))


def _as_tensors(parts: Any) -> Any:
    """Turn arrays into tensors, which ``torch.load`` reads without running code."""
    if isinstance(parts, list):
        return [_as_tensors(part) for part in parts]
    if isinstance(parts, dict):
        return {key: _as_tensors(part) for key, part in parts.items()}
    if isinstance(parts, np.ndarray):
        import torch

        return torch.from_numpy(parts.copy())
    return parts


def _number_arrays(parts: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    """Replace arrays by their names in a file; they are added to ``arrays``."""
    if isinstance(parts, list):
        return [_number_arrays(part, arrays) for part in parts]
    if isinstance(parts, dict):
        return {key: _number_arrays(part, arrays) for key, part in parts.items()}
    if isinstance(parts, np.ndarray):
        name = f'array{len(arrays)}'
        arrays[name] = parts
        return name
    return parts


def _insert_arrays(parts: Any, arrays: Any) -> Any:
    """Undo `_number_arrays`."""
    if isinstance(parts, dict):
        return {key: _insert_arrays(part, arrays) for key, part in parts.items()}
    if not isinstance(parts, list):
        return parts
    if parts and parts[0] == 'array':
        return ['array', arrays[parts[1]]]
    return [_insert_arrays(part, arrays) for part in parts]


def take_apart(value: Any) -> Any:
    """Turn a value into lists of tensors, arrays and plain values; the first item of a list is the
    kind.

    Raises:
        CannotStoreError: the value is of another kind.
    """
    if isinstance(value, _PLAIN) or is_torch_array(value):
        return value

    # What JSON does not have.
    if isinstance(value, bytes):
        return ['bytes', value.hex()]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return ['array', value]
    if type(value) in (list, tuple):
        return [type(value).__name__, *(take_apart(item) for item in value)]
    if type(value) is frozenset:
        return ['frozenset', *(take_apart(item) for item in sorted(value))]
    if type(value) is dict:
        return ['dict', *([take_apart(key), take_apart(item)] for key, item in value.items())]

    # A state of this project.
    kind = type(value)
    if kind.__module__.startswith(_PACKAGE) and dataclasses.is_dataclass(value):
        fields = {
            field.name: take_apart(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if not field.name.startswith('_')  # what is computed again when it is asked for
        }
        return ['object', kind.__module__, kind.__qualname__, fields]
    raise CannotStoreError(f'a {kind.__module__}.{kind.__qualname__} is not stored')


def put_together(value: Any) -> Any:
    """Undo `take_apart`.

    Raises:
        CannotStoreError: the value names no dataclass of this project.
    """
    if not isinstance(value, list):
        return value
    kind, *items = value
    if kind == 'bytes':
        return bytes.fromhex(items[0])
    if kind == 'array':
        return np.asarray(items[0])
    if kind == 'list':
        return [put_together(item) for item in items]
    if kind == 'tuple':
        return tuple(put_together(item) for item in items)
    if kind == 'frozenset':
        return frozenset(put_together(item) for item in items)
    if kind == 'dict':
        return {put_together(key): put_together(item) for key, item in items}

    # A dataclass of this project, without its checks, which it has passed.
    module, name, fields = items
    if not module.startswith(_PACKAGE):
        raise CannotStoreError(f'{module} is not part of this project')
    cls = getattr(importlib.import_module(module), name)
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise CannotStoreError(f'{module}.{name} is no dataclass')
    whole: Any = object.__new__(cls)
    for field in dataclasses.fields(cls):
        if field.name in fields:
            content = put_together(fields[field.name])
        else:
            content = _default(field)
        object.__setattr__(whole, field.name, content)
    return whole


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def digest_of(value: Any) -> str:
    """Return a digest of a value that `take_apart` takes: equal for equal content."""
    result = hashlib.sha256()
    _add(result, take_apart(value))
    return result.hexdigest()


def _add(result: Any, value: Any) -> None:
    if is_torch_array(value):
        import torch

        content = value.detach().cpu().contiguous()
        result.update(f'{content.dtype}{tuple(content.shape)}'.encode())
        result.update(content.flatten().view(torch.uint8).numpy().tobytes())
    elif isinstance(value, np.ndarray):
        result.update(f'{value.dtype}{value.shape}'.encode())
        result.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, list):
        result.update(f'[{len(value)}'.encode())
        for item in value:
            _add(result, item)
    elif isinstance(value, dict):
        for key in sorted(value):
            result.update(repr(key).encode())
            _add(result, value[key])
    else:
        result.update(f'{type(value).__name__}{value!r};'.encode())
