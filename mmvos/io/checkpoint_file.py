"""Reads checkpoint files, and URLs of them, as tensors and plain values: nothing in them is run.

A .pth file is a pickle, and a pickle can call any function when it is read. torch's reader of
weights alone calls none; checkpoints of mm projects hold more than weights (the log as
``HistoryBuffer``, numpy numbers), and exactly these types are allowed in addition to torch's own
list. A safetensors file holds tensors only.
"""

from __future__ import annotations

import hashlib
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from pickle import UnpicklingError
from typing import Any
from urllib.error import URLError
from urllib.parse import unquote, urlsplit

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.utils import digit_version
from safetensors.torch import load_file
from torch import Tensor

from .atomic import write_text
from .errors import DataError
from .paths import check_name, user_path

_URL_SCHEMES = ('http://', 'https://')
_SUFFIXES = ('.pth', '.pt', '.safetensors', '.ckpt', '.bin')
_SHOWN = 3  # names of weights in a message
_MAX_REASON = 120  # characters
_MAX_EXPANSION = 4  # torch stores tensors as they are; a file that unpacks to more is a bomb
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_PACKED = (b'\x1f\x8b', b'BZh', b'\xfd7zXZ', b'7z\xbc\xaf', b'Rar!', b'(\xb5/\xfd')
MapLocation = Any  # what torch.load takes


class CheckpointError(DataError):
    """A file that is no checkpoint, is damaged, or holds what is not loaded."""


class CheckpointNotFoundError(DataError, FileNotFoundError):
    """No such file, or the URL does not answer."""


def load_checkpoint_file(
    source: str | Path, map_location: MapLocation = 'cpu', trust: bool = False
) -> Mapping[str, Any]:
    """Read a checkpoint.

    Args:
        source: a file, or a URL that starts with http(s); a download is kept in torch's cache, and
            removed from it when it cannot be read.
        map_location: as in ``torch.load``; a safetensors file is read to the CPU.
        trust: also read objects other than weights, which can run any code.

    Returns:
        The content, with numbers of a safetensors file, which may be float16 to be small, as
        float32. ``meta.config``, which mmengine would run as a config when it resumes, is left out.

    Raises:
        CheckpointNotFoundError: no such file, or the URL does not answer.
        CheckpointError: the file is no checkpoint, is damaged, or holds objects other than weights,
            or weights that are not finite.
    """
    name = str(source)
    if not name.startswith(_URL_SCHEMES):
        return _read_file(user_path(name), name, map_location, trust)
    path = _download(name)
    try:
        return _read_file(path, name, map_location, trust)
    except DataError as error:
        path.unlink(missing_ok=True)
        _origin_file(path).unlink(missing_ok=True)
        text = str(error).rstrip('.')
        raise CheckpointError(f'{text} (the download was removed from {path})') from error


def _download(url: str) -> Path:
    """Fetch a URL into torch's cache, where it is not there yet."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    folder = Path(torch.hub.get_dir(), 'checkpoints')
    path = folder / check_name(name, f'the checkpoint {url}')
    origin = _origin_of(url)
    if path.is_file() and _comes_from_elsewhere(path, origin):
        # Another URL with the same last part was downloaded before.
        path = path.with_name(f'{path.stem}-{origin[:8]}{path.suffix}')
    if path.is_file():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path))
    except (URLError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointNotFoundError(
            f'cannot download the checkpoint {url} ({error}); if the host is gone, get the file '
            f'elsewhere and give its path'
        ) from error
    write_text(_origin_file(path), origin)
    return path


def _origin_of(url: str) -> str:
    """Return a digest of what a URL names: a query counts only where the path names no file, as it
    may hold a signature that is another one each time.
    """
    parts = urlsplit(url)
    named = f'{parts.netloc}{parts.path}'
    if PurePosixPath(parts.path).suffix not in _SUFFIXES:
        named += f'?{parts.query}'
    return hashlib.sha256(named.encode()).hexdigest()


def _origin_file(path: Path) -> Path:
    """Beside a download: the digest of where it comes from."""
    return path.with_name(f'{path.name}.origin')


def _comes_from_elsewhere(path: Path, origin: str) -> bool:
    """Whether a file of the cache is known to come from another URL; nothing is known of one that
    torch or a user put there.
    """
    note = _origin_file(path)
    return note.is_file() and note.read_text(errors='replace').strip() != origin


def _read_file(
    path: Path, source: str, map_location: MapLocation, trust: bool
) -> Mapping[str, Any]:
    if not path.is_file():
        raise CheckpointNotFoundError(
            f'the checkpoint {source} does not exist; give the path of a .pth or .safetensors file'
        )
    _check_kind(path, source)
    if path.suffix == '.safetensors':
        content: Any = _read_safetensors(path, source)
    else:
        content = _read_torch(path, source, map_location, trust)
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f'{source} holds a {type(content).__name__}, not the weights of a model'
        )
    _check_finite(content, source)

    # The config of a training may name files of another machine; nobody needs it.
    meta = content.get('meta')
    if isinstance(meta, dict):
        meta.pop('config', None)
    return content


def _check_kind(path: Path, source: str) -> None:
    """Tell from the first bytes of a file what stands where a checkpoint should."""
    try:
        with path.open('rb') as file:
            head = file.read(512)
        size = path.stat().st_size
    except OSError as error:
        raise CheckpointError(f'{source} cannot be read: {error.strerror}') from error

    # What downloads leave behind where they fail.
    if not head:
        raise CheckpointError(f'{source} is not a checkpoint but an empty file; get it again')
    if head.lstrip(b'\xef\xbb\xbf \t\r\n').startswith(b'<'):
        raise CheckpointError(
            f'{source} is not a checkpoint but a web page; get the file itself, not the page that '
            f'shows it or asks for a login'
        )
    if head.startswith(b'version https://git-lfs'):
        raise CheckpointError(
            f'{source} is not a checkpoint but a Git LFS pointer; run "git lfs pull" where it was '
            f'cloned, or download the file itself'
        )
    if head.startswith(_PACKED) or head[257:262] == b'ustar':
        raise CheckpointError(
            f'{source} is not a checkpoint but a packed archive; unpack it and give the file inside'
        )

    # A zip is what torch writes, if its list is right.
    if head.startswith(b'PK\x03\x04'):
        _check_zip(path, source, size)


def _check_zip(path: Path, source: str, size: int) -> None:
    """Check the list of a zip file, which torch writes since version 1.6."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CheckpointError(
            f'{source} is a checkpoint that is cut off or damaged (its list of parts cannot be '
            f'read); copy or download it again'
        ) from error
    if not any(member.filename.endswith('data.pkl') for member in members):
        raise CheckpointError(
            f'{source} is not a checkpoint but a zip archive; unpack it and give the file inside'
        )
    if sum(member.file_size for member in members) > _MAX_EXPANSION * size:
        raise CheckpointError(
            f'{source} is no checkpoint of torch: it is packed and would unpack to many times its '
            f'size; unpack it and save it again'
        )


def _read_safetensors(path: Path, source: str) -> dict[str, Tensor]:
    try:
        tensors = load_file(path)
    except Exception as error:  # the format's reader raises several unrelated kinds
        raise CheckpointError(_damaged(source, error)) from error
    # Published files are float16 to be small.
    return {
        name: value.float() if value.is_floating_point() else value
        for name, value in tensors.items()
    }


def _read_torch(path: Path, source: str, map_location: MapLocation, trust: bool) -> Any:
    allow_types_of_mm_checkpoints()
    try:
        with warnings.catch_warnings():
            # torch asks to be told of pickles of other versions; what they hold is judged here.
            warnings.filterwarnings('ignore', 'Detected pickle protocol')
            return torch.load(path, map_location=map_location, weights_only=not trust)
    except UnpicklingError as error:
        refused = re.search(r'(?:Unsupported global:|unsupported) (?:GLOBAL )?(\S+)', str(error))
        if refused is None:
            raise CheckpointError(_damaged(source, error)) from error
        raise CheckpointError(
            f'{source} holds objects other than weights ({refused[1]}), which could run code and '
            f'are not loaded; if you trust the file, "mmvos weights convert --trust" reads it, '
            f'or allow them with torch.serialization.add_safe_globals'
        ) from error
    except MemoryError as error:
        raise CheckpointError(f'{source} does not fit into the memory') from error
    except Exception as error:  # a damaged pickle makes torch's reader stumble in every way
        raise CheckpointError(_damaged(source, error)) from error


def _check_finite(content: Mapping[str, Any], source: str) -> None:
    """Refuse weights that a training left behind which diverged."""
    weights = content.get('state_dict', content)
    if not isinstance(weights, Mapping):
        return
    bad = [name for name, value in weights.items() if not _is_finite(value)]
    if bad:
        more = ', ...' if len(bad) > _SHOWN else ''
        names = ', '.join(str(name) for name in bad[:_SHOWN])
        raise CheckpointError(
            f'{source} has {len(bad)} weights that are not finite ({names}{more}), as after a '
            f'training that diverged; take an earlier checkpoint'
        )


def _is_finite(value: Any) -> bool:
    if not isinstance(value, Tensor) or value.dtype not in _FLOATS:
        return True
    if value.layout != torch.strided or value.is_meta:
        return True
    return bool(torch.isfinite(value).all())


def _damaged(source: str, error: Exception) -> str:
    # torch surrounds the reason with advice.
    lines = str(error).split('WeightsUnpickler error: ')[-1].splitlines()
    reason = next((line.strip() for line in lines if line.strip()), type(error).__name__)
    # Bytes of the file may stand in it.
    reason = ''.join(character if character.isprintable() else '?' for character in reason)
    return (
        f'{source} is not a checkpoint, or it is damaged ({reason[:_MAX_REASON]}); copy or '
        f'download it again'
    )


# ---- the types beside tensors that mmengine saves


def allow_types_of_mm_checkpoints() -> None:
    """Let torch's reader of weights take the types that mmengine saves in a checkpoint."""
    HistoryBuffer()  # it names its methods when the first one is made
    numpy: Any = np  # the stubs know only one of the two places
    modern = digit_version(np.__version__) >= digit_version('2.0.0')
    multiarray = numpy._core.multiarray if modern else numpy.core.multiarray
    rebuild = multiarray._reconstruct
    scalar = multiarray.scalar
    kinds = '?bhilqBHILQefdgFD'  # all numbers of numpy
    dtypes = list(dict.fromkeys(type(np.dtype(kind)) for kind in kinds))
    allowed: list[Any] = [
        HistoryBuffer,
        OneCycleParamScheduler,
        np.ndarray,
        np.dtype,
        rebuild,
        scalar,
        *dtypes,
        _named_function,
    ]
    if digit_version(torch.__version__) >= digit_version('2.6.0'):
        # A file written under numpy 1 names these functions by another path than numpy 2, and the
        # reverse.
        for path in ('numpy.core.multiarray', 'numpy._core.multiarray'):
            allowed += [(rebuild, f'{path}._reconstruct'), (scalar, f'{path}.scalar')]
    torch.serialization.add_safe_globals(allowed)


def _named_function(owner: Any, name: str) -> Any:
    """Give a function that pickle writes down as a call of ``getattr``: the statistics of
    ``HistoryBuffer`` and the curves of ``OneCycleParamScheduler``, which are arithmetic.

    Raises:
        UnpicklingError: anything else is asked for.
    """
    if owner is HistoryBuffer and name in HistoryBuffer._statistics_methods:
        return HistoryBuffer._statistics_methods[name]
    if owner is OneCycleParamScheduler and name in ('_annealing_cos', '_annealing_linear'):
        return getattr(OneCycleParamScheduler, name)
    raise UnpicklingError(f'Unsupported global: getattr({owner!r}, {name!r})')


# torch looks functions up by the name that the file gives.
_named_function.__module__ = 'builtins'
_named_function.__qualname__ = 'getattr'
_named_function.__name__ = 'getattr'
