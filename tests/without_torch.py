"""Runs Python in a process in which torch and the OpenMMLab packages cannot be imported, as where
they are not installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mmvos

ROOT = Path(mmvos.__file__).resolve().parents[1]
BLOCKED = ('torch', 'torchvision', 'mmcv', 'mmdet', 'mmengine', 'scipy', 'safetensors')
# Python imports a module of this name when it starts.
_BLOCKER = f"""
import importlib.util, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {BLOCKED}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Blocker())
find_spec = importlib.util.find_spec
def hidden(name, package=None):
    return None if name.split('.')[0] in {BLOCKED} else find_spec(name, package)
importlib.util.find_spec = hidden
"""


def run_without_torch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python with these arguments; ``folder`` is for a file that blocks the imports."""
    (folder / 'sitecustomize.py').write_text(_BLOCKER)
    path = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1'},
    )
