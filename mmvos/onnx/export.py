"""Writes a model in torch as ONNX graphs; see ``graph_set`` for the graphs.

The graphs are traced from the model's own functions. In float32 their weights are inside them, with
batch norms folded. In float16 the weights are stored once for all graphs, in half precision; see
``half_weights``. A checkpoint that is float16 already is stored as it is: so the wheel carries the
shipped models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from mmvos.io.atomic import write_bytes, write_json
from mmvos.models import MaskPropagator, PromptedSegmenter, SiameseTracker
from mmvos.version import __version__

from .half_weights import WEIGHTS_FILE, complete_folder, read_safetensors
from .settings import (
    FORMAT,
    SETTINGS_FILE,
    MaskTrackSettings,
    Settings,
    SiamMaskSettings,
    hash_file,
)
from .traced_masktrack import masktrack_graphs
from .traced_siammask import siammask_graphs
from .tracing import ExportError, Graph, Place, read_places, store_beside, trace_graph

PRECISIONS = ('float32', 'float16')

__all__ = ['PRECISIONS', 'ExportError', 'export_model']


def export_model(
    model: PromptedSegmenter, checkpoint: Path, out: Path, precision: str = 'float32'
) -> list[Path]:
    """Write the graphs of a model, and their settings.

    Args:
        model: with its weights, not optimized; its config has a test pipeline.
        checkpoint: the file of its weights.
        out: a folder; made where missing.
        precision: 'float32' or 'float16'; see the head of this file.

    Returns:
        The files.

    Raises:
        ExportError: the model is of a kind that is not exported, or its pictures are prepared in a
            way that the graphs' users do not know.
    """
    graphs, settings = _describe(model, checkpoint, precision)
    out.mkdir(parents=True, exist_ok=True)

    # 1. The weights, where they are stored beside the graphs.
    files = []
    stored: dict[str, Place] = {}
    if precision == 'float16':
        write_bytes(out / WEIGHTS_FILE, _half_weights(model, checkpoint))
        files.append(out / WEIGHTS_FILE)
        stored = read_places(out / WEIGHTS_FILE)

    # 2. The graphs, each checked with its weights.
    for name, graph in graphs.items():
        traced = trace_graph(name, graph, folds=precision == 'float32')
        if precision == 'float16':
            store_beside(traced, stored)
        path = out / f'{name}.onnx'
        write_bytes(path, traced.SerializeToString())
        with complete_folder(out, precision) as complete:
            onnx.checker.check_model(str(complete / path.name), full_check=True)
        files.append(path)

    # 3. The settings, last: a folder without them is no model.
    hashes = {path.name: hash_file(path) for path in files}
    settings = dataclasses.replace(settings, files=hashes)
    write_json(out / SETTINGS_FILE, dataclasses.asdict(settings), indent=1)
    return [*files, out / SETTINGS_FILE]


def describe_model(model: PromptedSegmenter, checkpoint: Path, precision: str) -> Settings:
    """Return the settings of a model, still without files; see `export_model`."""
    _, settings = _describe(model, checkpoint, precision)
    return settings


def _describe(
    model: PromptedSegmenter, checkpoint: Path, precision: str
) -> tuple[dict[str, Graph], Settings]:
    """Return what is traced of a model, and what a program must know beside the graphs.

    Raises:
        ExportError: the model is not exported.
    """
    tracker = getattr(model, 'tracker', None)
    if not isinstance(tracker, MaskPropagator | SiameseTracker):
        raise ExportError(
            'only MaskTrack, SiamMask and S2iamMask are exported: a model with a mask propagator '
            'or a siamese tracker'
        )
    preprocessor = model.data_preprocessor
    if preprocessor.pad_size_divisor != 1:
        raise ExportError('a model whose frames are padded is not exported')
    short_side, long_side = _resize_scale(model.cfg)

    # The tracker's own graphs, sizes and constants.
    own: MaskTrackSettings | SiamMaskSettings
    if isinstance(tracker, MaskPropagator):
        system = 'masktrack'
        graphs, own = masktrack_graphs(tracker)
    else:
        system = 'siammask'
        graphs, own = siammask_graphs(tracker)
    settings = Settings(
        format=FORMAT,
        system=system,
        model=Path(model.cfg.filename or 'model').stem,
        weights=hash_file(checkpoint),
        precision=precision,
        version=__version__,
        short_side=short_side,
        long_side=long_side,
        mean=preprocessor.mean.flatten().tolist(),
        std=preprocessor.std.flatten().tolist(),
        rgb=bool(preprocessor._channel_conversion),
        merge=model.merge,
        tracker=own,
        files={},
    )
    return graphs, settings


def _resize_scale(config: Any) -> tuple[int | None, int | None]:
    """Find the short and the long side to which the test pipeline resizes pictures; None where they
    keep their size.
    """
    # The steps, also those inside of a wrapper.
    steps: list[Mapping[str, Any]] = []
    for step in config.test_dataloader.dataset.pipeline:
        steps += step.get('transforms') or [step]

    allowed = ('LoadFrame', 'LoadImageFromFile', 'Resize', 'PackTrackInputs')
    names = [_short_type(step) for step in steps]
    has_others = any(name not in allowed for name in names)
    resizes = [step for step in steps if _short_type(step) == 'Resize']
    if has_others or len(resizes) != 1 or not resizes[0].get('keep_ratio'):
        raise ExportError(
            'the test pipeline must read a frame and resize it once with keep_ratio; this one has '
            f'{[step["type"] for step in steps]}'
        )
    if resizes[0].get('scale_factor') == 1.0:
        return None, None
    scale = resizes[0]['scale']
    return min(scale), max(scale)


def _short_type(step: Mapping[str, Any]) -> str:
    """Return the type of a step without its scope."""
    return str(step['type']).split('.')[-1]


def _half_weights(model: PromptedSegmenter, checkpoint: Path) -> bytes:
    """Return the model's weights as a safetensors file in float16: the checkpoint, if it is one."""
    from safetensors.torch import save

    if checkpoint.suffix == '.safetensors':
        header, _ = read_safetensors(checkpoint)
        if all(entry['dtype'] == 'F16' for entry in header.values()):
            return checkpoint.read_bytes()
    halves = {}
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            halves[name] = value.half().contiguous()
    return save(halves)
