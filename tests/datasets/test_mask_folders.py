"""Listing of videos in folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import colored_videos as tiny
import pytest

from mmvos.datasets.mask_folders import find_mask_videos

VIDEOS = {'b': (7, {1: 0, 3: 2}), 'a': (5, {2: 1, 4: 1})}


@pytest.mark.parametrize('folder', ['480p', ''])
def test_order_and_alignment(tmp_path: Path, folder: str) -> None:
    root = tiny.write_videos(tmp_path, VIDEOS, every=3, folder=folder)
    tiny.write_split(root, '2016/train', ['b', 'a'])
    assert [video.name for video in find_mask_videos(root)] == ['a', 'b']  # by name
    b, a = find_mask_videos(root, '2016/train')  # by split
    assert [path.stem for path in b.frames] == [f'{t:05d}' for t in range(7)]
    # Every third frame is annotated, and those in which an object begins.
    assert [None if path is None else path.stem for path in b.masks] == [
        '00000',
        None,
        '00002',
        '00003',
        None,
        None,
        '00006',
    ]
    assert [path is not None for path in a.masks] == [True, True, False, True, False]
    assert all(mask.parent.name == 'b' and mask.suffix == '.png' for mask in b.masks if mask)
    split = tmp_path / 'mine.txt'
    split.write_text('a\n\n')
    assert find_mask_videos(root, split) == find_mask_videos(root, str(split)) == [a]


def test_bad_folders(tmp_path: Path) -> None:
    root = tiny.write_videos(tmp_path / 'videos', VIDEOS)
    with pytest.raises(ValueError, match=r'nowhere/JPEGImages is no folder'):
        find_mask_videos(tmp_path / 'nowhere')
    with pytest.raises(ValueError, match=r"'2016/val' .*ImageSets/2016/val\.txt"):
        find_mask_videos(root, '2016/val')
    tiny.write_split(root, 'wrong', ['a', 'gnu'])
    with pytest.raises(ValueError, match=r'video gnu: .*JPEGImages/gnu does not exist'):
        find_mask_videos(root, 'wrong')
    tiny.write_split(root, 'none', [])
    with pytest.raises(ValueError, match=r'none\.txt names no video'):
        find_mask_videos(root, 'none')
    (root / 'JPEGImages/b/00003.png').unlink()
    with pytest.raises(ValueError, match=r'video b: .*b/00003\.png has no frame'):
        find_mask_videos(root)
    shutil.rmtree(root / 'Annotations/a')
    with pytest.raises(ValueError, match=r'video a: .*Annotations/a does not exist'):
        find_mask_videos(root)


def test_frames_are_in_natural_order_and_foreign_files_are_none(tmp_path: Path) -> None:
    root = tiny.write_videos(tmp_path, {'b': (11, {1: 0})}, every=1)
    for kind in ('JPEGImages', 'Annotations'):
        for t in range(11):
            path = root / kind / 'b' / f'{t:05d}.png'
            path.rename(path.with_name(f'{t}.png'))
        (root / kind / 'b/._3.png').write_bytes(b'')
        (root / kind / '@eaDir').mkdir()
        (root / kind / '.ipynb_checkpoints').mkdir()
    (video,) = find_mask_videos(root)
    assert [path.stem for path in video.frames] == [str(t) for t in range(11)]
    assert [mask.stem for mask in video.masks if mask] == [str(t) for t in range(11)]
    shutil.copy(root / 'JPEGImages/b/3.png', root / 'JPEGImages/b/3.jpg')
    with pytest.raises(ValueError, match=r'video b: .*3\.jpg and 3\.png'):
        find_mask_videos(root)
