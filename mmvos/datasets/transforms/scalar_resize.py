"""ScalarResize: resizing whose scale factor is one number, as mmdet 0.5 had it."""

from __future__ import annotations

from typing import Any

from mmcv.image.geometric import rescale_size
from mmdet.datasets.transforms import Resize

from mmvos.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ScalarResize(Resize):
    """mmdet's ``Resize`` with ``scale_factor`` (s, s), s the number by which both sides were
    multiplied before they were rounded.

    mmdet's own factors are those of the rounded sides: for 1275 x 720 pixels in (640, 360) they are
    .50039 and .5, but s is .5. For testing, and a ``scale`` whose ratio is kept: boxes are not
    resized.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize the picture of one frame; see the class."""
        height, width = results['img'].shape[:2]
        _, factor = rescale_size((width, height), self.scale, return_scale=True)
        results = super().transform(results)
        results['scale_factor'] = (factor, factor)
        return results
