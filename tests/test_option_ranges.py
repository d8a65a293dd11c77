"""Options out of their range are refused with the name of class and option."""

import pytest

from mmvos.option_ranges import COUNT, INNER_SHARE, SHARE, Range, options_in


@options_in(COUNT, 'size', 'channels')
@options_in(SHARE, 'share')
class Part:
    def __init__(self, size, channels=(1, 2), share=0.5, other=None):
        self.values = (size, channels, share, other)


def test_what_is_in_range_reaches_the_class():
    assert Part(1, [3], share=None, other=-5).values == (1, [3], None, -5)
    assert Part(2.0, share=1).values == (2.0, (1, 2), 1, None)


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (dict(size=0), 'size .*at least 1, not 0'),
        (dict(size=-5), 'size .*-5'),
        (dict(size=1.5), 'size .*1.5'),
        (dict(size='big'), "size .*'big'"),
        (dict(size=True), 'size .*True'),
        (dict(size=float('inf')), 'size .*inf'),
        (dict(size=1, channels=(8, 0)), 'channels .*0'),
        (dict(size=1, share=1.01), 'share .*at most 1, not 1.01'),
        (dict(size=1, share=float('nan')), 'share .*nan'),
    ],
)
def test_what_is_not_is_refused(options, said):
    with pytest.raises(ValueError, match=f'Part: {said}'):
        Part(**options)


def test_an_unknown_option_is_refused_as_python_does():
    with pytest.raises(TypeError, match="unexpected keyword argument 'sise'"):
        Part(size=0, sise=1)


def test_ends_that_do_not_belong_to_a_range_and_steps():
    assert [value for value in (0, 0.001, 0.5, 1) if value in INNER_SHARE] == [0.001, 0.5]
    search_sizes = Range(127, step=8)
    assert [value for value in (119, 127, 128, 135, 255) if value in search_sizes] == [
        127,
        135,
        255,
    ]
    assert str(search_sizes) == '127 plus a multiple of 8'
