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
    """Sample S x S cells of each region, bilinearly, the mean of n x n points per cell.

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
    num_rois = len(rois)
    _, channels, height, width = features.shape
    # In feature cells, whose centers have integer coordinates.
    x1, y1, x2, y2 = (rois[:, 1:] * spatial_scale - 0.5).unbind(dim=1)
    # (R, S, 2n) each: the features that each output cell touches along x and along y
    columns, column_weights = _neighbors(x1, x2, size, samples, width)
    rows, row_weights = _neighbors(y1, y2, size, samples, height)
    # (R, S, S, 2n, 2n): their positions in the table of all feature vectors, and their weights
    image = rois[:, 0].long()
    first = image * (height * width)
    row_starts = first[:, None, None] + rows * width
    row_starts = row_starts[:, :, None, :, None]
    row_weights = row_weights[:, :, None, :, None]
    columns = columns[:, None, :, None, :]
    column_weights = column_weights[:, None, :, None, :]
    index = row_starts + columns
    weight = row_weights * column_weights
    # (R * S * S, 4 n n) each
    num_taps = 4 * samples * samples
    index = index.reshape(-1, num_taps)
    weight = weight.reshape(-1, num_taps).to(features.dtype)
    # (B * H * W, C): the weighted sum of rows of this table for each cell
    table = features.permute(0, 2, 3, 1).reshape(-1, channels)
    cells = F.embedding_bag(index, table, mode='sum', per_sample_weights=weight)
    return cells.view(num_rois, size, size, channels).permute(0, 3, 1, 2)


def _neighbors(
    start: Tensor, end: Tensor, size: int, samples: int, length: int
) -> tuple[Tensor, Tensor]:
    """The two features next to each sample along one axis, for the mean over n samples per cell.

    A sample more than one cell outside the features counts as zero; one that is less far outside
    takes the border's value.

    Args:
        start, end: (R,) of the regions, in feature cells.
        size: S.
        samples: n.
        length: number of features along the axis.

    Returns:
        Indices and weights, (R, S, 2n).
    """
    # (R, S * n): the samples, at equal distances
    num_samples = size * samples
    numbers = torch.arange(num_samples, device=start.device, dtype=start.dtype)
    steps = (numbers + 0.5) / num_samples
    position = start[:, None] + (end - start)[:, None] * steps
    is_inside = (position >= -1) & (position <= length)
    # Each lies between two features.
    position = position.clamp(0, length - 1)
    low = position.floor()
    fraction = position - low
    low_index = low.long()
    high_index = (low_index + 1).clamp(max=length - 1)
    # (R, S * n, 2)
    index = torch.stack([low_index, high_index], dim=-1)
    weight = torch.stack([1 - fraction, fraction], dim=-1)
    share = is_inside / samples
    weight = weight * share[..., None]
    shape = (len(start), size, 2 * samples)
    return index.view(shape), weight.view(shape)
