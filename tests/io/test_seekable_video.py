"""A file read backwards or from the middle gives the frames of reading it from the first."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from mmvos.apis.sources import open_source
from mmvos.io import seekable_video
from mmvos.io.errors import DataError
from mmvos.io.seekable_video import SeekableVideo

LENGTH = 60


def noisy_picture(index: int) -> np.ndarray:
    """(48, 64, 3): coarse noise that moves, so that frames refer to each other."""
    noise = np.random.default_rng(0).integers(0, 255, (12, 40, 3), dtype=np.uint8)
    left = index % 24
    return np.kron(noise[:, left : left + 16], np.ones((4, 4, 1), np.uint8))


def write(path, codec, options, stamps=None, rotation=0, length=LENGTH, pix_fmt='yuv420p'):
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 48, 64, pix_fmt
        if stamps:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        for index in range(length):
            frame = av.VideoFrame.from_ndarray(noisy_picture(index), format='bgr24')
            if stamps:
                frame.pts, frame.time_base = stamps[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


VARIABLE = [40 * index + 400 * (index > 20) + 7 * (index % 3) for index in range(LENGTH)]
X264 = {'bf': '3', 'g': '12', 'b-pyramid': 'normal'}
FILES = {
    'b_frames.mp4': ('libx264', X264, {}),
    'open_groups.mp4': ('libx264', X264 | {'x264-params': 'open-gop=1:scenecut=0'}, {}),
    'one_key_frame.mp4': ('libx264', {'bf': '2', 'g': '250', 'sc_threshold': '0'}, {}),
    'key_frames_only.mkv': ('libx264', {'g': '1'}, {}),
    'intra_refresh.mp4': ('libx264', {'g': '12', 'x264-params': 'intra-refresh=1'}, {}),
    'variable_rate.mkv': ('libx264', X264, {'stamps': VARIABLE}),
    'turned.mp4': ('libx264', X264, {'rotation': 90}),
    'mpeg4.avi': ('mpeg4', {'bf': '2', 'g': '12'}, {}),
    'no_stamps.h264': ('libx264', X264, {}),
    'transport.ts': ('libx264', X264, {}),
    'vp9.webm': ('libvpx-vp9', {'g': '12', 'deadline': 'realtime', 'cpu-used': '8'}, {}),
    'hevc.mp4': ('libx265', {'x265-params': 'keyint=12:bframes=3:log-level=none'}, {}),
}


@pytest.fixture(params=FILES)
def clip(request, tmp_path):
    codec, options, more = FILES[request.param]
    if codec not in av.codecs_available:
        pytest.skip(f'this PyAV has no {codec}')
    return write(tmp_path / request.param, codec, options, **more)


def assert_same(given, expected):
    given = list(given)
    assert [(name, time) for name, _, time in given] == [(n, time) for n, _, time in expected]
    for (_, picture, _), (_, other, _) in zip(given, expected, strict=True):
        np.testing.assert_array_equal(picture, other)


def test_backwards_is_forwards_reversed(clip, monkeypatch):
    monkeypatch.setattr(seekable_video, '_LONGEST_CHUNK', 16)
    source = open_source(clip)
    frames = list(source.frames())
    opened = source.seekable()
    assert opened.count == len(frames)
    assert_same(opened.read(opened.count - 1, 0), frames[::-1])
    # Ranges, with borders of chunks and groups of pictures inside and at the ends.
    last = opened.count - 1
    for start, stop in [(0, last), (7, 7), (12, 35), (11, 12), (35, 12), (12, 11), (last, last)]:
        step = 1 if stop >= start else -1
        expected = [frames[index] for index in range(start, stop + step, step)]
        assert_same(opened.read(start, stop), expected)


@pytest.mark.parametrize('length', [1, 3])
def test_short_videos(tmp_path, length):
    path = write(tmp_path / 'short.mp4', 'libx264', X264, length=length)
    frames = list(open_source(path).frames())
    assert len(frames) == length
    opened = open_source(path).seekable()
    assert_same(opened.read(length - 1, 0), frames[::-1])


def count_decoded(monkeypatch):
    """Counts the frames that are decoded after the file was opened."""
    decoded = []
    after = SeekableVideo._decode_after

    def counted(self, begin, first, last):
        decoded.append((begin, last))
        return after(self, begin, first, last)

    monkeypatch.setattr(SeekableVideo, '_decode_after', counted)
    return decoded


def test_chunks_begin_at_key_frames_and_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(seekable_video, '_LONGEST_CHUNK', 16)
    options = {'bf': '0', 'g': '12', 'sc_threshold': '0'}
    path = write(tmp_path / 'a.mp4', 'libx264', options)
    opened = SeekableVideo(path, 'a.mp4')
    decoded = count_decoded(monkeypatch)
    list(opened.read(59, 0))
    # Nothing is decoded twice where the groups of pictures fit into a chunk.
    assert decoded == [(48, 59), (36, 47), (24, 35), (12, 23), (0, 11)]


def test_a_seek_that_comes_to_another_frame_is_not_believed(tmp_path, monkeypatch):
    path = write(tmp_path / 'a.mp4', 'libx264', X264)
    frames = list(open_source(path).frames())
    opened = SeekableVideo(path, 'a.mp4')
    check = opened._checks[30]
    opened._checks[30] = check ^ 1  # what a decoder that begins in the middle would show
    decoded = count_decoded(monkeypatch)
    pictures = [picture for picture, _ in opened.read(28, 32)]
    assert decoded[-1][0] == 0 and len(decoded) > 1
    for picture, frame in zip(pictures, frames[28:33], strict=True):
        np.testing.assert_array_equal(picture, frame.picture)


def test_a_file_that_was_cut_meanwhile_is_said(tmp_path):
    path = write(tmp_path / 'a.ts', 'libx264', {'bf': '0', 'g': '12'})
    opened = SeekableVideo(path, 'a.ts')
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 // 188 * 188])
    with pytest.raises(DataError, match=r'a\.ts'):
        list(opened.read(59, 50))
