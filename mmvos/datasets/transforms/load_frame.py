"""Loading one video frame, with errors that a user can act on.

OpenCV decodes a JPEG whose end is missing without complaint (the rest of the picture is gray), and
mmcv's loader does not notice that a picture has another size than its masks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mmcv
from mmcv.transforms import BaseTransform

from mmvos.io.errors import DataError
from mmvos.io.image_checks import check_image_bytes
from mmvos.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadFrame(BaseTransform):
    """Read ``img_path`` into ``img``, (H, W, 3) uint8 BGR, and set ``img_shape`` and ``ori_shape``.

    Raises:
        DataError: the file is missing, cannot be decoded, is cut off or too large, or has another
            size than the JSON says (``height`` and ``width`` in the results); the message names the
            file, the video and the frame.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the picture to the results of one frame; see the class."""
        path = results['img_path']
        place = f'{path} (video {results.get("video_id")}, frame {results.get("frame_id")})'
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise DataError(f'{place} cannot be read: {error.strerror}') from error
        check_image_bytes(content, place)

        # (H, W, 3)
        image = mmcv.imfrombytes(content)
        if image is None:
            raise DataError(f'{place} is not an image that can be decoded')
        height, width = image.shape[:2]
        stated_height = results.get('height', height)
        stated_width = results.get('width', width)
        if (height, width) != (stated_height, stated_width):
            raise DataError(
                f'{place} is {width}x{height}, but the annotation file says '
                f'{stated_width}x{stated_height}'
            )
        results['img'] = image
        results['img_shape'] = (height, width)
        results['ori_shape'] = (height, width)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
