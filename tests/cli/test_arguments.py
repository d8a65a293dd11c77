"""Values that argparse does not read by itself."""

from __future__ import annotations

import argparse
from fractions import Fraction

import pytest

from mmvos.cli.arguments import frame_rate, join_negative_values, score


def test_a_box_that_begins_left_of_the_frame_is_a_value():
    parser = argparse.ArgumentParser()
    parser.add_argument('video')
    parser.add_argument('--box', action='append')
    parser.add_argument('--out')
    line = ['a.mp4', '--box', '-5,0,40,30', '--box=-.5,1,2,3', '--box', '1,2,3,4', '--out', 'o']
    arguments = parser.parse_args(join_negative_values(line, '--box'))
    assert arguments.box == ['-5,0,40,30', '-.5,1,2,3', '1,2,3,4']
    assert arguments.out == 'o'


def test_a_forgotten_box_stays_a_mistake():
    assert join_negative_values(['--box', '--out', 'o'], '--box') == ['--box', '--out', 'o']


@pytest.mark.parametrize('text', ['nan', '-0.1', '1e400', '1.01', 'high', ''])
def test_a_score_is_from_0_to_1(text):
    with pytest.raises(argparse.ArgumentTypeError, match='from 0 to 1'):
        score(text)
    assert score('0.5') == 0.5 and score('1') == 1 and score('0') == 0


def test_a_frame_rate_is_a_fraction_or_one_sentence(capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument('--fps', type=frame_rate)
    assert parser.parse_args(['--fps', '30000/1001']).fps == Fraction(30000, 1001)
    for wrong in ('1/0', '-5'):
        with pytest.raises(SystemExit):
            parser.parse_args([f'--fps={wrong}'])
        assert 'frame rate must be above 0' in capsys.readouterr().err
