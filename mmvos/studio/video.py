"""The video of a project: its frames by number, as pictures for the model and JPEGs for the page.

A file is decoded on demand by seeking, so an hour of video opens at once; its index of frames is
made by a thread in the background and kept with the project.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmvos.apis.sources import VideoSource, open_source
from mmvos.io.atomic import atomic_path
from mmvos.io.errors import DataError
from mmvos.io.frame_names import IMAGE_SUFFIXES, list_files
from mmvos.io.images import Picture, measure_bits, read_header, read_image
from mmvos.io.video_seek import (
    FrameIndex,
    NoIndexError,
    SeekingVideo,
    index_by_decoding,
    index_packets,
)

_JPEG_QUALITY = 88
_JPEG_BYTES = 64 << 20  # of JPEGs that are remembered
_INDEX = 'frame_index.npz'


class StudioVideo:
    """A video that is open.

    Args:
        place: a video file, or a folder of images.
        cache: folder in which the index of a file is kept, or None.

    Attributes:
        name: of the file or folder.
        width, height: of the upright frames in pixels.
        frames: number of frames, the announced one until ``is_known``.
        is_known: whether ``frames`` is sure.
        fps: frames per second, or None.

    Raises:
        DataError: it cannot be read.
    """

    def __init__(self, place: Path, cache: Path | None = None) -> None:
        self.place = place
        self.name = place.name or place.resolve().name
        self._source: VideoSource = open_source(place)
        if self._source.live or self._source.timed:
            raise DataError(f'{place} is no file or folder; the studio takes one of these')

        # Pictures that are kept: decoded frames, and JPEGs for the page.
        self._cache = cache
        self._seeking: SeekingVideo | None = None
        self._ready = threading.Event()
        self._failure: str | None = None
        self._jpegs: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._jpeg_bytes = 0
        self._jpeg_lock = threading.Lock()
        self._images: list[Path] = []
        self._bits = 16

        # A folder has a file for each frame; in a video a frame must be found.
        if place.is_dir():
            self._images = list_files(place)
            self._bits = _bits_of(self._images)
        elif place.suffix.lower() in IMAGE_SUFFIXES:
            raise DataError(
                f'{place} is one image or a stack of them; save its pictures as a folder'
            )
        else:
            self._seeking = SeekingVideo(place)
        self.fps = None if self._source.fps is None else float(self._source.fps)

        # The first frame says the size. How many there are in a video comes later.
        first = self.read(0)
        self.height, self.width = first.shape[:2]
        self.is_known = self._seeking is None
        self.frames = self._source.length or 1
        if self.is_known:
            self._ready.set()

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the frames."""
        return self.height, self.width

    def describe(self) -> dict[str, Any]:
        """As the page gets it."""
        return {
            'name': self.name,
            'key': self.fingerprint,
            'width': self.width,
            'height': self.height,
            'frames': self.frames,
            'frames_known': self.is_known,
            'fps': self.fps or 25.0,
            'times': self.fps is not None,
        }

    def frame_name(self, number: int) -> str:
        """The name of a frame's image; of a video file its number."""
        return self._images[number].name if self._images else f'{number:05d}.jpg'

    def frame_of_name(self, stem: str) -> int | None:
        """The frame whose image is called so, without the suffix; None where there is none."""
        for number, path in enumerate(self._images):
            if path.stem == stem:
                return number
        return None

    @property
    def fingerprint(self) -> str:
        """A text that is another for another video, or one that changed."""
        stat = self.place.stat()
        if self.place.is_dir():
            return f'{self._source.length}-{self.width}x{self.height}'
        return f'{stat.st_size:x}-{stat.st_mtime_ns:x}'

    # ---- the index of a file

    def start_index(self, on_known: Callable[[], object]) -> None:
        """Make the index in a thread of its own.

        Args:
            on_known: called when the number of frames is known.
        """
        if self._seeking is None:
            return

        def work() -> None:
            """Read the index that is stored, or make one and store it."""
            # Quick, where the file lists its packets; else all frames are decoded once.
            try:
                index = self._load_index()
                if index is None:
                    try:
                        index = index_packets(self.place)
                    except NoIndexError:
                        index = index_by_decoding(self.place)
                    self._save_index(index)
                assert self._seeking is not None
                self._seeking.use(index)
                self.frames = len(index)
                self.is_known = True
            except (DataError, OSError) as error:
                self._failure = str(error)
            finally:
                self._ready.set()
            on_known()

        threading.Thread(target=work, name='frame index', daemon=True).start()

    def _load_index(self) -> FrameIndex | None:
        """The index that an earlier start kept; None where it is missing, damaged or old."""
        if self._cache is None:
            return None
        try:
            with np.load(self._cache / _INDEX, allow_pickle=False) as stored:
                if str(stored['of']) != self.fingerprint:
                    return None
                return FrameIndex(stored['stamps'], stored['keys'], bool(stored['is_decoded']))
        except (OSError, ValueError, KeyError, EOFError):
            return None

    def _save_index(self, index: FrameIndex) -> None:
        if self._cache is None:
            return
        with atomic_path(self._cache / _INDEX, durable=False) as partial:
            np.savez(
                partial,
                of=self.fingerprint,
                stamps=index.stamps,
                keys=index.keys,
                is_decoded=index.is_decoded,
            )

    def wait_for_index(self, seconds: float | None = None) -> None:
        """Wait until the number of frames is known.

        Raises:
            DataError: the video turned out to be unreadable.
        """
        self._ready.wait(seconds)
        if self._failure is not None:
            raise DataError(self._failure)

    # ---- frames

    def read(self, number: int, seeking: SeekingVideo | None = None) -> Picture:
        """Read a frame: (H, W, 3) uint8 BGR, not to be changed.

        Args:
            number: from 0.
            seeking: a reader of the caller's own, see ``new_reader``.

        Raises:
            DataError: there is no such frame, or it cannot be read.
        """
        if self._seeking is None:
            if not 0 <= number < len(self._images):
                raise DataError(f'{self.name} has no frame {number}; frames count from 0')
            return read_image(self._images[number], self._bits)
        if number > 0:
            self.wait_for_index()
        return (seeking or self._seeking).read(number)

    def new_reader(self) -> Callable[[int], Picture]:
        """A reader for one user that goes through the video: seeks of others do not disturb it."""
        seeking: SeekingVideo | None = None

        def read(number: int) -> Picture:
            nonlocal seeking
            if self._seeking is not None and number > 0:
                self.wait_for_index()
            if self._seeking is not None and (seeking is None or seeking.index is None):
                seeking = SeekingVideo(self.place, self._seeking.index)
            return self.read(number, seeking)

        return read

    def jpeg(self, number: int, width: int | None = None) -> bytes:
        """A frame as JPEG.

        Args:
            number: from 0.
            width: in pixels, where it is to be smaller.

        Raises:
            DataError: see ``read``.
        """
        if width is None:
            width = self.width
        else:
            width = max(16, min(width, self.width))
        key = (number, width)

        # One that was made before.
        with self._jpeg_lock:
            known = self._jpegs.get(key)
            if known is not None:
                self._jpegs.move_to_end(key)
                return known

        # Else it is made now, in the width that the page shows.
        picture = self.read(number)
        if width != self.width:
            height = max(1, round(self.height * width / self.width))
            resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
            picture = np.asarray(resized, dtype=np.uint8)
        _, encoded = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        content = encoded.tobytes()
        self._keep_jpeg(key, content)
        return content

    def _keep_jpeg(self, key: tuple[int, int], content: bytes) -> None:
        """Keep a JPEG, and drop those that were not asked for longest until all fit."""
        with self._jpeg_lock:
            if key not in self._jpegs:
                self._jpegs[key] = content
                self._jpeg_bytes += len(content)
            while self._jpeg_bytes > _JPEG_BYTES and len(self._jpegs) > 1:
                _, oldest = self._jpegs.popitem(last=False)
                self._jpeg_bytes -= len(oldest)


def _bits_of(paths: list[Path]) -> int:
    """The depth of the images of a folder, by which those of 16 bits are scaled."""
    deep = [path for path in paths if read_header(path).is_deep]
    return measure_bits(deep) if deep else 16
