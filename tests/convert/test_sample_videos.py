"""The sample video generator, run as a user runs it, on videos small enough for a test."""

import hashlib
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mmvos.cli import sample_videos as command
from mmvos.convert import sample_videos

SMALL = ('--train-videos', '8', '--val-videos', '5', '--frames', '10', '--size', '128x72')


def make(out: Path, *options: str) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        '-m',
        'mmvos',
        'sample-videos',
        str(out),
        *SMALL,
        *options,
    ]
    # not the checkout
    return subprocess.run(command, cwd=out.parent, capture_output=True, text=True)


def hashes(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


@pytest.fixture(scope='module')
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp('sample') / 'out'
    run = make(out, '--seed', '3', '--processes', '2')
    assert run.returncode == 0, run.stderr
    return out


def read(root: Path, split: str) -> list[tuple[dict, list[dict], np.ndarray]]:
    """Per video: its entry, its annotations, its PNG label maps (L, H, W)."""
    data = json.loads((root / split / 'instances.json').read_text())
    videos = []
    for video in data['videos']:
        rows = [a for a in data['annotations'] if a['video_id'] == video['id']]
        pngs = [
            root / split / 'Annotations' / name.replace('.jpg', '.png')
            for name in video['file_names']
        ]
        videos.append((video, rows, np.stack([np.array(Image.open(png)) for png in pngs])))
    return videos


def test_same_seed_same_files_whatever_the_processes(sample: Path, tmp_path: Path) -> None:
    leftover = tmp_path / 'again.partial' / 'train' / 'JPEGImages' / 'of_a_stopped_run'
    leftover.mkdir(parents=True)
    (leftover / '00000.jpg').touch()
    assert make(tmp_path / 'again', '--seed', '3', '--processes', '1').returncode == 0
    assert make(tmp_path / 'other', '--seed', '4', '--processes', '3').returncode == 0
    first, again, other = (
        hashes(root) for root in (sample, tmp_path / 'again', tmp_path / 'other')
    )
    assert len(first) == 2 * 13 * 10 + 2
    assert again == first and not (tmp_path / 'again.partial').exists()
    pictures = [name for name in first if name.endswith('.jpg')]
    assert other.keys() >= set(pictures) and not any(
        other[name] == first[name] for name in pictures
    )


@pytest.mark.parametrize(('split', 'count'), [('train', 8), ('valid', 5)])
def test_json_masks_are_the_png_masks(sample: Path, split: str, count: int) -> None:
    videos = read(sample, split)
    assert len(videos) == count
    for video, rows, maps in videos:
        assert maps.shape == (video['length'], video['height'], video['width']) == (10, 72, 128)
        assert all(
            len(row[key]) == 10 for row in rows for key in ('segmentations', 'bboxes', 'areas')
        )
        assert maps.max() == len(rows)
        for number, row in enumerate(rows, 1):
            for t, rle in enumerate(row['segmentations']):
                mask = maps[t] == number
                if rle is None:
                    assert not mask.any() and row['bboxes'][t] is None and row['areas'][t] is None
                    continue
                assert (coco_mask.decode(coco_mask.frPyObjects(rle, 72, 128)) == mask).all()
                ys, xs = np.nonzero(mask)
                assert row['areas'][t] == ys.size
                assert row['bboxes'][t] == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]


def test_ids_count_from_one_and_are_unique(sample: Path) -> None:
    for split in ('train', 'valid'):
        data = json.loads((sample / split / 'instances.json').read_text())
        for key in ('videos', 'annotations', 'categories'):
            assert [entry['id'] for entry in data[key]] == list(range(1, len(data[key]) + 1))
        assert [c['name'] for c in data['categories']] == ['ball', 'crate', 'star', 'fish', 'ring']
        counts = [len(rows) for _, rows, _ in read(sample, split)]
        assert min(counts) >= 1 and max(counts) <= 4


def test_an_object_keeps_its_number(sample: Path) -> None:
    """The mean color under a number hardly changes from frame to frame; those of two numbers
    differ.
    """
    within, between = [], []
    for video, rows, maps in read(sample, 'train'):
        images = [
            cv2.imread(str(sample / 'train/JPEGImages' / name)) for name in video['file_names']
        ]
        means = [
            [
                image[labels == n].mean(0) if (labels == n).sum() > 80 else None
                for n in range(1, len(rows) + 1)
            ]
            for image, labels in zip(images, maps, strict=True)
        ]
        for now, later in pairwise(means):
            for i, color in enumerate(now):
                for j, other in enumerate(later):
                    if color is not None and other is not None:
                        (within if i == j else between).append(np.abs(color - other).max())
    assert len(within) > 50 and len(between) > 50
    assert np.percentile(within, 90) < 25 < np.median(between)


def test_objects_leave_and_come_back(sample: Path) -> None:
    shown = [
        ''.join('.' if area is None else 'x' for area in row['areas'])
        for _, rows, _ in read(sample, 'train')
        for row in rows
    ]
    # videos 1, 2, 5 and 6 have one by their plot
    assert sum('.' in row.strip('.') for row in shown) >= 3


def test_most_objects_are_between_an_eighth_and_half_of_the_height(sample: Path) -> None:
    heights = [
        box[3] / 72
        for split in ('train', 'valid')
        for _, rows, _ in read(sample, split)
        for row in rows
        for box in row['bboxes']
        if box
    ]
    assert np.mean([1 / 8 <= height <= 1 / 2 for height in heights]) > 0.8


def test_splits_share_no_video(sample: Path) -> None:
    files = hashes(sample)
    pictures = {name: digest for name, digest in files.items() if name.endswith('.jpg')}
    train = {digest for name, digest in pictures.items() if name.startswith('train')}
    valid = {digest for name, digest in pictures.items() if name.startswith('valid')}
    assert len(train) == 80 and len(valid) == 50 and not train & valid
    names = [
        {path.name for path in sample.glob(f'{split}/JPEGImages/*')} for split in ('train', 'valid')
    ]
    assert not names[0] & names[1]


def test_the_front_object_wins_pixels_and_label() -> None:
    from mmvos.convert.sample_shapes import Pose, draw_look, render

    rng = np.random.default_rng(0)
    back, front = draw_look(rng, 0), draw_look(rng, 1)
    pose = Pose((40.0, 30.0), 20.0, 0.0, 1.0, 0.0)
    shifted = Pose((52.0, 30.0), 15.0, 0.0, 1.0, 0.0)
    view = np.zeros((60, 100, 3), np.float32)
    image, labels = sample_videos.compose_frame(view, [(back, pose), (front, shifted)])
    assert labels[30, 25] == 1 and labels[30, 52] == 2 and labels[5, 5] == 0
    window, color, alpha = render(front, shifted, 60, 100)
    assert (labels[window][alpha >= 0.5] == 2).all()
    assert np.abs(image[window] - color)[alpha == 1].max() < 1e-3
    alone = (sample_videos.compose_frame(image, [(back, pose)])[1] == 1).sum()
    assert 0 < (labels == 1).sum() < alone  # partly hidden: only visible pixels count


def test_the_plot_brings_crossings() -> None:
    """In every video whose plot has a crossing, one object covers a good part of the smaller of the
    two.
    """
    view = np.zeros((90, 160, 3), np.float32)
    for index in (0, 2, 4, 6):
        job = sample_videos.VideoJob('train', 11, index, 12, (160, 90))
        cast = sample_videos.draw_cast(np.random.default_rng(index), job)
        covered = 0.0
        for t in range(12):
            alone = [
                sample_videos.compose_frame(view, [(look, poses[t])])[1] > 0 for look, poses in cast
            ]
            for i, one in enumerate(alone):
                for other in alone[:i]:
                    covered = max(
                        covered, (one & other).sum() / max(min(one.sum(), other.sum()), 1)
                    )
        assert covered > 0.4, index


def test_every_class_has_its_own_outline() -> None:
    """Silhouettes of one pose differ by IoU, so the classes can be told apart without their
    texture.
    """
    from mmvos.convert.sample_shapes import CLASSES, Pose, draw_look, render

    masks = []
    for kind in range(len(CLASSES)):
        look = draw_look(np.random.default_rng(0), kind)
        window, _, alpha = render(look, Pose((50.0, 50.0), 40.0, 0.0, 1.0, 0.0), 100, 100)
        mask = np.zeros((100, 100), bool)
        mask[window] = alpha >= 0.5
        masks.append(mask)
    for i, one in enumerate(masks):
        for other in masks[:i]:
            assert (one & other).sum() / (one | other).sum() < 0.8


def test_a_finished_set_is_not_overwritten_unasked(
    sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hashes(sample)
    monkeypatch.setattr(sys, 'argv', ['mmvos sample-videos', str(sample), '--seed', '9'])
    with pytest.raises(SystemExit, match=r'^error: .*train is there already'):
        command.main()
    assert hashes(sample) == before


@pytest.mark.parametrize(
    'options', [('--frames', '0'), ('--size', '12'), ('--size', '16x16'), ('--seed', '-1')]
)
def test_bad_arguments_are_refused(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, str]
) -> None:
    monkeypatch.setattr(sys, 'argv', ['mmvos sample-videos', 'out', '--seed', '1', *options])
    with pytest.raises(SystemExit) as stop:
        command.parse_arguments()
    assert stop.value.code == 2
