"""PyramidRoIExtractor: mmdet's assignment of regions to FPN levels with a RoIAlign that is fast on
CPUs too.

R regions, C channels, S x S the output (Lin et al., Feature Pyramid Networks, CVPR 2017, equation
1).
"""

from __future__ import annotations

import torch
from mmcv.ops import RoIAlign
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import Tensor

from mmvos.ops.roi_align import roi_align
from mmvos.registry import MODELS


@MODELS.register_module()
class PyramidRoIExtractor(SingleRoIExtractor):
    """Samples each region from the level that fits its size.

    On a GPU, and for a ``roi_layer`` that ``mmvos.ops.roi_align`` does not cover (adaptive
    sampling, not aligned), mmcv's compiled RoIAlign does the work; on a CPU an equal sum that keeps
    features channels-last, several times faster.

    Args:
        See mmdet's ``SingleRoIExtractor``.
    """

    def forward(
        self, feats: tuple[Tensor, ...], rois: Tensor, roi_scale_factor: float | None = None
    ) -> Tensor:
        """(R, C, S, S) features of the regions (R, 5), given as image index and box xyxy in network
        pixels.
        """
        rois = rois.float()
        # (R,): the level that fits the region's size
        levels = self.map_roi_levels(rois, len(feats))
        if roi_scale_factor is not None:
            rois = self.roi_rescale(rois, roi_scale_factor)
        # sample level by level, and bring the regions back into their order
        pieces, places = [], []
        for level, (layer, features) in enumerate(zip(self.roi_layers, feats)):
            place = (levels == level).nonzero()[:, 0]
            if len(place):
                pieces.append(_align(layer, features, rois[place]))
                places.append(place)
        if not pieces:
            return feats[0].new_zeros(0, self.out_channels, *self.roi_layers[0].output_size)
        return torch.cat(pieces)[torch.cat(places).argsort()]


def _align(layer: RoIAlign, features: Tensor, rois: Tensor) -> Tensor:
    height, width = layer.output_size
    is_usual = layer.aligned and layer.pool_mode == 'avg' and height == width
    is_covered = is_usual and layer.sampling_ratio > 0
    if features.device.type == 'cpu' and is_covered:
        return roi_align(features, rois, height, layer.spatial_scale, layer.sampling_ratio)
    return layer(features, rois.to(features.dtype))
