"""What is no config is refused in one sentence with its place."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from mmvos.io.config_file import config_errors, read_config_file
from mmvos.io.errors import DataError


@pytest.mark.parametrize(
    ('name', 'content', 'sentence'),
    [
        ('a.pkl', b'\x80\x04}.', r'a\.pkl is no config: its name ends in none of \.py'),
        ('a.py', b'a = 1\nb = 1 / 0\n', r'a\.py, line 2: ZeroDivisionError'),
        ('a.py', b'a = 1\n\nb = (\n', r'a\.py.*, line 3: SyntaxError'),
        ('a.py', b"_base_ = './b.py'\n", r'a\.py is no config: .*b\.py'),
        ('a.py', b'raise KeyError(1)\n', r'a\.py, line 1: KeyError'),
        ('a.json', '\ufeff{}'.encode(), r'a\.json is no config'),
        ('a.json', b'[1]', r'a\.json is no config'),
        ('a.yml', b'a: [', r'a\.yml is no config'),
    ],
)
def test_what_is_no_config(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=sentence) as caught:
        read_config_file(tmp_path / name)
    assert '\n' not in str(caught.value)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'a\.py does not exist'):
        read_config_file(tmp_path / 'a.py')


def test_a_config_is_read_with_its_base(tmp_path: Path) -> None:
    (tmp_path / 'b.py').write_text('a = dict(x=1, y=2)\n')
    (tmp_path / 'c.py').write_text("_base_ = './b.py'\na = dict(x=3)\n")
    assert read_config_file(tmp_path / 'c.py').to_dict() == {'a': {'x': 3, 'y': 2}}


@pytest.mark.parametrize('level, error', [('foo', KeyError), (object(), TypeError)])
def test_a_part_that_cannot_be_built_blocks_no_thread(level: object, error: type) -> None:
    """mmengine keeps its lock where a logger cannot be made."""
    from mmengine.logging import MMLogger

    with pytest.raises(error), config_errors():
        MMLogger.get_instance('refused', log_level=level)
    other = Thread(target=MMLogger.get_instance, args=('of another thread',), daemon=True)
    other.start()
    other.join(timeout=10)
    is_blocked = other.is_alive()
    assert not is_blocked
