"""Config entries on a command line are read as mmengine reads them."""

import argparse

import pytest

from mmvos.cli.config_options import add_config_options, read_config_options
from mmvos.io.errors import DataError


def test_values_are_numbers_lists_and_texts():
    words = ['a.b=1', 'c=1.5', 'd=[1,(2,x)]', 'e=a=b', 'f=None', 'g=true', 'h=1,2']
    assert read_config_options(words) == {
        'a.b': 1,
        'c': 1.5,
        'd': [1, (2, 'x')],
        'e': 'a=b',
        'f': None,
        'g': True,
        'h': [1, 2],
    }


def test_the_option_may_be_given_twice():
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    found = parser.parse_args(['--cfg-options', 'a=1', 'b=2', '--cfg-options', 'a=3'])
    assert read_config_options(found.cfg_options) == {'a': 3, 'b': 2}
    assert read_config_options(parser.parse_args([]).cfg_options) == {}


@pytest.mark.parametrize('word', ['model.depth', 'a=[1,2'])
def test_what_cannot_be_read_is_a_sentence(word):
    with pytest.raises(DataError, match='--cfg-options'):
        read_config_options([word])
