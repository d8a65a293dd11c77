"""A video to be read: its frames, one at a time, and what is known of it beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from mmvos.io.errors import DataError
from mmvos.io.images import Picture


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
class SeekableFrames:
    """The frames of a video that can be read from any of them on, forwards and backwards.

    Attributes:
        count: the number of frames.
        read: reads the frames from its first argument to its second one, both included; backwards
            where the second lies before the first.
    """

    count: int
    read: Callable[[int, int], Iterator[SourceFrame]]


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
        longest_side: the larger of height and width in pixels; None where it is not known
            beforehand.
        place: what messages call the video, where that is not its name: a path or a URL.
        open_seekable: opens the video for reading in any order; None where frames come once.
    """

    name: str
    fps: Fraction | None
    length: int | None
    read: Callable[[], Iterator[SourceFrame]]
    live: bool = False
    timed: bool = False
    time_base: Fraction | None = None
    longest_side: int | None = None
    place: str | None = None
    open_seekable: Callable[[], SeekableFrames] | None = None

    def __iter__(self) -> Iterator[tuple[str, Picture]]:
        """Yield name and picture of each frame; raises what ``frames`` raises."""
        for frame in self.frames():
            yield frame.name, frame.picture

    def frames(self) -> Iterator[SourceFrame]:
        """Yield each frame with its name and time.

        Raises:
            DataError: a frame cannot be read or has another size than the first; there is no
                frame.
        """
        size = None
        place = self.place or self.name
        for frame in self.read():
            shape = frame.picture.shape[:2]
            if size not in (None, shape):
                raise DataError(mixed_sizes(f'{place}, frame {frame.name}', shape, size))
            size = shape
            yield frame
        if size is None:
            raise DataError(f'{place} has no frame that can be read; is it a whole video?')

    def check_seekable(self) -> None:
        """Check that the frames can be read in any order.

        Raises:
            DataError: they come only once and in order.
        """
        if self.open_seekable is None:
            raise DataError(
                f'{self.place or self.name} cannot be read backwards, its frames come once and in '
                f'order; record or download it to a file first'
            )

    def seekable(self) -> SeekableFrames:
        """Open the video for reading from any frame on, forwards and backwards.

        A video file is decoded once before; keep what is returned to read it several times.

        Raises:
            DataError: the frames come only once and in order (a camera, a stream, an iterator), a
                file is damaged, or there is no frame.
        """
        place = self.place or self.name
        self.check_seekable()
        assert self.open_seekable is not None
        opened = self.open_seekable()
        if opened.count == 0:
            raise DataError(f'{place} has no frame that can be read; is it a whole video?')
        sizes: list[tuple[int, ...]] = []  # of the first frame that was read

        # Every frame has the size of the first one that was read.
        def read(start: int, stop: int) -> Iterator[SourceFrame]:
            for frame in opened.read(start, stop):
                shape = frame.picture.shape[:2]
                sizes.append(shape)
                del sizes[1:]
                if shape != sizes[0]:
                    raise DataError(mixed_sizes(f'{place}, frame {frame.name}', shape, sizes[0]))
                yield frame

        return SeekableFrames(opened.count, read)


def mixed_sizes(place: str, size: tuple[int, ...], first: tuple[int, ...]) -> str:
    """Say that a frame has another size than the first.

    Args:
        place: names the frame.
        size, first: (height, width) of both.
    """
    return (
        f'{place} is {size[1]}x{size[0]} but the first frame is {first[1]}x{first[0]}; all frames '
        f'of a video must have one size'
    )
