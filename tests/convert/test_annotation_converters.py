"""Converters between DAVIS label images and YouTube-VIS files, and the held-out split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmvos.cli.main import main
from mmvos.convert.split import choose_held_out
from mmvos.io.label_png import read_label_png, write_label_png


def convert(name: str, *arguments: object) -> None:
    main(['convert', name, *map(str, arguments)])


def make_davis(root: Path, seed: int, values: list[int]) -> dict[str, np.ndarray]:
    """Two sequences of noise with these pixel values under names that are not 0, 1, 2."""
    rng = np.random.default_rng(seed)
    made = {}
    for name in ('bear', 'cat-2'):
        for frame in (0, 5, 12):
            path = f'{name}/{frame:05}.png'
            made[path] = (
                rng.choice(values, (9, 14)).astype(np.uint8)
                if frame
                else np.zeros((9, 14), np.uint8)
            )
            (root / name).mkdir(parents=True, exist_ok=True)
            write_label_png(root / path, made[path])
    return made


@pytest.mark.parametrize(
    ('year', 'values'), [(2017, [0, 1, 3, 254, 255]), (2016, [0, 255]), (2017, [0, 2])]
)
def test_there_and_back_keeps_every_pixel(tmp_path: Path, year: int, values: list[int]) -> None:
    made = make_davis(tmp_path / 'in', 0, values)
    convert('davis_to_youtube_vis', tmp_path / 'in', tmp_path / 'a.json', '--year', year)
    convert('youtube_vis_to_davis', tmp_path / 'a.json', tmp_path / 'out')
    for path, labels in made.items():
        assert (
            np.array(Image.open(tmp_path / 'out' / 'Annotations' / '480p' / path)) == labels
        ).all()
    assert (tmp_path / 'out' / 'ImageSets' / '2017' / 'val.txt').read_text() == 'bear\ncat-2\n'
    data = json.loads((tmp_path / 'a.json').read_text())
    assert data['videos'][0]['file_names'] == ['bear/00000.jpg', 'bear/00005.jpg', 'bear/00012.jpg']
    assert data['annotations'][0]['segmentations'][0] is None
    assert (
        data['annotations'][0]['areas'][1]
        == (made['bear/00005.png'] == data['annotations'][0]['object_id']).sum()
    )


def test_classes_come_from_a_file(tmp_path: Path) -> None:
    make_davis(tmp_path / 'in', 1, [0, 1, 2])
    (tmp_path / 'c.json').write_text('{"bear": "bear", "cat-2": {"1": "cat", "2": "dog"}}')
    convert(
        'davis_to_youtube_vis',
        tmp_path / 'in',
        tmp_path / 'a.json',
        '--classes',
        tmp_path / 'c.json',
    )
    data = json.loads((tmp_path / 'a.json').read_text())
    names = {entry['id']: entry['name'] for entry in data['categories']}
    assert [names[entry['category_id']] for entry in data['annotations']] == [
        'bear',
        'bear',
        'cat',
        'dog',
    ]
    (tmp_path / 'c.json').write_text('{"bear": "bear"}')
    with pytest.raises(SystemExit, match='no class for object 1 of sequence cat-2'):
        convert(
            'davis_to_youtube_vis',
            tmp_path / 'in',
            tmp_path / 'a.json',
            '--classes',
            tmp_path / 'c.json',
        )


def youtube_vis(**changes: Any) -> dict[str, Any]:
    whole, part = {'size': [2, 3], 'counts': [0, 6]}, {'size': [2, 3], 'counts': [2, 2, 2]}
    annotations = [
        {'id': i, 'video_id': 1, 'category_id': 1, 'iscrowd': 0, 'segmentations': [mask]}
        for i, mask in ((4, part), (9, whole))
    ]
    video = {'id': 1, 'height': 2, 'width': 3, 'length': 1, 'file_names': ['v/0.jpg']} | changes
    return {'videos': [video], 'categories': [{'id': 1, 'name': 'cat'}], 'annotations': annotations}


def test_overlaps_are_refused_or_given_to_the_smaller(tmp_path: Path) -> None:
    (tmp_path / 'a.json').write_text(json.dumps(youtube_vis()))
    with pytest.raises(SystemExit, match='frame 0: objects 1 and 2 overlap'):
        convert('youtube_vis_to_davis', tmp_path / 'a.json', tmp_path / 'out')
    convert(
        'youtube_vis_to_davis',
        tmp_path / 'a.json',
        tmp_path / 'out',
        '--overlaps',
        'smaller',
    )
    assert (
        np.array(Image.open(tmp_path / 'out' / 'Annotations' / '480p' / 'v' / '0.png')).tolist()
        == [[2, 1, 2]] * 2
    )


@pytest.mark.parametrize('names', [['../0.jpg'], ['0.jpg'], [7], None])
def test_file_names_cannot_lead_elsewhere(tmp_path: Path, names: Any) -> None:
    (tmp_path / 'a.json').write_text(json.dumps(youtube_vis(file_names=names)))
    with pytest.raises(SystemExit, match=r'file.names?'):
        convert('youtube_vis_to_davis', tmp_path / 'a.json', tmp_path / 'out')


@settings(max_examples=100, deadline=None)
@given(
    classes=st.dictionaries(
        st.integers(1, 60), st.sets(st.integers(1, 6), max_size=3), min_size=2, max_size=60
    ),
    fraction=st.floats(0.05, 0.6),
    seed=st.integers(0, 9),
)
def test_held_out_part_is_balanced(
    classes: dict[int, set[int]], fraction: float, seed: int
) -> None:
    held = choose_held_out(classes, fraction, seed)
    assert held == choose_held_out(
        dict(reversed(classes.items())), fraction, seed
    )  # the order of the file plays no part
    for kind in range(1, 7):
        videos = {video for video, kinds in classes.items() if kind in kinds}
        assert not videos or videos - held  # every class can be learned
    alone = {video: kinds for video, kinds in classes.items() if len(kinds) == 1}
    if alone == classes:
        for kind in range(1, 7):
            videos = {video for video, kinds in classes.items() if kind in kinds}
            if len(videos) > 1:
                assert len(videos & held) == min(
                    max(1, round(fraction * len(videos))), len(videos) - 1
                )


def test_split_files_hold_every_video_once(tmp_path: Path) -> None:
    mask = {'size': [2, 3], 'counts': [0, 6]}
    videos = [{'id': i, 'height': 2, 'width': 3, 'length': 1} for i in range(1, 41)]
    annotations = [
        {'id': i, 'video_id': i, 'category_id': 1 + i % 2, 'segmentations': [mask]}
        for i in range(1, 41)
    ]
    data = {
        'info': {'a': 1},
        'videos': videos,
        'annotations': annotations,
        'categories': [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}],
    }
    (tmp_path / 'train.json').write_text(json.dumps(data))
    chosen = []
    for seed in (0, 1):
        convert(
            'split_youtube_vis',
            tmp_path / 'train.json',
            '--out',
            tmp_path,
            '--fraction',
            0.2,
            '--seed',
            seed,
        )
        train, valid = (
            json.loads((tmp_path / f'{name}_sub.json').read_text()) for name in ('train', 'valid')
        )
        assert sorted(train['videos'] + valid['videos'], key=lambda entry: entry['id']) == videos
        assert (
            [entry['category_id'] for entry in valid['annotations']].count(1)
            == 4
            == len(valid['videos']) / 2
        )
        assert train['info'] == valid['info'] == {'a': 1}
        chosen.append({entry['id'] for entry in valid['videos']})
    assert chosen[0] != chosen[1]


def test_frames_are_listed_under_the_names_that_they_have(tmp_path: Path) -> None:
    """PNG frames without leading zeros, and no level 480p."""
    labels = np.zeros((6, 8), np.uint8)
    labels[2:4, 2:4] = 1
    for kind in ('JPEGImages', 'Annotations'):
        (tmp_path / kind / 'dog').mkdir(parents=True)
        for name in ('1', '2', '10'):
            write_label_png(tmp_path / kind / 'dog' / f'{name}.png', labels)
    for source in (tmp_path, tmp_path / 'Annotations'):
        convert('davis_to_youtube_vis', source, tmp_path / 'a.json')
        (video,) = json.loads((tmp_path / 'a.json').read_text())['videos']
        assert video['file_names'] == ['dog/1.png', 'dog/2.png', 'dog/10.png']
    (tmp_path / 'JPEGImages/dog/10.png').unlink()
    with pytest.raises(SystemExit, match=r'dog/10\.png has no frame'):
        convert('davis_to_youtube_vis', tmp_path, tmp_path / 'a.json')


def test_ids_above_255_become_16_bits(tmp_path: Path) -> None:
    labels = np.zeros((6, 8), np.uint16)
    labels[2:4, 2:4] = 255
    labels[4:, 2:4] = 300
    (tmp_path / 'in/dog').mkdir(parents=True)
    write_label_png(tmp_path / 'in/dog/0.png', labels)
    convert('davis_to_youtube_vis', tmp_path / 'in', tmp_path / 'a.json')
    convert('youtube_vis_to_davis', tmp_path / 'a.json', tmp_path / 'out')
    read = read_label_png(tmp_path / 'out/Annotations/480p/dog/0.png')
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, labels)
