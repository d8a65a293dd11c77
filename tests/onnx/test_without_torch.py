"""What works where torch is not installed, and what the rest says."""

from __future__ import annotations

import ast
from pathlib import Path

import cv2
import numpy as np
import pytest
from moving_squares import picture, red_mask
from without_torch import ROOT, run_without_torch

from mmvos.io.label_png import read_label_png
from tests.apis.batch.small_batch import write_batch

# What of these packages is used without torch, and which files of ``onnx`` only export.
SIAMMASK = ('tracking', 'state', 'anchors', 'vote')
OPS = ('arrays', 'boxes', 'crop', 'masks', 'polygons', 'siamese_geometry')
EXPORT = ('export.py', 'tracing.py', 'traced_masktrack.py', 'traced_siammask.py')


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    folder = tmp_path / 'clip'
    folder.mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f'{index:05}.png'), picture(index))
    return folder


def test_segment_follows_a_mask(tmp_path, clip):
    pytest.importorskip('onnxruntime')
    out = tmp_path / 'out'
    first = str(tmp_path / 'first.png')
    cv2.imwrite(first, red_mask() * np.uint8(255))
    command = ('-m', 'mmvos', 'segment', str(clip), '--mask', first, '--out', str(out))
    done = run_without_torch(tmp_path, *command)
    assert done.returncode == 0, done.stderr
    labels = read_label_png(out / 'masks' / '00002.png')
    truth = np.zeros(labels.shape, bool)
    truth[30:70, 26:66] = True
    assert ((labels == 1) & truth).sum() > 0.7 * ((labels == 1) | truth).sum()
    assert (out / 'results.json').exists() and (out / 'overlay.mp4').exists()


@pytest.mark.parametrize('system', ['siammask', 's2iammask'])
def test_segment_follows_a_box_with_a_siamese_system(tmp_path, clip, system):
    pytest.importorskip('onnxruntime')
    out = tmp_path / 'out'
    command = ('segment', str(clip), '--system', system, '--box', '95,60,130,100')
    done = run_without_torch(tmp_path, '-m', 'mmvos', *command, '--out', str(out))
    assert done.returncode == 0, done.stderr
    labels = read_label_png(out / 'masks' / '00002.png')
    truth = np.zeros(labels.shape, bool)
    truth[62:102, 95:130] = True
    assert ((labels == 1) & truth).sum() > 0.5 * ((labels == 1) | truth).sum()
    assert (out / 'results.json').exists() and (out / 'overlay.mp4').exists()


def test_segment_takes_many_videos(tmp_path):
    pytest.importorskip('onnxruntime')
    words = write_batch(tmp_path, (3, 2))
    command = ('-m', 'mmvos', 'segment', *words, '--processes', '2', '--out', str(tmp_path / 'out'))
    done = run_without_torch(tmp_path, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '2 videos, 5 frames' in done.stdout
    assert len(list((tmp_path / 'out').glob('v*/masks/*.png'))) == 5


def test_python_works_too(tmp_path):
    pytest.importorskip('onnxruntime')
    code = (
        'import numpy as np, sys\n'
        'from mmvos.apis import VideoInferencer\n'
        "inferencer = VideoInferencer('masktrack')\n"
        'frames = [np.zeros((40, 60, 3), np.uint8)] * 2\n'
        'print(len(list(inferencer.infer(frames, [(5, 5, 30, 30)]))), "torch" in sys.modules)'
    )
    done = run_without_torch(tmp_path, '-c', code)
    assert done.stdout == '2 False\n', done.stderr


@pytest.mark.parametrize(
    'command',
    [
        ('train', 'config.py'),
        ('test', 'config.py', 'x.pth', '--out', 'r'),
        ('segment', 'clip.mp4', '--system', 'parts', '--box', '1,1,9,9', '--out', 'r'),
        ('segment', 'clip.mp4', '--system', 'masktrack-rcnn', '--out', 'r'),
        ('weights', 'publish', 'x.pth', 'y.safetensors', '--license', 'none'),
        ('tune', 'config.py', 'x.pth', '--davis', 'd', '--grid', 'a=1', '--out', 'r'),
        ('export', 'masktrack', '--out', 'r'),
    ],
    ids=lambda command: command[0],
)
def test_what_needs_torch_says_how_to_install_it(tmp_path, clip, command):
    words = [str(clip) if word == 'clip.mp4' else word for word in command]
    for name in ('config.py', 'x.pth'):
        (tmp_path / name).touch()
    words = [
        str(tmp_path / word) if word in ('config.py', 'x.pth', 'r') else word for word in words
    ]
    done = run_without_torch(tmp_path, '-m', 'mmvos', *words)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.count('\n') == 1 and 'tools/setup_env.sh' in done.stderr


@pytest.mark.parametrize('command', ['convert', 'check', 'evaluate', 'prompts', 'segment', 'env'])
def test_help_of_commands(tmp_path, command):
    done = run_without_torch(tmp_path, '-m', 'mmvos', command, '--help')
    assert done.returncode == 0 and 'usage' in done.stdout, done.stderr


def test_check_and_convert_and_evaluate(tmp_path, clip):
    labels = np.zeros((120, 160), np.uint8)
    for folder in ('Annotations', 'JPEGImages'):
        (tmp_path / 'davis' / folder / '480p' / 'squares').mkdir(parents=True)
    lists = tmp_path / 'davis' / 'ImageSets' / '2017'
    lists.mkdir(parents=True)
    (lists / 'val.txt').write_text('squares\n')
    results = tmp_path / 'results' / 'squares'
    results.mkdir(parents=True)
    for index in range(3):
        labels[:] = 0
        labels[60 + index : 100 + index, 95:130] = 1
        root = tmp_path / 'davis'
        cv2.imwrite(str(root / f'Annotations/480p/squares/{index:05}.png'), labels)
        cv2.imwrite(str(root / f'JPEGImages/480p/squares/{index:05}.jpg'), picture(index))
        cv2.imwrite(str(results / f'{index:05}.png'), labels)
    davis = str(tmp_path / 'davis')
    commands = [
        ('check', davis),
        ('convert', 'davis_to_youtube_vis', davis, str(tmp_path / 'd.json'), '--split', 'val'),
        ('evaluate', 'davis', '--gt', davis, '--results', str(results.parent), '--processes', '1'),
    ]
    for command in commands:
        done = run_without_torch(tmp_path, '-m', 'mmvos', *command)
        assert done.returncode == 0, done.stdout + done.stderr
    assert '1.0000' in done.stdout


def test_the_way_through_a_video_imports_no_torch():
    """Not even where torch is installed: at the top of these files there is none."""
    files = [
        *sorted((ROOT / 'mmvos/onnx').glob('*.py')),
        *(
            ROOT / f'mmvos/models/{name}.py'
            for name in ('prompted_tracking', 'video_steps', 'tracked_objects')
        ),
        *(ROOT / f'mmvos/models/masktrack/{name}.py' for name in ('propagation', 'state')),
        *(ROOT / f'mmvos/models/siammask/{name}.py' for name in SIAMMASK),
        *(
            ROOT / f'mmvos/apis/{name}.py'
            for name in ('inference', 'streaming_session', 'video_run')
        ),
        *sorted((ROOT / 'mmvos/apis/batch').glob('*.py')),
        *(ROOT / f'mmvos/ops/{name}.py' for name in OPS),
    ]
    for file in files:
        if file.name in EXPORT:
            continue
        for node in ast.parse(file.read_text()).body:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or '']
            assert not [
                name
                for name in names
                if name.split('.')[0] in ('torch', 'mmengine', 'mmcv', 'mmdet')
            ], file
