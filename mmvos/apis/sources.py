"""Sources: where the frames of a video come from (video file, folder of images, glob, camera, URL,
arrays), read one frame at a time.

Frames are (H, W, 3) uint8 arrays in BGR order, upright, all of one size. Only the frame in hand is
kept in memory.
"""

from __future__ import annotations

import glob
import itertools
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
# Tags in other encodings must not matter; from version 19 on they never do.
_OPEN_OPTIONS: dict[str, Any] = (
    {'metadata_errors': 'replace'} if int(av.__version__.split('.')[0]) < 19 else {}
)
Picture: TypeAlias = NDArray[np.uint8]
Source: TypeAlias = str | Path | int | Iterable[Picture]
_WEB = ('http', 'https')
_STREAMS = ('rtmp', 'rtmps', 'rtp', 'rtsp', 'rtsps', 'srt', 'tcp', 'udp')  # never a finished file
_CAMERA_CLOCK = Fraction(1, 1000)  # seconds, the unit of the times of a camera's frames
_TIMEOUT = 20.0  # seconds until a URL answers, and between its frames


class SourceFrame(NamedTuple):
    """One frame of a source.

    Attributes:
        name: of the frame, e.g. '00012' or an image's name without its suffix.
        picture: (H, W, 3) uint8 BGR, upright.
        time: when it is shown, in seconds from any beginning; None where the source does not say.
    """

    name: str
    picture: Picture
    time: Fraction | None = None


@dataclass(frozen=True)
class VideoSource:
    """A video to be read.

    Attributes:
        name: what to call the video, e.g. the file's name without its suffix.
        fps: frames per second, exact; None where the source does not say (images, arrays).
        length: number of frames announced; None where it is not known beforehand.
        read: starts reading from the first frame.
        live: frames are made while they are taken (a caller's iterator), so none is asked for ahead
            of time.
        timed: frames come by the clock, whether they are taken or not (a camera, a stream).
        time_base: the unit of the frames' times in seconds; None where they have none.
    """

    name: str
    fps: Fraction | None
    length: int | None
    read: Callable[[], Iterator[SourceFrame]]
    live: bool = False
    timed: bool = False
    time_base: Fraction | None = None

    def __iter__(self) -> Iterator[tuple[str, Picture]]:
        """Yields name and picture of each frame; raises what ``frames`` raises."""
        for frame in self.frames():
            yield frame.name, frame.picture

    def frames(self) -> Iterator[SourceFrame]:
        """Yields each frame with its name and time.

        Raises:
            ValueError: a frame cannot be read or has another size than the first; there is no
                frame.
        """
        size = None
        for frame in self.read():
            shape = frame.picture.shape[:2]
            if size not in (None, shape):
                raise ValueError(_mixed(f'{self.name}, frame {frame.name}', shape, size))
            size = shape
            yield frame
        if size is None:
            raise ValueError(f'{self.name} has no frame')


def open_source(source: Source) -> VideoSource:
    """Opens a video.

    Args:
        source: a video file; a folder of images with any names (in natural order: frame_2 before
            frame_10; other files are ignored); a glob of images; one image; a camera by its number;
            a URL; or an iterable of (H, W, 3) uint8 BGR arrays.

    Raises:
        FileNotFoundError: there is no such file, folder or match.
        ValueError: it holds no images or no video, images differ in size or name only by suffix, or
            a camera or URL does not answer.
    """
    if isinstance(source, int):
        return _open_camera(source)
    if isinstance(source, str) and '://' in source:
        return _open_url(source)
    if not isinstance(source, (str, Path)):
        length = len(source) if isinstance(source, Sized) else None
        return VideoSource('video', None, length, lambda: _read_arrays(source), live=True)
    path = Path(source).expanduser()
    if path.is_dir():
        return _open_images(
            path.resolve().name, str(source), [item for item in path.iterdir() if item.is_file()]
        )
    if path.is_file():
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return _open_images(path.stem, str(source), [path])
        return _open_video(path)
    if glob.has_magic(str(path)):
        matches = [Path(item) for item in glob.glob(str(path), recursive=True)]
        return _open_images('video', str(source), [item for item in matches if item.is_file()])
    if str(source).isdecimal():
        return _open_camera(int(str(source)))
    raise FileNotFoundError(
        f'{source} does not exist; give a video file, a folder of images or a glob'
    )


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sort key under which numbers inside names count as numbers: frame_2 before frame_10."""
    parts = re.split(r'(\d+)', name)  # text and numbers in turn
    return [(int(part), '') if part.isdecimal() else (0, part.lower()) for part in parts]


def _mixed(place: str, size: tuple[int, ...], first: tuple[int, ...]) -> str:
    return (
        f'{place} is {size[1]}x{size[0]} but the first frame is {first[1]}x{first[0]}; all frames '
        f'of a '
        f'video must have one size'
    )


# ---- images


def _open_images(name: str, shown: str, paths: Sequence[Path]) -> VideoSource:
    images = [
        path
        for path in paths
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith('.')
    ]
    if not images:
        raise FileNotFoundError(
            f'{shown} holds no images among its {len(paths)} files; images end in '
            f'{", ".join(IMAGE_SUFFIXES)}'
        )
    images.sort(key=lambda path: (natural_key(str(path)), str(path)))
    first_of: dict[str, Path] = {}
    for path in images:
        if first_of.setdefault(path.stem, path) is not path:
            raise ValueError(
                f'{first_of[path.stem]} and {path} would be one frame name; keep one of them'
            )
    sizes = (_size_in_header(path) for path in images)
    first = next(sizes)
    for path, size in zip(images[1:], sizes, strict=True):
        if size != first:
            raise ValueError(_mixed(str(path), size, first))
    return VideoSource(
        name,
        None,
        len(images),
        lambda: (SourceFrame(path.stem, _read_image(path)) for path in images),
    )


def _size_in_header(path: Path) -> tuple[int, int]:
    """(height, width) of the upright picture, without decoding it."""
    try:
        with Image.open(path) as image:
            # Pillow would decode a whole PNG to look for this mark.
            mark = (
                image.getexif().get(ExifTags.Base.Orientation, 1)
                if image.format in ('JPEG', 'MPO')
                else 1
            )
            width, height = image.size
    except (OSError, UnidentifiedImageError) as error:
        raise ValueError(
            f'{path} is not an image, or it is damaged; replace or remove it'
        ) from error
    return (width, height) if mark >= 5 else (height, width)


def _read_image(path: Path) -> Picture:
    data = path.read_bytes()
    # OpenCV fills a truncated picture with gray and goes on; Pillow, which does not, is asked where
    # the end of a JPEG is missing, and for all other formats.
    if path.suffix.lower() in ('.jpg', '.jpeg') and b'\xff\xd9' in data[-1024:]:
        truncated = False
    else:
        truncated = not _is_whole(data)
    picture = None if truncated else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f'{path} is damaged and cannot be decoded; replace or remove it')
    return np.asarray(picture, dtype=np.uint8)


def _is_whole(data: bytes) -> bool:
    try:
        with Image.open(BytesIO(data)) as image:
            image.load()
    except (OSError, SyntaxError, ValueError):
        return False
    return True


# ---- arrays


def check_picture(index: int, picture: object) -> Picture:
    """The picture, if it is a uint8 array (H, W, 3).

    Raises:
        ValueError: it is not.
    """
    if not isinstance(picture, np.ndarray):
        raise ValueError(f'frame {index} is a {type(picture).__name__}, not a numpy array')
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(
            f'frame {index} must be a uint8 array of shape (height, width, 3) in BGR order, '
            f'it is {picture.dtype} {picture.shape}'
        )
    return picture


def _read_arrays(arrays: Iterable[Picture]) -> Iterator[SourceFrame]:
    for index, picture in enumerate(arrays):
        # The caller may fill the same array again, while writers still hold this frame.
        yield SourceFrame(f'{index:05d}', check_picture(index, picture).copy())


# ---- cameras


def _open_camera(number: int) -> VideoSource:
    opened = [_camera(number)]
    rate = opened[0].get(cv2.CAP_PROP_FPS)
    fps = Fraction(rate).limit_denominator(1001) if rate and rate > 0 else None

    def read() -> Iterator[SourceFrame]:
        return _read_camera(number, opened.pop() if opened else _camera(number))

    return VideoSource(
        f'camera{number}', fps, None, read, live=True, timed=True, time_base=_CAMERA_CLOCK
    )


def _camera(number: int) -> cv2.VideoCapture:
    camera = cv2.VideoCapture(number)
    if not camera.isOpened():
        raise ValueError(
            f'camera {number} cannot be opened; is it connected, free, and may you read it?'
        )
    camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest picture, where the driver can
    return camera


def _read_camera(number: int, camera: cv2.VideoCapture) -> Iterator[SourceFrame]:
    try:
        for index in itertools.count():
            there, picture = camera.read()
            if not there:
                raise ValueError(
                    f'camera {number} gave no more pictures after {index}; was it unplugged?'
                )
            # Drivers give no time stamp that can be trusted, so the moment of reading is taken.
            ticks = round(time.monotonic() / _CAMERA_CLOCK)
            yield SourceFrame(f'{index:05d}', check_picture(index, picture), ticks * _CAMERA_CLOCK)
    finally:
        camera.release()


# ---- video files and URLs


def _open_url(url: str) -> VideoSource:
    parts = urlsplit(url)
    shown = url.replace(parts.netloc, parts.netloc.rsplit('@', 1)[-1], 1)  # a password is not shown
    if parts.scheme == 'file':
        return open_source(Path(url2pathname(parts.path)))
    if parts.scheme not in _WEB + _STREAMS:
        raise ValueError(
            f'{shown} is a URL of a kind that is not read; known are '
            f'{", ".join((*_WEB, *_STREAMS, "file"))}'
        )
    opened = [_container(url, shown)]  # read once; some streams are served a single time
    # a finished file knows its length
    timed = parts.scheme in _STREAMS or opened[0].duration is None
    name = Path(parts.path).stem or parts.hostname or 'video'
    source = _describe(
        opened[0],
        name,
        shown,
        lambda: _read_video(opened.pop() if opened else _container(url, shown), shown),
    )
    return replace(source, live=timed, timed=timed)


def _open_video(path: Path) -> VideoSource:
    shown = str(path)
    with _container(shown, shown) as container:
        return _describe(
            container, path.stem, shown, lambda: _read_video(_container(shown, shown), shown)
        )


def _describe(
    container: av.container.InputContainer,
    name: str,
    shown: str,
    read: Callable[[], Iterator[SourceFrame]],
) -> VideoSource:
    if not container.streams.video:
        raise ValueError(f'{shown} holds no video stream')
    stream = container.streams.video[0]
    rate = stream.average_rate or stream.guessed_rate
    fps = Fraction(rate.numerator, rate.denominator) if rate else None
    return VideoSource(name, fps, stream.frames or None, read, time_base=stream.time_base)


def _container(place: str, shown: str) -> av.container.InputContainer:
    options = dict(_OPEN_OPTIONS)
    if '://' in place:
        options.update(
            timeout=_TIMEOUT, options={'rtsp_transport': 'tcp'} if place.startswith('rtsp') else {}
        )
    try:
        return av.open(place, **options)
    except av.FFmpegError as error:
        what = (
            'cannot be opened as a video'
            if '://' in place
            else 'is not a video file, or it is damaged'
        )
        raise ValueError(f'{shown} {what} ({error.strerror})') from error


def _read_video(opened: av.container.InputContainer, shown: str) -> Iterator[SourceFrame]:
    count = 0
    with opened as container:
        stream = container.streams.video[0]
        try:
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    warnings.warn(
                        f'{shown}: frame {count} is damaged, the decoder repaired it', stacklevel=2
                    )
                stamp = frame.pts * frame.time_base if frame.pts is not None else None
                yield SourceFrame(f'{count:05d}', _upright(frame), stamp)
                count += 1
        except av.FFmpegError as error:
            if '://' in shown:
                raise ValueError(
                    f'{shown}: no frame came after {count} of them ({error.strerror})'
                ) from error
            raise ValueError(
                f'{shown}: the file is damaged, frame {count} cannot be decoded '
                f'({error.strerror}); repair it or cut it there'
            ) from error
        if count < stream.frames:
            warnings.warn(
                f'{shown} announces {stream.frames} frames, but only {count} could be read; it may '
                f'be cut off',
                stacklevel=2,
            )


def _upright(frame: av.VideoFrame) -> Picture:
    """(H, W, 3) BGR, turned as the file's rotation mark says (phones write one for portrait
    videos).
    """
    picture = frame.to_ndarray(format='bgr24')
    return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90)))
