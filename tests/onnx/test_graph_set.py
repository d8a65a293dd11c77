"""The shipped graphs are what they say, and others are refused in a sentence."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import mmvos
from mmvos.io.errors import DataError
from mmvos.onnx import engines
from mmvos.onnx.graph_set import GRAPHS, SHIPPED, GraphSet
from mmvos.onnx.half_weights import complete_folder, read_float32
from mmvos.onnx.segmenter import network_size
from mmvos.onnx.settings import GraphError, hash_file, read_settings

ROOT = Path(mmvos.__file__).resolve().parents[1]
WEIGHTS = ROOT / 'weights'
FOLDERS = {'masktrack': 'masktrack_lite0', 'siammask': 'siammask_lite0'}
ALL_GRAPHS = [(system, name) for system, names in GRAPHS.items() for name in names]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped MaskTrack."""
    shutil.copytree(SHIPPED['masktrack'], tmp_path / 'model')
    return tmp_path / 'model'


@pytest.fixture
def siammask(tmp_path: Path) -> Path:
    """A copy of the shipped SiamMask."""
    shutil.copytree(SHIPPED['siammask'], tmp_path / 'siammask')
    return tmp_path / 'siammask'


def change(folder: Path, **values: object) -> None:
    path = folder / 'model.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize('model', SHIPPED)
def test_the_shipped_graphs_are_those_of_the_shipped_weights(model):
    """Where this fails the weights have changed: mmvos export MODEL --precision float16."""
    settings = read_settings(SHIPPED[model])
    folder = SHIPPED[settings.system]
    weights = WEIGHTS / f'{FOLDERS[settings.system]}.safetensors'
    assert settings.weights == hash_file(weights)
    assert {f'{name}.onnx' for name in GRAPHS[settings.system]} < set(settings.files)
    for name, digest in settings.files.items():
        assert hash_file(folder / name) == digest, name


@pytest.mark.parametrize('system', FOLDERS)
def test_the_repository_holds_the_weights_once(system):
    weights = WEIGHTS / f'{FOLDERS[system]}.safetensors'
    assert weights.is_symlink()
    assert (SHIPPED[system] / 'weights.safetensors').resolve() == weights.resolve()
    assert sum(path.stat().st_size for path in SHIPPED[system].glob('*.onnx')) < 500_000


@pytest.mark.parametrize('model', SHIPPED)
def test_the_settings_are_those_of_the_shipped_config(model):
    """S2iamMask is SiamMask's graphs with a vote; its numbers stand in its config."""
    pytest.importorskip('onnxscript')
    from mmvos.apis.model_loading import init_model
    from mmvos.onnx.export import describe_model

    weights = SHIPPED['masktrack' if model == 'masktrack' else 'siammask'] / 'weights.safetensors'
    found = read_settings(SHIPPED[model])
    expected = describe_model(init_model(model, weights, 'cpu'), weights, 'float16')
    assert dataclasses.replace(found, files={}) == expected


@pytest.mark.parametrize(('system', 'name'), ALL_GRAPHS)
def test_graphs_pass_the_checker_and_take_any_number_of_objects(system, name):
    onnx = pytest.importorskip('onnx')
    path = SHIPPED[system] / f'{name}.onnx'
    with complete_folder(SHIPPED[system], 'float16') as complete:
        onnx.checker.check_model(str(complete / path.name), full_check=True)
    graph = onnx.load(path, load_external_data=False)
    assert [entry.version for entry in graph.opset_import if entry.domain == ''] == [18]
    for value in (*graph.graph.input, *graph.graph.output):
        kind = value.type.tensor_type
        # cells that are refined have a number of their own
        is_of_cells = name == 'refine' and value.name in ('cells', 'probabilities')
        assert kind.shape.dim[0].dim_param == ('P' if is_of_cells else 'K')
        numbers = onnx.TensorProto.INT64 if value.name == 'cells' else onnx.TensorProto.FLOAT
        assert kind.elem_type == numbers
        # each size is a number or has a name
        assert all(size.dim_param or size.dim_value for size in kind.shape.dim), value.name
    # no file of the machine on which it was made is named
    assert b'site-packages' not in path.read_bytes()


def test_graphs_compute_any_number_of_objects_and_of_remembered_frames():
    pytest.importorskip('onnxruntime')
    graphs = GraphSet(threads=1)
    settings = graphs.settings.tracker
    size = settings.size
    for objects, frames in ((1, 0), (3, 2)):
        guides = np.zeros((objects, 2, size, size), np.float32)
        levels = graphs.run(
            'encode', {'images': np.zeros((objects, 3, size, size), np.float32), 'guides': guides}
        )
        assert [list(level.shape[1:]) for level in levels] == settings.levels
        masks = np.zeros((objects, 1, size, size), np.float32)
        keys, values = graphs.run('remember', {'top': levels[-1], 'masks': masks})
        assert keys.shape == (objects, settings.key_channels, 784)
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
        assert found.shape == (objects, *settings.levels[0][1:])
        assert found.min() >= 0 and found.max() <= 1


def test_graphs_of_siammask_compute_any_number_of_objects_and_of_cells():
    """An object among others is the same as alone, and so is a cell."""
    pytest.importorskip('onnxruntime')
    graphs = GraphSet(SHIPPED['siammask'], threads=1)
    settings = graphs.settings.tracker
    rng = np.random.default_rng(0)
    templates = rng.integers(0, 256, (3, 3, 127, 127)).astype(np.float32)
    windows = rng.integers(0, 256, (3, 3, 255, 255)).astype(np.float32)
    cells = np.array([[2, 0, 24], [0, 12, 7], [2, 3, 3], [1, 24, 0]])

    [kernels] = graphs.run('template', {'windows': templates})
    assert kernels.shape == (3, 3, settings.channels, 5, 5)
    names = ('search', 'stem', 'stage1', 'stage2')
    scores, deltas, *maps = graphs.run('search', {'windows': windows, 'kernels': kernels})
    assert scores.shape == (3, 3125) and deltas.shape == (3, 4, 3125)
    assert scores.min() >= 0 and scores.max() <= 1
    assert [list(level.shape[1:]) for level in maps[1:]] == settings.levels
    inputs = {**dict(zip(names, maps)), 'kernels': kernels}
    [masks] = graphs.run('refine', {**inputs, 'cells': cells})
    assert masks.shape == (4, 127, 127) and masks.min() >= 0 and masks.max() <= 1

    [alone] = graphs.run('template', {'windows': templates[2:]})
    np.testing.assert_allclose(alone, kernels[2:], rtol=1e-3, atol=1e-3)
    single = graphs.run('search', {'windows': windows[2:], 'kernels': kernels[2:]})
    np.testing.assert_allclose(single[0], scores[2:], rtol=1e-3, atol=1e-4)
    [mask] = graphs.run('refine', {**inputs, 'cells': cells[2:3]})
    np.testing.assert_allclose(mask, masks[2:3], rtol=1e-3, atol=1e-4)


def test_a_model_of_another_version_is_refused(folder):
    change(folder, format=1)
    with pytest.raises(GraphError, match=r'model\.json has format 1, .* 2; export the model again'):
        GraphSet(folder)
    change(folder, format=3)
    with pytest.raises(GraphError, match=r'model\.json has format 3, .* newer mmvos'):
        GraphSet(folder)


def test_a_system_that_is_not_known_is_refused(folder):
    change(folder, system='parts')
    with pytest.raises(GraphError, match=r"model\.json is of the system 'parts'"):
        GraphSet(folder)


def test_settings_of_another_system_are_refused(folder):
    change(folder, system='siammask')
    with pytest.raises(GraphError, match=r'model\.json is damaged'):
        GraphSet(folder)


def test_a_graph_of_another_system_is_refused(folder, siammask):
    """It would be opened, and fail in the first frame."""
    shutil.copy(folder / 'encode.onnx', siammask / 'search.onnx')
    with pytest.raises(GraphError, match=r'search\.onnx is not what model\.json'):
        GraphSet(siammask)


@pytest.mark.parametrize('name', ['refine.onnx', 'weights.safetensors', 's2iammask.json'])
def test_a_missing_file_of_siammask_is_named(siammask, name):
    (siammask / name).unlink()
    with pytest.raises(GraphError, match=name):
        GraphSet(siammask / 's2iammask.json')


def test_a_vote_that_lacks_a_number_is_refused(siammask):
    path = siammask / 's2iammask.json'
    content = json.loads(path.read_text())
    del content['tracker']['vote']['top_k']
    path.write_text(json.dumps(content))
    with pytest.raises(GraphError, match='top_k'):
        read_settings(path)


def test_a_missing_engine_is_named(monkeypatch):
    monkeypatch.setattr(engines, 'find_spec', lambda name: None)
    with pytest.raises(DataError, match='pip install onnxruntime'):
        GraphSet(SHIPPED['siammask'])


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
    files = json.loads((folder / 'model.json').read_text())['files']
    change(folder, files={**files, path.name: hash_file(path)})
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
