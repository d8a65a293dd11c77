"""The published MaskTrack R-CNN (github.com/youtubevos/MaskTrackRCNN, on mmdet 0.5) for
``masktrack-rcnn_r50_fpn_official.py``.

Its class 0 is the background; here the background comes last, and box deltas and masks do without
it. C classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

KIND = 'MaskTrack R-CNN'
_PREFIXES = {
    'backbone.': 'detector.backbone.',
    'neck.': 'detector.neck.',
    'rpn_head.': 'detector.rpn_head.',
    'bbox_head.': 'detector.roi_head.bbox_head.',
    'mask_head.': 'detector.roi_head.mask_head.',
    'track_head.': 'track_head.',
}


def recognises(weights: Mapping[str, Tensor]) -> bool:
    """Whether names are those of a MaskTrack R-CNN, also of one that cannot be converted."""
    return any(name.startswith('track_head.') for name in weights)


def convert(weights: Mapping[str, Tensor]) -> dict[str, tuple[str, Tensor]]:
    """Give by our names the published names, and the tensors with their classes in our order.

    Raises:
        ValueError: it is the withdrawn file with one fully connected layer in its track head, or
            mmdet's own MaskTrackRCNN.
    """
    if any(name.startswith('track_head.fc.') for name in weights):
        raise ValueError(
            'it is the withdrawn MaskTrack R-CNN of early 2019, whose track head has a single '
            'layer (track_head.fc, 24.8 AP); get the file that replaced it'
        )
    if any(name.startswith(('detector.', 'track_head.embed_head.')) for name in weights):
        raise ValueError(
            'it is a MaskTrackRCNN of mmtracking or mmdet 3 (detector.*, track_head.embed_head.*), '
            'not the published one'
        )
    converted = {}
    for name, tensor in weights.items():
        converted[_rename(name)] = (name, _in_our_order(name, tensor))
    return converted


def _rename(name: str) -> str:
    """Our name; a name that is not known stays as it is."""
    for old, ours in _PREFIXES.items():
        if name.startswith(old):
            return ours + name.removeprefix(old)
    return name


def _in_our_order(name: str, tensor: Tensor) -> Tensor:
    """Move the background from the first class to the last, or leave it out."""
    layer = name.rpartition('.')[0]
    if layer == 'bbox_head.fc_cls':  # (C + 1, ...)
        return torch.cat([tensor[1:], tensor[:1]])
    if layer == 'bbox_head.fc_reg':  # (4 (C + 1), ...)
        return tensor[4:].clone()
    if layer == 'mask_head.conv_logits':  # (C + 1, ...)
        return tensor[1:].clone()
    return tensor
