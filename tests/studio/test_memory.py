"""Memory does not grow with a video; the long form is ``mmvos benchmark studio_times``."""

from __future__ import annotations

import av
import pytest

from mmvos.benchmarks import studio_times


@pytest.mark.slow
@pytest.mark.skipif('libx264' not in av.codecs_available, reason='this PyAV has no libx264')
def test_eight_times_the_frames_take_little_more() -> None:
    times, small = studio_times.peak_of(50, 120)
    assert times['timeline'] >= 0
    _, large = studio_times.peak_of(400, 120)
    # 350 more frames are 27 MB of pictures.
    assert large - small < 20
