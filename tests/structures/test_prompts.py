"""Prompts and their fit to a frame: what is refused, and what a box partly outside becomes."""

import numpy as np
import pytest

from mmvos.structures import Prompts


def mask(height, width, y, x):
    """(height, width) bool, one pixel set."""
    pixels = np.zeros((height, width), dtype=bool)
    pixels[y, x] = True
    return pixels


def boxes(*given):
    return Prompts(tuple(range(1, len(given) + 1)), (None,) * len(given), given)


def test_a_box_partly_outside_is_clipped_and_all_else_stays():
    given = Prompts(
        (7, 2, 3), (mask(40, 60, 3, 5), None, None), (None, (-5.5, 10, 20.25, 50), (1, 2, 3, 4))
    )
    fitted = given.fitted(40, 60)
    assert fitted.ids == (7, 2, 3) and fitted.masks[0] is given.masks[0]
    assert fitted.boxes == (None, (0, 10, 20.25, 40), (1, 2, 3, 4))
    assert given.boxes[1] == (-5.5, 10, 20.25, 50)


@pytest.mark.parametrize('box', [(60, 0, 70, 10), (-9, 0, 0, 10), (0, 40, 10, 41), (5, -8, 10, -1)])
def test_a_box_outside_the_frame_is_refused(box):
    with pytest.raises(ValueError, match=r'object 2 lies outside .*60x40'):
        boxes((0, 0, 1, 1), box).fitted(40, 60)


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r'object 4 is 40x60 .*60x40'):
        Prompts((4,), (mask(60, 40, 0, 0),), (None,)).fitted(40, 60)


@pytest.mark.parametrize(
    'ids, masks, given, message',
    [
        ((1, 1), (None, None), ((0, 0, 1, 1), (0, 0, 1, 1)), 'distinct and positive'),
        ((0,), (None,), ((0, 0, 1, 1),), 'distinct and positive'),
        ((1,), (np.zeros((4, 4), dtype=bool),), (None,), 'mask prompt of object 1 is empty'),
        (
            (1,),
            (np.full((4, 4), 255, dtype=np.uint8),),
            (None,),
            'mask prompt of object 1 is uint8; give bool',
        ),
        ((3,), (None,), ((2, 0, 2, 1),), 'box prompt of object 3 has no area'),
        ((3,), (None,), ((float('nan'), 0, 2, 1),), 'box prompt of object 3 is not finite'),
        ((3,), (None,), (None,), 'object 3 has neither a mask nor a box nor points'),
    ],
)
def test_prompts_that_say_nothing_or_two_things(ids, masks, given, message):
    with pytest.raises(ValueError, match=message):
        Prompts(ids, masks, given)


def points(*given, **more):
    return Prompts((4,), (None,), (None,), (given,), **more)


def test_points_stay_as_they_are_and_prompts_without_have_none():
    given = points((0.0, 40.0, True), (59.5, 3.0, False))
    assert given.fitted(40, 60).points == (((0.0, 40.0, True), (59.5, 3.0, False)),)
    assert boxes((0, 0, 1, 1), (0, 0, 2, 2)).points == ((), ())
    assert not boxes((0, 0, 1, 1)).restart


@pytest.mark.parametrize('x, y', [(-0.1, 5), (60.5, 5), (5, 40.2)])
def test_a_point_outside_the_frame_is_refused(x, y):
    with pytest.raises(ValueError, match=r'object 4 lies outside .*60x40'):
        points((x, y, True)).fitted(40, 60)


def test_points_that_cannot_be_used():
    with pytest.raises(ValueError, match='not finite'):
        points((float('inf'), 1.0, True))
    with pytest.raises(ValueError, match='object 4 has a mask and points'):
        Prompts((4,), (mask(4, 4, 0, 0),), (None,), (((1.0, 1.0, True),),))
    with pytest.raises(ValueError, match='points of 2 objects'):
        Prompts((4,), (None,), (None,), (((1.0, 1.0, True),), ()))
