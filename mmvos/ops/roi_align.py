"""RoIAlign as one sparse matrix product, for CPUs (He et al., Mask R-CNN, ICCV 2017, section 3).

Every output cell is a weighted sum of feature vectors; on channels-last features that is
``embedding_bag``, which uses all cores and the vector units, forward and backward. Same numbers as
``mmcv.ops.RoIAlign(aligned=True, sampling_ratio >= 1)``. R regions; B, C, H, W the features; S x S
the output; n x n samples per output cell.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def roi_align(
    features: Tensor, rois: Tensor, size: int, spatial_scale: float, samples: int
) -> Tensor:
    """Samples S x S cells of each region, bilinearly, the mean of n x n points per cell.

    Args:
        features: (B, C, H, W) float; fastest where it is channels-last.
        rois: (R, 5): index of the image, then a box xyxy in image pixels.
        size: S.
        spatial_scale: feature cells per image pixel.
        samples: n >= 1.

    Returns:
        (R, C, S, S) in the type of ``features``, channels-last.
    """
    assert rois.dim() == 2 and rois.shape[1] == 5 and samples >= 1
    _, channels, height, width = features.shape
    boxes = rois[:, 1:] * spatial_scale - 0.5  # cell centers have integer coordinates
    columns, column_weights = _line(boxes[:, 0], boxes[:, 2], size, samples, width)  # (R, S, 2n)
    rows, row_weights = _line(boxes[:, 1], boxes[:, 3], size, samples, height)
    first = rois[:, 0].long()[:, None, None] * (height * width)
    # (R, S, S, 2n, 2n)
    index = (first + rows * width)[:, :, None, :, None] + columns[:, None, :, None, :]
    weight = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
    table = features.permute(0, 2, 3, 1).reshape(-1, channels)
    taps = 4 * samples * samples
    cells = F.embedding_bag(
        index.reshape(-1, taps),
        table,
        mode='sum',
        per_sample_weights=weight.reshape(-1, taps).to(features.dtype),
    )
    return cells.view(len(rois), size, size, channels).permute(0, 3, 1, 2)


def _line(
    start: Tensor, end: Tensor, size: int, samples: int, length: int
) -> tuple[Tensor, Tensor]:
    """The two neighbors of each sample along one axis, (R, S, 2n): indices and weights (mean over
    the n samples).

    A sample more than one cell outside the features counts as zero; one that is less far outside
    takes the border's value.
    """
    steps = (torch.arange(size * samples, device=start.device, dtype=start.dtype) + 0.5) / (
        size * samples
    )
    position = start[:, None] + (end - start)[:, None] * steps  # (R, S * n)
    inside = (position >= -1) & (position <= length)
    position = position.clamp(0, length - 1)
    low = position.floor()
    fraction = position - low
    low = low.long()
    index = torch.stack([low, (low + 1).clamp(max=length - 1)], dim=-1)
    weight = torch.stack([1 - fraction, fraction], dim=-1) * (inside / samples)[..., None]
    return index.view(len(start), size, 2 * samples), weight.view(len(start), size, 2 * samples)
