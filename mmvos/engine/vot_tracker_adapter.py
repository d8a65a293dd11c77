"""A prompted video model as VOT's supervised run wants a tracker: started on a polygon, then asked
for a region in each frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmvos.evaluation.vot import box_of_polygon
from mmvos.models import VideoModel
from mmvos.ops.polygons import mask_polygon
from mmvos.registry import TASK_UTILS
from mmvos.structures import Frame, Prompts, rle

_ID = 1


@TASK_UTILS.register_module()
class VOTTrackerAdapter:
    """Follow one object; see ``SupervisedTracker`` of mmvos.evaluation.vot, whose images are
    ``Frame``s here.

    The region is the polygon that the result has, else the smallest rotated rectangle around the
    largest part of its mask, else its box.

    Args:
        model: in evaluation mode.
    """

    def __init__(self, model: VideoModel) -> None:
        self.model = model
        self._state: Any = None

    def init(self, image: Frame, region: NDArray[np.float64]) -> None:
        """Start anew.

        Args:
            image: the frame.
            region: (8,) corners of a polygon in pixels, whose box becomes the prompt.
        """
        x, y, width, height = box_of_polygon(region)
        left = x - width / 2
        top = y - height / 2
        right = x + width / 2
        bottom = y + height / 2
        prompts = Prompts(
            ids=(_ID,),
            masks=(None,),
            boxes=((left, top, right, bottom),),
        )
        self._state = self.model.init_state()
        self._step(image, prompts)

    def track(self, image: Frame) -> NDArray[np.float64]:
        """Find the object in the next frame.

        Returns:
            (8,) corners in pixels, or (4,) x, y, width and height; zeros where nothing is found.
        """
        return self._step(image, None)

    @torch.no_grad()
    def _step(self, frame: Frame, prompts: Prompts | None) -> NDArray[np.float64]:
        self._state, result = self.model.step(frame, self._state, prompts)
        (found,) = result.objects

        # 1. The polygon by which the model follows the object (SiamMask, parts).
        if found.region is not None:
            return np.asarray(found.region, dtype=np.float64).ravel()

        # 2. The rotated rectangle around the largest part of its mask.
        polygon = mask_polygon(rle.decode(found.mask))
        if polygon is not None:
            return np.asarray(polygon, dtype=np.float64).ravel()

        # 3. Its box, which has no area where nothing is found.
        x1, y1, x2, y2 = found.box
        return np.array([x1, y1, x2 - x1, y2 - y1])
