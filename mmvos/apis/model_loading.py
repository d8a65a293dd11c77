"""A model from its name or config and its weights.

A name is a system's (``SYSTEMS``) or that of a shipped config, in full or without the training's
settings.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings

from mmvos.io.config_file import config_errors, merge_options, read_config_file
from mmvos.io.errors import DataError
from mmvos.io.paths import user_path
from mmvos.models import VideoModel
from mmvos.optimize import optimize
from mmvos.registry import MODELS, import_mmdet_datasets

from .checkpoint import Checkpoint, load_weights, read_checkpoint
from .lean_build import MODELS as OUR_MODELS
from .lean_build import build_lean
from .model_index import find_model, model_of_config, project_root, shipped_models
from .systems import SYSTEMS, describe_recipes


def load_config(model: str | Path) -> Config:
    """Load the config of a system (``SYSTEMS``), of a shipped model by its name, or at a path.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such name; the message lists close ones.
    """
    path = user_path(model)
    if path.is_file():
        return read_config_file(path)
    if path.suffix == '.py':
        raise FileNotFoundError(f'the config {model} does not exist')

    name = str(model)
    if name in SYSTEMS:
        name = SYSTEMS[name].model
    return read_config_file(find_model(name, shipped_models(project_root())).config)


def shipped_weights(cfg: Config) -> str:
    """Find the weights that come with a config.

    Returns:
        Their path or URL.

    Raises:
        FileNotFoundError: none come with it, or they are not where they belong; the message says
            how to get some.
    """
    path = Path(cfg.filename or 'CONFIG')
    shown = str(path)
    model = None
    try:
        root = project_root()
        model = model_of_config(path, shipped_models(root))
    except FileNotFoundError:
        pass  # without the project's configs this is one of the user's own
    if model is not None:
        shown = model.config.relative_to(root).as_posix()

    # Why there are none is said with the ways to get some.
    if model is None or model.weights is None:
        fault = f'{shown} comes without weights'
    elif model.weights_are_here:
        return model.weights
    else:
        fault = f'{model.weights} is missing'
    raise FileNotFoundError(
        f'{fault}; give some with weights=FILE (--checkpoint FILE on the command line). Ways to '
        f'get them:\n{describe_recipes(path.stem, shown)}'
    )


def init_model(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
) -> VideoModel:
    """Build a video model ready for inference.

    Args:
        config: name of a shipped model or system, path of a config, or the config.
        checkpoint: file or URL; without one a name has the weights that come with it, the weights
            of a config are random.
        device: e.g. 'cpu', 'cuda:0'; a GPU where there is one by default.
        cfg_options: overrides of the config by dotted keys.

    Returns:
        The model in evaluation mode, with ``cfg`` (the config) and ``dataset_meta`` (classes,
        category_ids and palette, from the checkpoint, else from the config's test data set).

    Raises:
        FileNotFoundError: config or checkpoint do not exist, or no weights come with the name.
        ValueError: the checkpoint cannot be read or does not fit the model, or there is no such
            name.
    """
    # 1. The config, and which weights belong to it.
    if isinstance(config, Config):
        cfg = config
    else:
        cfg = load_config(config)
        is_name = Path(config).suffix != '.py'
        if checkpoint is None and is_name:
            checkpoint = shipped_weights(cfg)
    if cfg_options:
        merge_options(cfg, cfg_options)

    # 2. The parts that the config names are registered, and the model is built.
    own_parts = {'imports': ['mmvos.models.registered', 'mmvos.datasets']}
    import_modules_from_strings(**cfg.get('custom_imports', own_parts))
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    loaded = read_checkpoint(checkpoint) if checkpoint is not None else None
    with config_errors():
        model = build_lean(cfg.model, OUR_MODELS, _build)
        if model is None:
            import_mmdet_datasets()
            model = _build(cfg.model)
    if loaded is not None:
        load_weights(model, loaded)

    # 3. What the model knows of its classes, and where it computes.
    model.cfg = cfg
    model.dataset_meta = _choose_dataset_meta(cfg, loaded, model)
    if device is None:
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    _move(model, device)
    return model.eval()


def _build(config: Mapping[str, Any]) -> VideoModel:
    """Build the model of a config, with batch norms that need no other process."""
    model: VideoModel = revert_sync_batchnorm(MODELS.build(config))
    return model


def _move(model: VideoModel, device: str) -> None:
    """Bring a model to a device.

    Raises:
        DataError: there is no such device.
    """
    try:
        model.to(device)
    except (RuntimeError, AssertionError) as error:  # what torch raises depends on its build
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f'the device {device} cannot be used ({reason}); give cpu, or cuda:0 for a GPU'
        ) from error


def load_optimized(
    model: str | Path | Config,
    weights: str | Path | None = None,
    device: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    compiles: bool = False,
) -> VideoModel:
    """Build a model with the weights that are given or come with it, and make it faster for good.

    Args:
        model: see ``init_model``.
        weights: by default those that come with the name or config.
        device, cfg_options: see ``init_model``.
        compiles: see ``optimize``.

    Raises:
        FileNotFoundError, ValueError: see ``init_model`` and ``optimize``; no weights are given and
            none come with the config.
    """
    config = model if isinstance(model, Config) else load_config(model)
    if weights is None:
        weights = shipped_weights(config)
    return optimize(init_model(config, weights, device, cfg_options), compiles=compiles)


def _choose_dataset_meta(
    cfg: Config, loaded: Checkpoint | None, model: VideoModel
) -> dict[str, Any]:
    """Take classes and categories from the checkpoint, else from the config's test data set."""
    meta = dict(cfg.get('test_dataloader', {}).get('dataset', {}).get('metainfo') or {})
    if loaded is not None and loaded.dataset_meta.get('classes'):
        meta = dict(loaded.dataset_meta)
    # A model that follows prompts needs no classes.
    if loaded is not None and not meta.get('classes') and not model.takes_prompts:
        warnings.warn(
            f'{loaded.source} does not say its classes: no names, category id is label + 1',
            stacklevel=3,
        )
    meta.setdefault('classes', ())
    meta.setdefault('category_ids', tuple(range(1, len(meta['classes']) + 1)))
    return meta
