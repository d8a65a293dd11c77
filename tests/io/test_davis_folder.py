"""Where the folders and lists of DAVIS and YouTube-VOS lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmvos.io.davis_folder import find_split_file, find_videos_folder, read_video_names
from mmvos.io.errors import DataError


def test_with_and_without_a_level_of_resolutions(tmp_path: Path):
    (tmp_path / 'a/Annotations/480p/dog').mkdir(parents=True)
    (tmp_path / 'b/Annotations/dog').mkdir(parents=True)
    (tmp_path / 'c/Annotations/1080p/dog').mkdir(parents=True)
    assert find_videos_folder(tmp_path / 'a', 'Annotations') == tmp_path / 'a/Annotations/480p'
    assert find_videos_folder(tmp_path / 'b', 'Annotations') == tmp_path / 'b/Annotations'
    with pytest.raises(DataError, match=r'c/Annotations .* 480p.* 1080p'):
        find_videos_folder(tmp_path / 'c', 'Annotations')
    with pytest.raises(DataError, match=r'd/Annotations is no folder'):
        find_videos_folder(tmp_path / 'd', 'Annotations')


def test_a_split_is_a_name_or_a_file(tmp_path: Path):
    listed = tmp_path / 'ImageSets/2017/val.txt'
    listed.parent.mkdir(parents=True)
    listed.write_text('dog\n')
    assert find_split_file(tmp_path, 'val', 2017) == listed
    assert find_split_file(tmp_path, '2017/val') == listed
    assert find_split_file(tmp_path, 'ImageSets/2017/val.txt') == listed
    assert find_split_file(tmp_path / 'elsewhere', listed) == listed
    assert find_split_file(tmp_path, 'val', 2016) is None


def test_lists_hold_names_or_frames_and_stay_inside(tmp_path: Path):
    path = tmp_path / 'val.txt'
    path.write_bytes(
        b'\xef\xbb\xbfdog\r\n/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png\n'
        b'/JPEGImages/480p/bear/00001.jpg\n\nmy cat\n'
    )
    assert read_video_names(path) == ['dog', 'bear', 'my cat']
    path.write_text('../victim\n')
    with pytest.raises(DataError, match=r'val\.txt.*victim.*leads out'):
        read_video_names(path)
    path.write_text('\n')
    with pytest.raises(DataError, match=r'val\.txt names no video'):
        read_video_names(path)
