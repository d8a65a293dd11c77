"""Prompts from a label image, from boxes and from prompts.json: what they become, and what is
refused in one sentence.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmvos.apis.prompt_files import box_prompts, point_prompts, read_mask_prompts, read_prompts
from mmvos.apis.prompts import parse_prompts
from mmvos.io.errors import DataError
from mmvos.io.label_png import write_label_png
from mmvos.structures import Prompts

LABELS = np.zeros((20, 30), np.uint8)
LABELS[2:8, 3:9] = 1
LABELS[10:15, 12:20] = 3


def write(folder: Path, entries: Any) -> Path:
    path = folder / 'prompts.json'
    path.write_text(json.dumps(entries))
    return path


def test_a_palette_image_gives_its_ids(tmp_path):
    write_label_png(tmp_path / 'first.png', LABELS)
    prompts = read_mask_prompts(tmp_path / 'first.png')
    assert prompts.ids == (1, 3) and prompts.boxes == (None, None)
    np.testing.assert_array_equal(prompts.masks[1], LABELS == 3)


@pytest.mark.parametrize('mode', ['L', '1'])
def test_a_black_and_white_image_is_object_1(tmp_path, mode):
    Image.fromarray((255 * (LABELS > 0)).astype(np.uint8)).convert(mode).save(
        tmp_path / 'first.png'
    )
    prompts = read_mask_prompts(tmp_path / 'first.png')
    assert prompts.ids == (1,)
    np.testing.assert_array_equal(prompts.masks[0], LABELS > 0)


@pytest.mark.parametrize(
    'pixels, suffix, message',
    [
        (np.zeros((4, 4), np.uint8), 'png', r'm\.png shows no object'),
        (
            np.arange(60, dtype=np.uint8).reshape(6, 10),
            'png',
            r'm\.png is a gray image .* soft mask',
        ),
        (np.array([[0, 128, 255]], np.uint8), 'png', r'm\.png is a gray image .* soft mask'),
        (255 * (LABELS > 0).astype(np.uint8), 'jpg', r'm\.jpg is a JPEG image'),
        (np.zeros((4, 4, 3), np.uint8), 'png', r'm\.png is a RGB image'),
    ],
)
def test_what_is_no_label_image(tmp_path, pixels, suffix, message):
    Image.fromarray(pixels).save(tmp_path / f'm.{suffix}')
    with pytest.raises(ValueError, match=message):
        read_mask_prompts(tmp_path / f'm.{suffix}')


def test_boxes_are_objects_1_2_and_so_on():
    prompts = box_prompts(['1,2.5,10,20', ' 0, 0, 3, 4'])
    assert prompts.ids == (1, 2) and prompts.masks == (None, None)
    assert prompts.boxes == ((1, 2.5, 10, 20), (0, 0, 3, 4))


@pytest.mark.parametrize(
    'text, message',
    [
        ('1,2,3', "the box '1,2,3' must be four numbers"),
        ('a,b,c,d', "the box 'a,b,c,d' must be four numbers"),
        ('10,10,10,20', "the box '10,10,10,20' has no area"),
        ('10,10,5,20', 'left, top, right, bottom'),
        ('nan,0,1,1', 'finite'),
    ],
)
def test_what_is_no_box(text, message):
    with pytest.raises(ValueError, match=message):
        box_prompts([text])


def test_a_file_of_prompts(tmp_path):
    (tmp_path / 'masks').mkdir()
    write_label_png(tmp_path / 'masks/all.png', LABELS)
    Image.fromarray((255 * (LABELS == 1)).astype(np.uint8)).save(tmp_path / 'masks/one.png')
    prompts = read_prompts(
        write(
            tmp_path,
            [
                {'frame': 7, 'id': 5, 'mask': 'masks/one.png'},
                {'frame': 0, 'id': 2, 'box': [1, 2, 3, 4.5]},
                {'frame': 0, 'id': 3, 'mask': 'masks/all.png'},
                {'frame': 7, 'id': 2, 'box': [5, 6, 7, 8]},
            ],
        )
    )
    assert list(prompts) == [0, 7]
    assert (prompts[0].ids, prompts[7].ids) == ((2, 3), (5, 2))
    assert prompts[0].boxes == ((1, 2, 3, 4.5), None) and prompts[7].boxes == (None, (5, 6, 7, 8))
    np.testing.assert_array_equal(prompts[0].masks[1], LABELS == 3)
    np.testing.assert_array_equal(prompts[7].masks[0], LABELS == 1)  # the only object of its image


BOX = [0, 0, 5, 5]


@pytest.mark.parametrize(
    'entries, message',
    [
        ([], r'must hold a list of prompts'),
        ({'frame': 0, 'id': 1, 'box': BOX}, r'must hold a list of prompts'),
        ([5], r'entry 0 is no object'),
        ([{'frame': 0, 'id': 1, 'point': [3, 4, 1]}], r"entry 0 has 'point'"),
        (
            [{'frame': 0, 'id': 1, 'box': BOX}, {'frame': 0, 'id': 2, 'bbox': BOX}],
            r"entry 1 has 'bbox'",
        ),
        ([{'frame': 0, 'id': 1}], r'entry 0 must have a box, a mask or points'),
        (
            [{'frame': 0, 'id': 1, 'box': BOX, 'mask': 'a.png'}],
            r'entry 0 has a mask and a box or points',
        ),
        ([{'frame': -1, 'id': 1, 'box': BOX}], r'frame must be a whole number from 0 on, it is -1'),
        ([{'id': 1, 'box': BOX}], r'frame must be a whole number from 0 on, it is None'),
        (
            [{'frame': 0, 'id': 0, 'box': BOX}],
            r'id must be a whole number from 1 to 65535, it is 0',
        ),
        (
            [{'frame': 0, 'id': 65536, 'box': BOX}],
            r'id must be a whole number from 1 to 65535, it is 65536',
        ),
        (
            [{'frame': 0, 'id': True, 'box': BOX}],
            r'id must be a whole number from 1 to 65535, it is True',
        ),
        ([{'frame': 0, 'id': 1, 'box': [1, 2]}], r'entry 0: the box must be four numbers'),
        ([{'frame': 0, 'id': 1, 'box': [3, 0, 1, 9]}], r'entry 0: the box has no area'),
        (
            [{'frame': 2, 'id': 1, 'box': BOX}, {'frame': 2, 'id': 1, 'box': BOX}],
            r'entry 1: a second prompt for object 1 in frame 2',
        ),
        ([{'frame': 0, 'id': 1, 'mask': 'gone.png'}], r'entry 0: .*gone\.png is missing'),
        ([{'frame': 0, 'id': 1, 'mask': None}], r'entry 0: mask must be the path'),
        ([{'frame': 0, 'id': 1, 'mask': ['a.png']}], r'entry 0: mask must be the path'),
        (
            [{'frame': 0, 'id': 2, 'mask': 'all.png'}],
            r'all\.png shows the objects 1, 3, not object 2',
        ),
    ],
)
def test_what_is_no_file_of_prompts(tmp_path, entries, message):
    write_label_png(tmp_path / 'all.png', LABELS)
    with pytest.raises(ValueError, match=message):
        read_prompts(write(tmp_path, entries))


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match=r'gone\.json cannot be read'):
        read_prompts(tmp_path / 'gone.json')
    (tmp_path / 'a.json').write_text('[{')
    with pytest.raises(ValueError, match=r'a\.json is not valid JSON'):
        read_prompts(tmp_path / 'a.json')


@pytest.mark.parametrize('kind', [np.uint8, np.int64])
def test_an_array_of_0_and_255_is_one_object(kind):
    mask = (LABELS > 0).astype(kind) * 255
    prompts = parse_prompts(mask)[0]
    assert prompts.ids == (1,)
    np.testing.assert_array_equal(prompts.masks[0], LABELS > 0)
    assert parse_prompts({2: mask}, first_id=5)[2].ids == (5,)


def test_more_than_255_objects_come_back_from_their_label_image(tmp_path):
    labels = np.arange(400, dtype=np.uint16).reshape(20, 20)
    write_label_png(tmp_path / 'many.png', labels)
    prompts = read_mask_prompts(tmp_path / 'many.png')
    assert prompts.ids == tuple(range(1, 400))
    assert prompts.masks[299][15, 0] and prompts.masks[299].sum() == 1


@pytest.mark.parametrize(
    'box, fault',
    [
        ([float('-inf'), 2, 30, 40], 'finite'),
        ([1, 2, float('inf'), 40], 'finite'),
        ([1, float('nan'), 30, 40], 'finite'),
        ([30, 2, 1, 40], 'no area'),  # reversed
        ([5, 5, 5, 9], 'no area'),
        ([10**400, 2, 30, 40], 'four numbers'),
        ('1234', 'four numbers'),
    ],
)
def test_boxes_that_are_none(box, fault):
    with pytest.raises(DataError, match=rf'box 1 .*{fault}'):
        parse_prompts([box])
    if isinstance(box, list) and fault != 'four numbers':
        with pytest.raises(DataError, match=fault):
            box_prompts([','.join(map(str, box))])
    if fault != 'four numbers':
        with pytest.raises(ValueError, match='box prompt of object 7'):
            Prompts((7,), (None,), (tuple(box),))


def test_numbers_beyond_all_bounds_in_a_file(tmp_path):
    path = tmp_path / 'prompts.json'
    for number in ('1e999', '-Infinity', '1' + '0' * 400):
        path.write_text(f'[{{"frame": 0, "id": 1, "box": [{number}, 2, 30, 40]}}]')
        with pytest.raises(DataError, match=r'prompts\.json'):
            read_prompts(path)


def test_a_mask_that_its_caller_changes_later_stays_as_it_was():
    mask = LABELS > 0
    told = parse_prompts({0: Prompts((1,), (mask,), (None,)), 3: mask})
    mask[:] = False
    for frame in (0, 3):
        np.testing.assert_array_equal(told[frame].masks[0], LABELS > 0)


def test_points_alone_and_with_a_box_in_a_file(tmp_path):
    entries = [
        {'frame': 0, 'id': 2, 'points': [[3, 4.5, 1], [10, 0, 0]]},
        {'frame': 0, 'id': 1, 'box': [1, 2, 3, 4], 'points': [[2, 3, True]]},
        {'frame': 5, 'id': 1, 'points': [[7, 8, 0]], 'restart': False},
        {'frame': 6, 'id': 1, 'box': [1, 2, 3, 4], 'restart': True},
    ]
    prompts = read_prompts(write(tmp_path, entries))
    assert prompts[0] == Prompts(
        ids=(2, 1),
        masks=(None, None),
        boxes=(None, (1, 2, 3, 4)),
        points=(((3, 4.5, True), (10, 0, False)), ((2, 3, True),)),
    )
    assert prompts[5] == Prompts((1,), (None,), (None,), (((7, 8, False),),))
    assert prompts[6] == Prompts((1,), (None,), ((1, 2, 3, 4),), restart=True)


def test_restart_is_for_known_objects_and_all_of_a_frame_agree(tmp_path):
    entries = [
        {'frame': 4, 'id': 1, 'box': BOX, 'restart': True},
        {'frame': 4, 'id': 3, 'box': BOX},  # new, so there is nothing to restart
        {'frame': 0, 'id': 1, 'box': BOX},
        {'frame': 0, 'id': 2, 'box': BOX},
    ]
    prompts = read_prompts(write(tmp_path, entries))
    assert not prompts[0].restart
    assert prompts[4].restart and prompts[4].ids == (1, 3)
    entries.append({'frame': 4, 'id': 2, 'box': BOX})
    with pytest.raises(DataError, match=r'prompts\.json, frame 4: .*restart'):
        read_prompts(write(tmp_path, entries))


@pytest.mark.parametrize(
    'entry, fault',
    [
        ({'points': []}, 'the points are an empty list'),
        ({'points': 'on it'}, 'the points must be a list'),
        ({'points': {'x': 1}}, 'the points must be a list'),
        ({'points': [[3, 4]]}, 'point 0 must be'),
        ({'points': [[3, 4, 1], [3, 4, 2]]}, 'point 1 must be'),
        ({'points': [[3, 4, '1']]}, 'point 0 must be'),
        ({'points': [[3, None, 1]]}, 'point 0 must be'),
        ({'points': [3, 4, 1]}, 'point 0 must be'),
        ({'points': ['341']}, 'point 0 must be'),
        ({'points': [[3, 4, [1]]]}, 'point 0 must be'),
        ({'points': [[True, 4, 1]]}, 'point 0 must be'),
        ({'box': [False, 0, True, 4]}, 'the box must be four numbers'),
        ({'points': [[3, 4, 1]], 'mask': 'all.png'}, 'has a mask and'),
        ({'box': BOX, 'restart': 1}, 'restart must be true or false'),
        ({'restart': True}, 'must have a box, a mask or points'),
    ],
)
@pytest.mark.parametrize('form', ['file', 'Python'])
def test_what_are_no_points(tmp_path, entry, fault, form):
    place = 'frame 2, object 7' if form == 'Python' else r'prompts\.json, entry 0'
    with pytest.raises(DataError, match=f'{place}.*{fault}') as caught:
        if form == 'Python':
            parse_prompts({2: {7: entry}})
        else:
            read_prompts(write(tmp_path, [{'frame': 2, 'id': 7, **entry}]))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('form', ['file', 'Python'])
def test_an_object_starts_anew_from_a_point_that_is_on_it(tmp_path, form):
    beside = {'points': [[3, 4, 0]], 'restart': True}
    with pytest.raises(DataError, match='frame 4: object 7 starts anew, and none of its points'):
        if form == 'Python':
            parse_prompts({0: {7: {'box': BOX}}, 4: {7: beside}})
        else:
            first = {'frame': 0, 'id': 7, 'box': BOX}
            read_prompts(write(tmp_path, [first, {'frame': 4, 'id': 7, **beside}]))
    both = parse_prompts({0: {7: {'box': BOX}}, 4: {7: {**beside, 'box': BOX}}})
    assert both[4].restart


def test_the_forms_of_an_object_in_python(tmp_path):
    write_label_png(tmp_path / 'all.png', LABELS)
    mask = LABELS == 1
    prompts = parse_prompts(
        {
            9: {4: {'points': np.array([[1.5, 2, 1], [3, 4, 0]])}},
            0: {
                np.int64(4): {'box': BOX, 'points': [(2, 2, False)]},
                1: {'mask': mask},
                3: {'mask': tmp_path / 'all.png', 'restart': True},
            },
        }
    )
    mask[:] = False
    assert list(prompts) == [0, 9]
    first = prompts[0]
    assert first.ids == (4, 1, 3) and first.boxes == ((0, 0, 5, 5), None, None)
    assert first.points == (((2, 2, False),), (), ())
    np.testing.assert_array_equal(first.masks[1], LABELS == 1)
    np.testing.assert_array_equal(first.masks[2], LABELS == 3)
    assert prompts[9].points == (((1.5, 2, True), (3, 4, False)),)


@pytest.mark.parametrize(
    'objects, fault',
    [
        ({}, 'name no object'),
        ({'box': BOX}, "ids from 1 on as keys, not 'box'"),
        ({0: {'box': BOX}}, 'ids from 1 on as keys, not 0'),
        ({True: {'box': BOX}}, 'ids from 1 on as keys, not True'),
        ({1: BOX}, 'object 1: the prompt must be a dict'),
        ({1: {'bbox': BOX}}, "object 1 has 'bbox'"),
        ({1: {'mask': LABELS}}, 'object 1: the mask must be an array .* of bool'),
        ({1: {'mask': LABELS > 9}}, 'object 1: the mask is empty'),
        ({1: {'mask': 'gone.png'}}, r'gone\.png is missing'),
    ],
)
def test_what_are_no_objects_of_a_frame(objects, fault):
    with pytest.raises(DataError, match=fault):
        parse_prompts({3: objects})


def test_points_and_restart_of_prompts_are_kept():
    given = Prompts((1,), (None,), (None,), (((3.0, 4.0, True),),), restart=True)
    assert parse_prompts({4: given}) == {4: given}


@pytest.mark.parametrize('number', [float('nan'), float('inf'), 10**400])
def test_points_of_python_are_finite(number):
    with pytest.raises(DataError, match='point 1 must be'):
        parse_prompts({0: {1: {'points': [(1, 2, 1), (number, 4, 1)]}}})


def test_points_of_the_command_line_are_those_of_object_1() -> None:
    prompts = point_prompts(['10,20', '-1.5,3'], ['7,8.25'], ['1,2,30,40'])
    assert prompts.ids == (1,) and prompts.boxes == ((1, 2, 30, 40),)
    assert prompts.points == (((10, 20, True), (-1.5, 3, True), (7, 8.25, False)),)
    assert point_prompts(['10,20']).boxes == (None,)


@pytest.mark.parametrize(
    ('on_object', 'beside', 'boxes', 'fault'),
    [
        ([], ['1,2'], [], 'no point on the object'),
        (['1,2'], [], ['1,1,2,2', '3,3,4,4'], 'several boxes'),
        (['1'], [], [], 'points: point 0'),
        (['1,nan'], [], [], 'points: point 0'),
        (['a,b'], [], [], 'points: point 0'),
    ],
)
def test_points_of_the_command_line_that_are_none(on_object, beside, boxes, fault) -> None:
    with pytest.raises(ValueError, match=fault):
        point_prompts(on_object, beside, boxes)
