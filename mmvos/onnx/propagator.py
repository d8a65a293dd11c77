"""OnnxPropagator: mask propagation whose network is a set of ONNX graphs; see `MaskPropagation`."""

from __future__ import annotations

import numpy as np

from mmvos.models.masktrack.propagation import Levels, MaskPropagation
from mmvos.models.masktrack.state import Memory
from mmvos.ops.arrays import Array

from .graph_set import GraphSet
from .settings import MaskTrackSettings


class OnnxPropagator(MaskPropagation):
    """Mask propagation in arrays of numpy.

    Args:
        graphs: compute the network.
    """

    reads_memory = True
    accepts_points: bool

    def __init__(self, graphs: GraphSet) -> None:
        self.graphs = graphs
        settings: MaskTrackSettings = graphs.settings.tracker
        self.settings = settings
        self.size = settings.size
        self.calm_size = settings.calm_size
        self.idle_change = settings.idle_change
        self.computed_objects = settings.computed_objects
        self.context = settings.context
        self.box_change = settings.box_change
        self.clicks = settings.guide_channels > 1
        self.box_prior = settings.box_prior
        self.box_passes = settings.box_passes
        self.min_area_ratio = settings.min_area_ratio
        self.search_growth = settings.search_growth

    def _levels(self, images: Array, guides: Array | None) -> Levels:
        """Compute the levels of features of squares."""
        assert guides is not None
        return tuple(self.graphs.run('encode', {'images': images, 'guides': guides}))

    def _probabilities(
        self, levels: Levels, guides: Array, memories: list[Memory], weights: Array | None
    ) -> Array:
        """Segment squares: (K, h, w) in [0, 1]."""
        settings = self.settings
        count = len(guides)
        _, _, height, width = levels[-1].shape
        positions = height * width

        # (K, M, A, N) and (K, M, V + 1, N), where M may be 0
        if memories:
            keys = np.stack([memory_keys for memory_keys, _ in memories], axis=1)
            values = np.stack([memory_values for _, memory_values in memories], axis=1)
        else:
            keys = np.zeros((count, 0, settings.key_channels, positions), np.float32)
            values = np.zeros((count, 0, settings.value_channels, positions), np.float32)

        # (K, M): shares that add up to 1 for each object
        if weights is None:
            weights = np.ones(keys.shape[:2], np.float32)
        total = weights.sum(axis=1, keepdims=True)
        shares = weights / np.maximum(total, 1e-6)

        inputs = {f'level{number}': level for number, level in enumerate(levels)}
        inputs['guides'] = guides
        inputs['keys'] = keys
        inputs['values'] = values
        inputs['shares'] = shares
        [probabilities] = self.graphs.run('segment', inputs)
        return probabilities

    def _encode_memory(self, top: Array, masks: Array) -> Memory:
        """Encode a frame to be remembered."""
        keys, values = self.graphs.run('remember', {'top': top, 'masks': masks})
        return keys, values
