"""Objects cut out of their video: PNGs or a WebM in which all but the objects is transparent.

H, W: the frame's height and width.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmvos.io.atomic import atomic_path, make_folder, output_errors, write_image
from mmvos.io.errors import DataError

CODEC = 'libvpx-vp9'  # the codec of browsers whose pictures have an alpha channel
_SETTINGS = {'crf': '24', 'b': '0', 'deadline': 'realtime', 'cpu-used': '6', 'auto-alt-ref': '0'}
_FINEST = Fraction(1, 1000)  # a WebM counts milliseconds


def cut_out(
    image: NDArray[np.uint8], mask: NDArray[np.bool_] | NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Make everything outside of a mask transparent.

    Args:
        image: (H, W, 3) uint8 BGR.
        mask: (H, W) bool, or uint8 opacity.

    Returns:
        (H, W, 4) uint8 RGBA, black where it is transparent; colors are not multiplied by opacity.
    """
    height, width = mask.shape
    shown = np.zeros((height, width, 4), np.uint8)
    is_seen = mask > 0
    blue_green_red = image[is_seen]
    shown[is_seen, :3] = blue_green_red[:, ::-1]
    opacity = mask
    if mask.dtype == np.bool_:
        opacity = mask * np.uint8(255)
    shown[..., 3] = opacity
    return shown


class CutoutPngs:
    """Writes ``FOLDER/<frame name>.png``; a context manager.

    Args:
        folder: made where missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> CutoutPngs:
        make_folder(self.folder)
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def write(self, name: str, image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
        """Write one frame; see `cut_out`."""
        picture = Image.fromarray(cut_out(image, mask))
        write_image(self.folder / f'{name}.png', picture, 'PNG')


class CutoutVideo:
    """Writes a WebM with an alpha channel; a context manager. The file has its name when it is left
    without an error.

    Args:
        path: of the WebM.
        fps: frames per second.

    Raises:
        DataError: this build of FFmpeg has no VP9.
    """

    def __init__(self, path: Path, fps: Fraction) -> None:
        if CODEC not in av.codecs_available:
            raise DataError(
                f'{path} cannot be written: this build of PyAV has no {CODEC}; take the PNGs'
            )
        self.path = path
        self.fps = fps
        self._count = 0
        self._final = atomic_path(path, durable=False)
        self._container: av.container.OutputContainer
        self._stream: av.VideoStream | None = None

    def __enter__(self) -> CutoutVideo:
        partial = self._final.__enter__()
        with output_errors(self.path):
            self._container = av.open(str(partial), 'w', format='webm')
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        try:
            with output_errors(self.path):
                if self._stream is not None and kind is None:
                    self._container.mux(self._stream.encode(None))
                self._container.close()
        finally:
            self._final.__exit__(kind, error, trace)  # type: ignore[arg-type]

    def write(self, name: str, image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
        """Encode one frame.

        Args:
            name: not used.
            image: (H, W, 3) uint8 BGR; an odd height or width grows by a transparent pixel.
            mask: (H, W) bool.

        Raises:
            OutputError: the file cannot be written.
        """
        height, width = mask.shape
        picture = cut_out(image, mask)
        picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)))
        if self._stream is None:
            self._stream = self._open_stream(*picture.shape[:2])

        frame = av.VideoFrame.from_ndarray(picture, format='rgba')
        frame = frame.reformat(format='yuva420p')
        frame.pts = round(self._count / self.fps / _FINEST)
        frame.time_base = _FINEST
        self._count += 1
        with output_errors(self.path):
            packets = self._stream.encode(frame)
            self._container.mux(packets)

    def _open_stream(self, height: int, width: int) -> av.VideoStream:
        """Begin the video, with the size of its first frame."""
        stream = self._container.add_stream(CODEC, rate=self.fps, options=dict(_SETTINGS))
        assert isinstance(stream, av.VideoStream)
        stream.height = height
        stream.width = width
        stream.pix_fmt = 'yuva420p'
        stream.codec_context.time_base = _FINEST
        return stream
