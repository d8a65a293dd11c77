"""COCO annotations of some frames become annotations of all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from studio.small_video import FRAMES, HEIGHT, WIDTH, object_mask, write_frames

from mmvos.cli.main import main
from mmvos.convert import coco
from mmvos.convert.annotation_model import Notes

from .color_follower import SCORE, ColorFollower


def runs(frame: int, number: int) -> dict:
    """Run lengths in a list, as some tools write them."""
    flat = object_mask(frame, number).T.reshape(-1)
    switches = np.flatnonzero(np.diff(flat, prepend=False))
    counts = np.diff(switches, prepend=0, append=flat.size)
    return {'size': [HEIGHT, WIDTH], 'counts': counts.tolist()}


def image(number: int, frame: int, **more: Any) -> dict:
    return {
        'id': number,
        'file_name': f'clip/{frame:05d}.png',
        'height': HEIGHT,
        'width': WIDTH,
        **more,
    }


def annotation(number: int, image_id: int, segmentation: Any, **more: Any) -> dict:
    row = {'id': number, 'image_id': image_id, 'category_id': 1, 'iscrowd': 0, **more}
    return row if segmentation is None else {**row, 'segmentation': segmentation}


def content(images: list[dict], annotations: list[dict]) -> dict:
    categories = [{'id': 1, 'name': 'fish'}, {'id': 5, 'name': 'crab'}]
    return {'images': images, 'annotations': annotations, 'categories': categories}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_frames(tmp_path / 'clip')


def run(path: Path, data: dict, *words: str | Path) -> str | int | None:
    path.write_text(json.dumps(data))
    try:
        main(['propagate', 'coco', str(path), *map(str, words)])
    except SystemExit as ended:
        return ended.code
    return None


def test_frames_and_objects_are_added(clip: Path, tmp_path: Path, model: ColorFollower) -> None:
    rows, columns = np.nonzero(object_mask(6, 2))
    box = [int(columns.min()), int(rows.min()), 16, 12]
    data = content(
        [image(10, 2), image(11, 6)],
        [
            annotation(3, 10, runs(2, 1), track_id=7, mine='kept'),
            annotation(4, 11, None, track_id=8, category_id=5, bbox=box),
        ],
    )
    out = tmp_path / 'out.json'
    assert run(tmp_path / 'a.json', data, clip, '--out', out) is None

    written = json.loads(out.read_text())
    assert written['images'][:2] == data['images'] and len(written['images']) == FRAMES
    assert written['annotations'][:2] == data['annotations']
    assert model.prompted[6].boxes == ((box[0], box[1], box[0] + 16, box[1] + 12),)
    frame_of = {row['id']: int(row['file_name'][5:10]) for row in written['images']}
    added = written['annotations'][2:]
    # each object in all frames but the one where it is annotated
    assert len(added) == 2 * (FRAMES - 1)
    assert len({row['id'] for row in written['annotations']}) == len(written['annotations'])
    for row in added:
        number = {7: 1, 8: 2}[row['track_id']]
        assert row['category_id'] == {1: 1, 2: 5}[number] and row['score'] == SCORE
        mask = coco_mask.decode(row['segmentation']).astype(bool)
        assert (mask == object_mask(frame_of[row['image_id']], number)).all()
        assert row['area'] == mask.sum()
    videos, _ = coco.read(out, Notes(), fill_boxes=True)
    assert len(videos) == 1 and len(videos[0].file_names) == FRAMES


def test_objects_are_numbered_and_frames_too(
    clip: Path, tmp_path: Path, model: ColorFollower
) -> None:
    images = [image(10, 3, video_id=4, frame_id=0)]
    both = [annotation(n, 10, runs(3, n), video_id=4) for n in (1, 2)]
    out = tmp_path / 'out.json'
    assert run(tmp_path / 'a.json', content(images, both), clip, '--out', out) is None
    written = json.loads(out.read_text())
    assert [row['track_id'] for row in written['annotations'][:4]] == [1, 2, 1, 2]
    by_frame = {row['frame_id']: row['file_name'] for row in written['images']}
    assert by_frame == {t: f'clip/{t:05d}.png' for t in range(FRAMES)}
    assert {row['video_id'] for row in written['images'] + written['annotations']} == {4}


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda data: data['annotations'].clear(), 'annotated'),
        (lambda data: data['images'].append(image(12, 77)), '00077.png'),
        (lambda data: data['images'][0].update(file_name='other/00001.png'), '2 videos'),
        (lambda data: data['images'][0].update(height=HEIGHT + 1), f'{HEIGHT + 1}'),
        (lambda data: data.pop('images'), 'images'),
        (lambda data: data['annotations'][0].pop('segmentation'), 'segmentation'),
        (lambda data: data['annotations'][0].update(track_id='x'), 'track_id'),
    ],
)
def test_faults_are_one_sentence(
    clip: Path, tmp_path: Path, model: ColorFollower, change: Any, words: str
) -> None:
    data = content([image(10, 2), image(11, 6)], [annotation(3, 10, runs(2, 1), track_id=7)])
    change(data)
    said = run(tmp_path / 'a.json', data, clip, '--out', tmp_path / 'out.json')
    assert isinstance(said, str) and words in said and '\n' not in said
    assert not (tmp_path / 'out.json').exists()
