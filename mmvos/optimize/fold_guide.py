"""Folding of the first batch norm of a guided backbone, whose stem is two convolutions that are
added.
"""

from __future__ import annotations

from torch.nn.modules.batchnorm import _BatchNorm

from mmvos.models.masktrack import GuidedEfficientNetLite, GuidedResNet


def fold_guide(backbone: GuidedResNet | GuidedEfficientNetLite) -> None:
    """Scale the guide's convolution by the first batch norm, in place.

    mmcv's ``fuse_conv_bn``, to be called afterwards, folds that norm into the image's convolution
    only: norm(image + guide) = scale * image + shift + scale * guide.
    """
    norm = backbone.norm1 if isinstance(backbone, GuidedResNet) else backbone.stem_norm
    if not isinstance(norm, _BatchNorm):  # it has been folded before
        return
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    backbone.guide_conv.weight.data.mul_(scale[:, None, None, None])
