"""The benchmark of the studio's times: its videos hold what its prompts say."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest

from mmvos.benchmarks import studio_times

pytestmark = pytest.mark.skipif(
    'libx264' not in av.codecs_available, reason='this PyAV has no libx264'
)


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format='bgr24') for frame in container.decode(video=0)]


def test_boxes_lie_around_the_oval(tmp_path: Path) -> None:
    path = tmp_path / 'clip.mp4'
    studio_times.write_clip(path, 50, tmp_path)
    frames = frames_of(path)
    assert len(frames) == 50
    # The background stands still, the oval moves: where frames differ is where one was.
    for early, late in ((0, 23), (23, 40)):
        changed = np.abs(frames[early].astype(int) - frames[late]).sum(axis=2) > 100
        for frame in (early, late):
            x1, y1, x2, y2 = map(int, studio_times.box_of(frame))
            assert changed[y1 + 20 : y2 - 20, x1 + 20 : x2 - 20].mean() > 0.2
    assert studio_times.box_of(0) == studio_times.box_of(46)


def test_a_long_video_repeats_its_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio_times, '_LOOP', 20)
    path = tmp_path / 'long.mp4'
    studio_times.write_long_video(path, 50, 48)
    frames = frames_of(path)
    assert len(frames) == 50
    for index in (0, 7, 19, 27, 49):
        wanted = studio_times.mask_at(index % 20, 48)
        assert ((frames[index][..., 0] > 160) == wanted).mean() > 0.97


def test_cpu_seconds_of_a_process() -> None:
    watch = studio_times.Stopwatch(os.getpid())
    if np.isnan(watch.cpu()):
        pytest.skip('this system does not tell')
    before = watch.cpu()
    while os.times().user + os.times().system < before + 0.1:
        sum(range(10_000))
    assert 0 <= watch.cpu() - before < 2
    assert watch.peak().endswith(' MB')
