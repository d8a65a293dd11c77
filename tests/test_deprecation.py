"""What configs of the version before name is built, and the user is told the new name."""

from __future__ import annotations

import warnings

import pytest
from mmengine.registry import Registry

from mmvos.deprecation import (
    accept_old_attributes,
    accept_old_names,
    accept_old_options,
    register_old_name,
)

SHAPES = Registry('shape')


@SHAPES.register_module()
@accept_old_attributes({'length': 'side'})
@accept_old_options(renamed={'least_side': 'min_side'}, removed=('corners',))
class Square:
    def __init__(self, side: float, min_side: float = 1.0) -> None:
        self.side, self.min_side = side, min_side


register_old_name(SHAPES, 'Quadrat', Square)


def test_an_old_class_name_builds_the_class():
    with pytest.warns(FutureWarning, match='Quadrat.*Square'):
        built = SHAPES.build(dict(type='Quadrat', side=3.0))
    assert type(built) is Square and built.side == 3.0


def test_an_old_option_is_the_new_one_and_wins_over_the_shipped_value():
    with pytest.warns(FutureWarning, match='least_side.*min_side'):
        built = SHAPES.build(dict(type='Square', side=3.0, min_side=2.0, least_side=0.5))
    assert built.min_side == 0.5


def test_an_option_that_is_a_constant_is_ignored_and_an_unknown_one_refused():
    with pytest.warns(FutureWarning, match='corners'):
        assert Square(3.0, corners=5).side == 3.0
    with pytest.raises(TypeError, match='colour'):
        Square(3.0, colour='red')


def test_new_names_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert SHAPES.build(dict(type='Square', side=3.0, min_side=2.0)).min_side == 2.0


def test_an_old_name_of_a_module_is_the_new_one():
    get_attribute = accept_old_names(__name__, {'SQUARES': 'SHAPES'})
    with pytest.warns(FutureWarning, match='SQUARES.*SHAPES'):
        assert get_attribute('SQUARES') is SHAPES
    with pytest.raises(AttributeError, match='CIRCLES'):
        get_attribute('CIRCLES')


def test_an_old_attribute_is_the_new_one():
    with pytest.warns(FutureWarning, match='Square.length.*side'):
        assert Square(3.0).length == 3.0
