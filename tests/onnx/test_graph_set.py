"""The shipped graphs are what they say, and others are refused in a sentence."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import mmvos
from mmvos.io.errors import DataError
from mmvos.onnx.graph_set import GRAPHS, SHIPPED, GraphError, GraphSet, read_settings
from mmvos.onnx.half_weights import complete_folder, read_float32
from mmvos.onnx.segmenter import network_size

ROOT = Path(mmvos.__file__).resolve().parents[1]
WEIGHTS = ROOT / 'weights' / 'masktrack_lite0.safetensors'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped model."""
    shutil.copytree(SHIPPED, tmp_path / 'model')
    return tmp_path / 'model'


def change(folder: Path, **values: object) -> None:
    path = folder / 'model.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_the_shipped_graphs_are_those_of_the_shipped_weights():
    """Where this fails the weights have changed: mmvos export masktrack --precision float16."""
    settings = read_settings(SHIPPED)
    assert settings.weights == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    for name, digest in settings.files.items():
        assert hashlib.sha256((SHIPPED / name).read_bytes()).hexdigest() == digest, name


def test_the_repository_holds_the_weights_once():
    assert (SHIPPED / 'weights.safetensors').resolve() == WEIGHTS.resolve()
    assert sum(path.stat().st_size for path in SHIPPED.glob('*.onnx')) < 500_000


@pytest.mark.parametrize('name', GRAPHS)
def test_graphs_pass_the_checker_and_take_any_number_of_objects(folder, name):
    onnx = pytest.importorskip('onnx')
    path = folder / f'{name}.onnx'
    with complete_folder(folder, 'float16') as complete:
        onnx.checker.check_model(str(complete / path.name), full_check=True)
    graph = onnx.load(path, load_external_data=False)
    assert [entry.version for entry in graph.opset_import if entry.domain == ''] == [18]
    for value in (*graph.graph.input, *graph.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == 'K'
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    # no file of the machine on which it was made is named
    assert b'site-packages' not in path.read_bytes()


def test_graphs_compute_any_number_of_objects_and_of_remembered_frames():
    pytest.importorskip('onnxruntime')
    graphs = GraphSet(threads=1)
    size = graphs.settings.size
    for objects, frames in ((1, 0), (3, 2)):
        guides = np.zeros((objects, 2, size, size), np.float32)
        levels = graphs.run(
            'encode', {'images': np.zeros((objects, 3, size, size), np.float32), 'guides': guides}
        )
        assert [list(level.shape[1:]) for level in levels] == graphs.settings.levels
        masks = np.zeros((objects, 1, size, size), np.float32)
        keys, values = graphs.run('remember', {'top': levels[-1], 'masks': masks})
        assert keys.shape == (objects, graphs.settings.key_channels, 784)
        inputs = {f'level{number}': level for number, level in enumerate(levels)}
        inputs['guides'] = guides
        inputs['keys'] = (
            np.stack([keys] * frames, 1)
            if frames
            else np.zeros((objects, 0, *keys.shape[1:]), np.float32)
        )
        inputs['values'] = (
            np.stack([values] * frames, 1)
            if frames
            else np.zeros((objects, 0, *values.shape[1:]), np.float32)
        )
        inputs['shares'] = np.full((objects, frames), 1 / max(frames, 1), np.float32)
        [found] = graphs.run('segment', inputs)
        assert found.shape == (objects, *graphs.settings.levels[0][1:])
        assert found.min() >= 0 and found.max() <= 1


def test_a_model_of_another_version_is_refused(folder):
    change(folder, format=2)
    with pytest.raises(GraphError, match=r'model\.json has format 2'):
        GraphSet(folder)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(DataError, match=r'model\.json'):
        GraphSet(tmp_path)


@pytest.mark.parametrize('name', ['segment.onnx', 'weights.safetensors'])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(GraphError, match=name):
        GraphSet(folder)


def test_a_damaged_graph_is_named(folder):
    pytest.importorskip('onnxruntime')
    path = folder / 'encode.onnx'
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(GraphError, match=r'encode\.onnx cannot be read'):
        GraphSet(folder)


def test_settings_that_do_not_belong_there_are_refused(folder):
    change(folder, temperature=3)
    with pytest.raises(GraphError, match='temperature'):
        read_settings(folder)


@pytest.mark.parametrize('size', [(480, 854), (1080, 1920), (120, 160), (2000, 333), (3, 4000)])
def test_pictures_are_resized_as_mmcv_does(size):
    from mmcv.image.geometric import rescale_size

    height, width = size
    assert network_size(height, width, 480, 2000)[::-1] == rescale_size(
        (width, height), (2000, 480)
    )


def test_float32_weights_are_the_checkpoint(tmp_path):
    from safetensors.numpy import load_file, save_file

    halves = {'b': np.float16([[1.5, -2], [0, 65504]]), 'a': np.arange(7, dtype=np.float16)}
    save_file(halves, tmp_path / 'w.safetensors', metadata={'license': 'none'})
    numbers = np.frombuffer(read_float32(tmp_path / 'w.safetensors'), np.float32)
    stored = load_file(tmp_path / 'w.safetensors')
    assert sorted(numbers) == sorted(np.concatenate([stored['a'], stored['b'].ravel()]))
