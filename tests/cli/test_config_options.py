"""Config entries on a command line are read as mmengine reads them; those that lead nowhere, and
parts that cannot be built with them, are a sentence.
"""

import argparse
import inspect

import pytest
from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import Runner

from mmvos.cli.config_options import add_config_options, read_config_options
from mmvos.io.config_file import config_errors, merge_options
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


CONFIG = dict(
    iterations=9,
    model=dict(
        type='A',
        sizes=[1, 2],
        parts=[{}, {}],
        pair=(3, 4),
        nothing=None,
        test_cfg=dict(max_per_img=5),
    ),
    train_cfg=dict(max_iters=9),
    default_hooks=dict(checkpoint=dict(type='B')),
)


def test_entries_are_overridden_and_added():
    config = Config(CONFIG)
    options = {
        'model.parts.1.depth': 7,
        'model.depth': 3,
        'model.test_cfg.score_thr': 0.5,
        'default_hooks.stop.type': 'C',
        'work_dir': 'out',
        'model.nothing': 1,
    }
    merge_options(config, options)
    assert (
        config.model.parts == [{}, {'depth': 7}]
        and config.model.depth == 3
        and config.work_dir == 'out'
    )
    assert config.model.test_cfg == dict(max_per_img=5, score_thr=0.5)
    assert config.default_hooks.stop == dict(type='C') and config.model.nothing == 1


@pytest.mark.parametrize(
    ('key', 'said'),
    [
        ('modle.depth', "no 'modle'; did you mean 'model'"),
        ('nonsense', "no 'nonsense'$"),
        ('iterations', 'iterations is a variable'),
        ('train_cfg.max_iter', "no 'max_iter'; did you mean 'max_iters'"),
        ('model.test_cfg.max_per_imgg', "did you mean 'max_per_img'"),
        ('default_hooks.chekpoint.interval', "did you mean 'checkpoint'"),
        ('model.sizes.1', 'model.sizes is a list; give all of it'),
        ('model.sizes.2', 'model.sizes is a list of 2'),
        ('model.sizes.first', 'model.sizes is a list of 2'),
        ('model.pair.0', r'model.pair is \(3, 4\)'),
        ('model.nothing.depth', 'model.nothing is None'),
        ('train_cfg.max_iters.x', 'train_cfg.max_iters is 9'),
    ],
)
def test_a_key_that_leads_nowhere_is_a_sentence(key, said):
    with pytest.raises(DataError, match=f'the option {key}: .*{said}'):
        merge_options(Config(CONFIG), {key: 1})


def test_every_entry_of_mmengines_runner_is_known():
    entries = set(inspect.signature(Runner).parameters)
    entries.remove('cfg')
    config = Config(dict.fromkeys(entries, 1))
    merge_options(config, dict.fromkeys(entries, 2))
    assert config.randomness == 2 and config.model == 2


PARTS = Registry('part')


@PARTS.register_module()
class Holder:
    def __init__(self, part, width=1):
        self.part = PARTS.build(part)


@PARTS.register_module()
class Leaf:
    def __init__(self, depth=1):
        self.quotient = 1 / depth


@pytest.mark.parametrize(
    ('config', 'said'),
    [
        (dict(type='Leaf', dept=2), "gives Leaf the option 'dept'.*did you mean 'depth'"),
        (dict(type='Leaf', depth=0), 'Leaf cannot be built: ZeroDivisionError: division'),
        (dict(type='Leaf', depth='x'), 'Leaf cannot be built: TypeError'),
        (dict(type='Leaves'), 'the config names Leaves'),
        (dict(depth=1), 'Holder cannot be built: KeyError: .*type'),
    ],
)
def test_a_part_that_cannot_be_built_is_named(config, said):
    with pytest.raises(DataError, match=said), config_errors():
        PARTS.build(dict(type='Holder', part=config))


def test_what_is_raised_elsewhere_passes():
    with pytest.raises(ZeroDivisionError), config_errors():
        raise ZeroDivisionError
    with pytest.raises(ModuleNotFoundError), config_errors():
        raise ModuleNotFoundError
