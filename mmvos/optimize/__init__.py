"""Everything that only makes inference faster: ``optimize`` folds, packs and fuses a video model's
layers. The models know nothing of it.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from mmcv.cnn import fuse_conv_bn
from mmdet.models.backbones import ResNet
from torch import nn

from mmvos.models import (
    GuidedEfficientNetLite,
    GuidedResNet,
    PromptedSegmenter,
    RPNHead,
    VideoModel,
)
from mmvos.models.masktrack_rcnn import MaskTrackRCNN
from mmvos.models.siammask import SiameseTracker
from mmvos.ops.memory_format import to_channels_last
from mmvos.ops.precision import warn_of_slow_bfloat16

from .compiled import compile_networks
from .fold_guide import fold_guide
from .fused_resnet import fuse_resnet
from .packed_fpn import PackedFPN, can_pack_fpn
from .packed_layers import PackedConv2d, can_pack, pack_convolutions
from .winograd import apply_winograd

Model = TypeVar('Model', bound=VideoModel)

__all__ = ['fold_batch_norms', 'optimize']


def optimize(model: Model, dtype: torch.dtype = torch.float32, compiles: bool = False) -> Model:
    """Make a video model faster for inference, in place and for good.

    Batch norms are folded, weights become channels-last, and convolutions and linear layers compute
    in ``dtype``. On a CPU, convolutions also keep their weights in oneDNN's memory order and do
    ReLUs and sums themselves. In float32 the results are the same up to rounding.

    Args:
        model: the model; it cannot be trained afterwards.
        dtype: float32, bfloat16 or float16. A warning says where bfloat16 is slower than float32.
        compiles: whether torch.compile makes the networks fast instead, on a GPU as CUDA graphs;
            for SiamMask, S2iamMask and MaskTrack. The first frames take minutes.

    Returns:
        The same model.

    Raises:
        DataError: see ``compile_networks``.
    """
    fold_batch_norms(model, dtype)
    if compiles:
        compile_networks(model)
        return model
    for module in list(model.modules()):
        if isinstance(module, ResNet):
            # The guide comes between the stem's convolution and its ReLU.
            fuse_resnet(module, stem=not isinstance(module, GuidedResNet))
        if isinstance(module, RPNHead) and can_pack(module.rpn_conv):
            module.rpn_conv = PackedConv2d(module.rpn_conv, relu=True)
            module.relu = nn.Identity()
        for name, child in list(module.named_children()):
            if can_pack_fpn(child):
                setattr(module, name, PackedFPN(child))
    if isinstance(model, PromptedSegmenter):
        # Not in a detector: its RoI heads see another number of regions in every frame.
        pack_convolutions(model.tracker)

        # Measured on whole frames: 30 % for a siamese network, nothing for mask propagation.
        if isinstance(model.tracker, SiameseTracker):
            apply_winograd(model.tracker)
    if isinstance(model, MaskTrackRCNN):
        apply_winograd(model.detector)
    return model


def fold_batch_norms(model: Model, dtype: torch.dtype = torch.float32) -> Model:
    """Bring a video model into evaluation mode, with folded batch norms, channels-last weights and
    ``dtype`` arithmetic: what ``optimize`` does on every device.
    """
    parameter = next(model.parameters(), None)
    if parameter is not None:
        warn_of_slow_bfloat16(dtype, parameter.device)
    for module in model.modules():
        if isinstance(module, (GuidedEfficientNetLite, GuidedResNet)):
            fold_guide(module)
    fuse_conv_bn(model.eval())
    to_channels_last(model)
    model.compute_dtype = dtype
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            module.to(dtype)
    return model
