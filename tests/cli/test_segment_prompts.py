"""The command that segments one video, on objects that the user gives; the tracker sees colors
(tests/colored_videos.py).
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import colored_videos as tiny
import cv2
import numpy as np
import pytest
import torch
from command import ROOT
from PIL import Image
from safetensors.torch import save_file

from mmvos.apis import SYSTEMS, VideoSource
from mmvos.apis.model_index import ShippedModel, find_model, project_root, shipped_models
from mmvos.apis.systems import WeightsRecipe
from mmvos.cli import segment_model
from mmvos.cli.main import main
from mmvos.cli.segment import DEFAULT_SYSTEM, parse_arguments
from mmvos.cli.segment_model import choose_default_system
from mmvos.io.label_png import write_label_png

LENGTH, FIRST = 6, {1: 0, 3: 2}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with frames, and with a config and weights of the oracle; it is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', [*sys.argv])
    monkeypatch.delenv('DISPLAY', raising=False)
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
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


def segment(*arguments: str) -> str | None:
    """Run the command; return the sentence of an error."""
    try:
        main(['segment', *arguments, '--out', 'out', '--device', 'cpu'])
    except SystemExit as error:
        return str(error)
    return None


def masks(out: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in sorted((out / 'masks').glob('*.png'))]


MODEL = ['--config', 'segmenter.py', '--checkpoint', 'empty.safetensors']


@pytest.fixture(autouse=True)
def model_without_weights(monkeypatch):
    """The oracle has no weights to compare with."""
    monkeypatch.setattr('mmvos.apis.model_loading.load_weights', lambda model, checkpoint: None)


def test_a_mask_of_the_first_frame_is_followed(folder, monkeypatch, recwarn):
    write_label_png(folder / 'first.png', labels(0))
    assert segment('frames', '--mask', 'first.png', *MODEL, '--no-video') is None
    found = masks(folder / 'out')
    assert len(found) == LENGTH
    for index, image in enumerate(found):
        np.testing.assert_array_equal(image, labels(index) == 1)  # object 3 was not told
    (track,) = json.loads((folder / 'out/results.json').read_text())
    assert len(track['segmentations']) == LENGTH
    assert not [str(item.message) for item in recwarn if 'classes' in str(item.message)]


def test_prompts_of_several_frames(folder, monkeypatch):
    write_label_png(folder / 'second.png', labels(2))
    entries = [
        {'frame': 0, 'id': 1, 'box': [3, 2, 19, 14]},
        {'frame': 2, 'id': 3, 'mask': 'second.png'},
    ]
    (folder / 'prompts.json').write_text(json.dumps(entries))
    assert (
        segment('segmenter.py', 'empty.safetensors', 'frames', '--prompts', 'prompts.json') is None
    )
    for index, image in enumerate(masks(folder / 'out')):
        np.testing.assert_array_equal(image, labels(index))
    assert (folder / 'out/overlay.mp4').is_file()


@pytest.mark.parametrize(
    'direction, seen',
    [('backward', {1: [0, 1, 2]}), ('both', {1: range(LENGTH), 3: range(LENGTH)})],
)
def test_objects_are_followed_in_any_direction(folder, direction, seen, capsys):
    write_label_png(folder / 'second.png', labels(2))
    entries = [
        {'frame': 2, 'id': 1, 'mask': 'second.png'},
        {'frame': 3, 'id': 3, 'mask': 'second.png'},
    ]
    if direction == 'backward':
        del entries[1]
    (folder / 'prompts.json').write_text(json.dumps(entries))
    arguments = ['frames', '--prompts', 'prompts.json', *MODEL, '--direction', direction]
    assert segment(*arguments) is None
    given = labels(2)
    for index, image in enumerate(masks(folder / 'out')):
        for number in (1, 3):
            expected = labels(index) == number
            if (index, number) in ((2, 1), (3, 3)):
                expected = given == number  # a given mask stays
            if index not in seen.get(number, ()):
                expected = np.zeros_like(expected)
            np.testing.assert_array_equal(image == number, expected)
    shown = capsys.readouterr().out
    assert f'{LENGTH} frames' in shown and 'step ' in shown
    # The same command again has nothing to do, another direction is another run.
    assert segment(*arguments) is None
    assert 'holds the finished results' in capsys.readouterr().out
    assert segment(*arguments[:-1], 'forward') is None
    assert (folder / 'out/earlier1/results.json').exists()


def test_a_camera_cannot_be_followed_backwards(folder, monkeypatch):
    source = VideoSource('camera0', None, None, lambda: iter(()), live=True, timed=True)
    monkeypatch.setattr('mmvos.apis.open_source', lambda _: source)
    said = segment('0', '--box', '3,2,19,14', *MODEL, '--direction', 'both')
    assert 'camera0 cannot be read backwards' in said


def as_shipped(folder: Path, monkeypatch: pytest.MonkeyPatch, weights: str) -> None:
    """Make the oracle the model of all systems, with these weights in the folder."""
    oracle = ShippedModel('oracle', folder / 'segmenter.py', str(folder / weights))
    monkeypatch.setattr('mmvos.apis.model_loading.project_root', lambda: folder)
    monkeypatch.setattr(
        'mmvos.apis.model_loading.shipped_models', lambda root: {'segmenter': oracle}
    )
    monkeypatch.setattr('mmvos.apis.model_loading.find_model', lambda name, models: oracle)


def test_boxes_and_the_model_that_comes_with_the_project(folder, monkeypatch):
    arguments = ['frames', '--box', '3,2,19,14', '--box', '8,17,24,29', '--no-video']
    as_shipped(folder, monkeypatch, 'gone.safetensors')
    said = segment(*arguments)
    assert (
        'gone.safetensors is missing; give some with weights=FILE (--checkpoint FILE on the '
        'command line)' in said
    )
    for chosen in ([], ['--system', 'siammask'], ['--config', 'segmenter.py']):
        as_shipped(folder, monkeypatch, 'empty.safetensors')
        assert segment(*arguments, *chosen) is None
        # there is no object 2 with its color
        np.testing.assert_array_equal(masks(folder / 'out')[4], labels(4) == 1)


def test_without_a_choice_it_is_the_shipped_masktrack():
    shipped = find_model(SYSTEMS['masktrack'].model, shipped_models(project_root()))
    assert shipped.config == ROOT / 'configs/masktrack/masktrack_lite0.py'
    assert (
        shipped.weights == str(ROOT / 'weights/masktrack_lite0.safetensors')
        and shipped.weights_are_here
    )
    assert DEFAULT_SYSTEM == 'masktrack'


def test_missing_weights_are_named_with_the_ways_to_get_them(folder, monkeypatch):
    row = replace(SYSTEMS['s2iammask'], model='s2iammask_r50_4xb16-10e')
    recipe = WeightsRecipe('train', ('mmvos train A.py', 'mmvos train B.py'), 'work_dirs/B.pth')
    monkeypatch.setitem(SYSTEMS, 's2iammask', replace(row, recipes=(recipe,)))
    said = segment('frames', '--system', 's2iammask', '--box', '1,1,9,9')
    assert said.splitlines() == [
        'mmvos segment: configs/siammask/s2iammask_r50_4xb16-10e.py comes without weights; give '
        'some with weights=FILE '
        '(--checkpoint FILE on the command line). Ways to get them:',
        '  train: mmvos train A.py && mmvos train B.py  -> work_dirs/B.pth',
    ]
    said = segment('frames', '--config', 'segmenter.py', '--box', '1,1,9,9')
    assert (
        'segmenter.py comes without weights' in said and '  train: mmvos train segmenter.py' in said
    )


def test_the_list_of_systems(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [*sys.argv])
    with pytest.raises(SystemExit) as ended:
        main(['segment', '--list'])
    printed = capsys.readouterr().out
    assert ended.value.code == 0
    assert (
        'masktrack (MaskTrack): masktrack_lite0; is told mask or box or points\n  weights: '
        'masktrack_lite0.saf' in printed
    )
    for name in SYSTEMS:
        assert f'\n{name} (' in f'\n{printed}'
    assert 'masktrack-rcnn_lite0.safetensors' in printed


@pytest.mark.parametrize(
    'arguments, sentence',
    [
        (
            ['frames', '--system', 'masktrack'],
            'say which objects to follow, with --mask first.png',
        ),
        (['frames', *MODEL], 'the model follows what it is given: say which objects'),
        (
            ['frames', '--system', 'masktrack-rcnn', '--box', '1,1,9,9'],
            'the model finds objects by itself: leave --mask',
        ),
        (['frames', *MODEL, '--box', '1,1,9,9', '--show'], 'no window can be shown here: '),
        (
            ['finder.py', 'finder.pth', 'frames', '--box', '1,1,9,9'],
            'finds objects by itself: leave --mask',
        ),
        (
            ['frames', '--checkpoint', 'a.pth', '--box', '1,1,9,9'],
            '--checkpoint needs the --config or the --system',
        ),
        (
            ['frames', '--config', 'masktrak_r50_fpn_coco', '--box', '1,1,9,9'],
            'close to it are masktrack_r50_fpn_coco',
        ),
        (['frames', *MODEL, '--box', '1,1,9'], "the box '1,1,9' must be four numbers"),
        (
            ['frames', *MODEL, '--box', '70,1,90,9'],
            'the box prompt of object 1 lies outside the frame of 64x48',
        ),
        (
            ['frames', *MODEL, '--mask', 'small.png'],
            'the mask prompt of object 1 is 32x24 but the frame is 64x48',
        ),
        (['frames', *MODEL, '--mask', 'empty.png'], 'empty.png shows no object'),
        (['frames', *MODEL, '--mask', 'gone.png'], 'gone.png is missing'),
        (
            ['frames', *MODEL, '--prompts', 'late.json'],
            'there is no frame 99, for which there is a prompt',
        ),
    ],
)
def test_mistakes_are_one_sentence(folder, monkeypatch, arguments, sentence):
    write_label_png(folder / 'small.png', labels(0)[::2, ::2])
    write_label_png(folder / 'empty.png', np.zeros((48, 64), np.uint8))
    (folder / 'late.json').write_text('[{"frame": 99, "id": 1, "box": [1, 1, 9, 9]}]')
    said = segment(*arguments)
    assert (
        said is not None
        and said.startswith('mmvos segment: ')
        and sentence in said
        and '\n' not in said
    )


@pytest.mark.parametrize(
    'arguments',
    [
        ['a', 'b'],
        ['a', 'b', 'c', '--config', 'd'],
        ['a', '--system', 'parts', '--config', 'd'],
        ['a', '--box', '1,1,2,2', '--mask', 'b'],
    ],
)
def test_a_call_that_is_not_understood(folder, monkeypatch, arguments):
    assert segment(*arguments) == '2'


@pytest.mark.parametrize(
    ('words', 'fault'),
    [
        (['--point', '5'], 'points: point 0'),
        (['--negative', '5,5'], 'no point on the object'),
        (['--point', '5,5', '--box', '1,1,9,9', '--box', '2,2,8,8'], 'several boxes'),
        ([*MODEL, '--point', '5,5'], 'object 1 is given by points'),
    ],
)
def test_points_that_cannot_be_used(folder, words, fault):
    said = segment('frames', *words)
    assert said is not None and fault in said


def test_points_beside_a_mask_are_refused(folder, capsys):
    assert segment('frames', '--point', '5,5', '--mask', 'm.png') == '2'
    assert '--point and --negative go alone' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('words', 'system'),
    [
        (['clip.mp4'], 'masktrack-rcnn'),
        (['clip.mp4', '--box', '1,1,9,9'], None),
        (['clip.mp4', '--negative', '3,4'], None),
        (['clip.mp4', '--graphs', 'exported'], None),
        (['clip.mp4', '--engine', 'openvino'], None),
        (['clip.mp4', '--system', 'siammask'], 'siammask'),
    ],
)
def test_where_nothing_is_given_objects_are_found(words, system):
    arguments = parse_arguments([*words, '--out', 'out'])
    choose_default_system(arguments)
    assert arguments.system == system


def test_without_torch_nothing_finds_objects(monkeypatch):
    monkeypatch.setattr(segment_model, 'find_spec', lambda name: None)
    arguments = parse_arguments(['clip.mp4', '--out', 'out'])
    choose_default_system(arguments)
    assert arguments.system is None
