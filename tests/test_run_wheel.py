"""The wheel with its extra "run", in an empty environment: no torch, and the masks of a clip."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from moving_squares import picture, red_mask
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ('mmvos', 'configs', 'tools', 'requirements', 'weights')
FILES = ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE', 'MANIFEST.in', 'model-index.yml')
NO_INDEX = re.compile(r'Could not find a version|No matching distribution|[Cc]onnection|Temporary')
MOST_MIB = 500


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command without what this checkout puts on the path."""
    environment = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope='module')
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built offline from a copy of the tree."""
    folder = tmp_path_factory.mktemp('wheel')
    tree = folder / 'tree'
    for name in SOURCES:
        ignored = shutil.ignore_patterns('__pycache__', '.mim')
        # links stay links, as in a clone
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
    for name in FILES:
        shutil.copy2(ROOT / name, tree / name)
    code = f'from setuptools.build_meta import *; build_wheel({str(folder)!r})'
    subprocess.run([sys.executable, '-c', code], cwd=tree, check=True, capture_output=True)
    return next(folder.glob('*.whl'))


@pytest.mark.slow
def test_an_empty_environment_segments_a_clip(wheel: Path, tmp_path: Path, capsys) -> None:
    clip = tmp_path / 'clip'
    clip.mkdir()
    for index in range(3):
        cv2.imwrite(str(clip / f'{index}.png'), picture(index))
    cv2.imwrite(str(tmp_path / 'first.png'), red_mask() * np.uint8(255))

    began = time.monotonic()
    venv = tmp_path / 'venv'
    subprocess.run([sys.executable, '-m', 'venv', str(venv)], check=True)
    python = venv / 'bin' / 'python'
    pip = (python, '-m', 'pip', 'install', '--no-cache-dir', '--disable-pip-version-check')
    done = run(*pip, f'mmvos[run] @ {wheel.as_uri()}', folder=tmp_path)
    if done.returncode != 0 and NO_INDEX.search(done.stderr):
        pytest.skip(f'pip cannot reach an index: {done.stderr.splitlines()[0][:120]}')
    assert done.returncode == 0, done.stderr
    installed = time.monotonic() - began

    mmvos = venv / 'bin' / 'mmvos'
    command = (mmvos, 'segment', clip, '--mask', tmp_path / 'first.png', '--out', tmp_path / 'out')
    done = run(*command, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    seconds = time.monotonic() - began

    # SiamMask too
    command = (mmvos, 'segment', clip, '--system', 'siammask', '--box', '20,30,60,70', '--out')
    done = run(*command, tmp_path / 'siammask', folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr

    # the object is followed
    truth = np.zeros(picture(2).shape[:2], bool)
    truth[30:70, 26:66] = True
    for out in ('out', 'siammask'):
        labels = np.asarray(Image.open(tmp_path / out / 'masks' / '2.png'))
        assert ((labels == 1) & truth).sum() > 0.7 * ((labels == 1) | truth).sum(), out

    # what was installed, and how large it is
    packages = run(python, '-m', 'pip', 'list', '--format', 'freeze', folder=tmp_path).stdout
    names = {line.split('==')[0].split(' @')[0].lower() for line in packages.splitlines()}
    assert not names & {'torch', 'mmcv', 'mmdet', 'mmengine', 'onedl-mmcv', 'scipy'}
    site = next(venv.glob('lib/python*/site-packages'))
    size = sum(path.stat().st_size for path in site.rglob('*') if path.is_file()) / 2**20
    with capsys.disabled():
        print(
            f'\nmmvos[run]: wheel {wheel.stat().st_size / 2**20:.1f} MiB, installed {size:.0f} MiB '
            f'({", ".join(sorted(names))}), {installed:.0f} s to install, {seconds:.0f} s to masks'
        )
    assert size < MOST_MIB

    # the studio, whose libraries are an extra of their own
    done = run(*pip, f'mmvos[studio] @ {wheel.as_uri()}', folder=tmp_path)
    assert done.returncode == 0, done.stderr
    code = 'from mmvos.studio import opening; import sys; assert "torch" not in sys.modules'
    done = run(python, '-c', code, folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_wheel_holds_each_model_once(wheel: Path) -> None:
    import zipfile

    with zipfile.ZipFile(wheel) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    stored = {name: size for name, size in sizes.items() if name.endswith('.safetensors')}
    expected = {}
    for system in ('masktrack', 'siammask'):
        weights = ROOT / 'weights' / f'{system}_lite0.safetensors'
        expected[f'mmvos/onnx/{system}/weights.safetensors'] = weights.stat().st_size
    assert stored == expected
    graphs = ('masktrack/model.json', 'masktrack/encode.onnx')
    graphs += ('siammask/model.json', 'siammask/s2iammask.json', 'siammask/search.onnx')
    assert {f'mmvos/onnx/{name}' for name in graphs} <= set(sizes)
