"""Traces a module in torch as an ONNX graph, in which some sizes stay free, and stores its weights
beside it.

In float32 the weights are inside the graphs, with batch norms folded. In float16 they are stored
once for all graphs, in half precision; see ``half_weights``.
"""

from __future__ import annotations

import logging
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from mmvos.io.errors import DataError
from mmvos.version import __version__

from .half_weights import FLOAT32_FILE, read_safetensors

OPSET = 18
_LEAST_STORED = 16  # numbers; a smaller constant stays in the graph


class ExportError(DataError):
    """A model that cannot be exported."""


@dataclass(frozen=True)
class Input:
    """An input of a graph.

    Attributes:
        example: a tensor with 2 or more of what is free: 1 would be taken for a constant.
        free: by axis the sizes that are free, each a ``torch.export.Dim`` or made of one.
    """

    example: Tensor
    free: Mapping[int, Any]


@dataclass(frozen=True)
class Graph:
    """What is traced as one graph.

    Attributes:
        module: has the weights under ``tracker``, as in a checkpoint; eval mode.
        inputs: by name, in the order in which ``module.forward`` takes them. A list is taken as one
            argument, and becomes an input for each of its tensors.
        outputs: their names.
    """

    module: nn.Module
    inputs: dict[str, Input | list[Input]]
    outputs: list[str]


def trace_graph(name: str, graph: Graph, folds: bool) -> onnx.ModelProto:
    """Trace one graph.

    Args:
        name: its name.
        graph: what is traced.
        folds: whether constants and batch norms are folded; else every weight stays as it is
            stored in a checkpoint.
    """
    # Names, examples and free sizes; a list of tensors becomes one input for each.
    names = []
    examples: list[Any] = []
    shapes: list[Any] = []
    for input_name, value in graph.inputs.items():
        if isinstance(value, list):
            names += [f'{input_name.removesuffix("s")}{i}' for i in range(len(value))]
            examples.append([item.example for item in value])
            shapes.append([dict(item.free) for item in value])
        else:
            names.append(input_name)
            examples.append(value.example)
            shapes.append(dict(value.free))
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder, f'{name}.onnx')
        torch.onnx.export(
            graph.module.eval(),
            tuple(examples),
            str(path),
            input_names=names,
            output_names=graph.outputs,
            dynamic_shapes=tuple(shapes),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            optimize=folds,
            verbose=False,
        )
        traced = onnx.load(path)
    _check_free_sizes(traced, shapes)
    # What torch writes half-way is put right.
    if not folds:
        _fix_types(traced)
    _describe(traced, name)
    return traced


def _check_free_sizes(graph: onnx.ModelProto, shapes: list[Any]) -> None:
    """Check that what should be free is, which the tracer does not say.

    Args:
        graph: as it was traced.
        shapes: of each argument the free sizes by axis, or a list of such.
    """
    wanted: list[Mapping[int, Any]] = []
    for item in shapes:
        wanted += item if isinstance(item, list) else [item]
    for value, axes in zip(graph.graph.input, wanted, strict=True):
        for axis in axes:
            size = value.type.tensor_type.shape.dim[axis]
            assert size.dim_param, f'size {axis} of {value.name} is fixed, {size.dim_value}'


def _fix_types(graph: onnx.ModelProto) -> None:
    """Say the type of constants, which a traced graph takes from activations (``CastLike``).

    An engine then sees that biases and bounds are constant, and folds them and the batch norms.
    """
    # the types of all values between the nodes
    inferred = onnx.shape_inference.infer_shapes(graph)
    types = {}
    graph_values = (*inferred.graph.input, *inferred.graph.output)
    for value in (*inferred.graph.value_info, *graph_values):
        types[value.name] = value.type.tensor_type.elem_type
    for node in graph.graph.node:
        if node.op_type == 'CastLike':
            node.op_type = 'Cast'
            kind = types[node.input[1]]
            del node.input[1:]
            node.attribute.append(helper.make_attribute('to', kind))


def _describe(graph: onnx.ModelProto, name: str) -> None:
    """Leave out the traces of the tracing, which name files of one machine."""
    _name_sides(graph)
    graph.producer_name = 'mmvos'
    graph.producer_version = __version__
    graph.graph.name = name
    graph.doc_string = ''
    del graph.metadata_props[:]
    del graph.graph.metadata_props[:]
    del graph.graph.value_info[:]
    for node in graph.graph.node:
        node.doc_string = ''
        del node.metadata_props[:]
    for value in (*graph.graph.input, *graph.graph.output, *graph.graph.initializer):
        del value.metadata_props[:]


def _name_sides(graph: onnx.ModelProto) -> None:
    """Call the free side of a map h where inputs have one; the tracer numbers it in outputs."""
    has_sides = any(
        dimension.dim_param == 'h' or dimension.dim_param.endswith('*h')
        for value in graph.graph.input
        for dimension in value.type.tensor_type.shape.dim
    )
    if not has_sides:
        return
    for value in (*graph.graph.input, *graph.graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            # to set the name of a fixed size would make it free
            if dimension.dim_param:
                dimension.dim_param = re.sub(r'\bs\d+\b', 'h', dimension.dim_param)


@dataclass(frozen=True)
class Place:
    """Where a tensor stands in a safetensors file: its shape, first byte and number of bytes."""

    shape: list[int]
    offset: int
    length: int


def read_places(path: Path) -> dict[str, Place]:
    """Read where the float16 tensors of a safetensors file stand."""
    header, _ = read_safetensors(path)
    places = {}
    for name, entry in header.items():
        first, end = entry['data_offsets']
        places[name] = Place(entry['shape'], first, end - first)
    return places


def store_beside(graph: onnx.ModelProto, places: Mapping[str, Place]) -> None:
    """Let a graph take its weights from `FLOAT32_FILE`, which is made of the safetensors file."""
    for tensor in graph.graph.initializer:
        # The names of the module's parameters are 'tracker....', as in the checkpoint.
        place = places.get(tensor.name)
        if place is None or tensor.data_type != TensorProto.FLOAT:
            continue
        if list(tensor.dims) != place.shape or len(tensor.raw_data) < 4 * _LEAST_STORED:
            continue
        tensor.ClearField('raw_data')
        tensor.data_location = TensorProto.EXTERNAL
        # a number has 4 bytes there and 2 in the safetensors file
        entries = {
            'location': FLOAT32_FILE,
            'offset': str(2 * place.offset),
            'length': str(2 * place.length),
        }
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=value)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the tracer's notes about libraries that are not installed from the user."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(logging.NOTSET)
