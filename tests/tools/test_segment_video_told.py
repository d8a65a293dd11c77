"""The command that segments one video, on objects that the user gives; the tracker sees colors (tests/colored_videos.py)."""
from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import colored_videos as tiny
import cv2
import numpy as np
import pytest
import torch
from command import ROOT
from PIL import Image
from safetensors.torch import save_file

from mmvos.datasets.youtube_vis_writer import write_label_png

LENGTH, FIRST = 6, {1: 0, 3: 2}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with frames, and with a config and weights of the oracle; it is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'path', [*sys.path])
    for index in range(LENGTH):
        (tmp_path / 'frames').mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f'frames/{index:05d}.png'), tiny.picture(labels(index)))
    tiny.config(dict(data_root='unused'), **tiny.SEGMENTER).dump(tmp_path / 'segmenter.py')
    tiny.config(dict(data_root='unused')).dump(tmp_path / 'finder.py')
    save_file({'unused': torch.zeros(0)}, tmp_path / 'empty.safetensors')
    torch.save({'weight': torch.zeros(1)}, tmp_path / 'finder.pth')
    return tmp_path


def labels(index: int) -> np.ndarray:
    return tiny.label_map(index, FIRST, LENGTH)


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location('segment_video', ROOT / 'tools/segment_video.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def segment(monkeypatch: pytest.MonkeyPatch, *arguments: str, module: ModuleType | None = None) -> str | None:
    """Runs the command; returns the sentence of an error."""
    monkeypatch.setattr(sys, 'argv', ['segment_video.py', *arguments, '--out', 'out', '--device', 'cpu'])
    try:
        (module or load()).main()
    except SystemExit as error:
        return str(error)
    return None


def masks(out: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in sorted((out / 'masks').glob('*.png'))]


MODEL = ['--config', 'segmenter.py', '--checkpoint', 'empty.safetensors']


@pytest.fixture(autouse=True)
def model_without_weights(monkeypatch):
    """The oracle has no weights to compare with."""
    monkeypatch.setattr('mmvos.apis.inference.load_weights', lambda model, checkpoint: None)


def test_a_mask_of_the_first_frame_is_followed(folder, monkeypatch, recwarn):
    write_label_png(folder / 'first.png', labels(0))
    assert segment(monkeypatch, 'frames', '--mask', 'first.png', *MODEL, '--no-video') is None
    found = masks(folder / 'out')
    assert len(found) == LENGTH
    for index, image in enumerate(found):
        np.testing.assert_array_equal(image, labels(index) == 1)  # object 3 was not told
    track, = json.loads((folder / 'out/results.json').read_text())
    assert len(track['segmentations']) == LENGTH
    assert not [str(item.message) for item in recwarn if 'classes' in str(item.message)]


def test_prompts_of_several_frames(folder, monkeypatch):
    write_label_png(folder / 'second.png', labels(2))
    entries = [{'frame': 0, 'id': 1, 'box': [3, 2, 19, 14]}, {'frame': 2, 'id': 3, 'mask': 'second.png'}]
    (folder / 'prompts.json').write_text(json.dumps(entries))
    assert segment(monkeypatch, 'segmenter.py', 'empty.safetensors', 'frames', '--prompts', 'prompts.json') is None
    for index, image in enumerate(masks(folder / 'out')):
        np.testing.assert_array_equal(image, labels(index))
    assert (folder / 'out/overlay.mp4').is_file()


def test_boxes_and_the_model_that_comes_with_the_project(folder, monkeypatch):
    module = load()
    assert (module.OWN_CONFIG.name, module.OWN_WEIGHTS.suffix) == ('masktrack_r50s16_compact.py', '.safetensors')
    monkeypatch.setattr(module, 'OWN_CONFIG', folder / 'segmenter.py')
    monkeypatch.setattr(module, 'OWN_WEIGHTS', folder / 'gone.safetensors')
    arguments = ['frames', '--box', '3,2,19,14', '--box', '8,17,24,29', '--no-video']
    said = segment(monkeypatch, *arguments, module=module)
    assert 'gone.safetensors, a part of the model that comes with mmvos, is missing' in said
    monkeypatch.setattr(module, 'OWN_WEIGHTS', folder / 'empty.safetensors')
    assert segment(monkeypatch, *arguments, module=module) is None
    np.testing.assert_array_equal(masks(folder / 'out')[4], labels(4) == 1)  # there is no object 2 with its color


@pytest.mark.parametrize('arguments, sentence', [
    (['frames'], 'say which objects to follow, with --mask first.png'),
    (['frames', *MODEL], 'the model of the config follows what it is given: say which objects'),
    (['finder.py', 'finder.pth', 'frames', '--box', '1,1,9,9'], 'finds objects by itself: leave --mask'),
    (['frames', '--config', 'segmenter.py', '--box', '1,1,9,9'], '--config and --checkpoint belong together'),
    (['frames', *MODEL, '--box', '1,1,9'], "the box '1,1,9' must be four numbers"),
    (['frames', *MODEL, '--box', '70,1,90,9'], 'the box prompt of object 1 lies outside the frame of 64x48'),
    (['frames', *MODEL, '--mask', 'small.png'], 'the mask prompt of object 1 is 32x24 but the frame is 64x48'),
    (['frames', *MODEL, '--mask', 'empty.png'], 'empty.png shows no object'),
    (['frames', *MODEL, '--mask', 'gone.png'], 'gone.png is missing'),
    (['frames', *MODEL, '--prompts', 'late.json'], 'the video has no frame 99, for which there is a prompt'),
])
def test_mistakes_are_one_sentence(folder, monkeypatch, arguments, sentence):
    write_label_png(folder / 'small.png', labels(0)[::2, ::2])
    write_label_png(folder / 'empty.png', np.zeros((48, 64), np.uint8))
    (folder / 'late.json').write_text('[{"frame": 99, "id": 1, "box": [1, 1, 9, 9]}]')
    said = segment(monkeypatch, *arguments)
    assert said is not None and said.startswith('segment_video: ') and sentence in said and '\n' not in said


@pytest.mark.parametrize('arguments', [['a', 'b'], ['a', 'b', 'c', '--config', 'd'], ['a', '--box', '1,1,2,2', '--mask', 'b']])
def test_a_call_that_is_not_understood(folder, monkeypatch, arguments):
    assert segment(monkeypatch, *arguments) == '2'
