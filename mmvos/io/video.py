"""Reading one video file, or a stream behind a URL, with FFmpeg (PyAV), one frame at a time.

Pictures are (H, W, 3) uint8 in BGR order, turned and mirrored as the file's display matrix says,
with the time at which each is shown. What is wrong with a file ends in one sentence (`DataError`);
a file that is cut off is read up to there with a warning.
"""

from __future__ import annotations

import itertools
import statistics
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from .container_end import is_cut_off
from .errors import DataError

Picture: TypeAlias = NDArray[np.uint8]
T = TypeVar('T')
# What PyAV raises where a frame cannot be decoded.
DECODING_ERRORS = (av.FFmpegError, OSError, ValueError, MemoryError)

# Tags in other encodings must not matter; from version 19 on they never do.
_OPEN_OPTIONS: dict[str, Any] = (
    {'metadata_errors': 'replace'} if int(av.__version__.split('.')[0]) < 19 else {}
)
_URL_TIMEOUT = 20.0  # seconds until a URL answers, and between its frames
# Frame rates that headers are believed; others (1000: a clock of milliseconds) are measured.
_USUAL_RATES = (Fraction(1, 100), Fraction(120))
_FASTEST_RATE = 1000
_MEASURED_PACKETS = 100
# Formats whose index lists every frame before the first is read.
_INDEXED_FORMATS = ('mov,mp4,m4a,3gp,3g2,mj2', 'avi')


@dataclass(frozen=True)
class VideoHeader:
    """What a video says about itself before its first frame is read.

    Attributes:
        fps: frames per second; None where it is not known.
        length: number of frames; None where it is not known.
        time_base: the unit of the frames' times in seconds.
        longest_side: the larger of height and width in pixels.
        has_duration: it is known when the video ends, so it is no live stream.
    """

    fps: Fraction | None
    length: int | None
    time_base: Fraction
    longest_side: int
    has_duration: bool


def open_video(place: str, shown: str) -> InputContainer:
    """Open a video file or a URL.

    Args:
        place: the URL, or the absolute path, so that no file name looks like a protocol.
        shown: its name in messages.

    Raises:
        DataError: there is no video.
    """
    options = dict(_OPEN_OPTIONS)
    if _is_url(place):
        options['timeout'] = _URL_TIMEOUT
        if place.startswith('rtsp'):
            options['options'] = {'rtsp_transport': 'tcp'}
    try:
        container: InputContainer = av.open(place, **options)
    except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
        fault = 'is not a video file, or it is damaged'
        if _is_url(place):
            fault = 'cannot be opened as a video'
        raise DataError(f'{shown} {fault} ({_reason(error)})') from error

    # Sound alone, or a format that FFmpeg names but cannot decode.
    if not container.streams.video:
        container.close()
        raise DataError(f'{shown} holds no video stream')
    codec: Any = container.streams.video[0].codec_context
    if codec is None:
        container.close()
        raise DataError(f'{shown} holds a video in a format that is not known, or it is damaged')
    return container


def read_header(container: InputContainer) -> VideoHeader:
    """Return what an opened video says about itself."""
    stream = container.streams.video[0]
    codec = stream.codec_context
    return VideoHeader(
        fps=_announced_rate(stream),
        length=_announced_length(container, stream),
        time_base=stream.time_base or Fraction(1, 1000),
        longest_side=max(codec.height, codec.width),
        has_duration=container.duration is not None,
    )


def read_frames(
    container: InputContainer, shown: str, path: Path | None
) -> Iterator[tuple[Picture, Fraction | None]]:
    """Read the frames of an opened video, and close it.

    Args:
        container: from `open_video`, not yet read.
        shown: its name in messages.
        path: the file; None where it is no file of this machine.

    Yields:
        (H, W, 3) uint8 BGR, and when the frame is shown in seconds of the video's clock; None
        where the video does not say.

    Raises:
        DataError: a frame cannot be decoded, or a stream breaks off.
    """
    format_name = container.format.name
    decoded = decode_frames(container, shown, path, upright_picture)
    for frame, picture in decoded:
        shown_at = time_of(frame, format_name)
        yield picture, shown_at


def decode_frames(
    container: InputContainer, shown: str, path: Path | None, convert: Callable[[VideoFrame], T]
) -> Iterator[tuple[VideoFrame, T]]:
    """Decode the frames of an opened video from its first, and close it.

    Args:
        container, shown, path: see `read_frames`.
        convert: what is made of each frame; its errors are those of the frame.

    Yields:
        The decoded frame, and what was made of it.

    Raises:
        DataError: see `read_frames`.
    """
    count = 0
    with container:
        stream = container.streams.video[0]
        length = _announced_length(container, stream)
        reading = _Reading()
        decoded = _decode(container, stream, reading)
        while True:
            # What stands in the file decides when it breaks, so all of it is read in here.
            try:
                frame = next(decoded, None)
                if frame is None:
                    break
                converted = convert(frame)
            except DECODING_ERRORS as error:
                raise DataError(broken_frame(shown, path, count, error)) from error
            if frame.is_corrupt:
                warnings.warn(
                    f'{shown}: frame {count} is damaged, the decoder repaired it', stacklevel=2
                )
            yield frame, converted
            count += 1

        # A file that ends too early is said, but what is there counts.
        cut = _cut_off(container, stream, reading, count, length, path)
    if cut:
        warnings.warn(f'{shown} {cut}', stacklevel=2)


def measure_rate(path: Path, shown: str) -> Fraction | None:
    """Return the frame rate of a file by the time stamps of its first frames.

    Pauses between frames do not count. None where there are not two stamps, or they are nonsense.
    """
    with open_video(str(path), shown) as container:
        stream = container.streams.video[0]
        stamps = set()
        try:
            for number, packet in enumerate(container.demux(stream)):
                stamp = packet.dts if container.format.name == 'avi' else packet.pts
                if stamp is not None and packet.size:
                    stamps.add(stamp * (packet.time_base or Fraction(1, 1000)))
                if number >= _MEASURED_PACKETS:
                    break
        except (av.FFmpegError, ValueError):
            # the reader says what is wrong, when it comes there
            pass
    ordered = sorted(stamps)
    distances = [later - earlier for earlier, later in itertools.pairwise(ordered)]
    if not distances:
        return None
    typical = statistics.median(distances)
    usual = [distance for distance in distances if distance <= typical * 3 / 2]
    rate = len(usual) / sum(usual, Fraction(0))
    if not _USUAL_RATES[0] <= rate <= _FASTEST_RATE:
        return None
    return rate.limit_denominator(1001)


@dataclass
class _Reading:
    """What was seen of the file while it was read.

    Attributes:
        end: the place in the file behind the last packet, in bytes.
        ticks: the decoding time behind the last packet, in the stream's time base.
    """

    end: int = 0
    ticks: int = 0


def _decode(
    container: InputContainer, stream: VideoStream, reading: _Reading
) -> Iterator[VideoFrame]:
    """Decode the frames of a stream and note how far the file was read."""
    for packet in container.demux(stream):
        if packet.size:
            start = packet.pos or 0
            begins_at = packet.dts or 0
            lasts = packet.duration or 0
            reading.end = max(reading.end, start + packet.size)
            reading.ticks = max(reading.ticks, begins_at + lasts)
        yield from packet.decode()


def _announced_rate(stream: VideoStream) -> Fraction | None:
    """The frame rate in the header, where it is one that videos have."""
    rate = stream.average_rate or stream.guessed_rate
    slowest, fastest = _USUAL_RATES
    if rate and slowest <= rate <= fastest:
        return Fraction(rate.numerator, rate.denominator)
    return None


def _announced_length(container: InputContainer, stream: VideoStream) -> int | None:
    """The number of frames that will be shown.

    The header counts the frames that are stored. An edit list (a phone's trimmed video) hides some
    of them, and an AVI counts empty places as frames; the index knows both.
    """
    if container.format.name not in _INDEXED_FORMATS or not stream.frames:
        return None
    index = getattr(stream, 'index_entries', None)  # PyAV has it since version 17
    if index is None:
        return stream.frames
    if container.format.name == 'avi':
        return stream.frames if len(index) == stream.frames else None
    return sum(not entry.is_discard for entry in index) or None


def _cut_off(
    container: InputContainer,
    stream: VideoStream,
    reading: _Reading,
    count: int,
    length: int | None,
    path: Path | None,
) -> str | None:
    """The end of a sentence that says where a file ends too early; None where it is whole."""
    name = container.format.name
    if name == 'avi' and stream.frames and reading.ticks < stream.frames:
        return f'announces {stream.frames} frames, but only {count} could be read; it is cut off'
    if name != 'avi' and length is not None and count < length:
        # Without the index a phone's trimmed video looks like that, too.
        fault = 'it is cut off'
        if not hasattr(stream, 'index_entries'):
            fault = 'it was trimmed or is cut off'
        return f'announces {length} frames, but only {count} could be read; {fault}'
    if path is None:
        return None
    y4m_rest = name == 'yuv4mpegpipe' and path.stat().st_size > reading.end
    if not (y4m_rest or is_cut_off(path, name)):
        return None
    expected = _expected_frames(container, stream) if name == 'matroska,webm' else None
    of_all = f' of about {expected}' if expected is not None and expected > count else ''
    return f'is cut off: the file ends in the middle after {count}{of_all} frames'


def _expected_frames(container: InputContainer, stream: VideoStream) -> int | None:
    """The number of frames by the length and the frame rate in the header."""
    rate = _announced_rate(stream)
    if container.duration is None or rate is None:
        return None
    return round(Fraction(container.duration, av.time_base) * rate)


def time_of(frame: VideoFrame, format_name: str) -> Fraction | None:
    """When a frame is shown, in seconds of the video's clock."""
    # An AVI knows only the order of decoding. FFmpeg's guess of the order of showing jumps back and
    # forth where frames refer to later ones.
    stamp = frame.dts if format_name == 'avi' else frame.pts
    if stamp is None or frame.time_base is None:
        return None
    return stamp * frame.time_base


def upright_picture(frame: VideoFrame) -> Picture:
    """Turn and mirror a frame as the display matrix says (phones write one).

    The matrix ((a, b, u), (c, d, v), (x, y, w)) shows the pixel (p, q) at (a p + c q, b p + d q),
    apart from a shift. Only quarter turns and mirrors are applied.

    Args:
        frame: as it was decoded.

    Returns:
        (H, W, 3) BGR.
    """
    picture = frame.to_ndarray(format='bgr24')
    side_data: Any = frame.side_data
    stored = side_data.get('DISPLAYMATRIX')
    if stored is None or len(bytes(stored)) != 36:
        return np.ascontiguousarray(picture)

    # Which way round the camera was held.
    matrix = np.frombuffer(bytes(stored), dtype=np.int32)
    a, b, _, c, d = (int(number) for number in matrix[:5])
    is_transposed = abs(b) + abs(c) > abs(a) + abs(d)
    if is_transposed:
        picture = picture.transpose(1, 0, 2)
        is_mirrored = c < 0
        is_upside_down = b < 0
    else:
        is_mirrored = a < 0
        is_upside_down = d < 0
    if is_mirrored:
        picture = picture[:, ::-1]
    if is_upside_down:
        picture = picture[::-1]
    return np.ascontiguousarray(picture)


def broken_frame(shown: str, path: Path | None, count: int, error: Exception) -> str:
    """Say that a video cannot be read on.

    Args:
        shown: its name in messages.
        path: the file; None where it is no file of this machine.
        count: frames that were read.
        error: of the decoder.
    """
    if path is None:
        return f'{shown}: no frame came after {count} of them ({_reason(error)})'
    return (
        f'{shown}: the file is damaged, frame {count} cannot be decoded ({_reason(error)}); '
        f'repair it or cut it there'
    )


def _is_url(place: str) -> bool:
    return '://' in place


def _reason(error: Exception) -> str:
    reason = getattr(error, 'strerror', None) or str(error) or type(error).__name__
    return str(reason).splitlines()[0]
