"""The benchmark of MaskTrack R-CNN: memory stays flat over a long video, both sides have the same
weights. Times are no test.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_masktrack import frame, tiny_config, tiny_model

from mmvos.benchmarks.masktrack_rcnn import compared_models, data, inference, memory
from mmvos.structures import Frame, FrameResult, TrackedObject
from mmvos.structures.rle import encode

SIZE = 128  # a frame's image has 192 KiB, so 100 kept frames are 19 MiB


def test_memory_stays_flat_over_a_long_video(tmp_path: Path) -> None:
    frames = [frame(t, size=SIZE) for t in range(4)]
    growth = memory.measure(
        tiny_model(),
        memory.looped(frames, 250),
        tmp_path / 'results.json',
        collect=False,
        settle=50,
    )
    assert growth.highest - growth.settled < 10
    assert len(json.loads((tmp_path / 'results.json').read_text())[0]['segmentations']) == 250
    assert growth.objects >= 1


def test_a_leak_would_be_seen(tmp_path: Path) -> None:
    kept: list[mmap.mmap] = []

    def leaking() -> Iterator[Frame]:
        for item in memory.looped([frame(t, size=SIZE) for t in range(4)], 120):
            # fresh pages: the heap may have room left from earlier tests
            kept.append(mmap.mmap(-1, memory.MIB))
            kept[-1].write(b'x' * memory.MIB)
            yield item

    growth = memory.measure(
        tiny_model(), leaking(), tmp_path / 'results.json', collect=False, settle=20
    )
    assert growth.highest - growth.settled > 10


def test_mmdets_model_has_our_weights() -> None:
    ours = tiny_model(seed=3)
    baseline = compared_models.build_baseline(tiny_config(), ours)
    assert type(baseline).__module__.startswith('mmdet.')
    torch.testing.assert_close(
        baseline.track_head.embed_head.fcs[1].weight, ours.track_head.fcs[1].weight
    )
    image = frame(0).image
    for one, other in zip(
        ours.eval().detector.extract_feat(image),
        baseline.eval().detector.extract_feat(image),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    assert (
        baseline.detector.test_cfg.rcnn.max_per_img == 10
        and baseline.detector.test_cfg.rcnn.score_thr == 0.05
    )


def result(*columns: tuple[int, int, int]) -> FrameResult:
    """Objects of a 10 x 10 frame: label and first and last column of a mask that is as high as the
    frame.
    """
    objects = []
    for number, (label, x1, x2) in enumerate(columns, 1):
        mask = torch.zeros(10, 10, dtype=torch.bool)
        mask[:, x1:x2] = True
        objects.append(TrackedObject(number, label, 0.9, (x1, 0, x2, 10), encode(mask.numpy())))
    return FrameResult(0, (10, 10), tuple(objects))


def test_agreement_of_masks() -> None:
    exact = result((0, 0, 4), (1, 5, 10))
    assert inference.agreement([exact], [exact]) == (1.0, 1.0)
    assert inference.agreement([exact], [result((0, 0, 3), (1, 5, 10))]) == pytest.approx(
        ((3 / 4 + 1) / 2, 1.0)
    )
    # another label is no partner
    assert inference.agreement([exact], [result((0, 0, 4), (2, 5, 10))]) == (1.0, 0.5)
    assert inference.agreement([exact], [replace(exact, objects=())])[1] == 0


def test_conversion_to_coco_vid(tmp_path: Path) -> None:
    mask = dict(size=[2, 2], counts=[0, 4])
    native = dict(
        videos=[dict(id=7, width=2, height=2, file_names=['a/0.jpg', 'a/1.jpg'])],
        categories=[dict(id=3, name='x')],
        annotations=[
            dict(
                id=5,
                video_id=7,
                category_id=3,
                bboxes=[None, [0, 0, 2, 2]],
                segmentations=[None, mask],
            )
        ],
    )
    (tmp_path / 'native.json').write_text(json.dumps(native))
    found = json.loads(
        data.write_coco_vid(tmp_path / 'native.json', tmp_path / 'converted.json').read_text()
    )
    images = [(image['id'], image['frame_id'], image['file_name']) for image in found['images']]
    assert images == [(1, 0, 'a/0.jpg'), (2, 1, 'a/1.jpg')]
    (item,) = found['annotations']
    assert (item['image_id'], item['instance_id'], item['category_id'], item['segmentation']) == (
        2,
        5,
        3,
        mask,
    )
