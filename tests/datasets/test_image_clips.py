"""ImageClipDataset: which objects are used, their masks, and what errors say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from youtube_vis_files import rectangle_runs

from mmvos.datasets import ImageClipDataset
from mmvos.io.errors import DataError
from mmvos.registry import DATASETS

pytestmark = pytest.mark.usefixtures('mmdet_scope')
LOAD = dict(type='TransformBroadcaster', transforms=[dict(type='mmvos.LoadFrame')])
SAMPLE = [
    LOAD,
    dict(type='mmvos.SimulateMotion', clip_length=4),
    dict(type='mmvos.CropClip', size=48),
    dict(type='mmvos.DeformGuides'),
    dict(type='mmvos.PackClip'),
]
HEIGHT, WIDTH = 60, 80
COCO = Path(__file__).parents[3] / 'shared/data/coco128'


def square(number: int, side: float, image_id: int = 7, **more: Any) -> dict[str, Any]:
    """A square whose upper left corner is (10, 8)."""
    polygon = [10, 8, 10 + side, 8, 10 + side, 8 + side, 10, 8 + side]
    return (
        dict(
            id=number,
            image_id=image_id,
            category_id=1,
            iscrowd=0,
            area=side * side,
            bbox=[10, 8, side, side],
            segmentation=[polygon],
        )
        | more
    )


def write(root: Path, annotations: list[dict[str, Any]]) -> str:
    (root / 'images').mkdir(parents=True, exist_ok=True)
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    cv2.imwrite(str(root / 'images/x.jpg'), image)
    images = [dict(id=7, file_name='x.jpg', height=HEIGHT, width=WIDTH)]
    (root / 'a.json').write_text(
        json.dumps(
            dict(images=images, annotations=annotations, categories=[dict(id=1, name='thing')])
        )
    )
    return str(root)


def opened(root: str, **more: Any) -> ImageClipDataset:
    return ImageClipDataset('a.json', root, dict(img_path='images'), **more)


def test_small_and_crowd_objects_are_left_out(tmp_path: Path) -> None:
    crowd, no_mask = square(3, 40, iscrowd=1), square(5, 40, segmentation=[])
    root = write(tmp_path, [square(1, 31), square(2, 32), crowd, square(4, 40), no_mask])
    data = opened(root)
    assert [data.prepare_data(i)['gt_masks'][0].masks.sum() for i in range(len(data))] == [
        32 * 32,
        40 * 40,
    ]
    assert len(opened(root, min_area=500)) == 3 and len(opened(root, min_area=1100)) == 1


def test_polygons_and_run_lengths_give_the_same_mask(tmp_path: Path) -> None:
    runs = rectangle_runs(10, 8, 40, 40, HEIGHT, WIDTH)
    parts = [[10, 8, 30, 8, 30, 48, 10, 48], [30, 8, 50, 8, 50, 48, 30, 48]]
    data = opened(
        write(
            tmp_path,
            [square(1, 40), square(2, 40, segmentation=runs), square(3, 40, segmentation=parts)],
        )
    )
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[8:48, 10:50] = 1
    for i in range(3):
        item = data.prepare_data(i)
        assert (item['gt_masks'][0].masks == expected[None]).all()
        assert (
            item['gt_instances_ids'][0].tolist() == [1]
            and item['height'] == [HEIGHT]
            and item['width'] == [WIDTH]
        )
        assert {key: len(values) for key, values in item.items()} == dict.fromkeys(item, 1)


def test_becomes_a_clip(tmp_path: Path) -> None:
    config = dict(
        type='mmvos.ImageClipDataset',
        ann_file='a.json',
        data_root=write(tmp_path, [square(1, 40)]),
        data_prefix=dict(img_path='images'),
        pipeline=SAMPLE,
    )
    sample = DATASETS.build(config)[0]
    assert sample['inputs'].shape == (4, 3, 48, 48)
    frames = sample['data_samples'].video_data_samples
    assert [frame.frame_id for frame in frames] == [0, 1, 2, 3]
    masks = [frame.gt_instances.masks.masks[0] for frame in frames]
    assert all((masks[0] != mask).any() for mask in masks[1:])


def test_length_of_an_epoch(tmp_path: Path) -> None:
    data = opened(write(tmp_path, [square(1, 40), square(2, 34)]), samples_per_epoch=30)
    assert len(data) == 30 and {int(data[i]['gt_masks'][0].masks.sum()) for i in range(30)} == {
        1600,
        1156,
    }


def test_empty_mask_gives_another_item(tmp_path: Path) -> None:
    outside = [100, 100, 140, 100, 140, 140]
    data = opened(write(tmp_path, [square(1, 40, segmentation=[outside]), square(2, 40)]))
    assert data.prepare_data(0) is None and data[0]['gt_masks'][0].masks.sum() == 1600


def test_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'a\.json cannot be read'):
        opened(str(tmp_path / 'nowhere'))
    root = write(tmp_path, [square(1, 40, image_id=9)])
    with pytest.raises(ValueError, match=r'a\.json: annotation 1: .*image 9'):
        opened(root)
    with pytest.raises(ValueError, match=r'a\.json has no object .*1024'):
        opened(write(tmp_path, [square(1, 20)]))
    (tmp_path / 'a.json').write_text('[]')
    with pytest.raises(ValueError, match=r'a\.json has no list'):
        opened(root)
    data = opened(write(tmp_path, [square(1, 40)]), pipeline=SAMPLE)
    (tmp_path / 'images/x.jpg').unlink()
    with pytest.raises(ValueError, match=r'images/x\.jpg .* cannot be read'):
        data[0]


def test_crowds_are_named_where_nothing_else_is_left(tmp_path: Path) -> None:
    root = write(tmp_path, [square(1, 40, iscrowd=1), square(2, 20)])
    with pytest.raises(DataError, match=r'no object .*1 of its 2 .*crowds'):
        opened(root)


def test_file_names_of_windows_are_paths(tmp_path: Path) -> None:
    root = write(tmp_path, [square(1, 40)])
    data = json.loads((tmp_path / 'a.json').read_text())
    data['images'][0]['file_name'] = 'vid1\\00000.jpg'
    (tmp_path / 'a.json').write_text(json.dumps(data))
    assert opened(root).get_data_info(0)['img_path'].endswith('vid1/00000.jpg')


@pytest.mark.parametrize(
    ('part', 'key', 'value', 'fault'),
    [
        ('images', 'height', None, 'image 7: its height and width'),
        ('images', 'width', 6_000_000_000, 'image 7: its height and width'),
        ('images', 'file_name', ['x'], 'image 7: its file name'),
        ('images', 'file_name', '../../etc/x.jpg', 'image 7: its file name'),
        ('images', 'id', [3], 'its id is .3.'),
        ('annotations', 'image_id', None, 'annotation 1: its image_id is missing'),
        ('annotations', 'image_id', [3], 'annotation 1: its image_id'),
        ('annotations', 'area', 'x', 'annotation 1: its area'),
        ('annotations', 'bbox', [0, 0, 'x', 3], 'annotation 1: its bbox'),
        ('annotations', 'iscrowd', 'x', 'annotation 1: its iscrowd'),
        ('annotations', 'segmentation', 'x', 'annotation 1: the mask'),
        ('annotations', 'segmentation', 7, 'annotation 1: the mask'),
        ('annotations', 'segmentation', [[1, 2, {}, 4, 5, 6]], 'annotation 1: a polygon'),
        ('annotations', 'segmentation', {'counts': 'x'}, 'annotation 1: the mask'),
        ('annotations', 'segmentation', {'counts': 3, 'size': [60, 80]}, 'annotation 1: the run'),
        ('annotations', 'segmentation', {'counts': [9], 'size': [0, 0]}, 'annotation 1: the mask'),
        ('annotations', 'segmentation', {'counts': [9], 'size': 4}, 'annotation 1: the size'),
        ('annotations', 'segmentation', {'counts': 'ooo', 'size': [60, 80]}, 'annotation 1: the'),
    ],
)
def test_damaged_files_end_in_a_sentence(
    tmp_path: Path, part: str, key: str, value: Any, fault: str
) -> None:
    root = write(tmp_path, [square(1, 40)])
    data = json.loads((tmp_path / 'a.json').read_text())
    data[part][0][key] = value
    (tmp_path / 'a.json').write_text(json.dumps(data))
    with pytest.raises(DataError, match=rf'a\.json: .*({fault})'):
        opened(root).prepare_data(0)


@pytest.mark.skipif(not COCO.is_dir(), reason='needs ../shared/data/coco128')
def test_coco() -> None:
    data = ImageClipDataset('instances.json', str(COCO), dict(img_path='images'), pipeline=SAMPLE)
    assert len(data) > 400 and data[0]['inputs'].shape == (4, 3, 48, 48)


def test_sources_are_drawn_by_their_weights(tmp_path: Path) -> None:
    annotations = [square(number, 40, image_id=7 if number < 9 else 8) for number in range(1, 10)]
    root = write(tmp_path, annotations)
    data = json.loads((tmp_path / 'a.json').read_text())
    second = dict(data['images'][0], id=8, source='b')
    data['images'] = [dict(data['images'][0], source='a'), second]
    (tmp_path / 'a.json').write_text(json.dumps(data))
    np.random.seed(0)
    weighted = opened(root, samples_per_epoch=200, source_weights=dict(a=1.0, b=3.0))
    drawn = [weighted.prepare_data(0)['img_id'][0] for _ in range(200)]
    # Three quarters of 200 draws are of source b, though it has one object of nine; 3 sigma is 19.
    assert 131 <= drawn.count(8) <= 169
    with pytest.raises(ValueError, match=r'source_weights .*\(a, b\)'):
        opened(root, samples_per_epoch=1, source_weights=dict(c=1.0))[0]
    only = opened(root, samples_per_epoch=50, source_weights=dict(a=1.0))
    assert {only.prepare_data(0)['img_id'][0] for _ in range(50)} == {7}
