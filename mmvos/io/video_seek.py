"""Frames of a video file by their number: an index of time stamps, and a reader that seeks.

Frame numbers are those of ``read_frames``: the frames in the order in which they are shown. The
index is made by reading the packets of the file without decoding them. Every frame that is read
after a seek is checked by its time stamp; a file whose packets do not tell what its decoder gives
is decoded once from end to end instead, so a number never means two frames.

This is for someone who looks at a video, which opens at once. `seekable_video` is for runs that
must give the same bytes in any order: it decodes the whole file first, and believes a picture only
by its check sum.

L: frames of the video.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from .errors import DataError
from .video import Picture, open_video, upright_picture

_FAR = 64  # frames that are decoded on the way rather than seeking, where no key frame is known
_FIRST_STEP_BACK = 1.0  # seconds by which a seek that came too late begins earlier
_LARGEST_STEP_BACK = 64.0


@dataclass(frozen=True)
class FrameIndex:
    """Where the frames of a video file are.

    Attributes:
        stamps: (L,) int64, when each frame is shown, in the stream's time base, increasing.
        keys: (K,) int64, numbers of the frames at which decoding can begin, increasing.
        is_decoded: the stamps are those of decoded frames, not of packets.
    """

    stamps: NDArray[np.int64]
    keys: NDArray[np.int64]
    is_decoded: bool = False

    def __len__(self) -> int:
        return len(self.stamps)


class NoIndexError(Exception):
    """The packets of a file do not tell which frames there are."""


def index_packets(path: Path, on_progress: Callable[[float], object] | None = None) -> FrameIndex:
    """Read the time stamps of all packets of a file.

    Args:
        path: the video.
        on_progress: is told the part of the file that was read, 0 to 1, now and then.

    Raises:
        DataError: it is no video.
        NoIndexError: packets have no stamps, or two have the same.
    """
    stamps: list[int] = []
    keys: list[int] = []
    size = max(path.stat().st_size, 1)
    with open_video(str(path.absolute()), str(path)) as container:
        is_avi = container.format.name == 'avi'
        stream = container.streams.video[0]
        try:
            for packet in container.demux(stream):
                if not packet.size or packet.is_discard:
                    continue
                # An AVI knows only the order of decoding; see `video.read_frames`.
                stamp = packet.dts if is_avi else packet.pts
                if stamp is None or packet.is_corrupt:
                    raise NoIndexError('a packet has no time stamp')
                stamps.append(stamp)
                if packet.is_keyframe:
                    keys.append(stamp)
                if on_progress is not None and len(stamps) % 1000 == 0:
                    on_progress(min((packet.pos or 0) / size, 1.0))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise NoIndexError('the file is damaged') from error
    ordered = np.sort(np.array(stamps, np.int64))
    if not len(ordered) or (np.diff(ordered) == 0).any():
        raise NoIndexError('two packets have the same time stamp')
    return FrameIndex(ordered, np.sort(np.searchsorted(ordered, np.array(keys, np.int64))))


def index_by_decoding(
    path: Path, on_progress: Callable[[float], object] | None = None
) -> FrameIndex:
    """Decode a whole file and note its frames.

    A file that breaks off in the middle ends there. Frames without a stamp, or with one that is not
    later than the one before, get no way to be seeked to: they are reached by decoding from the key
    frame before.

    Args:
        path: of the video.
        on_progress: told the share of the file that was read.

    Raises:
        DataError: no frame can be decoded.
    """
    stamps: list[int] = []
    keys: list[int] = []
    size = max(path.stat().st_size, 1)
    last = -1
    with open_video(str(path.absolute()), str(path)) as container:
        is_avi = container.format.name == 'avi'
        stream = container.streams.video[0]
        with suppress(av.FFmpegError, OSError, ValueError):
            for packet in container.demux(stream):
                for frame in packet.decode():
                    assert isinstance(frame, VideoFrame)
                    stamp = frame.dts if is_avi else frame.pts
                    # A stamp that goes on from the last one is one that can be seeked to.
                    is_first = not stamps
                    if stamp is not None and (is_first or stamp > last):
                        if frame.key_frame:
                            keys.append(len(stamps))
                        last = stamp
                    else:
                        last += 1
                    stamps.append(last)
                if on_progress is not None and packet.pos:
                    share = packet.pos / size
                    on_progress(min(share, 1.0))
    if not stamps:
        raise DataError(f'{path} has no frame that can be read; is it a whole video?')
    if not keys:
        keys = [0]
    return FrameIndex(np.array(stamps, np.int64), np.array(keys, np.int64), True)


class SeekingVideo:
    """Reads frames of a video file by number, and remembers the last ones.

    Going through a video in either direction decodes each frame about once. A reader may be used by
    several threads; one reads at a time.

    Args:
        path: the video file.
        index: its frames; None: only frames from the beginning on are read, until `use` is called.
        cache_bytes: of pictures that are remembered.
    """

    def __init__(
        self, path: Path, index: FrameIndex | None = None, cache_bytes: int = 96 << 20
    ) -> None:
        self.path = path
        self.index = index
        self._cache_bytes = cache_bytes
        self._cached: OrderedDict[int, Picture] = OrderedDict()
        self._lock = threading.RLock()
        self._container: InputContainer | None = None
        self._frames: Iterator[VideoFrame] | None = None
        self._next = 0  # number of the frame that the decoder gives next
        self._last_read = -1
        self._is_avi = False

    def use(self, index: FrameIndex) -> None:
        """Take an index that was made in the meantime."""
        with self._lock:
            self.index = index

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._frames = None
            if self._container is not None:
                self._container.close()
                self._container = None

    def read(self, number: int) -> Picture:
        """Read one frame.

        Args:
            number: from 0.

        Returns:
            (H, W, 3) uint8 BGR, upright; not to be changed.

        Raises:
            DataError: there is no such frame, or it cannot be decoded.
        """
        with self._lock:
            picture = self._cached.get(number)
            if picture is None:
                picture = self._read(number)
            else:
                self._cached.move_to_end(number)
            self._last_read = number
            return picture

    def _read(self, number: int) -> Picture:
        """Read a frame that is not remembered."""
        index = self.index
        if number < 0 or (index is not None and number >= len(index)):
            count = '' if index is None else f' among its {len(index)} frames'
            raise DataError(f'{self.path} has no frame {number}{count}; frames count from 0')
        # Backwards all frames of the way are kept, so that the next one is there.
        keep_from = number
        if number == self._last_read - 1:
            keep_from = max(0, number - self._frames_in_cache() // 2)
        if not self._is_ahead(number):
            self._seek(keep_from)
        picture = self._decode_to(number, keep_from)
        if picture is None:
            # The decoder gave other frames than the packets promised: decode once from the start.
            if index is not None and not index.is_decoded:
                self.index = index_by_decoding(self.path)
                self._cached.clear()
            self._open()
            picture = self._decode_to(number, number, check=False)
        if picture is None:
            raise DataError(f'{self.path}: frame {number} cannot be decoded; the file is damaged')
        return picture

    def _frames_in_cache(self) -> int:
        """How many pictures can be remembered."""
        if not self._cached:
            return 2
        size = next(iter(self._cached.values())).nbytes
        return max(self._cache_bytes // size, 2)

    def _is_ahead(self, number: int) -> bool:
        """Whether the decoder comes to a frame sooner by going on than by a seek."""
        if self._frames is None or number < self._next:
            return False
        if self.index is None:
            return True
        if number - self._next < _FAR // 8:
            return True
        # A seek would come to the last key frame before it.
        keys = self.index.keys
        before = int(np.searchsorted(keys, number, 'right')) - 1
        key = 0
        if before >= 0:
            key = int(keys[before])
        return key <= self._next + 1

    def _open(self) -> None:
        """Begin to decode at the first frame."""
        self.close()
        container = open_video(str(self.path.absolute()), str(self.path))
        container.streams.video[0].thread_type = 'AUTO'
        self._container = container
        self._is_avi = container.format.name == 'avi'
        self._frames = iter(container.decode(container.streams.video[0]))
        self._next = 0

    def _seek(self, number: int) -> None:
        """Let the decoder go on at a frame, or at one before it."""
        index = self.index
        keys = index.keys if index is not None else np.zeros(1, np.int64)
        before = int(np.searchsorted(keys, number, 'right')) - 1
        key = int(keys[before]) if before >= 0 else 0

        # Near the beginning it is read from there.
        if index is None or key == 0:
            # Nothing helps but to decode from the first frame.
            self._open()
            return
        if self._container is None:
            self._open()
        container = self._container
        assert container is not None
        stream = container.streams.video[0]
        base = float(stream.time_base or 0.001)

        # A seek may end behind the frame, so it is tried from further and further before.
        target = int(index.stamps[key])
        step = 0.0
        while step <= _LARGEST_STEP_BACK:
            try:
                container.seek(round(target - step / base), stream=stream, backward=True)
                frames = iter(container.decode(stream))
                first = next(frames, None)
            except (av.FFmpegError, OSError, ValueError):
                break
            stamp = self._stamp(first) if first is not None else None
            if first is not None and stamp is not None and stamp <= index.stamps[number]:
                place = int(np.searchsorted(index.stamps, stamp))
                if index.stamps[place] == stamp and not first.is_corrupt:
                    self._frames = _before(first, frames)
                    self._next = place
                    return
            step = 2 * step or _FIRST_STEP_BACK
        self._open()

    def _stamp(self, frame: VideoFrame) -> int | None:
        return frame.dts if self._is_avi else frame.pts

    def _decode_to(self, number: int, keep_from: int, check: bool = True) -> Picture | None:
        """Decode up to a frame.

        Args:
            number: the frame.
            keep_from: frames from here on are remembered.
            check: compare the time stamps with the index.

        Returns:
            The picture; None where the decoder gives other frames than the index says.

        Raises:
            DataError: without an index, the video has no such frame.
        """
        index = self.index
        while True:
            assert self._frames is not None
            try:
                frame = next(self._frames, None)
            except (av.FFmpegError, OSError, ValueError, MemoryError):
                frame = None
            # The end, or a frame that cannot be decoded.
            if frame is None:
                self._frames = None
                if index is None:
                    raise DataError(f'{self.path} has no frame {number}; frames count from 0')
                return None
            place = self._next
            # A decoder that skips a frame gives another one than it is asked for.
            if check and index is not None and not index.is_decoded:
                stamp = self._stamp(frame)
                if place >= len(index) or stamp != index.stamps[place]:
                    self._frames = None
                    return None
            self._next = place + 1
            if place >= keep_from:
                picture = upright_picture(frame)
                self._remember(place, picture)
                if place == number:
                    return picture

    def _remember(self, number: int, picture: Picture) -> None:
        """Keep a picture, and forget those that were not used for longest."""
        self._cached[number] = picture
        limit = max(self._cache_bytes // picture.nbytes, 2)
        while len(self._cached) > limit:
            self._cached.popitem(last=False)


def _before(first: VideoFrame, rest: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """The frames with the one that was taken already."""
    yield first
    yield from rest
