"""Pairs of template and search image from all kinds of data: what is drawn, how it is cut, and that
it is fast.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import youtube_vis_files as vis
from mmengine.registry import init_default_scope

from mmvos.datasets import MaskPairDataset, SeededIndex
from mmvos.datasets.transforms import color_pair
from mmvos.datasets.transforms.color_pair import ColorPair, _cross_kernel
from mmvos.io.label_png import write_label_png
from mmvos.ops.siamese_geometry import context_side
from mmvos.registry import DATASETS

LOAD = dict(type='TransformBroadcaster', transforms=[dict(type='mmvos.LoadFrame')])
STILL = dict(
    type='mmvos.CropPair', template_shift=0, search_shift=0, template_scale=0, search_scale=0
)
PIPELINE = [
    LOAD,
    dict(type='mmvos.CropPair'),
    dict(type='mmvos.ColorPair'),
    dict(type='mmvos.PackPair'),
]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')
    np.random.seed(0)


def write_folder(
    root: Path,
    lengths: dict[str, int],
    height: int = 120,
    width: int = 160,
    absent: tuple[int, ...] = (),
) -> dict:
    """Videos with object 1 (40 x 30 px, moving right by 2 px a frame) and object 2 (20 x 20); 1 is
    not there in some frames.
    """
    for number, (name, length) in enumerate(lengths.items()):
        for t in range(length):
            labels = np.zeros((height, width), np.uint8)
            if t not in absent:
                labels[20:50, 30 + 2 * t : 70 + 2 * t] = 1
            labels[80:100, 20:40] = 2
            image = np.full((height, width, 3), 20 * number, np.uint8)
            image[labels == 1] = (0, 0, 250)
            image[labels == 2] = (250, 0, 0)
            for kind, suffix in (('JPEGImages', 'png'), ('Annotations', 'png')):
                path = root / kind / name / f'{t:05d}.{suffix}'
                path.parent.mkdir(parents=True, exist_ok=True)
                write_label_png(path, labels) if kind == 'Annotations' else cv2.imwrite(
                    str(path), image
                )
    return dict(type='mmvos.MaskFolderPairs', data_root=str(root), min_area=300, frame_range=3)


def write_coco(
    root: Path, segmentations: list, box: tuple[int, int, int, int] = (30, 20, 40, 30)
) -> dict:
    root.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for i, segmentation in enumerate(segmentations, 1):
        cv2.imwrite(str(root / f'{i}.png'), np.full((120, 160, 3), 90, np.uint8))
        images.append(dict(id=i, file_name=f'{i}.png', height=120, width=160))
        item = dict(id=i, image_id=i, bbox=list(box), category_id=1, iscrowd=0, area=1200)
        annotations.append(dict(item, segmentation=segmentation) if segmentation else item)
    (root / 'c.json').write_text(
        json.dumps(dict(images=images, annotations=annotations, categories=[dict(id=1, name='a')]))
    )
    return dict(type='mmvos.ImagePairs', data_root=str(root), ann_file='c.json', min_area=100)


def square(x: int = 30, y: int = 20, w: int = 40, h: int = 30) -> list[list[int]]:
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def test_frames_are_within_range_and_of_one_object(tmp_path):
    source = write_folder(tmp_path, {'a': 12, 'b': 2})
    pairs = MaskPairDataset([source], negative=0.0, samples=[60])
    assert len(pairs) == 60
    items = [pairs[i] for i in range(60)]
    gaps = {
        abs(item['frame_id'][0] - item['frame_id'][1])
        for item in items
        if item['video_id'][0] == 'a'
    }
    assert gaps == {0, 1, 2, 3} and {item['video_id'][0] for item in items} == {'a', 'b'}
    for item in items:
        assert item['video_id'][0] == item['video_id'][1] and item['has_mask'] == [True, True]
        x = 30 + 2 * item['frame_id'][1]
        assert item['gt_bboxes'][1][0].tolist() in ([x, 20, x + 40, 50], [20, 80, 40, 100])
        assert (item['gt_bboxes'][0][0, 1] == 20) == (item['gt_bboxes'][1][0, 1] == 20)
        assert (
            item['gt_masks'][1].masks.sum()
            == (item['gt_bboxes'][1][0, 2:] - item['gt_bboxes'][1][0, :2]).prod()
        )


def test_templates_of_the_first_frame_that_shows_the_object(tmp_path):
    source = write_folder(tmp_path, {'a': 8}, absent=(0, 1, 2))
    for share, expected in ((1.0, {3}), (0.0, {3, 4, 5, 6, 7})):
        pairs = MaskPairDataset([dict(source, from_start=share)], negative=0.0, samples=[80])
        items = [pairs[i] for i in range(80)]
        assert {
            item['frame_id'][0] for item in items if item['gt_bboxes'][0][0, 1] == 20
        } == expected
        # the other is there from the start
        firsts = {item['frame_id'][0] for item in items if item['gt_bboxes'][0][0, 1] == 80}
        assert firsts == ({0} if share else set(range(8)))
        assert all(
            item['gt_bboxes'][0][0, 0] == 30 + 2 * item['frame_id'][0]
            for item in items
            if item['gt_bboxes'][0][0, 1] == 20
        )


def test_search_images_around_the_box_of_the_frame_before(tmp_path):
    """Object 1 moves by 2 px a frame: around where it was it is off the middle by 2 px times the
    crop's scale.
    """
    source = write_folder(tmp_path, {'a': 8}, absent=(0, 1, 5))
    pairs = MaskPairDataset([dict(source, previous=True)], negative=0.0, samples=[80])
    items = [item for item in (pairs[i] for i in range(80)) if item['gt_bboxes'][1][0, 1] == 20]
    assert {item['frame_id'][1] for item in items} == {2, 3, 4, 6, 7}
    scale = 127 / context_side(40, 30)
    cut = MaskPairDataset(
        [dict(source, previous=True)], negative=0.0, samples=[80], pipeline=[LOAD, STILL]
    )
    for item in items:
        x, y = item['frame_id'][1] * 2 + 30 - 2, 20
        known = item['frame_id'][1] not in (2, 6)
        assert item['last_bbox'][0] is None
        assert (
            item['last_bbox'][1] is None
            if not known
            else item['last_bbox'][1].tolist() == [x, y, x + 40, y + 30]
        )
        box = cut.pipeline(item)['gt_bboxes'][1][0]
        assert (box[0] + box[2]) / 2 - 127 == pytest.approx(2 * scale * known, abs=0.01)
        assert (box[1] + box[3]) / 2 == pytest.approx(127, abs=0.01)


def test_an_object_that_is_away_is_not_searched(tmp_path):
    source = write_folder(tmp_path, {'a': 8}, absent=(0, 1, 2, 3, 4, 5, 7))
    # object 2 is too small
    pairs = MaskPairDataset([dict(source, min_area=500)], negative=0.0, samples=[20])
    for item in (pairs[i] for i in range(20)):
        assert item['frame_id'] == [6, 6]


def test_negative_pairs_show_another_object_of_any_source(tmp_path):
    sources = [
        write_folder(tmp_path / 'f', {'a': 4}),
        write_coco(tmp_path / 'c', [square(), square(10)]),
    ]
    pairs = MaskPairDataset(sources, negative=1.0, samples=[80, 0])
    items = [pairs[i] for i in range(80)]
    assert all(
        item['negative'] == [True, True] and item['has_mask'] == [False, False] for item in items
    )
    same_video = [item for item in items if item['video_id'][1] == 'a']
    assert 15 < len(same_video) < 65
    assert all(
        (item['gt_bboxes'][0][0, 1] == 20) != (item['gt_bboxes'][1][0, 1] == 20)
        for item in same_video
    )


def test_share_of_negatives(tmp_path):
    pairs = MaskPairDataset([write_folder(tmp_path, {'a': 4, 'b': 4})], samples=[300])
    assert sum(pairs[i]['negative'][0] for i in range(300)) == pytest.approx(60, abs=20)


def test_youtube_vis(tmp_path):
    entries = [vis.video(1, 6), vis.video(2, 1)]
    content = vis.content(
        entries,
        [
            vis.annotation(1, entries[0], frames=(2, 3, 5)),
            vis.annotation(2, entries[1]),
            vis.annotation(3, entries[0], box=(20, 2, 2, 2)),
        ],
    )
    root = vis.write(tmp_path, content)
    source = dict(
        type='mmvos.YouTubeVISPairs',
        min_area=50,
        frame_range=2,
        dataset=dict(
            data_root=str(root), ann_file='instances.json', data_prefix=dict(img_path='JPEGImages')
        ),
    )
    pairs = MaskPairDataset([source], negative=0.0, samples=[60])
    items = [pairs[i] for i in range(60)]
    assert {tuple(sorted(item['frame_id'])) for item in items if item['video_id'][0] == 1} <= {
        (a, b) for a in (2, 3, 5) for b in (2, 3, 5)
    }
    assert {item['video_id'][0] for item in items} == {1, 2}
    for item in items:
        assert (
            item['gt_bboxes'][1].tolist() == [[4, 6, 14, 14]]
            and item['gt_masks'][0].masks.sum() == 80
        )


def test_coco_with_and_without_segmentation(tmp_path):
    runs = vis.rectangle_runs(30, 20, 40, 30, 120, 160)
    pairs = MaskPairDataset(
        [write_coco(tmp_path, [square(), runs, None])], negative=0.0, samples=[60]
    )
    seen = {item['video_id'][0]: item for item in (pairs[i] for i in range(60))}
    assert sorted(seen) == [1, 2, 3]
    assert [seen[i]['has_mask'][0] for i in (1, 2, 3)] == [True, True, False]
    assert seen[2]['gt_masks'][1].masks.sum() == 1200 and seen[3]['gt_masks'][1].masks.sum() == 0
    assert seen[3]['gt_bboxes'][1].tolist() == [[30, 20, 70, 50]]


def test_crowds_and_small_boxes_of_coco_where_asked_for(tmp_path):
    source = write_coco(tmp_path, [square(), square(), square()])
    content = json.loads((tmp_path / 'c.json').read_text())
    content['annotations'][0].update(
        iscrowd=1, segmentation=vis.rectangle_runs(30, 20, 40, 30, 120, 160)
    )
    content['annotations'][1].update(bbox=[30, 20, 4, 3], segmentation=square(w=4, h=3))
    content['annotations'][2].update(bbox=[30, 20, 0, 30], segmentation=[])
    (tmp_path / 'c.json').write_text(json.dumps(content))
    pairs = MaskPairDataset([dict(source, min_area=1, crowds=True)], negative=0.0, samples=[40])
    seen = {item['video_id'][0]: item for item in (pairs[i] for i in range(40))}
    assert sorted(seen) == [1, 2] and seen[1]['gt_masks'][0].masks.sum() == 1200
    for options in (dict(min_area=1), dict(min_area=100, crowds=True)):
        assert len(DATASETS.build(dict(source, **options))) == 1


@pytest.mark.parametrize('kind', ['missing', 'damaged', 'empty'])
def test_bad_coco_files_are_named(tmp_path, kind):
    source = write_coco(tmp_path, [square()])
    path = tmp_path / 'c.json'
    path.unlink() if kind == 'missing' else path.write_text(
        '{"images": [' if kind == 'damaged' else path.read_text()
    )
    with pytest.raises(ValueError, match=r'c\.json'):
        DATASETS.build(dict(source, min_area=10**6 if kind == 'empty' else 100))


def test_sources_and_samples_must_fit(tmp_path):
    with pytest.raises(ValueError, match='1 sources and 2'):
        MaskPairDataset([write_coco(tmp_path, [square()])], samples=[1, 2])


def test_a_seed_gives_the_same_pair_wherever_it_is_made(tmp_path):
    pairs = MaskPairDataset(
        [write_folder(tmp_path, {'a': 12, 'b': 12})], pipeline=PIPELINE, samples=[50]
    )
    first = pairs[SeededIndex(3, 7)]
    np.random.rand(100)
    again, other = pairs[SeededIndex(3, 7)], pairs[SeededIndex(3, 8)]
    assert (first['inputs'] == again['inputs']).all() and not (
        first['inputs'] == other['inputs']
    ).all()
    assert pairs.landscape.tolist() == [False] * 50


def test_crops_have_the_published_size():
    """The spec's crop sizes: a box of 60 x 40 has a context of 99.4987 px, 100 x 50 of 147.902, 20
    x 20 of 40.
    """
    assert [context_side(*size) for size in ((60, 40), (100, 50), (20, 20))] == pytest.approx(
        [99.4987, 147.902, 40], abs=1e-3
    )


def test_object_is_in_the_middle_at_its_scale(tmp_path):
    """A box of 40 x 30 px has a context of sqrt(75 * 65) px, which become 127 px in both crops."""
    pairs = MaskPairDataset(
        [dict(write_folder(tmp_path, {'a': 5}), min_area=500)],
        negative=0.0,
        samples=[1],
        pipeline=[LOAD, STILL, dict(type='mmvos.PackPair')],
    )
    sample = pairs[0]
    inputs, samples = sample['inputs'], sample['data_samples']
    assert (
        inputs.shape == (2, 3, 255, 255)
        and (inputs[0, :, 127:] == 0).all()
        and (inputs[0, :, :, 127:] == 0).all()
    )
    width, height = 40 * 127 / 4875**0.5, 30 * 127 / 4875**0.5
    for t, middle in enumerate((63, 127)):
        expected = [
            middle - width / 2,
            middle - height / 2,
            middle + width / 2,
            middle + height / 2,
        ]
        instances = samples[t].gt_instances
        assert instances.bboxes[0].tolist() == pytest.approx(expected, abs=1e-3)
        assert samples[t].img_shape == (2 * middle + 1,) * 2
        mask = instances.masks.masks[0]
        x, y, w, h = cv2.boundingRect(mask)
        # A pixel belongs to the mask where its center is inside the box: that of pixel i is at i.
        assert (
            (x, y) == (np.ceil(expected[0]), np.ceil(expected[1]))
            and abs(w - width) < 1
            and abs(h - height) < 1
        )
        red = (inputs[t, 2] > 125) & (inputs[t, 0] < 125)
        assert (red.numpy()[: mask.shape[0], : mask.shape[1]] != mask).mean() < 0.002


def test_jitter_stays_in_its_bounds_and_moves_box_and_mask_together(tmp_path):
    source = dict(write_folder(tmp_path, {'a': 5}), min_area=500)
    crop = dict(type='mmvos.CropPair', search_shift=20, search_scale=0.1, flip=0.5)
    pairs = MaskPairDataset(
        [source], negative=0.0, samples=[80], pipeline=[LOAD, crop, dict(type='mmvos.PackPair')]
    )
    scale = 127 / 4875**0.5
    centers, ratios = [], []
    for i in range(80):
        instances = pairs[i]['data_samples'][1].gt_instances
        x1, y1, x2, y2 = instances.bboxes[0].tolist()
        centers += [(x1 + x2) / 2 - 127, (y1 + y2) / 2 - 127]
        ratios += [(x2 - x1) / (40 * scale), (y2 - y1) / (30 * scale)]
        x, y, w, h = cv2.boundingRect(instances.masks.masks[0])
        assert [x - 0.5, y - 0.5, x + w - 0.5, y + h - 0.5] == pytest.approx(
            [x1, y1, x2, y2], abs=1.01
        )
    # the way of the centre is stretched as the object is
    shifts = np.array(centers) / np.array(ratios)
    assert (
        -20 - 1e-3 <= shifts.min() < -15
        and 15 < shifts.max() <= 20 + 1e-3
        and np.abs(centers).max() > 20
    )
    assert 1 / 1.1 - 1e-3 <= min(ratios) < 0.93 and 1.08 < max(ratios) <= 1 / 0.9 + 1e-3


def test_outside_of_the_frame_is_the_mean_color(tmp_path):
    pairs = MaskPairDataset(
        [dict(write_folder(tmp_path, {'a': 1}), min_area=500)],
        negative=0.0,
        samples=[1],
        pipeline=[LOAD, STILL, dict(type='mmvos.PackPair')],
    )
    image = cv2.imread(str(tmp_path / 'JPEGImages/a/00000.png'))
    assert pairs[0]['inputs'][1, :, 2, 2].tolist() == pytest.approx(
        image.mean(axis=(0, 1)).tolist(), abs=1
    )


def test_gray_tint_and_blur(tmp_path, monkeypatch):
    source = dict(write_folder(tmp_path, {'a': 1}), min_area=500)
    published = color_pair.OFFSET_STD

    def inputs(color_offset, **color):
        np.random.seed(1)
        monkeypatch.setattr(color_pair, 'OFFSET_STD', published * color_offset)
        pipeline = [LOAD, STILL, dict(type='mmvos.ColorPair', **color), dict(type='mmvos.PackPair')]
        pairs = MaskPairDataset([source], negative=0.0, samples=[40], pipeline=pipeline)
        return [pairs[i]['inputs'].float() for i in range(40)]

    plain = inputs(gray=0, color_offset=0, blur=0)
    gray = inputs(gray=1, color_offset=0, blur=0)[0]
    assert (
        (gray[:, 0] == gray[:, 1]).all()
        and (gray[:, 0] == gray[:, 2]).all()
        and not (gray[1] == plain[0][1]).all()
    )
    tinted = inputs(gray=0, color_offset=3, blur=0)
    # (40, 3, pixels)
    moved = np.array([(image[1] - plain[0][1]).flatten(1).tolist() for image in tinted])
    # all pixels by the same: none is rounded
    assert moved.std(axis=2).max() < 1e-4 and (moved != moved.round()).any()
    assert min(image[1].min() for image in tinted) < 0  # nor cut at 0
    blurred = [
        (image - old).abs().flatten(1).sum(dim=1)
        for image, old in zip(inputs(gray=0, color_offset=0, blur=1.0), plain)
    ]
    changed = [bool(search > 0) for _, search in blurred]
    # half of P(n >= .5) = .31
    assert all(template == 0 for template, _ in blurred) and 1 <= sum(changed) <= 15


def test_color_offsets_are_those_of_the_published_code():
    """Its matrix has the rows (-.5592, .9806, -.4194), (1.7209, .1988, -1.8297) and (4.6447,
    4.7371, 4.8832) for R, G and B: sqrt(.313 + .962 + .176) = 1.204, sqrt(2.962 + .040 + 3.348) =
    2.520, sqrt(21.573 + 22.440 + 23.846) = 8.238. Two rows times each other are 0: no channel says
    anything about another.
    """
    gray = np.full((4, 4, 3), 128, np.uint8)
    color = ColorPair(gray=0, blur=0)
    offsets = np.array(
        [image[0, 0] - 128 for _ in range(1000) for image in color(dict(img=[gray, gray]))['img']]
    )  # (2000, 3), blue first; the deviation's own deviation is 1.6 %, the correlation's .022
    assert offsets.std(axis=0) == pytest.approx([8.238, 2.520, 1.204], rel=0.06)
    correlations = np.corrcoef(offsets.T)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 0.09
    assert np.abs(offsets.mean(axis=0)).max() < 0.8


def test_the_weights_of_the_blur():
    """Of 5 pixels, with .3 for the column: each of the column's has .3 / 5, of the row's .7 / 5,
    the middle one both.
    """
    kernel = _cross_kernel(5, 0.3)
    assert kernel[:, 2] == pytest.approx([0.06, 0.06, 0.2, 0.06, 0.06])
    assert kernel[2] == pytest.approx([0.14, 0.14, 0.2, 0.14, 0.14])
    assert kernel[0, 0] == 0
    assert kernel.sum() == pytest.approx(1)


def test_the_tint_of_before_is_ignored_with_a_warning():
    with pytest.warns(FutureWarning, match='tint'):
        ColorPair(tint=0.1)


def draw_often(source: dict) -> list[dict]:
    """400 views from the only video of a source."""
    pairs = MaskPairDataset([source], negative=0.0, samples=[1])
    pairs.full_init()
    rng = np.random.default_rng(0)
    return [pairs.sources[0].draw(0, rng, 1)[0] for _ in range(400)]


def test_an_object_is_drawn_as_often_as_another_however_seldom_it_is_seen(tmp_path):
    """In 13 of 60 frames: half of 400 draws, give or take 4 times sqrt(400 / 4) = 10. A frame
    first, and then one of its objects, would be 13 / 120 of them: 43.
    """
    absent = tuple(t for t in range(60) if not 20 <= t <= 32)
    views = draw_often(write_folder(tmp_path, {'a': 60}, absent=absent))
    frames = [view['frame_id'] for view in views if view['object_id'] == 1]
    assert 160 <= len(frames) <= 240
    assert set(frames) == set(range(20, 33))


def test_an_object_of_youtube_vis_is_drawn_as_often_as_another(tmp_path):
    """In 2 of 10 frames: half of 400 draws; a frame first would be 2 / 20 of them: 40."""
    entries = [vis.video(1, 10)]
    annotations = [
        vis.annotation(1, entries[0], frames=(4, 5)),
        vis.annotation(2, entries[0], box=(14, 2, 10, 8)),
    ]
    root = vis.write(tmp_path, vis.content(entries, annotations))
    data = dict(data_root=str(root), ann_file='instances.json')
    dataset = dict(data, data_prefix=dict(img_path='JPEGImages'))
    views = draw_often(dict(type='mmvos.YouTubeVISPairs', min_area=50, dataset=dataset))
    frames = [view['frame_id'] for view in views if view['object_id'] == 1]
    assert 160 <= len(frames) <= 240
    assert set(frames) == {4, 5}


def test_frames_are_counted_among_those_that_show_the_object(tmp_path):
    """It is seen in the frames 0, 5 and 10 alone: within one position are 0 and 5, or 5 and 10."""
    source = write_folder(tmp_path, {'a': 11}, absent=(1, 2, 3, 4, 6, 7, 8, 9))
    # object 2 is too small
    pairs = MaskPairDataset([dict(source, min_area=500, frame_range=1)], negative=0.0, samples=[40])
    drawn = {tuple(pairs[i]['frame_id']) for i in range(40)}
    assert drawn == {(0, 0), (0, 5), (5, 0), (5, 5), (5, 10), (10, 5), (10, 10)}


def test_crops_of_youtube_vos_as_published(tmp_path):
    """Columns 30 to 69 have their middle at pixel 49.5, which the published code takes to be 50.
    One pixel of the frame is 127 / sqrt(75 * 65) = 1.8189 of the crop, whose middle is at 127.

    Between the columns 29 and 30 the mask's share rises from 0 to 1. It is above .2 right of 29.2:
    127 - (50 - 29.2) * 1.8189 = 89.17, so the mask begins at 90. Around 49.5 and above .5 it is 127
    - (49.5 - 29.5) * 1.8189 = 90.62: 91. It ends above .2 left of 69.8, 127 + 19.8 * 1.8189 =
    163.01, at 163 (above .5 at 162); around 49.5 at 127 + 20 * 1.8189 = 163.38: 163.
    """
    source = dict(write_folder(tmp_path, {'a': 1}), min_area=500)
    boxes, columns = [], []
    for published in (True, False):
        pairs = MaskPairDataset(
            [dict(source, published_crops=published)],
            negative=0.0,
            samples=[1],
            pipeline=[LOAD, STILL],
        )
        item = pairs[0]
        boxes.append(item['gt_bboxes'][1][0].tolist())
        columns.append(np.flatnonzero(item['gt_masks'][1].masks[0].any(axis=0))[[0, -1]].tolist())
    half = 20 * 127 / 4875**0.5
    for box in boxes:  # the box is in the middle of the crop with both
        assert [box[0], box[2]] == pytest.approx([127 - half, 127 + half], abs=1e-3)
    assert columns == [[90, 163], [91, 163]]


def test_a_pair_costs_less_than_40_ms(tmp_path):
    """Frames of 854 x 480, JPEG; the processor's time, so that a busy machine does not matter."""
    source = write_folder(tmp_path, {'a': 2}, 480, 854)
    for path in (tmp_path / 'JPEGImages/a').glob('*.png'):
        noise = np.random.default_rng(0).normal(0, 10, (60, 107, 3))
        picture = cv2.imread(str(path)) + noise.repeat(8, 0).repeat(8, 1)[:480, :854]
        cv2.imwrite(str(path.with_suffix('.jpg')), np.clip(picture, 0, 255).astype(np.uint8))
        path.unlink()
    pairs = MaskPairDataset([source], pipeline=PIPELINE, samples=[100])
    assert pairs[0]['inputs'].shape == (2, 3, 255, 255)
    start = time.process_time()
    for i in range(20):
        pairs[i]
    assert (time.process_time() - start) / 20 < 0.04


def images_of(root: Path, sets: list[str] | None):
    return DATASETS.build(
        dict(
            type='mmvos.ImagePairs',
            data_root=str(root),
            ann_file='c.json',
            min_area=100,
            image_sets=sets,
        )
    )


def test_only_the_images_of_the_named_sets_are_used(tmp_path):
    polygon = [[30, 20, 70, 20, 70, 50, 30, 50]]
    write_coco(tmp_path, [polygon] * 4)
    path = tmp_path / 'c.json'
    content = json.loads(path.read_text())
    for image, name in zip(content['images'], ('a', 'b', 'b', None), strict=True):
        if name is not None:
            image['source'] = name
    path.write_text(json.dumps(content))
    found = {}
    for sets in (None, ['a'], ['b'], ['a', 'b']):
        pairs = images_of(tmp_path, sets)
        found[str(sets)] = [pairs.get_data_info(i)['img_id'] for i in range(len(pairs))]
    assert list(found.values()) == [[1, 2, 3, 4], [1], [2, 3], [1, 2, 3]]
    with pytest.raises(ValueError, match=r'c\.json'):
        len(images_of(tmp_path, ['c']))
