"""Frames by number are those that are read in order, in any order, of every kind of file."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mmvos.io.errors import DataError
from mmvos.io.video import open_video, read_frames
from mmvos.io.video_seek import NoIndexError, SeekingVideo, index_by_decoding, index_packets

LENGTH = 40
KINDS = {
    'h264.mp4': ('libx264', {'g': '12', 'bf': '2'}),
    'open-gop.mkv': ('libx264', {'g': '10', 'bf': '3', 'x264-params': 'open-gop=1'}),
    'mpeg4.avi': ('mpeg4', {'g': '8'}),
    'one-key.mp4': ('libx264', {'g': '1000'}),
    'vp8.webm': ('libvpx', {'g': '9'}),
    'stream.ts': ('libx264', {'g': '12', 'bf': '2'}),
}


def write(path: Path, codec: str, options: dict[str, str], length: int = LENGTH) -> Path:
    """A gray ramp of frames that are told apart by their brightness and a moving bar."""
    if codec not in av.codecs_available:
        pytest.skip(f'this PyAV has no {codec}')
    with av.open(str(path), 'w') as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        for number in range(length):
            image = np.full((48, 64, 3), 40 + 4 * number, np.uint8)
            image[:, number : number + 8] = 255 - 4 * number
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='bgr24')))
        container.mux(stream.encode(None))
    return path


def in_order(path: Path) -> list[Any]:
    """All frames, read one after the other."""
    container = open_video(str(path), path.name)
    return [picture for picture, _ in read_frames(container, path.name, path)]


def check(path: Path, seeking: SeekingVideo, numbers: Sequence[int]) -> None:
    """The frames of these numbers are those of reading in order."""
    wanted = in_order(path)
    for number in numbers:
        assert (seeking.read(number) == wanted[number]).all(), number


@pytest.mark.parametrize('name', KINDS)
def test_any_order(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, *KINDS[name])
    count = len(in_order(path))
    try:
        index = index_packets(path)
    except NoIndexError:
        index = index_by_decoding(path)
    assert len(index) == count
    order = np.random.default_rng(0).permutation(count).tolist()
    few = SeekingVideo(path, index, cache_bytes=4 * 64 * 48 * 3)
    check(path, few, order)
    check(path, few, range(count))
    check(path, few, range(count - 1, -1, -1))


def test_packets_and_decoding_agree(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.mp4', *KINDS['h264.mp4'])
    assert (index_packets(path).stamps == index_by_decoding(path).stamps).all()


def test_backwards_decodes_each_frame_about_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / 'a.mp4', *KINDS['one-key.mp4'])
    seeking = SeekingVideo(path, index_packets(path), cache_bytes=16 * 64 * 48 * 3)
    counts = [0]
    stamp = seeking._stamp

    def counted(frame: Any) -> int | None:
        counts[0] += 1
        return stamp(frame)

    monkeypatch.setattr(seeking, '_stamp', counted)
    for number in range(LENGTH - 1, -1, -1):
        seeking.read(number)
    # One key frame: each chunk of half the memory is decoded from the beginning.
    assert counts[0] < LENGTH * LENGTH / 8


def test_without_an_index_frames_come_from_the_beginning(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.mp4', *KINDS['h264.mp4'])
    seeking = SeekingVideo(path)
    wanted = in_order(path)
    assert (seeking.read(0) == wanted[0]).all()
    assert (seeking.read(5) == wanted[5]).all()
    assert (seeking.read(2) == wanted[2]).all()
    with pytest.raises(DataError):
        seeking.read(LENGTH)


def test_frames_that_are_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.mp4', *KINDS['h264.mp4'])
    seeking = SeekingVideo(path, index_packets(path))
    for number in (-1, LENGTH):
        with pytest.raises(DataError, match='no frame'):
            seeking.read(number)


def test_a_file_that_ends_in_the_middle_is_decoded_once(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.mkv', *KINDS['open-gop.mkv'])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    seeking = SeekingVideo(path, index_by_decoding(path))
    assert seeking.index is not None
    count = len(seeking.index)
    assert 0 < count < LENGTH
    assert seeking.read(count - 1).shape == (48, 64, 3)


def test_a_wrong_index_is_noticed(tmp_path: Path) -> None:
    """Packets that promise other frames than the decoder gives: the file is decoded once."""
    path = write(tmp_path / 'a.mp4', *KINDS['h264.mp4'])
    index = index_packets(path)
    wrong = type(index)(index.stamps + 1, index.keys)
    seeking = SeekingVideo(path, wrong)
    check(path, seeking, [20, 3, 39, 0])
    assert seeking.index is not None and seeking.index.is_decoded


def test_stamps_are_fractions_of_the_stream(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.mp4', *KINDS['h264.mp4'])
    with av.open(str(path)) as container:
        base = container.streams.video[0].time_base
    assert base is not None
    steps = np.diff(index_packets(path).stamps) * base
    assert all(step == Fraction(1, 25) for step in steps)
