"""YouTubeVISDataset: which frames are items, what they hold, how a reference frame is drawn; pairs
through mmdet's transforms.
"""

from __future__ import annotations

import copy
import json
import pickle
import random
from collections import Counter
from pathlib import Path
from typing import Any

import mmdet.models  # noqa: F401  registers the preprocessor
import numpy as np
import pytest
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.runner import Runner
from pycocotools import mask as coco_mask
from youtube_vis_files import HEIGHT, WIDTH, annotation, content, rectangle_runs, video, write

from mmvos.datasets import SeededIndex, YouTubeVISDataset
from mmvos.registry import DATASETS

pytestmark = pytest.mark.usefixtures('mmdet_scope')
BASE_CONFIG = Path(__file__).parents[2] / 'configs/_base_/datasets/youtube_vis.py'


def open_dataset(folder: Path, **kwargs: Any) -> YouTubeVISDataset:
    return YouTubeVISDataset(
        'instances.json', data_root=str(folder), data_prefix=dict(img_path='JPEGImages'), **kwargs
    )


def two_videos() -> dict[str, Any]:
    """Video 12: 4 frames, object 5 in frames 0, 1, 3; video 3: 2 frames, objects 8 (both), 9 (frame
    1).
    """
    first, second = video(12, 4), video(3, 2, height=30, width=20)
    return content(
        [first, second],
        [
            annotation(8, second, category_id=7),
            annotation(5, first, frames=(0, 1, 3)),
            annotation(9, second, category_id=1, frames=(1,), box=(0, 0, 5, 7)),
        ],
    )


def test_training_items_are_the_frames_with_a_usable_object(tmp_path: Path) -> None:
    data = open_dataset(write(tmp_path, two_videos()))
    keys = [
        (item['video_id'], item['frame_id'], item['img_id'])
        for item in map(data.get_data_info, range(len(data)))
    ]
    assert keys == [(12, 0, 0), (12, 1, 1), (12, 3, 3), (3, 0, 4), (3, 1, 5)]
    assert [(v.id, v.name, v.length, v.height, v.width) for v in data.videos] == [
        (12, 'v12', 4, 24, 40),
        (3, 'v3', 2, 30, 20),
    ]
    assert [data.frame_range(i) for i in (0, 1)] == [range(0, 3), range(3, 5)]
    assert data.landscape.tolist() == [True] * 3 + [False] * 2
    objects = data.get_data_info(4)['instances']
    assert [(o['instance_id'], o['bbox_label'], o['bbox'], o['ignore_flag']) for o in objects] == [
        (8, 0, [4, 6, 14, 14], 0),
        (9, 1, [0, 0, 5, 7], 0),
    ]
    assert data.get_cat_ids(4) == [0, 1]


@pytest.mark.parametrize(
    'change',
    [
        dict(bboxes=[4.0, 6.0, 0.5, 8.0]),
        dict(bboxes=[4.0, 6.0, 10.0, 0.9]),
        dict(areas=0),
        dict(areas=None),
        dict(bboxes=None),
    ],
)
def test_an_object_without_box_or_area_is_not_ground_truth(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    entry = video(1, 3)
    item = annotation(1, entry)
    for key, value in change.items():
        item[key][1] = value
    data = open_dataset(write(tmp_path, content([entry], [item])))
    assert [data.get_data_info(i)['frame_id'] for i in range(len(data))] == [0, 2]


def test_areas_may_be_absent(tmp_path: Path) -> None:
    entry = video(1, 3)
    item = annotation(1, entry)
    del item['areas']
    assert len(open_dataset(write(tmp_path, content([entry], [item])))) == 3


def test_crowd_objects_are_left_out_with_box_and_mask_and_do_not_shift_the_others(
    tmp_path: Path,
) -> None:
    entry = video(1, 3)
    data = open_dataset(
        write(
            tmp_path,
            content(
                [entry],
                [
                    annotation(1, entry, iscrowd=1, box=(0, 0, 40, 24)),
                    annotation(2, entry, frames=(0, 1), box=(2, 3, 6, 5)),
                ],
            ),
        )
    )
    assert len(data) == 2  # in frame 2 there is nothing but the crowd
    (item,) = data.get_data_info(0)['instances']
    assert item['instance_id'] == 2
    assert coco_mask.area(item['mask']) == 30


def test_metainfo_follows_the_json_or_the_given_classes(tmp_path: Path) -> None:
    folder = write(tmp_path, two_videos())
    meta = open_dataset(folder).metainfo
    assert (meta['classes'], meta['category_ids'], len(meta['palette'])) == (
        ('cat', 'dog'),
        (7, 1),
        2,
    )
    dogs = open_dataset(folder, metainfo=dict(classes=('dog',)))
    assert (dogs.metainfo['classes'], dogs.metainfo['category_ids']) == (('dog',), (1,))
    # video 3's frame 0 holds only a cat
    assert [dogs.get_cat_ids(i) for i in range(len(dogs))] == [[0]] * 4
    turned = open_dataset(folder, metainfo=dict(classes=('dog', 'cat')))
    assert turned.get_cat_ids(4) == [1, 0]
    with pytest.raises(ValueError, match=r"no category .*'cow'.* cat, dog"):
        open_dataset(folder, metainfo=dict(classes=('cow',)))
    assert open_dataset(folder, lazy_init=True).videos[1].id == 3


def test_polygons_compressed_and_uncompressed_runs_give_the_same_mask(tmp_path: Path) -> None:
    entry = video(1, 3)
    runs = rectangle_runs(4, 6, 10, 8)
    compressed = coco_mask.frPyObjects(runs, HEIGHT, WIDTH)
    item = annotation(1, entry)
    polygon = [4, 6, 14, 6, 14, 14, 4, 14]
    item['segmentations'] = [
        runs,
        dict(size=[HEIGHT, WIDTH], counts=compressed['counts'].decode()),
        [polygon],
    ]
    loader = dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='mmvos.LoadFrame'),
            dict(type='LoadTrackAnnotations', with_mask=True),
        ],
    )
    data = open_dataset(write(tmp_path, content([entry], [item])), pipeline=[loader])
    expected = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    expected[6:14, 4:14] = 1
    for t in range(3):
        masks, _ = data[t]['gt_masks']
        np.testing.assert_array_equal(masks.masks, expected[None])


def test_opening_decodes_no_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, two_videos())
    monkeypatch.setattr(coco_mask, 'decode', lambda *_: pytest.fail('decoded'))
    assert len(open_dataset(folder)) == 5


def test_reference_is_uniform_over_all_other_usable_frames_and_never_the_key(
    tmp_path: Path,
) -> None:
    entry = video(1, 30)
    data = open_dataset(
        write(
            tmp_path,
            content([video(2, 1), entry], [annotation(1, entry, frames=tuple(range(0, 30, 2)))]),
        )
    )
    assert len(data) == 15
    random.seed(0)
    drawn = Counter(data[4]['frame_id'][1] for _ in range(14 * 200))
    assert data[4]['frame_id'][0] == 8
    assert sorted(drawn) == [t for t in range(0, 30, 2) if t != 8]
    chi_square = sum((n - 200) ** 2 / 200 for n in drawn.values())
    assert chi_square < 34.5  # 99.9 % point at 13 degrees of freedom


def test_a_video_with_one_usable_frame_is_its_own_reference(tmp_path: Path) -> None:
    one, two = video(1, 3), video(2, 2)
    folder = write(
        tmp_path, content([one, two], [annotation(1, one, frames=(2,)), annotation(2, two)])
    )
    data = open_dataset(folder)
    assert (len(data), data[0]['frame_id'], data[0]['video_id']) == (3, [2, 2], [1, 1])


def test_a_seeded_index_draws_the_same_whatever_was_drawn_before(tmp_path: Path) -> None:
    entry = video(1, 40)
    data = open_dataset(write(tmp_path, content([entry], [annotation(1, entry)])))
    reference = []
    for noise in range(3):
        random.seed(noise)
        np.random.seed(noise)
        reference.append([data[SeededIndex(5, seed)]['frame_id'][1] for seed in range(10)])
        after = random.random(), np.random.rand()
        random.seed(noise)
        np.random.seed(noise)
        assert after == (random.random(), np.random.rand())  # the outer states are put back
    assert reference[0] == reference[1] == reference[2]
    assert len(set(reference[0])) > 5


def test_test_items_are_all_frames_in_order_without_ground_truth(tmp_path: Path) -> None:
    whole = two_videos()
    for rows in (whole['annotations'], None, 'absent'):
        given = dict(copy.deepcopy(whole), annotations=rows)
        if rows == 'absent':
            del given['annotations']
        data = open_dataset(write(tmp_path, given), test_mode=True)
        items = [data[i] for i in range(len(data))]
        assert [(i['video_id'], i['frame_id'], i['video_length']) for i in items] == [
            ([12], [t], [4]) for t in range(4)
        ] + [([3], [t], [2]) for t in range(2)]
        assert all('instances' not in item for item in items)
        assert [Path(i['img_path'][0]).relative_to(tmp_path).as_posix() for i in items[4:]] == [
            'JPEGImages/v3/00000.jpg',
            'JPEGImages/v3/00005.jpg',
        ]


def test_training_without_annotations_or_without_objects_says_so(tmp_path: Path) -> None:
    entry = video(1, 2)
    with pytest.raises(ValueError, match=r'instances.json has no annotations'):
        open_dataset(write(tmp_path, content([entry], None)))
    with pytest.raises(ValueError, match=r'instances.json has no frame .* object'):
        open_dataset(write(tmp_path, content([entry], [])))


def packed_pipelines() -> Config:
    config = Config.fromfile(BASE_CONFIG)
    config.train_pipeline[0].transforms[2].scale = (2 * WIDTH, 2 * HEIGHT)
    config.test_pipeline[0].transforms[1].scale = (2 * WIDTH, 2 * HEIGHT)
    return config


def test_the_base_config_flips_both_frames_of_a_pair_or_neither(tmp_path: Path) -> None:
    entry = video(1, 6)
    data = open_dataset(
        write(tmp_path, content([entry], [annotation(3, entry)])),
        pipeline=packed_pipelines().train_pipeline,
    )
    flips = set()
    for seed in range(12):
        sample = data[SeededIndex(2, seed)]
        key, reference = sample['data_samples'].video_data_samples
        assert (
            key.frame_id,
            sample['data_samples'].key_frames_inds,
            sample['data_samples'].ref_frames_inds,
        ) == (2, [0], [1])
        assert key.flip == reference.flip
        flips.add(key.flip)
        # The rectangle 4..14 x 6..14, twice as large, from the left or from the right edge.
        x1, x2 = (80 - 28, 80 - 8) if key.flip else (8, 28)
        for frame in (key, reference):
            assert frame.gt_instances.bboxes.tolist() == [[x1, 12, x2, 28]]
            assert frame.gt_instances.labels.tolist() == [1]
            assert frame.gt_instances.instances_ids.tolist() == [3]
            assert 'instances' not in frame.metainfo
            mask = np.zeros((2 * HEIGHT, 2 * WIDTH), dtype=np.uint8)
            mask[12:28, x1:x2] = 1
            np.testing.assert_array_equal(frame.gt_instances.masks.masks[0], mask)
        assert sample['inputs'].shape == (2, 3, 48, 80)
        # frame 2 has the gray value 10
        assert abs(int(sample['inputs'][0].float().mean()) - 10) <= 1
    assert flips == {True, False}


def test_a_test_frame_carries_the_geometry(tmp_path: Path) -> None:
    data = open_dataset(
        write(tmp_path, two_videos()), pipeline=packed_pipelines().test_pipeline, test_mode=True
    )
    sample = data[5]['data_samples'][0]
    # 20x30 into 80x48 with the aspect kept: long edge 30 -> at most 80, short edge 20 -> at most
    # 48, so 2.4 is the scale
    expected = dict(
        video_id=3,
        frame_id=1,
        video_length=2,
        ori_shape=(30, 20),
        img_shape=(72, 48),
        scale_factor=(2.4, 2.4),
        img_id=5,
    )
    assert {key: sample.metainfo[key] for key in expected} == expected
    assert len(sample.gt_instances) == 0


def test_a_batch_passes_mmdets_preprocessor(tmp_path: Path) -> None:
    config = packed_pipelines()
    loader = config.train_dataloader
    loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    loader.dataset.update(
        data_root=str(write(tmp_path, two_videos())),
        ann_file='instances.json',
        data_prefix=dict(img_path='JPEGImages'),
        pipeline=config.train_pipeline,
    )
    preprocessor = MODELS.build(
        dict(
            type='TrackDataPreprocessor',
            mean=[0.0] * 3,
            std=[1.0] * 3,
            bgr_to_rgb=True,
            pad_mask=True,
            pad_size_divisor=32,
        )
    )
    shapes = []
    for batch in Runner.build_dataloader(loader, seed=0):
        out = preprocessor(batch, training=True)
        shapes.append(tuple(out['inputs'].shape))
        for sample in out['data_samples']:
            assert all(
                frame.gt_instances.masks.masks.shape[1:] == shapes[-1][-2:] for frame in sample
            )
    # 40x24 -> 80x48 -> 96x64 padded; 20x30 -> 48x72 -> 64x96 padded
    assert Counter(shapes) == {(2, 2, 3, 64, 96): 2, (2, 2, 3, 96, 64): 1}


def test_it_is_found_by_name_and_its_records_are_shared_bytes(tmp_path: Path) -> None:
    write(tmp_path, two_videos())
    data = DATASETS.build(
        dict(
            type='mmvos.YouTubeVISDataset',
            ann_file='instances.json',
            data_root=str(tmp_path),
            data_prefix=dict(img_path='JPEGImages'),
        )
    )
    assert data.data_list == [] and data.data_bytes.dtype == np.uint8
    assert isinstance(json.dumps(data.get_data_info(0)), str)  # no arrays inside
    index = pickle.loads(pickle.dumps(SeededIndex(4, 99)))  # as it travels to a worker
    assert (index, index.seed, type(index + 0)) == (4, 99, int)
