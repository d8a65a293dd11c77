"""Videos composed of tiny still images, in which object and background have one color each."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmvos.cli.main import main
from mmvos.convert.compose_stills import read_stills
from mmvos.io.errors import DataError
from mmvos.io.label_png import read_label_png

HEIGHT, WIDTH = 96, 160
# BGR of the object, by source
COLORS = {'cats': (40, 40, 200), 'cars': (200, 60, 40), 'mixed': (40, 200, 60)}
GRAY = 128


@pytest.fixture()
def stills(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Annotations, images, classes: three sources of two images with a square each."""
    images, annotations = [], []
    (tmp_path / 'images').mkdir()
    for number in range(6):
        source = list(COLORS)[number // 2]
        picture = np.full((HEIGHT, WIDTH, 3), GRAY, np.uint8)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[20:70, 40:110] = 1
        picture[mask > 0] = COLORS[source]
        cv2.imwrite(str(tmp_path / f'images/{number}.png'), picture)
        images.append(
            dict(id=number, file_name=f'{number}.png', height=HEIGHT, width=WIDTH, source=source)
        )
        rle = coco_mask.encode(np.asfortranarray(mask))
        rle['counts'] = rle['counts'].decode()
        annotations.append(
            dict(
                id=number + 1,
                image_id=number,
                category_id=1,
                segmentation=rle,
                bbox=[40, 20, 70, 50],
                area=3500,
                iscrowd=0,
            )
        )
    content = dict(images=images, annotations=annotations, categories=[dict(id=1, name='object')])
    (tmp_path / 'instances.json').write_text(json.dumps(content))
    # The first image of 'mixed' has a class by its object's id; the second has none.
    classes = dict(
        sources=dict(cats='animal', cars='vehicle'),
        objects=dict(animal=[5]),
        backgrounds=['cats', 'mixed'],
    )
    (tmp_path / 'classes.json').write_text(json.dumps(classes))
    return tmp_path / 'instances.json', tmp_path / 'images', tmp_path / 'classes.json'


def test_classes_come_from_ids_then_sources_and_unknown_objects_make_no_background(stills) -> None:
    found = read_stills(*stills)
    names = [[item.class_name for item in still.objects] for still in found]
    assert names == [['animal'], ['animal'], ['vehicle'], ['vehicle'], ['animal'], []]
    assert [still.is_background for still in found] == [True, True, False, False, True, False]


def compose(stills, out: Path, *options: str) -> None:
    sets = [str(path) for path in stills]
    main(
        ['compose-stills', str(out), '--seed', '3', '--set', *sets, '--videos', '8']
        + ['--share', 'animal=1', 'vehicle=2', '--size', '160', '96', *options]
    )


def test_labels_lie_on_the_objects_and_the_same_seed_gives_the_same_files(stills, tmp_path) -> None:
    compose(stills, tmp_path / 'out')
    content = json.loads((tmp_path / 'out/train/instances.json').read_text())
    names = {row['id']: row['name'] for row in content['categories']}
    assert list(names.values()) == ['animal', 'vehicle'] and len(content['videos']) == 8
    colors = {'animal': (COLORS['cats'], COLORS['mixed']), 'vehicle': (COLORS['cars'],)}
    seen = []
    moved = []
    for video in content['videos']:
        rows = [row for row in content['annotations'] if row['video_id'] == video['id']]
        maps = []
        for t, name in enumerate(video['file_names']):
            picture = cv2.imread(str(tmp_path / 'out/train/JPEGImages' / name)).astype(int)
            label_file = (tmp_path / 'out/train/Annotations' / name).with_suffix('.png')
            labels = read_label_png(label_file)
            maps.append(labels)
            for number, row in enumerate(rows, 1):
                class_name = names[row['category_id']]
                inside = cv2.erode((labels == number).astype(np.uint8), np.ones((7, 7))) > 0
                assert (row['segmentations'][t] is None) == (not (labels == number).any())
                if inside.any():
                    pixels = picture[inside]
                    assert min(np.abs(pixels - c).max() for c in colors[class_name]) < 40
                    seen.append(class_name)
        moved.append((maps[0] != maps[1]).mean())
    assert {'animal', 'vehicle'} == set(seen)
    # Every video moves, none jumps away.
    assert min(moved) > 0 and np.median(moved) < 0.5

    compose(stills, tmp_path / 'again', '--processes', '2')
    first = sorted((tmp_path / 'out').rglob('*.*'))
    assert len(first) == 8 * 4 + 1
    for path in first:
        again = tmp_path / 'again' / path.relative_to(tmp_path / 'out')
        assert path.read_bytes() == again.read_bytes()


@pytest.mark.parametrize('fault', ['share', 'classes', 'no background'])
def test_a_fault_is_one_sentence(stills, tmp_path, fault) -> None:
    if fault == 'share':
        with pytest.raises(SystemExit, match='2'):
            compose(stills, tmp_path / 'out', '--share', 'animal=0')
        return
    content = [1] if fault == 'classes' else dict(sources=dict(cats='animal', cars='vehicle'))
    stills[2].write_text(json.dumps(content))
    if fault == 'classes':
        with pytest.raises(DataError, match=r'classes\.json'):
            read_stills(*stills)
    with pytest.raises(SystemExit, match=r'error: .'):
        compose(stills, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
