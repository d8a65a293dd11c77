"""Composed videos of a tiny DAVIS-layout folder: in a sequence, object and background have one
color each.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mmvos.cli.main import main
from mmvos.convert.compose import draw_frames
from mmvos.convert.cutout import Layer, box_of, cut_out, paste, place
from mmvos.convert.davis_sequences import DAVIS_2016_CLASSES, read_list, read_sequences

# name: (BGR of the object, gray of the background)
TRAIN = {
    'bear': ((40, 40, 200), 70),
    'car-turn': ((200, 60, 40), 130),
    'mallard-fly': ((40, 200, 60), 190),
}
VALID = {'dog': ((190, 190, 40), 90), 'goat': ((190, 40, 190), 150)}
HEIGHT, WIDTH, FRAMES = 96, 160, 8
SMALL = (
    '--train-videos',
    '6',
    '--val-videos',
    '4',
    '--frames',
    '6',
    '--step',
    '1',
    '--size',
    '160',
    '96',
)


def object_mask(t: int) -> np.ndarray:
    """A disc that moves to the right by 6 pixels a frame; absent in the last frame."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (np.hypot(x - 50 - 6 * t, y - 48) < 24) & (t < FRAMES - 1)


@pytest.fixture()
def davis(tmp_path: Path) -> Path:
    root = tmp_path / 'davis'
    (root / 'ImageSets' / '2016').mkdir(parents=True)
    for list_name, sequences in (('train', TRAIN), ('val', VALID)):
        (root / 'ImageSets' / '2016' / f'{list_name}.txt').write_text('\n'.join(sequences) + '\n')
        for name, (color, gray) in sequences.items():
            for folder in ('JPEGImages', 'Annotations'):
                (root / folder / '480p' / name).mkdir(parents=True)
            for t in range(FRAMES):
                mask = object_mask(t)
                picture = np.full((HEIGHT, WIDTH, 3), gray, np.uint8)
                picture[mask] = color
                cv2.imwrite(str(root / f'JPEGImages/480p/{name}/{t:05d}.jpg'), picture)
                cv2.imwrite(
                    str(root / f'Annotations/480p/{name}/{t:05d}.png'), mask.astype(np.uint8) * 255
                )
    return root


def compose(davis: Path, out: Path, *options: str) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        '-m',
        'mmvos',
        'compose',
        str(davis),
        str(out),
        *SMALL,
        *options,
    ]
    # not the checkout
    return subprocess.run(command, cwd=davis.parent, capture_output=True, text=True)


def hashes(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


def read(root: Path, split: str) -> list[tuple[dict, list[dict], np.ndarray, np.ndarray]]:
    """Per video: its entry, its annotations, its PNG label maps (L, H, W), its pictures (L, H, W,
    3).
    """
    data = json.loads((root / split / 'instances.json').read_text())
    videos = []
    for video in data['videos']:
        rows = [a for a in data['annotations'] if a['video_id'] == video['id']]
        maps = [
            np.array(Image.open(root / split / 'Annotations' / name.replace('.jpg', '.png')))
            for name in video['file_names']
        ]
        pictures = [
            cv2.imread(str(root / split / 'JPEGImages' / name)) for name in video['file_names']
        ]
        videos.append((video, rows, np.stack(maps), np.stack(pictures)))
    return videos


def test_composed_set(davis: Path, tmp_path: Path) -> None:
    """One run from all sides: JSON == PNG, lists, ids, classes, source pixels, leakage,
    determinism.
    """
    run = compose(davis, tmp_path / 'out', '--seed', '5', '--processes', '2')
    assert run.returncode == 0, run.stderr
    for split, known, foreign, count in (('train', TRAIN, VALID, 6), ('valid', VALID, TRAIN, 4)):
        videos = read(tmp_path / 'out', split)
        assert [video['id'] for video, *_ in videos] == list(range(1, count + 1))
        for video, rows, maps, pictures in videos:
            names = video['file_names'][0].split('/')[0].split('_')[1:]
            assert set(names) <= set(known) and not set(names) & set(foreign) and len(names) >= 2
            check_masks(rows, maps)
            check_colors(maps, pictures, {known[name][0] for name in names}, known[names[0]][1])
    check_classes(tmp_path / 'out')
    compose(davis, tmp_path / 'again', '--seed', '5', '--processes', '1')
    assert hashes(tmp_path / 'again') == hashes(tmp_path / 'out')


def check_masks(rows: list[dict], maps: np.ndarray) -> None:
    assert maps.shape == (6, HEIGHT, WIDTH) and maps.max() == len(rows) >= 1
    for number, row in enumerate(rows, 1):
        assert all(len(row[key]) == 6 for key in ('segmentations', 'bboxes', 'areas'))
        for t, rle in enumerate(row['segmentations']):
            mask = maps[t] == number
            assert (rle is None) == (not mask.any())
            if rle is not None:
                assert (coco_mask.decode(coco_mask.frPyObjects(rle, HEIGHT, WIDTH)) == mask).all()
                assert row['areas'][t] == mask.sum()


def check_colors(
    maps: np.ndarray, pictures: np.ndarray, colors: set[tuple[int, int, int]], gray: int
) -> None:
    """Inside, an object has the color of one of the video's sources, the same in all frames."""
    for number in range(1, maps.max() + 1):
        inside = [
            picture[cv2.erode((labels == number).astype(np.uint8), np.ones((7, 7))) > 0]
            for labels, picture in zip(maps, pictures, strict=True)
        ]
        pixels = np.concatenate(inside).astype(int)
        assert len(pixels) == 0 or min(np.abs(pixels - color).max() for color in colors) < 30
    for labels, picture in zip(maps, pictures, strict=True):
        outside = cv2.dilate(labels, np.ones((9, 9))) == 0
        assert np.abs(picture[outside].astype(int) - gray).max() < 20


def check_classes(out: Path) -> None:
    data = json.loads((out / 'train' / 'instances.json').read_text())
    assert [c['name'] for c in data['categories']] == ['animal', 'bird', 'vehicle']
    assert {1, 2, 3} == {a['category_id'] for a in data['annotations']}
    valid = json.loads((out / 'valid' / 'instances.json').read_text())
    assert valid['categories'] == data['categories']
    assert {a['category_id'] for a in valid['annotations']} == {1}


def test_cut_out_leaves_no_rim_of_the_old_background() -> None:
    """A red object from a white ground, its border mixed half and half, on black: nothing else
    shows.
    """
    mask = object_mask(0)
    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    border = mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3))).astype(bool)
    picture[mask] = (0, 0, 200)
    picture[border] = (128, 128, 228)
    layer = cut_out(picture, mask)
    image, labels = paste(np.zeros_like(picture), np.zeros_like(mask), [layer], 0)
    assert image[..., :2].max() <= 2
    assert image[48, 50].tolist() == [0, 0, 200]
    kept = labels == 2
    assert (kept <= mask).all() and 0.85 < kept.sum() / mask.sum() < 1
    soft = (image[..., 2] > 20) & (image[..., 2] < 180)
    assert soft.sum() > 0.5 * border.sum()  # the edge is feathered


def test_occlusion_order() -> None:
    """Own object on the left, one layer behind it, one in front of all; an overlap shows who is in
    front.
    """

    def layer(left: int, right: int, value: float) -> Layer:
        alpha = np.zeros((40, 60), np.float32)
        alpha[10:30, left:right] = 1
        return Layer(np.repeat(alpha[..., None] * value, 3, axis=2), alpha)

    own = np.zeros((40, 60), bool)
    own[10:30, 5:30] = True
    picture = np.where(own[..., None], 50, 0).repeat(3, axis=2).astype(np.uint8)
    image, labels = paste(picture, own, [layer(20, 45, 100), None, layer(38, 55, 200)], 1)
    assert [labels[20, x] for x in (10, 25, 35, 41, 50, 58)] == [1, 1, 2, 4, 4, 0]
    assert [int(image[20, x, 0]) for x in (10, 25, 35, 41, 50, 58)] == [50, 50, 100, 200, 200, 0]
    _, labels = paste(picture, own, [layer(20, 45, 100)], 0)
    assert [labels[20, x] for x in (10, 25, 35)] == [1, 2, 2]


def test_placing_scales_flips_and_shifts() -> None:
    mask = np.zeros((50, 50), bool)
    mask[10:30, 5:25] = True
    picture = np.zeros((50, 50, 3), np.uint8)
    picture[:, :15], picture[:, 15:] = (255, 0, 0), (0, 255, 0)
    layer = place(cut_out(picture, mask), np.array([[-2.0, 0, 90], [0, 2, 3]]), (100, 80))
    box = box_of(layer.alpha >= 0.5)
    # x from 90 - 2 * 24 to 90 - 2 * 5, y from 3 + 2 * 10 to 3 + 2 * 29
    assert np.abs(box - [42, 23, 80, 63]).max() <= 2
    assert layer.color[40, 52].argmax() == 1 and layer.color[40, 70].argmax() == 0


def test_frames_are_drawn_from_the_sequence() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        frames = draw_frames(rng, 20, 6, 3)
        assert len(frames) == 6 and {abs(a - b) for a, b in pairwise(frames)} == {3}
        assert min(frames) >= 0 and max(frames) < 20
    assert {draw_frames(rng, 20, 6, 3)[0] for _ in range(200)} == {
        0,
        1,
        2,
        3,
        4,
        15,
        16,
        17,
        18,
        19,
    }
    assert sorted(draw_frames(rng, 10, 6, 4)) in [list(range(k, k + 6)) for k in range(5)]
    assert draw_frames(rng, 3, 6, 2) in ([0, 1, 2, 1, 0, 1], [1, 0, 1, 2, 1, 0])
    assert draw_frames(rng, 1, 3, 2) == [0, 0, 0]


def test_built_in_classes_fit_the_davis_lists() -> None:
    """The 20 val sequences of DAVIS 2016 have only classes that the 30 train sequences have too."""
    val = {
        'blackswan',
        'bmx-trees',
        'breakdance',
        'camel',
        'car-roundabout',
        'car-shadow',
        'cows',
        'dance-twirl',
        'dog',
        'drift-chicane',
        'drift-straight',
        'goat',
        'horsejump-high',
        'kite-surf',
        'libby',
        'motocross-jump',
        'paragliding-launch',
        'parkour',
        'scooter-black',
        'soapbox',
    }
    assert len(DAVIS_2016_CLASSES) == 50 and val <= set(DAVIS_2016_CLASSES)
    train_classes = {name for sequence, name in DAVIS_2016_CLASSES.items() if sequence not in val}
    assert {DAVIS_2016_CLASSES[sequence] for sequence in val} <= train_classes


def test_lists_may_hold_frame_paths(davis: Path) -> None:
    (davis / 'ImageSets/2016/train.txt').write_text(
        '/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png\n'
        '/JPEGImages/480p/bear/00001.jpg /Annotations/480p/bear/00001.png\n'
        '/JPEGImages/480p/car-turn/00000.jpg /Annotations/480p/car-turn/00000.png\n'
    )
    assert read_list(davis, 'train') == ['bear', 'car-turn']


def test_classes_from_a_file(davis: Path, tmp_path: Path) -> None:
    path = tmp_path / 'classes.json'
    path.write_text('{"dog": "pet", "bear": "pet"}')
    found = read_sequences(davis, path)
    assert [s.class_name for s in found['valid']] == ['pet', 'animal']
    assert [s.class_name for s in found['train']] == ['pet', 'vehicle', 'bird']
    path.write_text('["dog"]')
    with pytest.raises(ValueError, match=r'classes\.json'):
        read_sequences(davis, path)


def add_unknown(davis: Path) -> None:
    shutil.copytree(davis / 'JPEGImages/480p/dog', davis / 'JPEGImages/480p/gnu')
    shutil.copytree(davis / 'Annotations/480p/dog', davis / 'Annotations/480p/gnu')
    (davis / 'ImageSets/2016/val.txt').write_text('dog\ngnu\n')


def empty_masks(davis: Path) -> None:
    for path in (davis / 'Annotations/480p/goat').iterdir():
        cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH), np.uint8))


def list_twice(davis: Path) -> None:
    (davis / 'ImageSets/2016/val.txt').write_text('dog\nbear\n')


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (
            lambda davis: shutil.rmtree(davis / 'JPEGImages/480p/bear'),
            'sequence bear: folder .* is missing',
        ),
        (lambda davis: (davis / 'ImageSets/2016/val.txt').unlink(), r'val\.txt is missing'),
        (
            lambda davis: (davis / 'Annotations/480p/dog/00003.png').unlink(),
            r'sequence dog: mask .*00003\.png is missing',
        ),
        (add_unknown, 'sequence gnu has no class; give one with --classes'),
        (empty_masks, 'sequence goat: no mask in .* shows an object'),
        (list_twice, 'sequence bear is in both lists'),
    ],
    ids=['no frames', 'no list', 'no mask', 'no class', 'empty', 'leak'],
)
def test_bad_input_is_named(davis: Path, spoil: object, message: str) -> None:
    spoil(davis)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_sequences(davis, None)


def test_size_mismatch_names_sequence_and_frame(davis: Path) -> None:
    path = davis / 'Annotations/480p/bear/00003.png'
    cv2.imwrite(str(path), np.full((HEIGHT // 2, WIDTH // 2), 255, np.uint8))
    bear = read_sequences(davis, None)['train'][0]
    bear.frame(2)
    message = r'sequence bear, frame 00003: the mask is \(48, 80\), the picture \(96, 160\)'
    with pytest.raises(ValueError, match=message):
        bear.frame(3)


def test_the_program_stops_with_one_sentence(davis: Path, tmp_path: Path) -> None:
    empty_masks(davis)
    with pytest.raises(SystemExit, match=r'sequence goat: no mask'):
        main(['compose', str(davis), str(tmp_path / 'out'), '--seed', '0'])
    assert not (tmp_path / 'out').exists()


def test_merged_classes_change_names_and_nothing_else(davis: Path, tmp_path: Path) -> None:
    run = compose(davis, tmp_path / 'out', '--seed', '5')
    assert run.returncode == 0, run.stderr
    run = compose(davis, tmp_path / 'coarse', '--seed', '5', '--merge', 'bird=animal')
    assert run.returncode == 0, run.stderr
    fine, coarse = hashes(tmp_path / 'out'), hashes(tmp_path / 'coarse')
    changed = {name for name in fine if fine[name] != coarse[name]}
    assert changed == {'train/instances.json', 'valid/instances.json'} and set(fine) == set(coarse)
    data = json.loads((tmp_path / 'coarse/train/instances.json').read_text())
    assert [row['name'] for row in data['categories']] == ['animal', 'vehicle']
    run = compose(davis, tmp_path / 'none', '--seed', '5', '--merge', 'fish=animal')
    assert run.returncode == 1 and 'fish' in run.stderr and 'Traceback' not in run.stderr
