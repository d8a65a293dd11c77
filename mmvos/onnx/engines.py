"""The libraries that compute a graph on a CPU: onnxruntime and OpenVINO."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mmvos.io.errors import DataError

ENGINES = ('onnxruntime', 'openvino')
Inputs = Mapping[str, NDArray[Any]]


class MissingEngineError(DataError):
    """A library that is asked for is not installed."""


class Engine(Protocol):
    """A graph, ready to compute."""

    def run(self, inputs: Inputs) -> list[NDArray[Any]]:
        """Compute the outputs in their order, from inputs by their names."""


def open_engine(path: Path, engine: str, threads: int | None = None) -> Engine:
    """Open a graph.

    Args:
        path: of the graph.
        engine: one of `ENGINES`.
        threads: by default OMP_NUM_THREADS, else one per core.

    Raises:
        MissingEngineError: the library is not installed.
        Exception: of a kind of the library's own: it cannot read the graph.
    """
    if engine not in ENGINES:
        raise ValueError(f'engine must be one of {", ".join(ENGINES)}, not {engine!r}')
    if find_spec(engine) is None:
        raise MissingEngineError(f'{engine} is not installed; pip install {engine}')
    if threads is None:
        threads = int(os.environ.get('OMP_NUM_THREADS') or os.cpu_count() or 1)
    if engine == 'openvino':
        return OpenVinoEngine(path, threads)
    return OnnxRuntimeEngine(path, threads)


class OnnxRuntimeEngine:
    """A graph in onnxruntime.

    Args:
        path: of the graph.
        threads: that compute one operation.
    """

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that spin take the core from the other graphs, and from other programs.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        # errors only: it warns of shapes that are known at run time
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=['CPUExecutionProvider']
        )

    def run(self, inputs: Inputs) -> list[NDArray[Any]]:
        """Compute the outputs; see `Engine`."""
        outputs: list[NDArray[Any]] = self._session.run(None, dict(inputs))
        return outputs


class OpenVinoEngine:
    """A graph in OpenVINO.

    Args:
        path: of the graph.
        threads: that compute one operation.
    """

    def __init__(self, path: Path, threads: int) -> None:
        import openvino

        options = {
            'INFERENCE_NUM_THREADS': threads,
            'PERFORMANCE_HINT': 'LATENCY',
            # float32 on all processors: bfloat16 would be other masks on some
            'INFERENCE_PRECISION_HINT': 'f32',
        }
        self._model = openvino.Core().compile_model(str(path), 'CPU', options)

    def run(self, inputs: Inputs) -> list[NDArray[Any]]:
        """Compute the outputs; see `Engine`."""
        found = self._model(dict(inputs))
        return [np.array(found[output]) for output in self._model.outputs]
