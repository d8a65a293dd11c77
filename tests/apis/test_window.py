"""A window where there can be one, and a sentence where there cannot; OpenCV's windows are
played.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mmvos.apis import VideoInferencer
from mmvos.apis.overlay_video import color_of
from mmvos.apis.window import Window

from .bright_spots import picture


@pytest.fixture
def screen(monkeypatch) -> dict:
    """A desktop: what is shown, and which key is pressed at which picture."""
    seen: dict = {'shown': [], 'keys': {}, 'visible': 1.0, 'open': False}
    monkeypatch.setattr(
        cv2, 'getBuildInformation', lambda: 'General\n  GUI:                           GTK3\n'
    )
    monkeypatch.setattr('sys.platform', 'linux')
    monkeypatch.setenv('DISPLAY', ':0')
    monkeypatch.setattr(cv2, 'namedWindow', lambda *_: seen.update(open=True))
    monkeypatch.setattr(cv2, 'destroyAllWindows', lambda: seen.update(open=False))
    monkeypatch.setattr(cv2, 'imshow', lambda title, image: seen['shown'].append(image))
    monkeypatch.setattr(cv2, 'waitKey', lambda _: seen['keys'].get(len(seen['shown']), -1))
    monkeypatch.setattr(cv2, 'getWindowProperty', lambda *_: seen['visible'])
    return seen


def test_the_overlay_is_shown_until_q(screen, model):
    screen['keys'] = {3: ord('q')}
    video = [picture(index) for index in range(9)]
    results = list(VideoInferencer(model).infer(video, show=True))
    assert len(results) == len(screen['shown']) == 3 and not screen['open']
    drawn, image = screen['shown'][1].astype(int), video[1].astype(int)
    # of the red square, below its number: the color of object 1 over it
    inside = (slice(20, 22), slice(5, 13))
    assert np.abs(drawn[inside] - (0.55 * image[inside] + 0.45 * np.array(color_of(1)))).max() <= 2
    assert (drawn[40:] == image[40:]).all()  # object 2 has a score of 0.2


@pytest.mark.parametrize('change', [{'visible': 0.0}, {'keys': {1: 27}}])
def test_closing_the_window_ends_the_video(screen, model, change):
    screen.update(change)
    assert len(list(VideoInferencer(model).infer([picture(0)] * 5, show=True))) == 1


def test_without_a_display_it_is_said_at_once(screen, model, monkeypatch):
    monkeypatch.delenv('DISPLAY')
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    with pytest.raises(ValueError, match=r'no window .*no display'):
        VideoInferencer(model).infer([picture(0)], show=True)
    monkeypatch.setenv('WAYLAND_DISPLAY', 'wayland-0')
    assert Window('a').title == 'a'
    monkeypatch.setattr(
        cv2, 'getBuildInformation', lambda: '  GUI:                           NONE\n'
    )
    with pytest.raises(ValueError, match=r'built without windows .*opencv-python'):
        Window('a')
