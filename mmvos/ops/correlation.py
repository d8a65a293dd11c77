"""Depth-wise cross-correlation of features with kernels made from a template (Li et al., SiamRPN++,
CVPR 2019, section 3.3).

K objects, C channels; no flip, no scaling.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def depthwise_correlation(features: Tensor, kernels: Tensor, padding: int = 0) -> Tensor:
    """Slides each object's kernel over the same object's features, channel by channel, as one
    grouped convolution.

    Args:
        features: (K, C, H, W).
        kernels: (K, C, h, w).
        padding: rows and columns of zeros around the features.

    Returns:
        (K, C, H - h + 1 + 2 padding, W - w + 1 + 2 padding).
    """
    count, channels = kernels.shape[:2]
    assert features.shape[:2] == (count, channels), (
        f'features {tuple(features.shape)} for kernels {tuple(kernels.shape)}'
    )
    stacked = features.reshape(1, count * channels, *features.shape[2:])
    filters = kernels.reshape(count * channels, 1, *kernels.shape[2:])
    result = F.conv2d(stacked, filters, padding=padding, groups=count * channels)
    return result.view(count, channels, *result.shape[2:])
