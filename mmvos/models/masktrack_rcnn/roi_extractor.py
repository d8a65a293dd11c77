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

from mmvos.ops.crop import roi_align
from mmvos.registry import MODELS


@MODELS.register_module()
class PyramidRoIExtractor(SingleRoIExtractor):
    """Samples each region from the level that fits its size.

    On a GPU, and for a ``roi_layer`` that ``mmvos.ops.crop`` does not cover (adaptive
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

        # A device does not tell how many there are of each level.
        if not self.training and rois.device.type != 'cpu':
            return self._choose(feats, rois, levels)

        # (r, C, S, S) of the regions of each level
        pieces: list[Tensor] = []
        places: list[Tensor] = []
        for level, (layer, features) in enumerate(zip(self.roi_layers, feats)):
            place = (levels == level).nonzero()[:, 0]
            if len(place) == 0:
                continue
            pieces.append(_align(layer, features, rois[place]))
            places.append(place)
        if not pieces:
            size = self.roi_layers[0].output_size
            return feats[0].new_zeros(0, self.out_channels, *size)

        # (R, C, S, S): back in the order in which the regions were given
        order = torch.cat(places).argsort()
        return torch.cat(pieces)[order]

    def _choose(self, feats: tuple[Tensor, ...], rois: Tensor, levels: Tensor) -> Tensor:
        """Sample all regions from each level, and take of each those of its level (R,)."""
        size = self.roi_layers[0].output_size
        chosen = feats[0].new_zeros(len(rois), self.out_channels, *size)
        for level, (layer, features) in enumerate(zip(self.roi_layers, feats)):
            is_here = (levels == level)[:, None, None, None]
            chosen = torch.where(is_here, _align(layer, features, rois), chosen)
        return chosen


def _align(layer: RoIAlign, features: Tensor, rois: Tensor) -> Tensor:
    """(r, C, S, S) features of the regions (r, 5) of one level."""
    height, width = layer.output_size
    is_square = height == width
    is_mean = layer.pool_mode == 'avg'
    is_sampled = layer.sampling_ratio > 0
    is_covered = layer.aligned and is_square and is_mean and is_sampled

    if features.device.type == 'cpu' and is_covered:
        return roi_align(
            features,
            rois,
            size=height,
            spatial_scale=layer.spatial_scale,
            samples=layer.sampling_ratio,
        )
    # The compiled op reads memory as if features were channels-first.
    features = features.contiguous()
    return layer(features, rois.to(features.dtype))
