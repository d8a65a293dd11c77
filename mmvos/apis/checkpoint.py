"""Reads the weights of a checkpoint, and puts them into a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mmvos.io.checkpoint_file import CheckpointError, load_checkpoint_file
from mmvos.io.json_file import read_json
from mmvos.io.paths import path_inside

_SHOWN = 3  # names of weights in a message
_TRACKER = 'tracker.'  # begins the names of a tracker's weights


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
    """Read a checkpoint of mmengine, or a plain state dict, also as a safetensors file.

    Args:
        source: a file, or a URL that starts with http(s); a download is kept in torch's cache.
            Numbers of a ``.safetensors`` file, which may be float16 to be small, become float32. A
            ``.json`` file names the checkpoints of a tracker's parts, see `_join_parts`.
        trust: also read objects other than weights, which can run any code.

    Raises:
        DataError: no such file, the URL does not answer, the file is no checkpoint or is damaged,
            or holds objects other than weights, no weights, or weights that are not finite.
    """
    is_url = '://' in str(source)
    if Path(source).suffix == '.json' and not is_url:
        return _join_parts(Path(source), trust)

    content = load_checkpoint_file(source, trust=trust)
    given = content.get('state_dict', content)
    if not _is_state_dict(given):
        raise CheckpointError(f'{source} holds no weights: neither a state_dict nor plain tensors')
    # A model that was trained in several processes has its names behind "module.".
    weights = {}
    for name, value in given.items():
        weights[name.removeprefix('module.')] = value
    meta = _read_dataset_meta(content.get('meta'), source)
    return Checkpoint(str(source), weights, meta)


def _join_parts(path: Path, trust: bool) -> Checkpoint:
    """Read the weights of a model whose tracker holds others, which have files of their own.

    Args:
        path: of a JSON file {part: checkpoint, a path relative to this file}, e.g. {"matcher":
            "siammask_lite0.safetensors", "propagator": "masktrack_lite0.safetensors"}.
        trust: see `read_checkpoint`.

    Raises:
        DataError: the file is not so, or one of the checkpoints cannot be read.
    """
    parts = read_json(path)
    names = list(parts.values()) if isinstance(parts, dict) else []
    are_files = all(isinstance(name, str) and not name.endswith('.json') for name in names)
    if not names or not are_files:
        raise CheckpointError(
            f'{path} must name the checkpoints of parts, e.g. {{"matcher": "a.safetensors"}}'
        )

    # The tracker's weights of each checkpoint become weights of a part of this tracker.
    weights: dict[str, Tensor] = {}
    for part, name in parts.items():
        file = path_inside(path.parent, name, str(path))
        checkpoint = read_checkpoint(file, trust)
        for key, value in checkpoint.weights.items():
            if key.startswith(_TRACKER):
                inner = key.removeprefix(_TRACKER)
                weights[f'{_TRACKER}{part}.{inner}'] = value
    return Checkpoint(str(path), weights, {})


def _is_state_dict(weights: Any) -> bool:
    """Whether this is a mapping of names to tensors, and not empty."""
    if not isinstance(weights, Mapping) or not weights:
        return False
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            return False
    return True


def _read_dataset_meta(meta: Any, source: str | Path) -> dict[str, Any]:
    """What a checkpoint says about its data set; older files have it in other places."""
    if meta is None:
        return {}
    if not isinstance(meta, Mapping):
        raise CheckpointError(_meta_damaged(source, 'meta'))
    stated = meta.get('dataset_meta')
    if stated is not None and not isinstance(stated, Mapping):
        raise CheckpointError(_meta_damaged(source, 'meta.dataset_meta'))
    # mmengine before 0.4 wrote upper-case keys.
    dataset_meta = {str(key).lower(): value for key, value in (stated or {}).items()}
    # Files of old mmdet have only meta.CLASSES.
    if not dataset_meta and meta.get('CLASSES') is not None:
        dataset_meta = {'classes': meta['CLASSES']}
    if 'classes' in dataset_meta:
        dataset_meta['classes'] = _read_classes(dataset_meta['classes'], source)
    return dataset_meta


def _read_classes(classes: Any, source: str | Path) -> tuple[str, ...]:
    if isinstance(classes, str):
        return (classes,)
    if not isinstance(classes, (list, tuple)):
        raise CheckpointError(_meta_damaged(source, 'classes'))
    if not all(isinstance(name, str) for name in classes):
        raise CheckpointError(_meta_damaged(source, 'classes'))
    return tuple(classes)


def _meta_damaged(source: str | Path, part: str) -> str:
    return f'{source} is damaged: its {part} is not what mmengine writes there; get it again'


def load_weights(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Put all weights of a checkpoint into a model.

    Raises:
        CheckpointError: a weight of the model is missing in the checkpoint, of another shape, or
            the checkpoint holds weights that the model does not have; the model is then unchanged.
    """
    own = model.state_dict()
    weights = checkpoint.weights
    faults = _compare(own, weights)
    if faults:
        classes = checkpoint.dataset_meta.get('classes')
        trained = f'; it was trained for {len(classes)} classes' if classes else ''
        raise CheckpointError(
            f'the checkpoint {checkpoint.source} does not fit the model of the config: '
            f'{", ".join(faults)}{trained}; give the config it was trained with'
        )
    known = {name: weights[name] for name in own if name in weights}
    model.load_state_dict(known, strict=False)


def _compare(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> list[str]:
    """Say in what a checkpoint differs from a model; nothing where it fits."""
    missing = []
    resized = []
    for name, value in own.items():
        if name not in weights:
            missing.append(name)
        elif weights[name].shape != value.shape:
            shape = tuple(weights[name].shape)
            own_shape = tuple(value.shape)
            resized.append(f'{name} {shape} instead of {own_shape}')
    surplus = [name for name in weights if name not in own]

    faults = []
    for fault, names in (
        ('are missing', missing),
        ('have another shape', resized),
        ('do not belong to the model', surplus),
    ):
        # torch before 0.4.1 did not count batches.
        counted = [name for name in names if not name.endswith('num_batches_tracked')]
        if counted:
            faults.append(f'{len(counted)} weights {fault} ({_some(counted)})')
    return faults


def _some(names: list[str]) -> str:
    """The first names, for a message."""
    shown = names[:_SHOWN]
    if len(names) > _SHOWN:
        shown = [*shown, '...']
    return ', '.join(shown)
