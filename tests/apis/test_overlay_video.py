"""Overlay video: frame rate, count, size, colors."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import av
import cv2
import numpy as np
import pytest

from mmvos.apis.overlay_video import (
    Look,
    OverlayVideo,
    Timeline,
    color_of,
    draw_overlay,
    parse_frame_rate,
)
from mmvos.apis.sources import open_source
from mmvos.io.errors import DataError
from mmvos.structures import FrameResult, TrackedObject, rle

from .bright_spots import NTSC


def _square(object_id: int, left: int, score: float = 0.9) -> TrackedObject:
    mask = np.zeros((120, 160), bool)
    mask[50:90, left : left + 40] = True
    code = rle.encode(mask)
    return TrackedObject(object_id, object_id - 1, score, rle.bounding_box(code), code)


def _gray(height: int = 120, width: int = 160) -> np.ndarray:
    return np.full((height, width, 3), 100, np.uint8)


@pytest.mark.parametrize(
    'fps', [NTSC, Fraction(25), Fraction(24000, 1001), Fraction(6), Fraction(2997, 100)]
)
def test_rate_and_count_survive_encoding(tmp_path, fps):
    with OverlayVideo(tmp_path / 'o.mp4', fps) as writer:
        for index in range(50):
            writer.write('', _gray(), FrameResult(index, (120, 160), ()))
    source = open_source(tmp_path / 'o.mp4')
    assert (source.fps, source.length) == (fps, 50)
    assert len(list(source)) == 50


def test_frames_keep_their_own_times(tmp_path):
    milliseconds = [500, 533, 900, 950, 2000]  # a screen recording: frames come when they change
    with OverlayVideo(tmp_path / 'o.mp4', Fraction(30), (), Fraction(1, 1000)) as writer:
        for index, stamp in enumerate(milliseconds):
            result = FrameResult(index, (120, 160), ())
            writer.write('', _gray(), result, Fraction(stamp, 1000))
    with av.open(str(tmp_path / 'o.mp4')) as container:
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert [1000 * time for time in times] == [0, 33, 400, 450, 1500]


@pytest.mark.parametrize(
    'stamps, times',
    [
        ([None, None, None], [0, 10, 20]),
        ([7, 9, 30], [0, 2, 23]),
        ([0, 5, None, 20], [0, 5, 15, 20]),
        ([0, 7, 7, 14], [0, 7, 17, 24]),  # equal stamps: no frame is shown for no time
        ([0, 20, 15, 30], [0, 20, 20, 30]),  # out of order: what follows is not moved
        ([5000, 5010, 0, 8], [0, 10, 20, 28]),  # the clock begins anew
        ([0, 10**9, 10**9 + 4], [0, 10, 14]),  # a damaged stamp
    ],
)
def test_times_never_go_back_and_have_no_hole(stamps, times):
    timeline = Timeline(Fraction(10, 1000))
    placed = [
        timeline.place(Fraction(stamp, 1000) if stamp is not None else None) for stamp in stamps
    ]
    assert [1000 * time for time in placed] == times


def test_two_frames_at_one_tick_are_both_written(tmp_path):
    with OverlayVideo(tmp_path / 'o.mp4', Fraction(30), (), Fraction(1, 10)) as writer:
        for index, stamp in enumerate((0, 20, 10, 400)):
            result = FrameResult(index, (120, 160), ())
            writer.write('', _gray(), result, Fraction(stamp, 1000))
    assert len(list(open_source(tmp_path / 'o.mp4'))) == 4


@pytest.mark.parametrize(
    'given, rate',
    [('25', 25), ('30000/1001', NTSC), (12.5, Fraction(25, 2)), ('1e3', 1000), (Fraction(6), 6)],
)
def test_frame_rates_of_users(given, rate):
    assert parse_frame_rate(given) == rate


@pytest.mark.parametrize('given', ['1/0', '-5', '0', 'nan', float('inf'), '1e400', '1001', 'fast'])
def test_what_is_no_frame_rate(given):
    with pytest.raises(DataError, match=r'frame rate must be above 0 .* it is'):
        parse_frame_rate(given)


def test_frames_too_large_for_a_video_are_refused(tmp_path):
    image = np.zeros((2, 16_386, 3), np.uint8)
    writer = OverlayVideo(tmp_path / 'o.mp4', NTSC)
    with pytest.raises(DataError, match=r'o\.mp4 .* 16386 pixels'), writer:
        writer.write('', image, FrameResult(0, (2, 16_386), ()))
    assert not (tmp_path / 'o.mp4').exists()


def test_the_largest_frames_are_written(tmp_path):
    with OverlayVideo(tmp_path / 'o.mp4', NTSC) as writer:
        writer.write('', np.zeros((2, 16_383, 3), np.uint8), FrameResult(0, (2, 16_383), ()))
    assert open_source(tmp_path / 'o.mp4').longest_side == 16_384


def test_h264_that_players_show(tmp_path):
    with OverlayVideo(tmp_path / 'o.mp4', NTSC) as writer:
        writer.write('', _gray(), FrameResult(0, (120, 160), ()))
    with av.open(str(tmp_path / 'o.mp4')) as container:
        assert container.streams.video[0].codec_context.name == 'h264'
        assert container.streams.video[0].codec_context.pix_fmt == 'yuv420p'


def test_odd_sizes_grow_by_one_pixel(tmp_path):
    image = _gray(121, 161)
    image[:, -1] = 250
    with OverlayVideo(tmp_path / 'o.mp4', NTSC) as writer:
        writer.write('', image, FrameResult(0, (121, 161), ()))
    ((_, frame),) = open_source(tmp_path / 'o.mp4')
    assert frame.shape == (122, 162, 3)
    assert frame[:, -1].mean() > 200  # the last column is repeated, not black


def test_no_frame_writes_no_file(tmp_path):
    with OverlayVideo(tmp_path / 'o.mp4', NTSC):
        pass
    assert not (tmp_path / 'o.mp4').exists()


def test_an_error_leaves_a_playable_video(tmp_path):
    with pytest.raises(RuntimeError), OverlayVideo(tmp_path / 'o.mp4', NTSC) as writer:
        for index in range(3):
            writer.write('', _gray(), FrameResult(index, (120, 160), ()))
        raise RuntimeError
    assert len(list(open_source(tmp_path / 'o.mp4'))) == 3


def test_an_object_is_tinted_in_its_color_and_the_rest_is_untouched():
    drawn = draw_overlay(_gray(), FrameResult(0, (120, 160), (_square(1, 20), _square(7, 100))))
    for object_id, left in ((1, 20), (7, 100)):
        expected = 0.55 * 100 + 0.45 * np.array(color_of(object_id))
        np.testing.assert_allclose(drawn[75, left + 20], expected, atol=1)
        # the smoothed contour
        np.testing.assert_allclose(drawn[89, left + 20], color_of(object_id), atol=20)
    assert (drawn[95:] == 100).all() and (drawn[:20] == 100).all()


def test_colors_and_names_that_are_given_are_drawn():
    result = FrameResult(0, (120, 160), (_square(1, 20), _square(2, 100)))
    looks = {1: Look((255, 0, 10), 'a')}
    drawn = draw_overlay(_gray(), result, looks=looks)
    np.testing.assert_allclose(drawn[75, 40], [170, 55, 60], atol=1)  # .55 * 100 + .45 * color
    expected = 0.55 * 100 + 0.45 * np.array(color_of(2))
    np.testing.assert_allclose(drawn[75, 120], expected, atol=1)
    # A longer name has a wider plate; letters that cannot be drawn give way to the id.
    longer = draw_overlay(_gray(), result, looks={1: Look((255, 0, 10), 'aaaaaa')})
    assert (longer != drawn).any()
    foreign = draw_overlay(_gray(), result, looks={1: Look((255, 0, 10), 'Löwe')})
    by_id = draw_overlay(_gray(), result, looks={1: Look((255, 0, 10), '1')})
    np.testing.assert_array_equal(foreign, by_id)


def test_where_masks_overlap_the_higher_score_is_seen():
    low, high = _square(1, 20, score=0.4), _square(2, 40, score=0.8)
    drawn = draw_overlay(_gray(), FrameResult(0, (120, 160), (high, low)))
    np.testing.assert_allclose(drawn[75, 50], 0.55 * 100 + 0.45 * np.array(color_of(2)), atol=1)


def test_names_stay_inside_the_frame_and_names_differ():
    for left in (0, 120):
        result = FrameResult(0, (120, 160), (_square(2, left),))
        with_id = draw_overlay(_gray(), result)
        with_name = draw_overlay(_gray(), result, ('person', 'tennis_racket'))
        changed = np.nonzero((with_name != with_id).any(axis=(0, 2)))[0]
        assert changed.max() - changed.min() > 60  # 13 letters of about 7 pixels, none cut off


def test_names_of_near_objects_do_not_cover_each_other():
    both = FrameResult(0, (120, 160), (_square(1, 60), _square(2, 64)))
    drawn = draw_overlay(_gray(), both, ('cat', 'dog'))
    # rows outside the masks with the colored edge of a plate, which is three pixels wide
    plates = []
    for object_id in (1, 2):
        rows = np.nonzero((drawn == color_of(object_id)).all(axis=2).sum(axis=1) >= 3)[0]
        plates.append(set(rows[(rows < 50) | (rows >= 90)]))
    assert all(len(rows) > 8 for rows in plates) and not plates[0] & plates[1]


def test_colors_of_ids_differ():
    colors = np.array([[color_of(object_id) for object_id in range(1, 13)]], np.uint8)
    seen = cv2.cvtColor(colors, cv2.COLOR_BGR2LAB)[0].astype(int)
    assert min(np.abs(a - b).max() for a, b in combinations(seen, 2)) > 15
    assert color_of(3) == color_of(3)
