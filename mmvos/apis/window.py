"""A window that shows pictures as they come, where OpenCV has windows and there is a display."""

from __future__ import annotations

import os
import re
import sys

import cv2
import numpy as np
from numpy.typing import NDArray

_ESCAPE = 27


class Window:
    """Shows pictures; a context manager, which closes the window when it is left.

    Args:
        title: stands above the picture.

    Raises:
        ValueError: there is no way to show a window here; the message says why.
    """

    def __init__(self, title: str) -> None:
        if (reason := _why_not()) is not None:
            raise ValueError(f'no window can be shown here: {reason}')
        # Bytes of a file's name that are no text cannot stand above a window.
        self.title = title.encode('utf-8', 'replace').decode('utf-8')

    def __enter__(self) -> Window:
        cv2.namedWindow(self.title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        return self

    def __exit__(self, *error: object) -> None:
        cv2.destroyAllWindows()

    def show(self, picture: NDArray[np.uint8]) -> bool:
        """Show (H, W, 3) uint8 BGR; False when the user has pressed q or Escape, or has closed the
        window.
        """
        cv2.imshow(self.title, picture)
        key = cv2.waitKey(1) & 0xFF
        return (
            key not in (_ESCAPE, ord('q'))
            and cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) >= 1
        )


def _why_not() -> str | None:
    """What stands in the way of a window; None where nothing does."""
    if re.search(r'^\s*GUI:\s*NONE', cv2.getBuildInformation(), re.MULTILINE):
        return (
            'this OpenCV is built without windows (opencv-python-headless); install opencv-python '
            'in its place, or look at the overlay video'
        )
    if sys.platform.startswith('linux') and not (
        os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')
    ):
        return (
            'there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set); look at the overlay '
            'video'
        )
    return None
