"""Thousands of mutated files: always a result or one clear sentence, never an error from deep
inside, never a hang.
"""

from __future__ import annotations

import copy
import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from label_folders import labels, write
from PIL import Image

from mmvos.evaluation import (
    EvaluationInputError,
    evaluate_davis,
    evaluate_vot,
    evaluate_youtube_vis,
)
from mmvos.evaluation.label_files import read_labels
from mmvos.evaluation.vot.trajectories import read_regions, read_trajectory
from mmvos.evaluation.youtube_vis import evaluate_youtube_vis_files, read_json, read_results
from mmvos.evaluation.youtube_vos.classes import read_classes, read_seen

_SPARE = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**31,
    2**70,
    0.5,
    -1e308,
    float('nan'),
    float('inf'),
    '',
    'x',
    '04',
    'ooooooo',
    '\x00',
    '\u20ac',
    [],
    [0],
    [[]],
    [[1, 2, 3, 4, 5, 6]],
    [[0, 0, 5, 0, 5, 3]],
    [[1e9] * 6],
    {},
    {'size': [4, 6], 'counts': [24]},
    {'size': [4, 6], 'counts': [0, -5, 29]},
    {'size': [4, 6], 'counts': [2**31, 2**31, 2**32]},
    {'size': None},
]


def outcome(work: Callable[[], Any]) -> str:
    """Run it; anything but a result or an EvaluationInputError with a sentence fails the test."""
    try:
        work()
    except EvaluationInputError as error:
        assert len(str(error)) > 20 and '\n' not in str(error), str(error)
        return 'refused'
    return 'scored'


def truth() -> dict[str, Any]:
    entries = [
        {
            'id': i,
            'video_id': i,
            'category_id': 1,
            'iscrowd': 0,
            'areas': [9, None],
            'bboxes': [[0, 0, 1, 1], None],
            'segmentations': [{'size': [4, 6], 'counts': [3, 18, 3]}, None],
        }
        for i in (1, 2)
    ]
    videos = [
        {'id': i, 'height': 4, 'width': 6, 'length': 2, 'file_names': ['a/0.jpg', 'a/1.jpg']}
        for i in (1, 2)
    ]
    return {'videos': videos, 'categories': [{'id': 1, 'name': 'cat'}], 'annotations': entries}


def results() -> list[dict[str, Any]]:
    coded = {'size': [4, 6], 'counts': '3b03'}  # 3, 18, 3
    return [
        {'video_id': i, 'category_id': 1, 'score': 0.5, 'segmentations': [dict(coded), None]}
        for i in (1, 2)
    ]


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in nested lists and dicts."""
    for key, value in (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    ):
        yield (*path, key)
        yield from places(value, (*path, key))


def mutate(data: Any, rng: random.Random) -> Any:
    data = copy.deepcopy(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        path = rng.choice(list(places(data)) or [()])
        if not path:
            return copy.deepcopy(rng.choice(_SPARE))
        holder = data
        for key in path[:-1]:
            holder = holder[key]
        value = holder[path[-1]]
        if rng.random() < 0.2:
            del holder[path[-1]]
        elif isinstance(value, str) and value and rng.random() < 0.7:
            at = rng.randrange(len(value))
            holder[path[-1]] = (
                value[:at] + chr(rng.randrange(30, 130)) * rng.choice([0, 1, 2]) + value[at + 1 :]
            )
        else:
            holder[path[-1]] = copy.deepcopy(rng.choice(_SPARE))
    return data


def test_the_unharmed_inputs_are_perfect() -> None:
    assert evaluate_youtube_vis(truth(), results()).AP == 1.0


def test_mutated_json_of_youtube_vis() -> None:
    rng = random.Random(0)
    kinds = [
        outcome(lambda: evaluate_youtube_vis(truth(), mutate(results(), rng))) for _ in range(1200)
    ]
    kinds += [
        outcome(lambda: evaluate_youtube_vis(mutate(truth(), rng), results())) for _ in range(1200)
    ]
    assert 100 < kinds.count('scored') < 2300


def spoiled(data: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, cut, doubled or inserted."""
    spoilt = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(spoilt) or 1)
        action = rng.randrange(4)
        if action == 0:
            spoilt[at : at + 1] = bytes([rng.randrange(256)])
        elif action == 1:
            del spoilt[at : at + rng.choice([1, 3, len(spoilt)])]
        elif action == 2:
            spoilt[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
        else:
            spoilt[at:at] = spoilt[:at]
    return bytes(spoilt)


def test_damaged_json_and_zip_files(tmp_path: Path) -> None:
    rng = random.Random(1)
    text = json.dumps(results()).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('results.json', text)
    path, annotations = tmp_path / 'results', tmp_path / 'truth.json'
    annotations.write_text(json.dumps(truth()))
    for original in (text, stream.getvalue()):
        for _ in range(500):
            path.write_bytes(spoiled(original, rng))
            outcome(lambda: evaluate_youtube_vis_files(annotations, path))
    path.write_bytes(b'[' * 100000)
    assert outcome(lambda: read_json(path)) == outcome(lambda: read_results(path)) == 'refused'
    path.write_bytes(b'[' + b'9' * 5000 + b']')
    assert outcome(lambda: read_json(path)) == 'refused'


@pytest.mark.parametrize('mode', ['P', 'L', 'RGB', '1'])
def test_damaged_png_files(tmp_path: Path, mode: str) -> None:
    rng = random.Random(2)
    stream = io.BytesIO()
    Image.fromarray(labels(o1=(5, 5, 20, 20), o2=(9, 40, 5, 9))).convert(mode).save(stream, 'PNG')
    path = tmp_path / 'a.png'
    for _ in range(400):
        path.write_bytes(spoiled(stream.getvalue(), rng))
        outcome(lambda: read_labels(path, (48, 70)))


def test_damaged_png_in_a_davis_folder(tmp_path: Path) -> None:
    rng = random.Random(3)
    frames = {'a': [labels(o1=(5, 5, 20, 20), o2=(9, 40, 5, 9))] * 4}
    folder, given = write(tmp_path / 'gt', frames), write(tmp_path / 'r', frames)
    victims = [folder / 'a' / '00000.png', folder / 'a' / '00001.png', given / 'a' / '00002.png']
    originals = [path.read_bytes() for path in victims]
    for _ in range(150):
        which = rng.randrange(3)
        victims[which].write_bytes(spoiled(originals[which], rng))
        outcome(lambda: evaluate_davis(folder, given))
        victims[which].write_bytes(originals[which])
    assert outcome(lambda: evaluate_davis(folder, given)) == 'scored'


def test_damaged_text_files(tmp_path: Path) -> None:
    rng = random.Random(4)
    region, track = b'5,5,15,5,15,15,5,15\n' * 6, b'1\n5,5,11,11\n2\n0\n1\n5.5,5,15,5,15,15,5,15\n'
    path = tmp_path / 'a.txt'
    for _ in range(1000):
        path.write_bytes(spoiled(region, rng))
        outcome(lambda: read_regions(path))
        path.write_bytes(spoiled(track, rng))
        outcome(lambda: read_trajectory(path, 6))
        outcome(lambda: read_seen(path))


def test_damaged_vot_folders(tmp_path: Path) -> None:
    rng = random.Random(5)
    truth_file, track_file = (
        tmp_path / 'gt' / 's' / 'groundtruth.txt',
        tmp_path / 'r' / 's' / 's_001.txt',
    )
    originals = {
        truth_file: b'5,5,15,5,15,15,5,15\n' * 6,
        track_file: b'1\n5,5,11,11\n2\n0\n1\n5.5,5,15,5,15,15,5,15\n',
    }
    for path, data in originals.items():
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    for _ in range(200):
        victim = rng.choice(list(originals))
        victim.write_bytes(spoiled(originals[victim], rng))
        outcome(lambda: evaluate_vot(tmp_path / 'gt', tmp_path / 'r', interval=(1, 4)))
        victim.write_bytes(originals[victim])


def test_mutated_meta_json(tmp_path: Path) -> None:
    rng = random.Random(6)
    meta = {'videos': {'v': {'objects': {'1': {'category': 'cat', 'frames': ['0']}}}}}
    path = tmp_path / 'meta.json'
    for _ in range(500):
        path.write_text(json.dumps(mutate(meta, rng)))
        outcome(lambda: read_classes(path))
    for _ in range(300):
        path.write_bytes(spoiled(json.dumps(meta).encode(), rng))
        outcome(lambda: read_seen(path))
