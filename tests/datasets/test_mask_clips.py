"""MaskClipDataset: which frames make a clip, which object is chosen, and what errors say. Frames
are of 48 x 64 pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import colored_videos as tiny
import cv2
import numpy as np
import pytest

from mmvos.datasets import MaskClipDataset, mask_clips
from mmvos.registry import DATASETS

pytestmark = pytest.mark.usefixtures('mmdet_scope')
LOAD = dict(type='TransformBroadcaster', transforms=[dict(type='mmvos.LoadFrame')])
SAMPLE = [
    LOAD,
    dict(type='mmvos.CropClip', size=40),
    dict(type='mmvos.DeformGuides'),
    dict(type='mmvos.PackClip'),
]
DAVIS = Path(__file__).parents[3] / 'shared/data/DAVIS'


def drawn(data: MaskClipDataset, item: int = 0, count: int = 100) -> list[dict[str, Any]]:
    return [data.prepare_data(item) for _ in range(count)]


def test_gaps_and_direction(tmp_path: Path) -> None:
    data = MaskClipDataset(str(tiny.write_videos(tmp_path, {'a': (20, {1: 0})})), max_gap=3)
    clips = [clip['frame_id'] for clip in drawn(data, count=300)]
    steps = np.diff(clips)
    assert steps.shape == (300, 2) and (np.sign(steps[:, 0]) == np.sign(steps[:, 1])).all()
    assert set(np.abs(steps).ravel()) == {1, 2, 3}
    assert 0.4 < (steps[:, 0] > 0).mean() < 0.6
    assert min(map(min, clips)) == 0 and max(map(max, clips)) == 19  # ends of the video are used


def test_forward_only_and_other_lengths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_clips, 'REVERSE_PROB', 0)
    root = str(tiny.write_videos(tmp_path, {'a': (6, {2: 0})}))
    steps = np.diff([clip['frame_id'] for clip in drawn(MaskClipDataset(root, clip_length=2))])
    assert (steps > 0).all() and steps.max() == 5
    assert len(drawn(MaskClipDataset(root, clip_length=1))[0]['img_path']) == 1
    # A clip as long as the video leaves no choice, a longer one repeats a frame.
    (whole,) = drawn(MaskClipDataset(root, clip_length=6), count=1)
    assert whole['frame_id'] == list(range(6))
    assert set(np.diff(drawn(MaskClipDataset(root, clip_length=7), count=1)[0]['frame_id'])) == {0}


def test_object_is_visible_in_the_first_frame_of_the_clip(tmp_path: Path) -> None:
    """Object 3 begins in frame 4; where only object 1 is there, the clip is of object 1."""
    data = MaskClipDataset(str(tiny.write_videos(tmp_path, {'a': (9, {1: 0, 3: 4})})))
    seen = set()
    for clip in drawn(data, count=200):
        (object_id,) = clip['gt_instances_ids'][0]
        assert all(
            ids.tolist() == [object_id] and ids.dtype == np.int64
            for ids in clip['gt_instances_ids']
        )
        for t, masks in zip(clip['frame_id'], clip['gt_masks'], strict=True):
            assert (masks.masks[0] == (tiny.label_map(t, {1: 0, 3: 4}, 9) == object_id)).all()
        assert clip['gt_masks'][0].masks.any()
        seen.add((object_id, all(masks.masks.any() for masks in clip['gt_masks'])))
    # absent later: object 1 leaves, object 3 played backwards
    assert seen == {(1, True), (1, False), (3, True), (3, False)}


def test_only_annotated_frames_are_used(tmp_path: Path) -> None:
    """As in YouTube-VOS, every fifth frame; neighbors are one step of those apart."""
    data = MaskClipDataset(
        str(tiny.write_videos(tmp_path, {'a': (21, {1: 0})}, every=5)), max_gap=1
    )
    clips = np.array([clip['frame_id'] for clip in drawn(data)])
    assert set(clips.ravel()) <= {0, 5, 10, 15, 20} and set(np.abs(np.diff(clips)).ravel()) == {5}


def test_video_without_object_gives_another_item(tmp_path: Path) -> None:
    """Video a shows nothing that could be chosen."""
    root = tiny.write_videos(tmp_path, {'a': (4, {1: 0}), 'b': (4, {2: 0})})
    for path in (root / 'Annotations/a').iterdir():
        cv2.imwrite(str(path), np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8))
    data = MaskClipDataset(str(root), pipeline=SAMPLE)
    assert data.prepare_data(0) is None
    assert data[0]['data_samples'].video_data_samples[0].video_id == 'b'


def test_length_of_an_epoch(tmp_path: Path) -> None:
    root = str(tiny.write_videos(tmp_path, {name: (4, {1: 0}) for name in 'abc'}))
    assert len(MaskClipDataset(root)) == 3
    assert [MaskClipDataset(root)[i]['video_id'][0] for i in range(3)] == ['a', 'b', 'c']
    data = MaskClipDataset(root, samples_per_epoch=50)
    assert len(data) == 50 and {data[i]['video_id'][0] for i in range(50)} == {'a', 'b', 'c'}


def test_sample_as_the_model_reads_it(tmp_path: Path) -> None:
    root = str(tiny.write_videos(tmp_path, {'a': (9, {1: 0, 3: 4})}))
    data = DATASETS.build(dict(type='mmvos.MaskClipDataset', data_root=root, pipeline=SAMPLE))
    sample = data[0]
    assert sample['inputs'].shape == (3, 3, 40, 40) and str(sample['inputs'].dtype) == 'torch.uint8'
    frames = sample['data_samples'].video_data_samples
    assert len(frames) == 3
    for t, frame in enumerate(frames):
        objects = frame.gt_instances
        assert objects.masks.masks.shape == (1, 40, 40) and objects.guides.shape == (1, 40, 40)
        assert str(objects.guides.dtype) == 'torch.float32' and set(
            objects.guides.unique().tolist()
        ) <= {-1, 0, 1}
        assert (
            str(objects.guide_kinds.dtype) == 'torch.int64'
            and objects.guide_kinds.tolist()[0] in ((0, 1, 2), (1, 3))[t > 0]
        )
        assert objects.instances_ids.tolist() == frames[0].gt_instances.instances_ids.tolist()
        assert frame.img_shape == (40, 40) and frame.ori_shape == (48, 64)
    (object_id,) = frames[0].gt_instances.instances_ids.tolist()
    inside = frames[0].gt_instances.masks.masks[0] == 1
    blue = sample['inputs'][0, 0].numpy()[inside]
    # masks lie on their objects, and channels are B, G, R
    assert abs(float(np.median(blue)) - 40 * object_id) <= 1


def test_same_seed_same_sample(tmp_path: Path) -> None:
    data = MaskClipDataset(str(tiny.write_videos(tmp_path, {'a': (20, {1: 0})})), pipeline=SAMPLE)
    samples = []
    for seed in (5, 5, 6):
        np.random.seed(seed)
        samples.append(data[0])
    equal = [
        [
            a.gt_instances.guides.equal(b.gt_instances.guides)
            for a, b in zip(
                samples[0]['data_samples'].video_data_samples,
                other['data_samples'].video_data_samples,
            )
        ]
        for other in samples[1:]
    ]
    assert all(equal[0]) and not any(equal[1])
    assert samples[0]['inputs'].equal(samples[1]['inputs']) and not samples[0]['inputs'].equal(
        samples[2]['inputs']
    )


def test_joined_with_weights(tmp_path: Path) -> None:
    root = str(tiny.write_videos(tmp_path, {'a': (9, {1: 0}), 'b': (9, {1: 0})}))
    clips = dict(type='mmvos.MaskClipDataset', data_root=root, pipeline=SAMPLE)
    joined = DATASETS.build(
        dict(
            type='ConcatDataset',
            datasets=[dict(type='RepeatDataset', times=3, dataset=clips), clips],
        )
    )
    assert len(joined) == 8 and joined[7]['inputs'].shape == (3, 3, 40, 40)


def test_errors_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tiny.write_videos(tmp_path, {'a': (3, {1: 0})})
    monkeypatch.setattr(mask_clips, 'REVERSE_PROB', 0)
    data = MaskClipDataset(str(root), pipeline=SAMPLE)
    (root / 'JPEGImages/a/00001.png').unlink()
    with pytest.raises(ValueError, match=r'JPEGImages/a/00001\.png .*cannot be read'):
        data[0]
    cv2.imwrite(str(root / 'JPEGImages/a/00001.png'), np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(ValueError, match=r'00001\.png .* 30x20.* 64x48'):
        data[0]
    (root / 'Annotations/a/00002.png').unlink()
    with pytest.raises(ValueError, match=r'Annotations/a/00002\.png is missing'):
        data[0]
    with pytest.raises(ValueError, match=r'clip_length .* 0'):
        MaskClipDataset(str(root), clip_length=0)
    with pytest.raises(ValueError, match='is no folder'):
        MaskClipDataset(str(root / 'nowhere'))


@pytest.mark.skipif(not DAVIS.is_dir(), reason='needs ../shared/data/DAVIS')
def test_davis() -> None:
    data = MaskClipDataset(str(DAVIS), split='2016/train', pipeline=SAMPLE)
    assert len(data) >= 20
    frame = data[0]['data_samples'].video_data_samples[0]
    assert frame.ori_shape == (480, 854) and frame.gt_instances.masks.masks.any()
