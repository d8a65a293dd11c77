"""Overlay video: the frames with the objects drawn on them, as an H.264 mp4 that any player and
browser shows.

An object keeps its color through the video, and id n has the same color in every video, unless it
is said how objects look.
"""

from __future__ import annotations

import colorsys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from mmvos.io.atomic import atomic_path, make_folder, output_errors
from mmvos.io.errors import DataError
from mmvos.structures import FrameResult, TrackedObject, rle

_CODECS: tuple[tuple[str, dict[str, str]], ...] = (  # the first that PyAV has, with its settings
    ('libx264', {'crf': '20', 'preset': 'veryfast'}),
    ('libopenh264', {}),
    ('mpeg4', {'qscale': '4'}),
)
LARGEST_SIDE = 16384  # pixels of an H.264 picture
_HIGHEST_RATE = 1000
# left, top, width, height of what stands behind a name, in pixels
Plate = tuple[int, int, int, int]
_OPACITY = 0.45
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# An mp4 in pieces of a second, each of which can be shown on its own.
_FRAGMENTS = {
    'movflags': 'delay_moov+default_base_moof',
    'frag_duration': '1000000',
    'flush_packets': '1',
}
_LONGEST_GAP = 3600  # seconds between two frames; more is a damaged time stamp
_LONGEST_DISORDER = 1  # seconds by which a stamp may lie before its predecessor
# steps of this size spread evenly over the hue circle, however many there are
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Look:
    """How an object is drawn.

    Attributes:
        color: (B, G, R), 0..255.
        name: what is written at it.
    """

    color: tuple[int, int, int]
    name: str


@lru_cache(maxsize=4096)
def color_of(object_id: int) -> tuple[int, int, int]:
    """Return the color of an object.

    Neighboring ids differ in hue, every third one also in lightness.

    Args:
        object_id: from 1.

    Returns:
        (B, G, R), 0 to 255.
    """
    hue = (0.58 + object_id * _GOLDEN) % 1.0
    lightness = (0.5, 0.62, 0.4)[object_id % 3]
    rgb = colorsys.hls_to_rgb(hue, lightness, 0.95)
    red, green, blue = (round(255 * value) for value in rgb)
    return blue, green, red


def draw_overlay(
    image: NDArray[np.uint8],
    result: FrameResult,
    classes: Sequence[str] = (),
    looks: Mapping[int, Look] | None = None,
) -> NDArray[np.uint8]:
    """Draw masks, contours, ids and class names.

    Args:
        image: (H, W, 3) uint8 BGR, of the result's shape; not changed.
        result: the objects of the frame.
        classes: class names by label; where a label has none only the id is drawn.
        looks: of objects by id; the others have the color of their id.

    Returns:
        (H, W, 3) uint8 BGR.
    """
    assert image.shape[:2] == result.shape, (image.shape, result.shape)
    drawn = image.copy()
    # (H, W): who is seen where
    labels = result.label_map()
    shown = {item.id: _look_of(item, classes, looks or {}) for item in result.objects}
    for item in result.objects:
        _tint(drawn, labels, item, shown[item.id].color)

    # names above all masks, beside each other
    taken: list[Plate] = []
    for item in result.objects:
        _name(drawn, shown[item.id], item, taken)
    return drawn


def _look_of(item: TrackedObject, classes: Sequence[str], looks: Mapping[int, Look]) -> Look:
    """How an object is drawn where nobody said it: with its id and class."""
    if item.id in looks:
        return looks[item.id]
    text = str(item.id)
    if 0 <= item.label < len(classes):
        text = f'{item.id} {classes[item.label]}'
    return Look(color_of(item.id), text)


def _tint(
    drawn: NDArray[np.uint8],
    labels: NDArray[np.int32],
    item: TrackedObject,
    color: tuple[int, int, int],
) -> None:
    """Colors the visible pixels of one object and draws its contour."""
    # (h, w): what is seen of it, in its box
    x1, y1, x2, y2 = (int(value) for value in rle.bounding_box(item.mask))
    is_seen = labels[y1:y2, x1:x2] == item.id
    mask = is_seen.astype(np.uint8)
    if not mask.any():
        return

    # (h, w, 3): mixed with its color
    window = np.ascontiguousarray(drawn[y1:y2, x1:x2])
    tint = np.full_like(window, color)
    mixed = cv2.addWeighted(window, 1 - _OPACITY, tint, _OPACITY, 0)
    cv2.copyTo(mixed, mask, window)
    drawn[y1:y2, x1:x2] = window

    # the contour, also of holes
    contours, _ = cv2.findContours(
        mask,
        cv2.RETR_CCOMP,
        cv2.CHAIN_APPROX_NONE,
        offset=(x1, y1),
    )
    cv2.drawContours(drawn, contours, -1, color, _stroke(drawn), cv2.LINE_AA)


def _stroke(image: NDArray[np.uint8]) -> int:
    """Thickness of a contour in pixels, in proportion to the image."""
    height, width = image.shape[:2]
    return max(1, round(min(height, width) / 300))


def _name(drawn: NDArray[np.uint8], look: Look, item: TrackedObject, taken: list[Plate]) -> None:
    """Write a name on a dark plate at the object, inside the frame, beside the plates that are
    there.
    """
    x1, y1, x2, y2 = rle.bounding_box(item.mask)
    if x2 <= x1:
        return

    # The plate is a little larger than the text, and not larger than the frame.
    height, width = drawn.shape[:2]
    size = max(0.4, min(height, width) / 800)
    # OpenCV's letters are those of ASCII.
    text = look.name if look.name.isascii() else str(item.id)
    (text_width, text_height), below = cv2.getTextSize(text, _FONT, size, 1)
    plate_height = min(text_height + below + 4, height)
    plate_width = min(text_width + 6, width)

    # Possible places: above the object, below it, then further and further down inside.
    left = int(min(max(x1, 0), width - plate_width))
    plates: list[Plate] = []
    for top in (y1 - plate_height, y2, *np.arange(y1, y2, plate_height)):
        inside = int(min(max(top, 0), height - plate_height))
        plates.append((left, inside, plate_width, plate_height))

    # The first that is free is taken; the first of all where none is.
    free = [plate for plate in plates if not any(_overlap(plate, other) for other in taken)]
    plate = free[0] if free else plates[0]
    taken.append(plate)

    # a dark plate with a stripe in the object's color
    _, top, _, _ = plate
    pixels = drawn[top : top + plate_height, left : left + plate_width]
    pixels[:] = (pixels * 0.25).astype(np.uint8)
    pixels[:, :3] = look.color

    # the text in white
    corner = (left + 5, top + text_height + 2)
    cv2.putText(drawn, text, corner, _FONT, size, (255, 255, 255), 1, cv2.LINE_AA)


def _overlap(one: Plate, other: Plate) -> bool:
    """Whether two plates have pixels in common."""
    left, top, width, height = one
    right = left + width
    bottom = top + height
    other_left, other_top, other_width, other_height = other
    other_right = other_left + other_width
    other_bottom = other_top + other_height
    share_columns = left < other_right and other_left < right
    share_rows = top < other_bottom and other_top < bottom
    return share_columns and share_rows


def parse_frame_rate(given: str | float | Fraction) -> Fraction:
    """Return a frame rate that a user gives, e.g. '30000/1001' or 12.5, as a fraction.

    Raises:
        DataError: it is no number above 0 and up to 1000.
    """
    try:
        rate = Fraction(given)
    except (ValueError, ZeroDivisionError, OverflowError):
        rate = Fraction(0)
    if not 0 < rate <= _HIGHEST_RATE:
        raise DataError(
            f'the frame rate must be above 0 and at most {_HIGHEST_RATE} frames per second, e.g. '
            f'25 or 30000/1001; it is {str(given)[:40]}'
        )
    return rate.limit_denominator(100_000)


def check_side(path: Path, side: int) -> None:
    """Refuse frames that are too large for an overlay video.

    Args:
        path: of the overlay.
        side: the larger of the frames' height and width.

    Raises:
        DataError: it is larger than `LARGEST_SIDE`.
    """
    if side > LARGEST_SIDE:
        raise DataError(
            f'{path} cannot be written: the frames have up to {side} pixels on a side, a video at '
            f'most {LARGEST_SIDE}; leave the overlay out (--no-video, video=False) or scale the '
            f'frames'
        )


class Timeline:
    """Places the frames of a video on a time axis that begins at 0 and never goes back.

    Args:
        step: seconds from one frame to the next where the time stamps do not say it.
    """

    def __init__(self, step: Fraction) -> None:
        self.step = step
        self._time: Fraction | None = None  # of the last frame
        self._stamp: Fraction | None = None  # of the last frame that had one
        self._offset = Fraction(0)  # time = stamp + offset

    def place(self, stamp: Fraction | None) -> Fraction:
        """The time of the next frame in seconds.

        A stamp that is missing or equal to the one before counts as one step. So does one that is
        far away, as in damaged files or where a clock begins anew; later stamps are then counted
        from it. A stamp a little before its predecessor (frames out of order) moves nothing.

        Args:
            stamp: the frame's time in the source, in seconds; None where the source does not say.
        """
        if self._time is None:
            self._time = Fraction(0)
            self._offset = -stamp if stamp is not None else Fraction(0)
        elif stamp is None:
            self._time += self.step
        else:
            distance = stamp + self._offset - self._time
            if 0 < distance <= _LONGEST_GAP:
                self._time += distance
            elif stamp == self._stamp or not -_LONGEST_DISORDER < distance <= 0:
                self._time += self.step
                self._offset = self._time - stamp
        if stamp is not None:
            self._stamp = stamp
        return self._time


class OverlayVideo:
    """Encodes the drawn frames as they come; a context manager, the file is complete when it is
    left, also after an error. Until then they are in ``NAME.partial.mp4``, which players show up to
    the last second, also when this process is killed.

    Args:
        path: the mp4 file; nothing is written when there is no frame.
        fps: frames per second, exact: of all frames that have no time of their own.
        classes: class names by label.
        time_base: the unit of the frames' times in seconds, e.g. 1/1000; by default the frames'
            times are ignored, and each is shown for 1 / fps.
        looks: of objects by id; the others have the color of their id.
    """

    def __init__(
        self,
        path: str | Path,
        fps: Fraction,
        classes: Sequence[str] = (),
        time_base: Fraction | None = None,
        looks: Mapping[int, Look] | None = None,
    ) -> None:
        self.path = Path(path)
        self._partial = self.path.with_suffix(f'.partial{self.path.suffix}')
        self.fps = Fraction(fps)
        self.classes = tuple(classes)
        self.looks = dict(looks or {})
        self.has_times = time_base is not None
        # A clock coarser than the frames would put several of them at one tick.
        self.time_base = min(time_base or 1 / self.fps, 1 / self.fps)
        self._timeline = Timeline(1 / self.fps)
        self._last_pts = -1
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None

    def __enter__(self) -> OverlayVideo:
        return self

    def __exit__(self, *error: object) -> None:
        if self._container is None or self._stream is None:
            return
        with output_errors(self.path):
            self._container.mux(self._stream.encode(None))
            self._container.close()
            with atomic_path(self.path) as final:
                _repack(self._partial, final)
            self._partial.unlink()

    def write(
        self,
        name: str,
        image: NDArray[np.uint8],
        result: FrameResult,
        time: Fraction | None = None,
    ) -> None:
        """Draw and encode one frame.

        Args:
            name: not used.
            image: (H, W, 3) uint8 BGR; an odd height or width grows by one pixel, which yuv420p
                needs.
            result: the objects.
            time: when the frame is shown, in seconds of the source; by default 1 / fps after the
                one before.

        Raises:
            OutputError: the file cannot be written.
        """
        drawn = draw_overlay(image, result, self.classes, self.looks)
        height, width = drawn.shape[:2]
        drawn = np.pad(drawn, ((0, height % 2), (0, width % 2), (0, 0)), mode='edge')
        if self._container is None:
            check_side(self.path, max(height, width))
            self._container, self._stream = self._open(*drawn.shape[:2])
        assert self._stream is not None

        # Two frames at one tick of the clock would be an error of the encoder.
        shown_at = time if self.has_times else None
        seconds = self._timeline.place(shown_at)
        ticks = round(seconds / self.time_base)
        self._last_pts = max(ticks, self._last_pts + 1)

        frame = av.VideoFrame.from_ndarray(drawn, format='bgr24')
        frame.pts = self._last_pts
        frame.time_base = self.time_base
        with output_errors(self.path):
            packets = self._stream.encode(frame)
            self._container.mux(packets)

    def _open(self, height: int, width: int) -> tuple[av.container.OutputContainer, av.VideoStream]:
        # The best encoder that this build of PyAV has.
        codec, options = next(item for item in _CODECS if item[0] in av.codecs_available)
        if codec == 'mpeg4':
            finest = Fraction(1, 65535)  # MPEG-4 counts a second in 16 bits
            self.time_base = max(self.time_base, finest)
            warnings.warn(
                f'this build of PyAV has no H.264 encoder, {self.path} is MPEG-4 part 2, which '
                f'browsers may not show',
                stacklevel=3,
            )

        # In fragments, so that what is written can be played after a kill.
        make_folder(self.path.parent)
        with output_errors(self.path):
            container = av.open(str(self._partial), 'w', format='mp4', options=dict(_FRAGMENTS))
        stream = container.add_stream(codec, rate=self.fps, options=dict(options))
        assert isinstance(stream, av.VideoStream)
        stream.width = width
        stream.height = height
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.time_base = self.time_base
        return container, stream


def _repack(source: Path, target: Path) -> None:
    """Copy the encoded frames of an mp4 in pieces into a plain one, its index in front."""
    options = {'movflags': 'faststart'}
    with av.open(str(source)) as pieces, av.open(str(target), 'w', 'mp4', options=options) as whole:
        given = pieces.streams.video[0]
        stream = whole.add_stream_from_template(given)
        for packet in pieces.demux(given):
            if packet.dts is None:
                continue  # the end of the stream
            packet.stream = stream
            whole.mux(packet)
