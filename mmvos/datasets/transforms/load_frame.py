"""Loading one video frame, with errors that a user can act on.

OpenCV decodes a JPEG whose end is missing without complaint (the rest of the picture is grey), and
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
    """Reads ``img_path`` into ``img``, an (H, W, 3) uint8 BGR array, and sets ``img_shape`` and
    ``ori_shape`` to (H, W).

    Raises:
        DataError: the file is missing, cannot be decoded, is cut off or too large, or has another
            size than the JSON says (``height`` and ``width`` in the results); the message names the
            file, the video and the frame.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds the picture to the results of one frame; see the class."""
        place = f'{results["img_path"]} (video {results.get("video_id")}, frame {results.get("frame_id")})'
        try:
            content = Path(results['img_path']).read_bytes()
        except OSError as error:
            raise DataError(f'{place} cannot be read: {error.strerror}') from error
        check_image_bytes(content, place)
        image = mmcv.imfrombytes(content)  # (H, W, 3)
        if image is None:
            raise DataError(f'{place} is not an image that can be decoded')
        height, width = image.shape[:2]
        expected = results.get('height', height), results.get('width', width)
        if (height, width) != expected:
            raise DataError(
                f'{place} is {width}x{height}, but the annotation file says '
                f'{expected[1]}x{expected[0]}'
            )
        results.update(img=image, img_shape=(height, width), ori_shape=(height, width))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
