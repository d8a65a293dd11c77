"""The scripts that stay for the habits of mm projects: each is a command of ``mmvos``, by its own
name.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
COMMANDS = {
    'train': 'train',
    'test_video': 'test',
    'evaluate': 'evaluate',
    'segment_video': 'segment',
}


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, check=False
    )


def test_no_other_scripts_are_there() -> None:
    assert {path.stem for path in TOOLS.glob('*.py')} == set(COMMANDS)
    others = [path.name for path in TOOLS.iterdir() if path.suffix not in ('.py', '.sh')]
    assert set(others) <= {'__pycache__'}


@pytest.mark.parametrize(('script', 'command'), COMMANDS.items())
def test_a_script_is_its_command(script: str, command: str) -> None:
    shown = run(TOOLS / f'{script}.py', '--help')
    meant = run('-m', 'mmvos', command, '--help')
    assert shown.returncode == 0 and shown.stdout.startswith(f'usage: {script}.py ')
    assert _options(shown.stdout) == _options(meant.stdout)
    refused = run(TOOLS / f'{script}.py')
    assert refused.returncode == 2 and 'Traceback' not in refused.stderr


def _options(text: str) -> list[str]:
    """The words of a help text that begin with dashes."""
    return [word for word in text.split() if word.startswith('--')]
