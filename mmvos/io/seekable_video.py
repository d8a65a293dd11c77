"""A video file whose frames are read from any place on, forwards or backwards.

Decoders only go forwards, and begin at key frames. Read backwards, a file is decoded in chunks:
seek to the key frame before the chunk, decode the chunk, give it in reverse. Seeking is not exact
in all files (wrong indexes, open groups of pictures, no time stamps), so the file is decoded once
before: what is known of each frame then, its time stamp and a check sum, tells whether a seek came
where it should. Where it did not, an earlier key frame is taken, and in the end the beginning.

`video_seek` opens a file without decoding it, by the time stamps of its packets, and trusts them.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from .errors import DataError
from .video import (
    DECODING_ERRORS,
    Picture,
    broken_frame,
    decode_frames,
    open_video,
    time_of,
    upright_picture,
)

_CHUNK_BYTES = 2**27  # of the decoded frames that are held at a time
# frames
_LONGEST_CHUNK = 256
_SHORTEST_CHUNK = 8
_UNKNOWN = -(2**63)  # a time stamp that is not there


class SeekableVideo:
    """A file whose frames were decoded once, so that they can be read in any order.

    Memory grows by some 20 bytes a frame.

    Args:
        path: the file, absolute.
        shown: its name in messages.

    Attributes:
        count: the number of frames.

    Raises:
        DataError: it is no video, or a frame cannot be decoded.
    """

    def __init__(self, path: Path, shown: str) -> None:
        self._path = path
        self._shown = shown
        self._stamps = array('q')  # pts of each frame
        self._ticks = array('q')  # when each frame is shown, in units of the time base
        self._time_base = Fraction(1, 1000)
        self._checks = array('L')
        self._chunk = _LONGEST_CHUNK
        key_frames = []

        container = open_video(str(path), shown)
        format_name = container.format.name
        for frame, check in decode_frames(container, shown, path, _check_sum):
            if frame.key_frame:
                key_frames.append(len(self._stamps))
            stamp = _UNKNOWN if frame.pts is None else frame.pts
            self._stamps.append(stamp)
            time = time_of(frame, format_name)
            if time is None or frame.time_base is None:
                self._ticks.append(_UNKNOWN)
            else:
                self._time_base = frame.time_base
                self._ticks.append(round(time / frame.time_base))
            self._checks.append(check)
            if len(self._stamps) == 1:
                size = frame.width * frame.height * 2
                self._chunk = max(_SHORTEST_CHUNK, min(_LONGEST_CHUNK, _CHUNK_BYTES // size))
        self.count = len(self._stamps)

        # Without stamps that grow a frame cannot be found after a seek.
        grows = all(early < late for early, late in pairwise(self._stamps))
        if not grows or _UNKNOWN in self._stamps:
            key_frames = []
        self._key_frames = [index for index in key_frames if index > 0]

    def read(self, start: int, stop: int) -> Iterator[tuple[Picture, Fraction | None]]:
        """Read the frames from ``start`` to ``stop``, both included.

        Args:
            start: the first frame to be read.
            stop: the last one; where it lies before ``start`` the frames come backwards.

        Yields:
            See ``mmvos.io.video.read_frames``.

        Raises:
            DataError: a frame cannot be decoded any more.
        """
        if stop >= start:
            for index, frame in enumerate(self._decode(start, stop), start):
                yield upright_picture(frame), self._time(index)
            return
        last = start
        while last >= stop:
            first = max(self._first_of_chunk(last), stop)
            # These are held as the decoder gives them, which takes half the memory of BGR.
            frames = list(self._decode(first, last))
            for index in range(last, first - 1, -1):
                yield upright_picture(frames.pop()), self._time(index)
            last = first - 1

    def _first_of_chunk(self, last: int) -> int:
        """Choose where the chunk that ends with a frame begins: at a key frame, if one is near."""
        earliest = max(last - self._chunk + 1, 0)
        place = bisect_left(self._key_frames, earliest)
        if place == len(self._key_frames):
            return earliest
        key_frame = self._key_frames[place]
        return key_frame if key_frame <= last else earliest

    def _time(self, index: int) -> Fraction | None:
        ticks = self._ticks[index]
        return None if ticks == _UNKNOWN else ticks * self._time_base

    def _decode(self, first: int, last: int) -> Iterator[VideoFrame]:
        """Decode the frames from ``first`` to ``last``, both included."""
        # The nearest key frame, the one before it, and the beginning, which is always right.
        place = bisect_right(self._key_frames, first)
        begins = [*reversed(self._key_frames[max(place - 2, 0) : place]), 0]
        following = first
        for begin in begins:
            for frame in self._decode_after(begin, following, last):
                yield frame
                following += 1
            if following > last:
                return
        raise DataError(
            f'{self._shown}: frame {following} cannot be read any more; was the file changed?'
        )

    def _decode_after(self, begin: int, first: int, last: int) -> Iterator[VideoFrame]:
        """Decode frames after a seek, as long as they are those that were decoded before.

        Args:
            begin: the key frame to seek; 0 is the beginning of the file, without a seek.
            first, last: the frames to be given.
        """
        index = begin - 1
        with open_video(str(self._path), self._shown) as container:
            stream = container.streams.video[0]
            try:
                if begin > 0:
                    container.seek(self._stamps[begin], stream=stream)
                for frame in container.decode(stream):
                    is_before = frame.pts is not None and frame.pts < self._stamps[begin]
                    if begin > 0 and index < begin and is_before:
                        # Frames that are shown before the key frame may be incomplete.
                        continue
                    index += 1
                    if index >= self.count:
                        return
                    if begin > 0 and frame.pts != self._stamps[index]:
                        return
                    if index < first:
                        continue
                    if begin > 0 and _check_sum(frame) != self._checks[index]:
                        return
                    yield frame
                    if index == last:
                        return
            except DECODING_ERRORS as error:
                if begin == 0:
                    fault = broken_frame(self._shown, self._path, index + 1, error)
                    raise DataError(fault) from error


def _check_sum(frame: VideoFrame) -> int:
    """Return a check sum of a frame's first plane, as it is decoded."""
    plane = frame.planes[0]
    buffer: Any = plane
    pixels: NDArray[np.uint8] = np.frombuffer(buffer, np.uint8)
    used = pixels[: plane.height * plane.line_size]
    rows = used.reshape(plane.height, plane.line_size)
    # What stands behind a row's pixels is anything.
    width = min(frame.width, plane.line_size)
    content = rows[:, :width].tobytes()
    return zlib.crc32(content)
