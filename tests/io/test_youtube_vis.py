"""The YouTube-VIS reader and its checks: what a file may say, and what no file may do."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmvos.io.errors import DataError
from mmvos.io.youtube_vis import (
    Video,
    annotation_problems,
    category_names,
    check_parts,
    compress_masks,
    read_youtube_vis,
    video_problems,
)

# Values that somebody's program might write in the place of any other.
FOREIGN = (None, True, -1, 0, 2**62, 0.5, '', 'x', '../../evil', 'a\0b', [], [0], [[]], {}, '~0')


def small_file() -> dict[str, Any]:
    """One video of two frames, 3 x 4 pixels; one object, seen in the first frame."""
    return {
        'videos': [{'id': 7, 'height': 3, 'width': 4, 'file_names': ['v/0.jpg', 'v/1.jpg']}],
        'categories': [{'id': 1, 'name': 'cat'}],
        'annotations': [
            {
                'id': 1,
                'video_id': 7,
                'category_id': 1,
                'iscrowd': 0,
                'segmentations': [{'size': [3, 4], 'counts': [4, 2, 6]}, None],
                'bboxes': [[1, 1, 1, 2], None],
                'areas': [2, None],
            }
        ],
    }


def problems(data: dict[str, Any]) -> list[str]:
    """All sentences about a file."""
    category_names(data['categories'], 'a.json')
    found = list(video_problems(data['videos']))
    rows = data['annotations'] or []
    found += annotation_problems(rows, data['videos'], data['categories'])
    return [sentence for _, sentence in found]


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in nested lists and dicts."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


def test_a_sound_file_has_no_problem(tmp_path: Path) -> None:
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(small_file()))
    data = read_youtube_vis(path)
    assert problems(data) == []
    counts = data['annotations'][0]['segmentations'][0]['counts']
    assert counts.dtype == np.int32 and counts.tolist() == [4, 2, 6]


def test_any_foreign_value_at_any_place_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / 'a.json'
    outcomes = {'refused': 0, 'problem': 0, 'sound': 0}
    for place in list(places(small_file())):
        for value in FOREIGN:
            data = small_file()
            holder: Any = data
            for key in place[:-1]:
                holder = holder[key]
            holder[place[-1]] = copy.deepcopy(value)
            path.write_text(json.dumps(data))
            try:
                found = problems(read_youtube_vis(path))
            except DataError as error:
                assert str(path) in str(error) or 'a.json' in str(error)
                outcomes['refused'] += 1
            else:
                assert all(len(sentence) < 400 for sentence in found)
                outcomes['problem' if found else 'sound'] += 1
    # Few of the 38 x 15 changes leave a file as good as before.
    assert sum(outcomes.values()) == 38 * len(FOREIGN)
    assert outcomes['sound'] < 50 and outcomes['problem'] > 400


@pytest.mark.parametrize(
    'counts', ['[4, 2 6]', '[4,, 8]', '[4, 8,]', '[,12]', '[4, 2, 6.]', '[4\n8]']
)
def test_run_lengths_that_are_no_json_are_refused(tmp_path: Path, counts: str) -> None:
    path = tmp_path / 'a.json'
    text = '{"videos": [], "categories": [],\n"annotations": [{"counts": RUNS}]}'
    path.write_text(text.replace('RUNS', counts))
    with pytest.raises(DataError, match=r'a\.json is not valid JSON: line [23]'):
        read_youtube_vis(path)


def test_run_lengths_beyond_32_bits_stay_what_they_are(tmp_path: Path) -> None:
    data = small_file()
    data['annotations'][0]['segmentations'][0]['counts'] = [4, 2**32 + 2, 6]
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(data))
    assert 'annotation 1: frame 0 (v/0.jpg): the run lengths' in problems(read_youtube_vis(path))[0]


@pytest.mark.parametrize('name', ['../x.jpg', '/etc/x.jpg', '', 'v\\0.jpg', 'v/\0.jpg', 3, None])
def test_frames_stay_within_their_folder(name: Any) -> None:
    data = small_file()
    data['videos'][0]['file_names'][1] = name
    assert 'video 7 (v): its file name' in problems(data)[0]


def test_parts_that_are_no_lists_of_objects() -> None:
    for part in ('videos', 'categories', 'annotations'):
        for value in ({}, [1], 'x', [None]):
            with pytest.raises(DataError, match=f'a.json has no list "{part}"'):
                check_parts(small_file() | {part: value}, 'a.json')
    for value in ([], None, 3):
        with pytest.raises(DataError, match=r'a\.json'):
            check_parts(value, 'a.json')
    assert check_parts({'videos': [], 'categories': []}, 'a.json')['annotations'] is None


def test_masks_of_all_forms_become_the_same_run_lengths() -> None:
    video = Video(7, 3, 4, 4)
    square = [[1, 1, 2, 1, 2, 3, 1, 3]]
    runs = {'size': [3, 4], 'counts': [4, 2, 6]}
    array = {'size': [3, 4], 'counts': np.array([4, 2, 6], np.int32)}
    compressed = {'size': [3, 4], 'counts': '426'}
    masks, areas = compress_masks([square, runs, array, compressed], video, 'a.json: entry 0')
    assert areas.tolist() == [2, 2, 2, 2]
    assert masks == ({'size': [3, 4], 'counts': b'426'},) * 4
    masks, areas = compress_masks([None, [], None, runs], video, 'a.json: entry 0')
    assert masks[:3] == (None, None, None) and areas.tolist() == [0, 0, 0, 2]
    with pytest.raises(DataError, match=r'^a\.json: entry 0, frame 2: the mask'):
        compress_masks([runs, None, compressed | {'counts': '427'}, None], video, 'a.json: entry 0')


def test_damaged_bytes_of_a_file_end_in_a_sentence(tmp_path: Path) -> None:
    rng = random.Random(5)
    text = json.dumps(small_file()).encode()
    path = tmp_path / 'a.json'
    for _ in range(300):
        damaged = bytearray(text)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged[: rng.randrange(len(damaged))] if rng.random() < 0.3 else damaged)
        try:
            problems(read_youtube_vis(path))
        except DataError as error:
            assert 'a.json' in str(error) and '\n' not in str(error)
