"""Every option of a tool that names a file, given a pickle that makes a folder: none makes it."""

from __future__ import annotations

import ast
import pickle
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from colored_videos import write_split, write_videos
from command import ROOT, run_mmvos
from tiny_videos import tiny_training, write_tiny_videos

MARKER = 'made_by_checkpoint'
PRETRAINED = 'model.detector.backbone.init_cfg'
# tool, arguments with EVIL.pth in the place of weights
CHECKPOINTS = {
    'resume a file': ('train', 'config.py --work-dir run --resume EVIL.pth'),
    'resume the last': ('train', 'config.py --work-dir resumed --resume'),
    'config resumes': ('train', 'config.py --work-dir resumed --cfg-options resume=True'),
    'config resumes a file': (
        'train',
        'config.py --work-dir run --cfg-options resume=True load_from=EVIL.pth',
    ),
    'start from': ('train', 'config.py --work-dir run --cfg-options load_from=EVIL.pth'),
    'start a part from': (
        'train',
        f'config.py --work-dir run --cfg-options {PRETRAINED}.type=Pretrained '
        f'{PRETRAINED}.checkpoint=EVIL.pth',
    ),
    'test': ('test', 'config.py EVIL.pth --out OUT'),
    'segment': ('segment', 'config.py EVIL.pth frames --out OUT'),
    'segment by system': (
        'segment',
        'frames --system masktrack --checkpoint EVIL.pth --mask m.png --out OUT',
    ),
    'compare classes': ('check', 'instances.json --checkpoint EVIL.pth'),
    'convert': ('weights convert', 'config.py EVIL.pth OUT.pth'),
    'publish': ('weights publish', 'EVIL.pth OUT.safetensors --license MIT'),
    'join': ('weights join', 'config.py OUT.safetensors parts=EVIL.pth'),
    'classify': ('weights imagenet', 'frames --backbone type=ResNet depth=18 --weights EVIL.pth'),
    'export': ('export', 'masktrack --checkpoint EVIL.pth --out OUT'),
    'tune': ('tune', 'config.py EVIL.pth --davis davis --grid model.a=1 --out OUT.json'),
}
# the same for files that are no checkpoints
DATA = {
    'annotations': (
        'train',
        'config.py --work-dir run --cfg-options train_dataloader.dataset.ann_file=EVIL.pkl',
    ),
    'ground truth': ('evaluate', 'youtube-vis --gt EVIL.pkl --results EVIL.pkl'),
    'data': ('check', 'EVIL.pkl'),
    'prompts': ('segment', 'frames --prompts EVIL.pkl --out OUT'),
    'mask': ('segment', 'frames --mask EVIL.pkl --out OUT'),
    'video': ('segment', 'EVIL.pkl --mask m.png --out OUT'),
    'config in YAML': ('test', 'EVIL.yml EVIL.pth --out OUT'),
}


class MakesFolder:
    """What an attacker puts into a pickle: it makes a folder when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (self.folder,)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('hostile')
    tiny_training(write_tiny_videos(folder)).dump(folder / 'config.py')
    content = {'state_dict': {'a': torch.ones(1)}, 'meta': {'a': MakesFolder(folder / MARKER)}}
    torch.save(content, folder / 'EVIL.pth')
    (folder / 'EVIL.pkl').write_bytes(pickle.dumps(MakesFolder(folder / MARKER)))
    (folder / 'EVIL.yml').write_text(f'a: !!python/object/apply:os.mkdir [{folder / MARKER}]\n')
    (folder / 'resumed').mkdir()
    (folder / 'resumed/last_checkpoint').write_text(str(folder / 'EVIL.pth'))
    (folder / 'frames').mkdir()
    cv2.imwrite(str(folder / 'frames/0.png'), np.zeros((48, 64, 3), np.uint8))
    cv2.imwrite(str(folder / 'm.png'), np.eye(48, 64, dtype=np.uint8))
    write_videos(folder / 'davis', {'a': (2, {1: 0})}, folder='480p')
    write_split(folder / 'davis', '2017/val', ['a'])
    return folder


@pytest.mark.parametrize('case', [*CHECKPOINTS, *DATA])
def test_nothing_in_a_file_is_run(folder: Path, case: str) -> None:
    tool, line = (CHECKPOINTS | DATA)[case]
    done = run_mmvos(tool, *line.split(), folder=folder)
    assert not (folder / MARKER).exists(), done.output
    assert done.status == 1, done.output
    assert 'EVIL' in done.output or 'YAML' in done.output
    assert 'Traceback' not in done.output, done.output
    if case in CHECKPOINTS:
        assert 'holds objects other than weights' in done.output, done.output


def test_nothing_in_weights_of_the_studio_is_run(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip('starlette', reason='mmvos[studio] is not installed')
    from mmvos.studio.opening import Place, open_session

    place = Place(tmp_path / 'project', folder / 'frames')
    with open_session(place, 'masktrack', str(folder / 'EVIL.pth')) as session:
        deadline = time.monotonic() + 120
        while (model := session.worker.describe_model())['state'] == 'loading':
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert not (folder / MARKER).exists()
    assert model['state'] == 'failed'
    assert 'EVIL' in model['message'] and 'holds objects other than weights' in model['message']


def test_the_pickles_do_make_a_folder(tmp_path: Path) -> None:
    data = pickle.dumps(MakesFolder(tmp_path / MARKER))
    pickle.loads(data)
    assert (tmp_path / MARKER).is_dir()


def test_every_option_for_weights_is_tried() -> None:
    words = ('checkpoint', 'weights', 'resume', 'source')
    tried = {tool for tool, _ in CHECKPOINTS.values()} | {'studio'}
    for path in (ROOT / 'mmvos/cli').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            names = [item.value for item in node.args if isinstance(item, ast.Constant)]
            if node.func.attr == 'add_argument' and any(
                word in str(name) for name in names for word in words
            ):
                words_of_tools = {word for tool in tried for word in tool.split()}
                assert path.stem in words_of_tools, f'{path.name} {names}'
