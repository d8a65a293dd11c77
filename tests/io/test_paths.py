"""Names from data become paths below a folder, or are refused with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmvos.io.errors import DataError
from mmvos.io.paths import check_name, name_fault, output_inside, path_inside, user_path

LEADING_OUT = {
    'parent': '../victim',
    'parent behind a folder': 'a/../../victim',
    'parent at the end': 'a/..',
    'only parent': '..',
    'absolute': '/etc/passwd',
    'empty': '',
    'blanks': '  ',
    'the folder': '.',
    'backslash': 'a\\..\\victim',
    'drive': 'C:/victim',
    'drive without a slash': 'C:victim',
    'null byte': 'a\0.png',
    'line break': 'a\nb',
    'escape sequence': 'a\x1b[2Jb',
    'delete': 'a\x7fb',
    'lone surrogate': 'a\ud800b',
    'part too long': 'a' * 256,
    'whole too long': '/'.join(['a' * 250] * 17),
    'number': 7,
    'nothing': None,
}


@pytest.mark.parametrize('name', LEADING_OUT.values(), ids=LEADING_OUT)
def test_names_that_lead_out_are_refused(tmp_path: Path, name: object) -> None:
    assert name_fault(name)
    for join in (path_inside, output_inside):
        with pytest.raises(DataError, match=r'^list\.txt, line 3: ') as caught:
            join(tmp_path, name, 'list.txt, line 3')
        # The message is one line that a terminal can show.
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ('name', 'clean'),
    [
        ('bear', 'bear'),
        ('v1/00000.jpg', 'v1/00000.jpg'),
        ('./v1//00000.jpg', 'v1/00000.jpg'),
        ('Café 1..2 [a].jpg', 'Café 1..2 [a].jpg'),
        ('..hidden', '..hidden'),
        ('a' * 255, 'a' * 255),
    ],
)
def test_names_below_a_folder_stay(tmp_path: Path, name: str, clean: str) -> None:
    assert check_name(name, 'x') == clean
    assert path_inside(tmp_path, name, 'x') == tmp_path / clean
    assert output_inside(tmp_path, name, 'x') == tmp_path / clean


def test_a_link_is_followed_for_reading_and_not_for_writing(tmp_path: Path) -> None:
    root = tmp_path / 'root'
    outside = tmp_path / 'outside'
    root.mkdir()
    outside.mkdir()
    (root / 'v1').symlink_to(outside)
    assert path_inside(root, 'v1/a.png', 'x') == root / 'v1/a.png'
    with pytest.raises(DataError, match='through a link'):
        output_inside(root, 'v1/a.png', 'x')
    # A root that is a link itself is the user's choice.
    (tmp_path / 'link').symlink_to(root)
    assert output_inside(tmp_path / 'link', 'v2/a.png', 'x') == tmp_path / 'link/v2/a.png'


def test_a_tilde_is_a_home_folder_unless_a_file_is_called_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', str(tmp_path / 'me'))
    assert user_path('~/a.mp4') == tmp_path / 'me/a.mp4'
    assert user_path('~.mp4') == Path('~.mp4')  # no user has this name
    (tmp_path / '~').touch()
    assert user_path('~') == Path('~')
