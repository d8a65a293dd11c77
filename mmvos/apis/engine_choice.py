"""Which library computes a system's network, torch or an engine of its ONNX graphs; and the model
that it computes.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mmvos.cpu_flags import cpu_flags
from mmvos.io.errors import DataError
from mmvos.lazy_packages import lazy_packages
from mmvos.onnx.engines import ENGINES

from .systems import SYSTEMS

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmvos.models.video_steps import VideoSteps
    from mmvos.onnx.segmenter import OnnxSegmenter

TORCH = 'torch'
ALL_ENGINES = (TORCH, *ENGINES)
_GPU_FILES = ('/dev/nvidiactl', '/dev/kfd')  # of NVIDIA's and AMD's drivers


def choose_engine(system: str, asked: str | None = None, needs_torch: bool = False) -> str:
    """Choose what computes the network of a system with its shipped weights.

    By default the fastest of those that are installed, which all give the same masks
    (docs/benchmarks.md): on a CPU OpenVINO, onnxruntime, torch; where there is a GPU, or a CPU with
    AMX, torch, which uses it.

    Args:
        system: a name of `SYSTEMS`.
        asked: one of `ALL_ENGINES`, or None.
        needs_torch: whether something is asked for that only torch does: another config, other
            weights, a device.

    Raises:
        DataError: the engine that is asked for cannot do it.
    """
    has_graphs = system in SYSTEMS and SYSTEMS[system].has_graphs
    # One is asked for: it must be able to.
    if asked in ENGINES:
        if not has_graphs:
            names = [name for name, row in SYSTEMS.items() if row.has_graphs]
            raise DataError(
                f'{system} is not there as ONNX graphs, which {asked} takes; only '
                f'{", ".join(names)} are'
            )
        if needs_torch:
            raise DataError(
                f'{asked} takes the shipped weights only: leave config, checkpoint and device out, '
                f'or export the model and give its folder with --graphs'
            )
        return asked

    # What only torch does.
    if asked == TORCH or not has_graphs or needs_torch:
        return TORCH

    # Else the fastest that is installed.
    has_gpu = any(os.path.exists(path) for path in _GPU_FILES)
    order = ('openvino', 'onnxruntime', TORCH)
    if has_gpu or 'amx_bf16' in cpu_flags():
        order = (TORCH, 'openvino', 'onnxruntime')
    for engine in order:
        if find_spec(engine) is not None:
            return engine
    return 'onnxruntime'


def load_model(
    model: str | Path | Config,
    weights: str | Path | None,
    device: str | None,
    engine: str | None,
) -> VideoSteps:
    """Build a model for inference; torch is imported only where it is to compute it.

    Args:
        model: name of a system or shipped model, path of a config, or a config.
        weights: by default those that come with it.
        device: see ``init_model``.
        engine: see `choose_engine`.

    Raises:
        FileNotFoundError, ValueError: see ``load_optimized`` and `choose_engine`.
    """
    name = model if isinstance(model, str) else ''
    engine = choose_engine(name, engine, needs_torch=weights is not None or device is not None)
    if engine != TORCH:
        return load_graphs(name, engine)
    with lazy_packages():
        from .model_loading import load_optimized

    return load_optimized(model, weights, device)


def load_graphs(system: str, engine: str) -> OnnxSegmenter:
    """Open the graphs of a system's shipped weights.

    Args:
        system: a name of `SYSTEMS` that has graphs.
        engine: one of `ENGINES`.
    """
    from mmvos.onnx.graph_set import SHIPPED
    from mmvos.onnx.segmenter import OnnxSegmenter

    return OnnxSegmenter(SHIPPED[SYSTEMS[system].graphs], engine)
