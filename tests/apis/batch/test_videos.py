"""Which videos a list or a folder names, and what they are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmvos.apis.batch.videos import holds_many, list_videos
from mmvos.io.errors import DataError


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names_of(given: Path) -> list[str]:
    return [video.name for video in list_videos(given)]


def test_a_folder_of_videos_and_of_frame_folders(tmp_path):
    make(tmp_path, 'clip10.mp4', 'clip9.MOV', 'cat.2/00000.jpg', 'notes.csv', '.hidden.mp4')
    (tmp_path / 'empty').mkdir()
    assert holds_many(tmp_path)
    # in natural order; a folder keeps the point in its name
    assert names_of(tmp_path) == ['cat.2', 'clip9', 'clip10']


def test_a_link_to_a_video_that_is_gone_is_a_video(tmp_path):
    """It gets a row with its fault in the table, as in a list; a folder of that name is none."""
    make(tmp_path, 'here.mp4')
    (tmp_path / 'gone.mp4').symlink_to('not_fetched.mp4')
    (tmp_path / 'folder.mp4').mkdir()
    (tmp_path / 'gone.txt').symlink_to('nowhere')
    assert names_of(tmp_path) == ['gone', 'here']


def test_a_folder_with_images_is_one_video(tmp_path):
    make(tmp_path, '00000.jpg', 'clip.mp4', 'more/00000.jpg')
    assert not holds_many(tmp_path)
    assert not holds_many(tmp_path / 'clip.mp4')
    assert not holds_many(tmp_path / 'gone.txt')
    (tmp_path / 'empty').mkdir()
    assert not holds_many(tmp_path / 'empty')


def test_a_list_names_paths_from_its_folder_on(tmp_path):
    make(tmp_path, 'lists/day1/a.mp4', 'lists/day2/a.mp4', 'lists/b.mkv')
    path = tmp_path / 'lists' / 'all.txt'
    path.write_text('# of June\nday1/a.mp4\n\nday2/a.mp4\r\nb.mkv\nnot there.mp4\n')
    assert holds_many(path)
    videos = list_videos(path)
    assert [video.name for video in videos] == ['day1/a', 'day2/a', 'b', 'not there']
    assert [video.short_name for video in videos] == ['', '', 'b', 'not there']
    assert videos[0].path == tmp_path / 'lists/day1/a.mp4'


def test_videos_elsewhere_are_named_from_their_common_folder_on(tmp_path):
    path = tmp_path / 'lists' / 'all.txt'
    path.parent.mkdir()
    lines = [tmp_path / 'x/one/v.mp4', tmp_path / 'x/two/v.mp4', '../x/three.mp4']
    path.write_text('\n'.join(map(str, lines)))
    assert names_of(path) == ['one/v', 'two/v', 'three']


def test_two_videos_of_one_name_keep_their_suffixes(tmp_path):
    make(tmp_path, 'v.mp4', 'v.avi', 'w.mp4')
    assert names_of(tmp_path) == ['v.avi', 'v.mp4', 'w']


def test_a_video_is_not_in_the_folder_of_another(tmp_path):
    path = tmp_path / 'all.txt'
    path.write_text('a.mp4\na/masks.mp4\n')
    assert names_of(path) == ['a.mp4', 'a/masks']


@pytest.mark.parametrize(
    ('text', 'fault'),
    [('', 'names no video'), ('a.mp4\n./a.mp4\n', 'a.mp4 twice'), ('a\\b.mp4', 'backslash')],
)
def test_lists_that_cannot_be_used(tmp_path, text, fault):
    path = tmp_path / 'all.txt'
    path.write_text(text)
    with pytest.raises(DataError, match=fault):
        list_videos(path)
