"""What every video model asks of its data preprocessor."""

import pytest
from tiny_segmenter import tiny_settings

from mmvos.registry import MODELS


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (dict(std=[58.4, 0, 57.4]), 'std .*58.4, 0, 57.4'),
        (dict(std=[58.4, 57.1, -1]), 'std .*-1'),
        (dict(pad_size_divisor=0), 'pad_size_divisor .*0'),
        (dict(pad_size_divisor=-3), 'pad_size_divisor .*-3'),
    ],
)
def test_numbers_that_no_image_can_be_divided_by_are_refused(options, said):
    settings = tiny_settings()
    settings['data_preprocessor'] = settings['data_preprocessor'] | options
    with pytest.raises(ValueError, match=f'data_preprocessor: {said}'):
        MODELS.build(settings)
