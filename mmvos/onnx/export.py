"""Writes a mask propagator in torch as ONNX graphs; see ``graph_set`` for the graphs.

The graphs are traced from the model's own functions. In float32 their weights are inside them, with
batch norms folded. In float16 the weights are stored once for all graphs, in half precision; see
``half_weights``. A checkpoint that is float16 already is stored as it is: so the wheel carries the
shipped model.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from mmvos.io.atomic import write_bytes, write_json
from mmvos.io.errors import DataError
from mmvos.models import MaskPropagator, PromptedSegmenter
from mmvos.version import __version__

from .graph_set import FORMAT, GRAPHS, SETTINGS_FILE, Settings
from .half_weights import FLOAT32_FILE, WEIGHTS_FILE, complete_folder, read_safetensors

OPSET = 18
PRECISIONS = ('float32', 'float16')
_LEAST_STORED = 16  # numbers; a smaller constant stays in the graph


class ExportError(DataError):
    """A model that cannot be exported."""


class _Encode(nn.Module):
    """The features of squares."""

    def __init__(self, tracker: MaskPropagator) -> None:
        super().__init__()
        self.tracker = tracker

    def forward(self, images: Tensor, guides: Tensor) -> tuple[Tensor, ...]:
        levels: tuple[Tensor, ...] = self.tracker._levels(images, guides)
        return levels


class _Segment(nn.Module):
    """The masks of squares, from their features and remembered frames."""

    def __init__(self, tracker: MaskPropagator) -> None:
        super().__init__()
        self.tracker = tracker

    def forward(
        self, levels: list[Tensor], guides: Tensor, keys: Tensor, values: Tensor, shares: Tensor
    ) -> Tensor:
        head = self.tracker.head
        read = head.read_memories(levels[-1], keys, values, shares)
        logits: Tensor = head.decode(levels, guides, read)
        return logits[:, 0].sigmoid()


class _Remember(nn.Module):
    """What is remembered of squares."""

    def __init__(self, tracker: MaskPropagator) -> None:
        super().__init__()
        self.tracker = tracker

    def forward(self, top: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = self.tracker.head.encode_memory([top], masks)
        return keys, values


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
        ExportError: the model is no mask propagator with a memory in mode 'crop', or its pictures
            are prepared in a way that the graphs' users do not know.
    """
    tracker = _check_model(model)
    sizes = _trace_sizes(tracker)
    settings = _make_settings(model, tracker, checkpoint, precision, sizes)
    out.mkdir(parents=True, exist_ok=True)

    # 1. The weights, where they are stored beside the graphs.
    files = []
    stored: dict[str, _Place] = {}
    if precision == 'float16':
        write_bytes(out / WEIGHTS_FILE, _half_weights(model, checkpoint))
        files.append(out / WEIGHTS_FILE)
        stored = _places(out / WEIGHTS_FILE)

    # 2. The graphs, each checked with its weights.
    for name in GRAPHS:
        graph = _trace_graph(name, tracker, sizes, folds=precision == 'float32')
        if precision == 'float16':
            _store_beside(graph, stored)
        path = out / f'{name}.onnx'
        write_bytes(path, graph.SerializeToString())
        with complete_folder(out, precision) as complete:
            onnx.checker.check_model(str(complete / path.name), full_check=True)
        files.append(path)

    # 3. The settings, last: a folder without them is no model.
    hashes = {path.name: _hash(path.read_bytes()) for path in files}
    settings = dataclasses.replace(settings, files=hashes)
    write_json(out / SETTINGS_FILE, dataclasses.asdict(settings), indent=1)
    return [*files, out / SETTINGS_FILE]


def _check_model(model: PromptedSegmenter) -> MaskPropagator:
    """Return the model's tracker, which can be exported."""
    tracker = getattr(model, 'tracker', None)
    if not isinstance(tracker, MaskPropagator):
        raise ExportError('only MaskTrack is exported: a model with a mask propagator')
    if tracker.mode != 'crop' or not tracker.reads_memory:
        raise ExportError("only a propagator in mode 'crop' whose head has a memory is exported")
    if model.data_preprocessor.pad_size_divisor != 1:
        raise ExportError('a model whose frames are padded is not exported')
    return tracker


@dataclasses.dataclass(frozen=True)
class _Sizes:
    """Shapes of levels (C, h, w), and the lengths of keys and values."""

    levels: list[tuple[int, int, int]]
    keys: int
    values: int
    guides: int


@torch.no_grad()
def _trace_sizes(tracker: MaskPropagator) -> _Sizes:
    """Find the shapes by computing them once."""
    size = tracker.size
    guide_channels = 2 if tracker.clicks else 1
    images = torch.zeros(1, 3, size, size)
    guides = torch.zeros(1, guide_channels, size, size)
    masks = torch.zeros(1, 1, size, size)

    levels = tracker._levels(images, guides)
    keys, values = tracker.head.encode_memory(levels, masks)
    shapes = []
    for level in levels:
        _, channels, height, width = level.shape
        shapes.append((channels, height, width))
    key_channels = keys.shape[1]
    value_channels = values.shape[1]
    return _Sizes(shapes, key_channels, value_channels, guide_channels)


def _make_settings(
    model: PromptedSegmenter,
    tracker: MaskPropagator,
    checkpoint: Path,
    precision: str,
    sizes: _Sizes,
) -> Settings:
    """Gather what a program must know beside the graphs."""
    # How pictures are resized and normalized, and what the tracker is set to.
    long_side, short_side = _resize_scale(model.cfg)
    preprocessor = model.data_preprocessor
    return Settings(
        format=FORMAT,
        model=Path(model.cfg.filename or 'model').stem,
        weights=_hash(checkpoint.read_bytes()),
        precision=precision,
        version=__version__,
        size=tracker.size,
        short_side=short_side,
        long_side=long_side,
        mean=preprocessor.mean.flatten().tolist(),
        std=preprocessor.std.flatten().tolist(),
        rgb=bool(preprocessor._channel_conversion),
        levels=[list(shape) for shape in sizes.levels],
        key_channels=sizes.keys,
        value_channels=sizes.values,
        guide_channels=sizes.guides,
        context=tracker.context,
        box_change=tracker.box_change,
        box_prior=tracker.box_prior,
        box_passes=tracker.box_passes,
        min_area_ratio=tracker.min_area_ratio,
        search_growth=tracker.search_growth,
        merge=model.merge,
        files={},
    )


def _resize_scale(config: Any) -> tuple[int, int]:
    """Find the long and the short side to which the test pipeline resizes pictures."""
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
    scale = resizes[0]['scale']
    return max(scale), min(scale)


def _short_type(step: Mapping[str, Any]) -> str:
    """Return the type of a step without its scope."""
    return str(step['type']).split('.')[-1]


def _trace_graph(name: str, tracker: MaskPropagator, sizes: _Sizes, folds: bool) -> onnx.ModelProto:
    """Trace one graph, with any number of objects K and of remembered frames M.

    Args:
        name: of `GRAPHS`.
        tracker: has the network.
        sizes: of its levels.
        folds: whether constants and batch norms are folded; else every weight stays as it is
            stored in a checkpoint.
    """
    objects = torch.export.Dim('K', min=1)
    frames = torch.export.Dim('M', min=0)
    module, inputs, outputs = _signature(name, tracker, sizes)

    # Which sizes are free: objects of all inputs, frames of what is remembered.
    shapes: list[Any] = []
    for input_name, value in inputs.items():
        if isinstance(value, list):
            shapes.append([{0: objects} for _ in value])
        elif input_name in ('keys', 'values', 'shares') and name == 'segment':
            shapes.append({0: objects, 1: frames})
        else:
            shapes.append({0: objects})

    # A list of levels becomes one input for each.
    names = []
    for input_name, value in inputs.items():
        if isinstance(value, list):
            names += [f'{input_name.removesuffix("s")}{i}' for i in range(len(value))]
        else:
            names.append(input_name)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder, f'{name}.onnx')
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            str(path),
            input_names=names,
            output_names=outputs,
            dynamic_shapes=tuple(shapes),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            optimize=folds,
            verbose=False,
        )
        graph = onnx.load(path)
    # What torch writes half-way is put right.
    if not folds:
        _fix_types(graph)
    _describe(graph, name)
    return graph


def _fix_types(graph: onnx.ModelProto) -> None:
    """Say the type of constants, which a traced graph takes from activations (``CastLike``).

    An engine then sees that biases and bounds are constant, and folds them and the batch norms.
    """
    for node in graph.graph.node:
        if node.op_type == 'CastLike':
            node.op_type = 'Cast'
            del node.input[1:]
            node.attribute.append(helper.make_attribute('to', TensorProto.FLOAT))


def _signature(
    name: str, tracker: MaskPropagator, sizes: _Sizes
) -> tuple[nn.Module, dict[str, Any], list[str]]:
    """Return the module of a graph, example inputs by name, and the names of its outputs."""
    # Two of each: 1 would be taken for a constant.
    count = 2
    size = tracker.size
    levels = [torch.zeros(count, *shape) for shape in sizes.levels]
    guides = torch.zeros(count, sizes.guides, size, size)
    positions = sizes.levels[-1][1] * sizes.levels[-1][2]

    # Pictures -> levels of features.
    if name == 'encode':
        images = torch.zeros(count, 3, size, size)
        outputs = [f'level{number}' for number in range(len(levels))]
        return _Encode(tracker), {'images': images, 'guides': guides}, outputs

    # Features and masks -> keys and values.
    if name == 'remember':
        masks = torch.zeros(count, 1, size, size)
        return _Remember(tracker), {'top': levels[-1], 'masks': masks}, ['keys', 'values']

    # Features, guides and what is remembered -> probabilities.
    inputs = {
        'levels': levels,
        'guides': guides,
        'keys': torch.zeros(count, 3, sizes.keys, positions),
        'values': torch.zeros(count, 3, sizes.values, positions),
        'shares': torch.full((count, 3), 1 / 3),
    }
    return _Segment(tracker), inputs, ['probabilities']


def _describe(graph: onnx.ModelProto, name: str) -> None:
    """Leave out the traces of the tracing, which name files of one machine."""
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


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a tensor stands in a safetensors file: its shape, first byte and number of bytes."""

    shape: list[int]
    offset: int
    length: int


def _places(path: Path) -> dict[str, _Place]:
    """Read where the float16 tensors of a safetensors file stand."""
    header, _ = read_safetensors(path)
    places = {}
    for name, entry in header.items():
        first, end = entry['data_offsets']
        places[name] = _Place(entry['shape'], first, end - first)
    return places


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


def _store_beside(graph: onnx.ModelProto, places: Mapping[str, _Place]) -> None:
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


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
