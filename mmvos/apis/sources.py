"""Sources: where the frames of a video come from (video file, folder of images, stack of images,
glob, camera, URL, arrays), read one frame at a time.

Frames are (H, W, 3) uint8 arrays in BGR order, upright, all of one size. Only the frame in hand is
kept in memory.
"""

from __future__ import annotations

import glob
import itertools
import os
import time
from collections.abc import Iterable, Iterator, Sequence, Sized
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

import cv2
import numpy as np

from mmvos.io import images, video
from mmvos.io.errors import DataError
from mmvos.io.frame_names import IMAGE_SUFFIXES, is_foreign, list_files, sort_frames
from mmvos.io.images import Picture
from mmvos.io.paths import user_path
from mmvos.io.seekable_video import SeekableVideo

from .video_source import SeekableFrames, SourceFrame, VideoSource, mixed_sizes

Source: TypeAlias = str | Path | int | Iterable[Picture]
_WEB = ('http', 'https')
_STREAMS = ('rtmp', 'rtmps', 'rtp', 'rtsp', 'rtsps', 'srt', 'tcp', 'udp')  # never a finished file
_CAMERA_CLOCK = Fraction(1, 1000)  # seconds, the unit of the times of a camera's frames
_MILLISECOND = Fraction(1, 1000)
_STACK_CHUNK = 16  # pictures of a stack that are held at a time when it is read backwards


class SourceNotFoundError(DataError, FileNotFoundError):
    """There is no such file, folder or match."""


def open_source(source: Source) -> VideoSource:
    """Open a video.

    Args:
        source: a video file; a folder of images with any names (in natural order: frame_2 before
            frame_10; other files are ignored); a glob of images; one image, all pictures of a TIFF
            stack or an animated PNG or WebP; a camera by its number; a URL; or an iterable of
            (H, W, 3) uint8 BGR arrays.

    Raises:
        SourceNotFoundError: there is no such file, folder or match.
        DataError: it holds no images or no video, images differ in size or name only by suffix, an
            image of a folder holds several pictures, or a camera or URL does not answer.
    """
    # A camera, a URL, or pictures of the caller's.
    if isinstance(source, int):
        return _open_camera(source)
    if isinstance(source, str) and '://' in source:
        return _open_url(source)
    if not isinstance(source, (str, Path)):
        length = len(source) if isinstance(source, Sized) else None
        open_seekable = None
        if isinstance(source, Sequence):
            arrays: Sequence[Any] = source
            open_seekable = partial(_seekable_arrays, arrays)
        return VideoSource(
            'video',
            None,
            length,
            lambda: _read_arrays(source),
            live=True,
            open_seekable=open_seekable,
        )

    # What is there under this name, before it is taken for a pattern or a number.
    path = user_path(source)
    if os.path.isdir(path):
        return _open_folder(path, str(source))
    if os.path.isfile(path):
        _check_readable(path)
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return _open_image(path)
        return _open_video(path)
    if glob.has_magic(str(path)):
        return _open_glob(str(path), str(source))
    if str(source).isdecimal():
        return _open_camera(int(str(source)))
    raise SourceNotFoundError(
        f'{source} does not exist; give a video file, a folder of images or a glob'
    )


# ---- files


def _check_readable(path: Path) -> None:
    try:
        with open(path, 'rb') as stream:
            has_content = bool(stream.read(1))
    except OSError as error:
        raise DataError(f'{path} cannot be read: {error.strerror}') from error
    if not has_content:
        raise DataError(f'{path} is empty; was it copied to its end?')


def _open_glob(pattern: str, shown: str) -> VideoSource:
    """The images that a pattern matches.

    Brackets in the names of folders that exist, as in 'clip [1080p]/*.jpg', are no pattern.
    """
    pattern = _escape_existing(pattern)
    matches = [Path(item) for item in glob.glob(pattern, recursive=True)]
    paths = []
    for item in matches:
        is_image = item.suffix.lower() in IMAGE_SUFFIXES
        if is_image and item.is_file() and not is_foreign(item.name):
            paths.append(item)
    if not paths:
        raise _no_images(shown, len(matches))
    return _open_images('video', sort_frames(paths, shown))


def _escape_existing(pattern: str) -> str:
    """Return a pattern whose first folders, as many as exist, are taken literally."""
    parts = Path(pattern).parts
    existing = 0
    while existing < len(parts):
        path = os.path.join(*parts[: existing + 1])
        if not os.path.exists(path):
            break
        existing += 1
    if not existing:
        return pattern
    folder = glob.escape(os.path.join(*parts[:existing]))
    return os.path.join(folder, *parts[existing:])


def _open_folder(folder: Path, shown: str) -> VideoSource:
    try:
        paths = list_files(folder)
        count = len(os.listdir(folder))
    except OSError as error:
        raise DataError(f'{shown} cannot be read: {error.strerror}') from error
    if not paths:
        raise _no_images(shown, count)
    return _open_images(folder.resolve().name, paths)


def _no_images(shown: str, count: int) -> SourceNotFoundError:
    return SourceNotFoundError(
        f'{shown} holds no images among its {count} files; images end in '
        f'{", ".join(IMAGE_SUFFIXES)}'
    )


# ---- images


def _open_image(path: Path) -> VideoSource:
    """The pictures of one image file."""
    header = images.read_header(path)
    if len(header.pages) == 1:
        return _open_images(path.stem, [path])
    return VideoSource(
        path.stem,
        images.frame_rate_of_pages(path),
        len(header.pages),
        lambda: _read_stack(path),
        time_base=_MILLISECOND,
        longest_side=max(header.height, header.width),
        place=str(path),
        open_seekable=lambda: _seekable_stack(path, len(header.pages)),
    )


def _seekable_stack(path: Path, count: int) -> SeekableFrames:
    def read(start: int, stop: int) -> Iterator[SourceFrame]:
        if stop >= start:
            yield from itertools.islice(_read_stack(path), start, stop + 1)
            return
        # The pages of a file come in order: each chunk is read from the first page.
        last = start
        while last >= stop:
            first = max(last - _STACK_CHUNK + 1, stop)
            chunk = list(itertools.islice(_read_stack(path), first, last + 1))
            yield from reversed(chunk)
            last = first - 1

    return SeekableFrames(count, read)


def _read_stack(path: Path) -> Iterator[SourceFrame]:
    """The pages of a file, with their times as long as each page says how long it is shown."""
    milliseconds: int | None = 0
    for index, (picture, duration) in enumerate(images.read_pages(path)):
        shown_at = None
        if milliseconds is not None:
            shown_at = milliseconds * _MILLISECOND
        yield SourceFrame(f'{index:05d}', picture, shown_at)
        if milliseconds is not None and duration is not None:
            milliseconds += duration
        else:
            milliseconds = None


def _open_images(name: str, paths: Sequence[Path]) -> VideoSource:
    """The frames of a video in the order of the paths, one image each."""
    # Results are named like frames, so no two may have one name.
    first_of: dict[str, Path] = {}
    for path in paths:
        if first_of.setdefault(path.stem, path) is not path:
            raise DataError(
                f'{first_of[path.stem]} and {path} would be one frame name; keep one of them'
            )

    # All headers are read: one picture each, of one size.
    first = None
    deep = []
    for path in paths:
        header = images.read_header(path)
        if len(header.pages) > 1:
            raise DataError(
                f'{path} holds {len(header.pages)} pictures, but an image among others is one '
                f'frame; give this file alone as the video, or split it'
            )
        if first is None:
            first = header
        size = (header.height, header.width)
        first_size = (first.height, first.width)
        if size != first_size:
            raise DataError(mixed_sizes(str(path), size, first_size))
        if header.is_deep:
            deep.append(path)
    assert first is not None

    # Deep pictures are scaled alike, by the bits that are used.
    bits = 16
    if deep:
        bits = images.measure_bits(deep)
        images.note_depth(bits, deep[0].parent)

    def read(start: int, stop: int) -> Iterator[SourceFrame]:
        for index in _between(start, stop):
            yield SourceFrame(paths[index].stem, images.read_image(paths[index], bits))

    return VideoSource(
        name,
        None,
        len(paths),
        lambda: read(0, len(paths) - 1),
        longest_side=max(first.height, first.width),
        open_seekable=lambda: SeekableFrames(len(paths), read),
    )


# ---- arrays


def check_picture(index: int, picture: object) -> Picture:
    """The picture, if it is a uint8 array (H, W, 3).

    Raises:
        DataError: it is not.
    """
    if not isinstance(picture, np.ndarray):
        raise DataError(f'frame {index} is a {type(picture).__name__}, not a numpy array')
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise DataError(
            f'frame {index} must be a uint8 array of shape (height, width, 3) in BGR order, '
            f'it is {picture.dtype} {picture.shape}'
        )
    return picture


def _read_arrays(arrays: Iterable[Picture]) -> Iterator[SourceFrame]:
    for index, picture in enumerate(arrays):
        # The caller may fill the same array again, while writers still hold this frame.
        yield SourceFrame(f'{index:05d}', check_picture(index, picture).copy())


def _seekable_arrays(arrays: Sequence[Picture]) -> SeekableFrames:
    def read(start: int, stop: int) -> Iterator[SourceFrame]:
        for index in _between(start, stop):
            yield SourceFrame(f'{index:05d}', check_picture(index, arrays[index]).copy())

    return SeekableFrames(len(arrays), read)


def _between(start: int, stop: int) -> range:
    """The indices from ``start`` to ``stop``, both included, in this order."""
    return range(start, stop + 1) if stop >= start else range(start, stop - 1, -1)


# ---- cameras


def _open_camera(number: int) -> VideoSource:
    opened = [_camera(number)]
    rate = opened[0].get(cv2.CAP_PROP_FPS)
    fps = Fraction(rate).limit_denominator(1001) if rate and rate > 0 else None

    def read() -> Iterator[SourceFrame]:
        # The first reader takes the camera that is open.
        camera = opened.pop() if opened else _camera(number)
        return _read_camera(number, camera)

    return VideoSource(
        f'camera{number}', fps, None, read, live=True, timed=True, time_base=_CAMERA_CLOCK
    )


def _camera(number: int) -> cv2.VideoCapture:
    camera = cv2.VideoCapture(number)
    if not camera.isOpened():
        raise DataError(
            f'camera {number} cannot be opened; is it connected, free, and may you read it?'
        )
    camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest picture, where the driver can
    return camera


def _read_camera(number: int, camera: cv2.VideoCapture) -> Iterator[SourceFrame]:
    try:
        for index in itertools.count():
            there, picture = camera.read()
            if not there:
                raise DataError(
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
        raise DataError(
            f'{shown} is a URL of a kind that is not read; known are '
            f'{", ".join((*_WEB, *_STREAMS, "file"))}'
        )
    opened = [video.open_video(url, shown)]  # read once; some streams are served a single time
    header = video.read_header(opened[0])
    # a finished file knows its length
    timed = parts.scheme in _STREAMS or not header.has_duration

    def read() -> Iterator[SourceFrame]:
        container = opened.pop() if opened else video.open_video(url, shown)
        return _numbered(video.read_frames(container, shown, None))

    return VideoSource(
        Path(parts.path).stem or parts.hostname or 'video',
        header.fps,
        header.length,
        read,
        live=timed,
        timed=timed,
        time_base=header.time_base,
        longest_side=header.longest_side,
        place=shown,
    )


def _open_video(path: Path) -> VideoSource:
    shown = str(path)
    # An absolute path begins with no protocol, whatever colons a file's name has.
    place = path.absolute()
    with video.open_video(str(place), shown) as container:
        header = video.read_header(container)

    def read() -> Iterator[SourceFrame]:
        container = video.open_video(str(place), shown)
        return _numbered(video.read_frames(container, shown, place))

    return VideoSource(
        path.stem,
        header.fps or video.measure_rate(place, shown),
        header.length,
        read,
        time_base=header.time_base,
        longest_side=header.longest_side,
        place=shown,
        open_seekable=lambda: _seekable_video(place, shown),
    )


def _seekable_video(path: Path, shown: str) -> SeekableFrames:
    opened = SeekableVideo(path, shown)

    def read(start: int, stop: int) -> Iterator[SourceFrame]:
        frames = opened.read(start, stop)
        for index, (picture, shown_at) in zip(_between(start, stop), frames, strict=True):
            yield SourceFrame(f'{index:05d}', picture, shown_at)

    return SeekableFrames(opened.count, read)


def _numbered(frames: Iterable[tuple[Picture, Fraction | None]]) -> Iterator[SourceFrame]:
    for index, (picture, shown_at) in enumerate(frames):
        yield SourceFrame(f'{index:05d}', picture, shown_at)
