"""The supervised run of VOT: a tracker is started on the truth, and started again five frames after
it has lost the object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mmvos.io.atomic import write_text
from mmvos.io.errors import DataError
from mmvos.io.image_checks import check_image_bytes
from mmvos.io.progress_bar import with_bar

from .raster import overlap
from .regions import Polygon, as_polygon
from .scores import RESTART_AFTER
from .sequences import VOTSequence
from .trajectories import FAILED, INITIALIZED, SKIPPED, Line, format_lines


class SupervisedTracker(Protocol):
    """What a tracker must offer; images are (H, W, 3) uint8 BGR, or what ``run_supervised`` is
    given.
    """

    def init(self, image: Any, region: Polygon) -> None:
        """Start on a polygon (8,) in pixels; `box_of_polygon` gives the box for trackers that want
        one.
        """

    def track(self, image: Any) -> Sequence[float] | NDArray[np.float64]:
        """The region in the next image: 4 numbers (x, y, width, height) or 8 (corners) in
        pixels.
        """


def run_supervised(
    images: Iterable[Any],
    truth: NDArray[np.float64],
    tracker: SupervisedTracker,
    size: tuple[int, int] | None = None,
) -> list[Line]:
    """Run a tracker over one sequence.

    Args:
        images: N frames, as the tracker takes them.
        truth: (N, 8) polygons in pixels.
        tracker: that is started again where it has lost the object.
        size: (width, height) of the frames; by default that of each image, an (H, W, 3) array.

    Returns:
        N lines: 1 at a start, a region, 2 where the region and the truth no longer overlap, 0 until
        the restart. Where neither has a pixel the overlap is not a number, and that is no loss.
    """
    lines: list[Line] = []
    start = 0
    for frame, (image, polygon) in enumerate(zip(images, truth, strict=True)):
        # After a loss some frames are left out, then the tracker starts at the truth.
        if frame < start:
            lines.append(SKIPPED)
            continue
        if frame == start:
            tracker.init(image, polygon)
            lines.append(INITIALIZED)
            continue

        region = np.asarray(tracker.track(image), float).ravel()
        bounds = image.shape[1::-1] if size is None else size
        is_region = region.shape in ((4,), (8,)) and np.isfinite(region).all()
        if is_region and overlap(as_polygon(region), polygon, bounds) != 0:
            lines.append(region)
        else:
            lines.append(FAILED)
            start = frame + RESTART_AFTER
    return lines


def run_sequences(
    sequences: Sequence[VOTSequence], make_tracker: Callable[[], SupervisedTracker], results: Path
) -> None:
    """Run a tracker over sequences and write RESULTS/baseline/SEQUENCE/SEQUENCE_001.txt; a fresh
    tracker for each.
    """
    for sequence in with_bar(sequences, 'supervised run'):
        if not sequence.frames:
            raise DataError(
                f'The sequence {sequence.name} has no frames beside its groundtruth.txt; get them.'
            )
        lines = run_supervised(map(_read_image, sequence.frames), sequence.truth, make_tracker())
        write_trajectory(results / 'baseline' / sequence.name / f'{sequence.name}_001.txt', lines)


def write_trajectory(path: Path, lines: Sequence[Line]) -> None:
    """Write one repetition in the standard format."""
    write_text(path, format_lines(lines), encoding='ascii')


def _read_image(path: Path) -> NDArray[np.uint8]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f'{path} cannot be read: {error.strerror}.') from error
    check_image_bytes(data, str(path))
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f'{path} cannot be read as an image; get it again.')
    return np.asarray(image, np.uint8)
