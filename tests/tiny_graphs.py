"""A model as ONNX graphs so small that a step takes a thousandth of a second, and whose masks are
known: what is red in the square around an object.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from mmvos.onnx.settings import FORMAT, MaskTrackSettings, Settings, hash_file

SIZE = 32
KEYS, VALUES = 3, 2  # lengths of a key and of a value
_POSITIONS = (SIZE // 16) ** 2
_OPSET = 18


def write_tiny_graphs(folder: Path) -> Path:
    """Write the model into a folder, as ``mmvos export`` does."""
    folder.mkdir(parents=True, exist_ok=True)
    levels = [[3, SIZE // stride, SIZE // stride] for stride in (2, 4, 8, 16)]
    for name, graph in (
        ('encode', _encode(levels)),
        ('segment', _segment(levels)),
        ('remember', _remember(levels)),
    ):
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid('', _OPSET)], ir_version=9
        )
        onnx.checker.check_model(model)
        (folder / f'{name}.onnx').write_bytes(model.SerializeToString())
    settings = Settings(
        format=FORMAT,
        system='masktrack',
        model='tiny',
        weights='none',
        precision='float32',
        version='0',
        short_side=480,
        long_side=2000,
        mean=[0.0, 0.0, 0.0],
        std=[255.0, 255.0, 255.0],
        rgb=True,
        merge='soft',
        tracker=MaskTrackSettings(
            size=SIZE,
            calm_size=None,
            levels=levels,
            key_channels=KEYS,
            value_channels=VALUES,
            guide_channels=2,
            context=1.8,
            box_change=1.04,
            box_prior=0.0,
            box_passes=1,
            min_area_ratio=0.02,
            search_growth=1.1,
        ),
        files={path.name: hash_file(path) for path in folder.glob('*.onnx')},
    )
    (folder / 'model.json').write_text(json.dumps(dataclasses.asdict(settings)))
    return folder


def _value(name: str, *shape: object) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def _encode(levels: list[list[int]]) -> onnx.GraphProto:
    """The levels are means of the picture."""
    nodes = []
    for number, level in enumerate(levels):
        stride = SIZE // level[1]
        nodes.append(
            helper.make_node(
                'AveragePool',
                ['images'],
                [f'level{number}'],
                kernel_shape=[stride, stride],
                strides=[stride, stride],
            )
        )
    inputs = [_value('images', 'K', 3, SIZE, SIZE), _value('guides', 'K', 2, SIZE, SIZE)]
    outputs = [_value(f'level{number}', 'K', *level) for number, level in enumerate(levels)]
    return helper.make_graph(nodes, 'encode', inputs, outputs)


def _segment(levels: list[list[int]]) -> onnx.GraphProto:
    """A pixel belongs to the object where its red is stronger than its green."""
    constants = [
        helper.make_tensor('parts', TensorProto.INT64, [3], [1, 1, 1]),
        helper.make_tensor('channel', TensorProto.INT64, [1], [1]),
        helper.make_tensor('slope', TensorProto.FLOAT, [], [20.0]),
        helper.make_tensor('least', TensorProto.FLOAT, [], [0.3]),
    ]
    nodes = [
        helper.make_node('Split', ['level0', 'parts'], ['red', 'green', 'blue'], axis=1),
        helper.make_node('Sub', ['red', 'green'], ['more']),
        helper.make_node('Sub', ['more', 'least'], ['over']),
        helper.make_node('Mul', ['over', 'slope'], ['steep']),
        helper.make_node('Sigmoid', ['steep'], ['mask']),
        helper.make_node('Squeeze', ['mask', 'channel'], ['probabilities']),
    ]
    inputs = [_value(f'level{number}', 'K', *level) for number, level in enumerate(levels)]
    inputs += [
        _value('guides', 'K', 2, SIZE, SIZE),
        _value('keys', 'K', 'M', KEYS, _POSITIONS),
        _value('values', 'K', 'M', VALUES, _POSITIONS),
        _value('shares', 'K', 'M'),
    ]
    outputs = [_value('probabilities', 'K', *levels[0][1:])]
    return helper.make_graph(nodes, 'segment', inputs, outputs, constants)


def _remember(levels: list[list[int]]) -> onnx.GraphProto:
    """What is remembered is not read."""
    constants = [
        helper.make_tensor('flat', TensorProto.INT64, [3], [0, KEYS, _POSITIONS]),
        helper.make_tensor('first', TensorProto.INT64, [1], [0]),
        helper.make_tensor('last', TensorProto.INT64, [1], [VALUES]),
        helper.make_tensor('axis', TensorProto.INT64, [1], [1]),
    ]
    nodes = [
        helper.make_node('Reshape', ['top', 'flat'], ['keys']),
        helper.make_node('Slice', ['keys', 'first', 'last', 'axis'], ['values']),
    ]
    inputs = [_value('top', 'K', *levels[-1]), _value('masks', 'K', 1, SIZE, SIZE)]
    outputs = [_value('keys', 'K', KEYS, _POSITIONS), _value('values', 'K', VALUES, _POSITIONS)]
    return helper.make_graph(nodes, 'remember', inputs, outputs, constants)
