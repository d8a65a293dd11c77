"""Weights in half precision beside graphs that compute in float32.

``weights.safetensors`` holds them once for all graphs of a model; it can be the checkpoint itself.
The graphs name bytes of ``weights.float32`` (ONNX's external data): the same numbers in the same
order, each with four bytes in the place of two. That file is made when the graphs are loaded, in a
folder that is removed again, so engines see plain float32 weights, which they fold and pack.
"""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

WEIGHTS_FILE = 'weights.safetensors'
FLOAT32_FILE = 'weights.float32'


def read_safetensors(path: Path) -> tuple[dict[str, Any], bytes]:
    """Read the tensors of a safetensors file: by name dtype, shape and place; and their bytes."""
    content = path.read_bytes()
    # 8 bytes: the length of the header; then the header, JSON; then the tensors
    (length,) = struct.unpack('<Q', content[:8])
    header = json.loads(content[8 : 8 + length])
    header.pop('__metadata__', None)
    return header, content[8 + length :]


def read_float32(path: Path) -> bytes:
    """Return what ``weights.float32`` holds, of a safetensors file of float16 numbers."""
    _, halves = read_safetensors(path)
    return np.frombuffer(halves, dtype='<f2').astype('<f4').tobytes()


@contextmanager
def complete_folder(folder: Path, precision: str) -> Iterator[Path]:
    """Give a folder in which the graphs of a model find their weights.

    Args:
        folder: of the model.
        precision: of its stored weights; those of float32 are inside the graphs.
    """
    if precision != 'float16':
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix='mmvos-') as name:
        complete = Path(name)
        (complete / FLOAT32_FILE).write_bytes(read_float32(folder / WEIGHTS_FILE))
        for graph in folder.glob('*.onnx'):
            shutil.copy(graph, complete)
        yield complete
