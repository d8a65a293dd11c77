"""Dense optical flow between two frames, and maps that it moves.

The flow is OpenCV's (Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV 2016),
computed on gray views of half the size; the same numbers come with any number of threads.

H x W a frame, h x w a view of it. All arrays are numpy's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .arrays import Array, as_numpy

SMALLEST_SIDE = 16  # pixels of a view; the flow is made of patches of 8
LEAST_CONTRAST = 1e-3  # of two views that show one color, in numbers of the normalized frame
DESCENT_STEPS = 16  # of the search for a patch

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Motion:
    """Where what is seen in a frame was in the frame before.

    Attributes:
        places: (H, W, 2), of each pixel x and y in the frame before of what it shows.
        view_places: (h, w, 2), the same in views.
        differences: (h, w), gray levels between a pixel of the view and what was there before,
            where black and white of the two views are 255 levels apart.
    """

    places: Floats
    view_places: Floats
    differences: NDArray[Any]


def take_view(image: Array) -> Floats | None:
    """Make a view of a frame: gray, half as large.

    Args:
        image: (1, 3, H, W), normalized.

    Returns:
        (h, w); None where the frame is too small for a flow.
    """
    _, _, height, width = image.shape
    size = (width // 2, height // 2)
    if min(size) < SMALLEST_SIDE:
        return None
    colors = as_numpy(image[0])
    gray = colors.mean(axis=0, dtype=np.float32)
    view: Floats = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    return view


def measure_motion(before: Floats, now: Floats, height: int, width: int) -> Motion:
    """Measure the motion from a frame to the next one.

    Args:
        before, now: (h, w), their views.
        height, width: H and W.
    """
    # Whole gray levels, as many as there are.
    both = np.stack([before, now])
    black = both.min()
    contrast = max(both.max() - black, LEAST_CONTRAST)
    levels = np.rint((both - black) * (255 / contrast))
    gray_before, gray_now = levels.astype(np.uint8)

    # (h, w, 2): how far back in the frame before is what a pixel shows now
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    finder.setFinestScale(0)
    finder.setGradientDescentIterations(DESCENT_STEPS)
    start = np.zeros((*now.shape, 2), np.float32)
    flow = finder.calc(gray_now, gray_before, start)

    # The same in the pixels of the frame.
    view_height, view_width = now.shape
    scale = np.array([width / view_width, height / view_height], np.float32)
    frame_flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
    frame_flow = frame_flow * scale

    places = frame_flow + _pixels(height, width)
    view_places = flow + _pixels(view_height, view_width)
    expected = look_up(gray_before, view_places)
    differences = cv2.absdiff(expected, gray_now)
    return Motion(places=places, view_places=view_places, differences=differences)


def look_up(values: NDArray[Any], places: Floats) -> NDArray[Any]:
    """Read a map between its pixels; beyond its edge it goes on as there.

    Args:
        values: (H, W).
        places: (h, w, 2), x and y.

    Returns:
        (h, w), of the kind of the map.
    """
    nothing = np.empty(0, np.float32)
    return cv2.remap(values, places, nothing, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _pixels(height: int, width: int) -> Floats:
    """Return x and y of all pixels: (height, width, 2)."""
    rows, columns = np.indices((height, width), dtype=np.float32)
    return np.stack([columns, rows], axis=-1)
