"""Which files are frames, and in which order."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import pytest

from mmvos.io.frame_names import is_foreign, list_files, list_folders, natural_key, sort_frames
from mmvos.io.notes import forget_notes


@pytest.fixture(autouse=True)
def _fresh_notes():
    forget_notes()


def test_numbers_in_names_count_as_numbers():
    ordered = ['a', 'a9', 'a10b1', 'a10b2', 'b', 'x1_2', 'x1_10', 'x02', 'x10']
    mixed = random.Random(0).sample(ordered, len(ordered))
    assert sorted(mixed, key=natural_key) == ordered
    # Names of equal numbers have an order, too, and so has a number of any length.
    assert sorted(['1', '001', '01'], key=natural_key) == ['001', '01', '1']
    assert sorted(['9' * 5000, '1' + '0' * 5000], key=natural_key)[0] == '9' * 5000
    # A digit of another script is text.
    assert sorted(['²', '2'], key=natural_key) == ['2', '²']


def test_a_note_once_where_the_text_order_differs(tmp_path):
    with pytest.warns(UserWarning, match=r'seq: .*2\.png before 10\.png') as caught:
        assert sort_frames(['10.png', '2.png', '1.png'], 'seq') == ['1.png', '2.png', '10.png']
        sort_frames(['10.png', '9.png'], 'other')
    assert len(caught) == 1
    forget_notes()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert sort_frames(['02', '10', '01'], 'seq') == ['01', '02', '10']


@pytest.mark.parametrize(
    'name',
    ['._00000.png', '.DS_Store', '.ipynb_checkpoints', '@eaDir', 'Thumbs.db', 'thumbs.db', '.x'],
)
def test_foreign_names(name):
    assert is_foreign(name)


def test_listings_leave_out_what_is_foreign_or_of_another_kind(tmp_path: Path):
    for name in ('2.PNG', '10.png', '1.png', '._1.png', 'Thumbs.db', 'notes.txt'):
        (tmp_path / name).write_bytes(b'')
    for name in ('b', 'a', '.ipynb_checkpoints', '@eaDir', 'folder.png'):
        (tmp_path / name).mkdir()
    with pytest.warns(UserWarning, match='before 10'):
        assert [path.name for path in list_files(tmp_path, ('.png',))] == [
            '1.png',
            '2.PNG',
            '10.png',
        ]
    assert [path.name for path in list_folders(tmp_path)] == ['a', 'b', 'folder.png']
    assert list_files(tmp_path / 'nowhere') == [] and list_folders(tmp_path / 'nowhere') == []
