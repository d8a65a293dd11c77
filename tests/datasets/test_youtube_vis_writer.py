"""The YouTube-VIS writer against hand-made masks and pycocotools."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mmvos.datasets.youtube_vis_writer import (
    VideoWriter,
    keep_visible,
    uncompressed_rle,
    write_instances,
)

# Two frames of 4x6: object 1 is two pixels and then gone, object 2 is one pixel and then a 2x3
# block.
FIRST = np.array(
    [[0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 2, 0], [0, 0, 0, 0, 0, 0]], np.uint8
)
SECOND = np.array(
    [[0, 2, 2, 2, 0, 0], [0, 2, 2, 2, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]], np.uint8
)
GRAY = np.full((4, 6, 3), 128, np.uint8)


def write_two_videos(root: Path) -> dict:
    records = []
    for name in ('b', 'a'):
        writer = VideoWriter(root / 'train', name, {2: 1, 1: 3})
        writer.add(GRAY, FIRST)
        writer.add(GRAY, SECOND)
        records.append(writer.finish())
    write_instances(root / 'train' / 'instances.json', records, ['cat', 'dog', 'fish'], 'a test')
    return json.loads((root / 'train' / 'instances.json').read_text())


def test_run_lengths_by_hand() -> None:
    assert uncompressed_rle(np.array([[0, 1, 1], [0, 1, 0]], bool)) == {
        'counts': [2, 3, 1],
        'size': [2, 3],
    }
    assert uncompressed_rle(np.ones((2, 3), bool)) == {'counts': [0, 6], 'size': [2, 3]}
    assert uncompressed_rle(np.zeros((2, 3), bool)) == {'counts': [6], 'size': [2, 3]}


def test_run_lengths_are_what_pycocotools_reads() -> None:
    rng = np.random.default_rng(0)
    for density in (0.02, 0.5, 0.98):
        mask = rng.random((37, 23)) < density
        rle = coco_mask.frPyObjects(uncompressed_rle(mask), 37, 23)
        assert (coco_mask.decode(rle) == mask).all()


def test_json_by_hand(tmp_path: Path) -> None:
    data = write_two_videos(tmp_path)
    assert set(data) == {'info', 'licenses', 'videos', 'categories', 'annotations'}
    assert data['videos'] == [
        {
            'id': 1,
            'height': 4,
            'width': 6,
            'length': 2,
            'file_names': ['b/00000.jpg', 'b/00001.jpg'],
        },
        {
            'id': 2,
            'height': 4,
            'width': 6,
            'length': 2,
            'file_names': ['a/00000.jpg', 'a/00001.jpg'],
        },
    ]
    assert [(c['id'], c['name']) for c in data['categories']] == [
        (1, 'cat'),
        (2, 'dog'),
        (3, 'fish'),
    ]
    rows = [(a['id'], a['video_id'], a['category_id'], a['iscrowd']) for a in data['annotations']]
    assert rows == [(1, 1, 3, 0), (2, 1, 1, 0), (3, 2, 3, 0), (4, 2, 1, 0)]
    gone, grown = data['annotations'][:2]
    assert gone['areas'] == [2, None] and gone['bboxes'] == [[1, 1, 2, 1], None]
    assert gone['segmentations'] == [{'counts': [5, 1, 3, 1, 14], 'size': [4, 6]}, None]
    assert grown['areas'] == [1, 6] and grown['bboxes'] == [[4, 2, 1, 1], [1, 0, 3, 2]]
    assert (grown['height'], grown['width'], grown['length']) == (4, 6, 2)


def test_files_hold_the_labels_and_the_picture(tmp_path: Path) -> None:
    write_two_videos(tmp_path)
    for index, labels in enumerate((FIRST, SECOND)):
        image = Image.open(tmp_path / f'train/Annotations/a/{index:05d}.png')
        assert image.mode == 'P' and (np.array(image) == labels).all()
        assert tuple(image.getpalette()[3:9]) == (128, 0, 0, 0, 128, 0)
        picture = cv2.imread(str(tmp_path / f'train/JPEGImages/a/{index:05d}.jpg'))
        assert np.abs(picture.astype(int) - 128).max() < 3


def test_keep_visible_closes_the_gap() -> None:
    maps, categories = keep_visible(
        [np.array([[0, 3]], np.uint8), np.array([[5, 0]], np.uint8)], {1: 7, 3: 8, 5: 9}
    )
    assert [labels.tolist() for labels in maps] == [[[0, 1]], [[2, 0]]]
    assert categories == {1: 8, 2: 9}


def test_bad_frames_are_named(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path, 'v', {1: 1, 2: 1})
    writer.add(GRAY, FIRST)
    with pytest.raises(ValueError, match=r'video v, frame 1: .* 9 has no category'):
        writer.add(GRAY, np.full((4, 6), 9, np.uint8))
    with pytest.raises(ValueError, match='video v, frame 1: the picture is'):
        writer.add(GRAY[:3], FIRST)
    with pytest.raises(ValueError, match=r'video v, frame 1: size'):
        writer.add(GRAY[:3], FIRST[:3])
    assert len(writer.finish().file_names) == 1  # a refused frame leaves no trace


def test_bad_videos_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='video v: object number 256'):
        VideoWriter(tmp_path, 'v', {256: 1})
    with pytest.raises(ValueError, match='video v: no frame'):
        VideoWriter(tmp_path, 'v', {1: 1}).finish()
    writer = VideoWriter(tmp_path, 'v', {1: 1, 2: 1})
    writer.add(GRAY, SECOND)
    with pytest.raises(ValueError, match=r'video v: object 1 .* no frame'):
        writer.finish()


def test_bad_splits_are_named(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path, 'v', {1: 4, 2: 1})
    writer.add(GRAY, FIRST)
    record = writer.finish()
    with pytest.raises(ValueError, match=r'video v, object 1: category id 4'):
        write_instances(tmp_path / 'x.json', [record], ['cat', 'dog'], '')
    with pytest.raises(ValueError, match='two videos are called v'):
        write_instances(tmp_path / 'x.json', [record, record], ['a', 'b', 'c', 'd'], '')
