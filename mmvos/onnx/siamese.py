"""OnnxSiamese: SiamMask whose network is a set of ONNX graphs; see `SiameseTracking`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmvos.models.siammask.tracking import Comparison, SiameseTracking
from mmvos.ops.arrays import Array
from mmvos.ops.siamese_geometry import TEMPLATE_SIZE, Color, Window, cut_windows, mean_color
from mmvos.structures import Frame

from .graph_set import GraphSet
from .settings import SiamMaskSettings

# What the graph of masks takes of what the one of search windows gives.
FEATURES = ('search', 'stem', 'stage1', 'stage2')


class OnnxSiamese(SiameseTracking):
    """Siamese tracking in arrays of numpy.

    Args:
        graphs: compute the network.
    """

    def __init__(self, graphs: GraphSet) -> None:
        self.graphs = graphs
        settings: SiamMaskSettings = graphs.settings.tracker
        self.search_size = settings.search_size
        self.mask_threshold = settings.mask_threshold
        self.penalty = settings.penalty
        self.window_influence = settings.window_influence
        self.size_rate = settings.size_rate
        self.motion = settings.motion
        self.lost_score = settings.lost_score
        self.follow_mask = settings.follow_mask
        self.voting = settings.vote
        self.computed_objects = settings.computed_objects

    def border_color(self, frame: Frame) -> Color:
        """Return the mean color of a frame."""
        return mean_color(frame.image[0])

    def encode_templates(self, frame: Frame, windows: Sequence[Window], color: Color) -> Array:
        """Make the kernels with which search windows are compared."""
        crops = _cut(frame, windows, [color] * len(windows), TEMPLATE_SIZE)
        [kernels] = self.graphs.run('template', {'windows': crops})
        return kernels

    def _compare(
        self, frame: Frame, windows: Sequence[Window], colors: Sequence[Color], kernels: Array
    ) -> Comparison:
        """Compare templates with search windows."""
        crops = _cut(frame, windows, colors, self.search_size)
        inputs = {'windows': crops, 'kernels': kernels}
        scores, deltas, *maps = self.graphs.run('search', inputs)

        # what the masks are made of, by the names of the next graph's inputs
        features = dict(zip(FEATURES, maps, strict=True))
        features['kernels'] = kernels
        return scores, deltas, features

    def _cell_masks(self, features: dict[str, Any], cells: Array) -> Array:
        """Predict the masks of chosen cells."""
        [probabilities] = self.graphs.run('refine', {**features, 'cells': cells})
        return probabilities


def _cut(
    frame: Frame, windows: Sequence[Window], colors: Sequence[Color], size: int
) -> NDArray[np.float32]:
    """Cut windows out of a frame: (K, 3, S, S), BGR from 0 to 255."""
    crops = cut_windows(frame.image[0], windows, colors, size)
    return np.ascontiguousarray(crops.transpose(0, 3, 1, 2), dtype=np.float32)
