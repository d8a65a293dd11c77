"""Listing of videos in folders, and what the values of a label image mean."""

from __future__ import annotations

import shutil
from pathlib import Path

import colored_videos as tiny
import numpy as np
import pytest
from PIL import Image

from mmvos.datasets.mask_folders import find_mask_videos, object_ids, read_label_map

VIDEOS = {'b': (7, {1: 0, 3: 2}), 'a': (5, {2: 1, 4: 1})}
LABELS = np.array([[0, 2, 2], [255, 255, 0]], np.uint8)


def save(path: Path, values: np.ndarray, mode: str = 'L') -> Path:
    image = Image.fromarray(values)
    if mode == 'P':
        image.putpalette([0, 0, 0, 128, 0, 0] * 128)
    (image if mode == 'P' else image.convert(mode)).save(path)
    return path


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


def test_palette_values_are_ids(tmp_path: Path) -> None:
    labels = read_label_map(save(tmp_path / 'a.png', LABELS, 'P'))
    assert labels.dtype == np.uint8 and (labels == LABELS).all()
    single = np.where(LABELS == 255, 255, 0).astype(np.uint8)
    # 255 is void there
    assert (read_label_map(save(tmp_path / 'b.png', single, 'P')) == single).all()


@pytest.mark.parametrize(
    'values, expected',
    [
        (np.where(LABELS > 0, 255, 0), LABELS > 0),  # DAVIS-2016
        (np.full((2, 3), 255), np.ones((2, 3))),
        (np.zeros((2, 3)), np.zeros((2, 3))),
        (LABELS, LABELS),  # ids and void in a gray image
    ],
)
def test_gray_values(tmp_path: Path, values: np.ndarray, expected: np.ndarray) -> None:
    assert (read_label_map(save(tmp_path / 'a.png', values.astype(np.uint8))) == expected).all()


def test_one_bit_image(tmp_path: Path) -> None:
    path = save(tmp_path / 'a.png', np.where(LABELS > 0, 255, 0).astype(np.uint8), '1')
    assert (read_label_map(path) == (LABELS > 0)).all()


def test_object_ids_by_area() -> None:
    assert (
        object_ids(LABELS) == [2] and object_ids(LABELS, 2) == [2] and object_ids(LABELS, 3) == []
    )
    many = np.repeat(np.arange(256, dtype=np.uint8), 4).reshape(32, 32)
    assert object_ids(many, 4) == list(range(1, 255))


def test_bad_label_images(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'color\.png is a RGB image'):
        read_label_map(save(tmp_path / 'color.png', LABELS, 'RGB'))
    with pytest.raises(ValueError, match=r'none\.png is missing'):
        read_label_map(tmp_path / 'none.png')
    whole = save(
        tmp_path / 'cut.png', np.random.default_rng(0).integers(0, 9, (50, 50), dtype=np.uint8)
    )
    whole.write_bytes(whole.read_bytes()[:300])
    with pytest.raises(ValueError, match=r'cut\.png is not an image that can be decoded'):
        read_label_map(whole)
    (tmp_path / 'text.png').write_text('no image')
    with pytest.raises(ValueError, match=r'text\.png is not an image that can be decoded'):
        read_label_map(tmp_path / 'text.png')


def test_bad_folders(tmp_path: Path) -> None:
    root = tiny.write_videos(tmp_path / 'videos', VIDEOS)
    with pytest.raises(ValueError, match=r'nowhere/JPEGImages is no folder; data_root must hold'):
        find_mask_videos(tmp_path / 'nowhere')
    with pytest.raises(
        ValueError, match=r"split '2016/val' is neither .*ImageSets/2016/val\.txt nor a file"
    ):
        find_mask_videos(root, '2016/val')
    tiny.write_split(root, 'wrong', ['a', 'gnu'])
    with pytest.raises(ValueError, match=r'video gnu: .*JPEGImages/gnu does not exist'):
        find_mask_videos(root, 'wrong')
    tiny.write_split(root, 'none', [])
    with pytest.raises(ValueError, match='none names no video'):
        find_mask_videos(root, 'none')
    (root / 'JPEGImages/b/00003.png').unlink()
    with pytest.raises(
        ValueError, match=r'video b: .*Annotations/b/00003\.png has no frame in .*JPEGImages/b'
    ):
        find_mask_videos(root)
    shutil.rmtree(root / 'Annotations/a')
    with pytest.raises(ValueError, match=r'video a: .*Annotations/a does not exist'):
        find_mask_videos(root)
