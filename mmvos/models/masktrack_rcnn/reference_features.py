"""Pyramid levels of reference frames, computed where something is read from them.

Of a pair, the detector learns from the key frame: its RPN reads all cells of all levels. From the
reference frame only the regions of its ground-truth boxes are read. So the last convolutions of an
FPN, 3x3 with as many cells as the finest level has, are computed there and nowhere else; what is
read, and its gradients, are the same.

R regions, C channels, h x w cells of a level of stride s, counted by the image.
"""

from __future__ import annotations

from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmdet.models.necks import FPN
from torch import Tensor
from torch.nn import functional as F

from mmvos.ops.sparse_gradient import can_convolve, convolve

# Cells around a box that its features depend on beside those inside: two that are interpolated.
_MARGIN = 2


def can_compute_in_part(neck: Any, extractor: Any) -> bool:
    """Say whether the levels of a neck can be computed in part.

    They can where no cell of a level depends on cells that are far from it: the last convolutions
    of an FPN are 3 x 3, without a norm over all cells or an activation.

    Args:
        neck: of the detector.
        extractor: of the regions, which says from which level a region is read.
    """
    if type(neck) is not FPN or not hasattr(extractor, 'map_roi_levels'):
        return False
    # a level for each stage, and subsampled ones above
    if neck.add_extra_convs:
        return False
    if neck.upsample_cfg != {'mode': 'nearest'}:
        return False
    count = len(neck.fpn_convs)
    if count != neck.num_ins or count < extractor.num_inputs:
        return False
    return all(_is_local(module) for module in neck.fpn_convs)


def _is_local(module: ConvModule) -> bool:
    """Whether a module is a 3 x 3 convolution of neighboring cells, padded with zeros, and no
    more.
    """
    if module.with_norm or module.with_activation:
        return False
    conv = module.conv
    if conv.padding_mode != 'zeros':
        return False
    shape = (conv.kernel_size, conv.padding, conv.stride, conv.dilation)
    return shape == ((3, 3), (1, 1), (1, 1), (1, 1))


def features_of_pairs(
    neck: FPN, extractor: Any, stages: tuple[Tensor, ...], regions: Tensor
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Compute all levels of key frames, and of reference frames what is read from them.

    Args:
        neck, extractor: for which ``can_compute_in_part`` holds.
        stages: of the backbone, fine to coarse, of 2B images: B key frames, then their reference
            frames.
        regions: (R, 5) of the reference frames, index among these and box xyxy in network pixels.

    Returns:
        The levels of the key frames, (B, C, h, w) each as ``neck`` gives them, and the levels of
        the reference frames that ``extractor`` reads, which are zero where no region is near.
    """
    # top-down: each level takes up the one above it
    laterals = []
    for lateral, stage in zip(neck.lateral_convs, stages, strict=True):
        laterals.append(lateral(stage))
    for level in reversed(range(len(laterals) - 1)):
        size = laterals[level].shape[2:]
        coarse = F.interpolate(laterals[level + 1], size=size)
        laterals[level] = laterals[level] + coarse

    # the key frames, with subsampled levels above
    count = len(stages[0]) // 2
    levels = []
    for level, output in enumerate(neck.fpn_convs):
        keys = laterals[level][:count]
        levels.append(_convolve(output, keys))
    while len(levels) < neck.num_outs:
        subsampled = F.max_pool2d(levels[-1], 1, stride=2)
        levels.append(subsampled)

    # the reference frames
    level_of = extractor.map_roi_levels(regions, extractor.num_inputs)
    parts = []
    for level, stride in enumerate(extractor.featmap_strides):
        boxes = regions[level_of == level]
        references = laterals[level][count:]
        part = _near_boxes(neck.fpn_convs[level], references, boxes, stride)
        parts.append(part)
    return tuple(levels), tuple(parts)


def _convolve(output: ConvModule, lateral: Tensor) -> Tensor:
    """Compute a module for which ``_is_local`` holds; heads sample its cells, so that many of them
    have no gradient.
    """
    layer = output.conv
    if can_convolve(layer, lateral):
        return convolve(layer, lateral)
    result: Tensor = layer(lateral)
    return result


def _near_boxes(output: ConvModule, lateral: Tensor, boxes: Tensor, stride: int) -> Tensor:
    """Convolve (B, C, h, w) in the smallest rectangle of each image that holds all its boxes.

    Args:
        output: for which ``_is_local`` holds.
        lateral: the level.
        boxes: (R, 5), index of the image and box xyxy in network pixels.
        stride: of the level, in pixels.

    Returns:
        (B, C', h, w), zero outside.
    """
    images = []
    for index, image in enumerate(lateral.split(1)):
        is_here = boxes[:, 0] == index
        own = boxes[is_here, 1:]
        if len(own):
            part = _in_rectangle(output, image, own / stride)
        else:
            channels = output.conv.out_channels
            part = image.new_zeros(1, channels, *image.shape[2:])
        images.append(part)
    return torch.cat(images)


def _in_rectangle(output: ConvModule, image: Tensor, boxes: Tensor) -> Tensor:
    """Convolve (1, C, h, w) in the smallest rectangle that holds boxes (R, 4) in cells; zero
    outside.
    """
    # the rectangle, in whole cells
    height, width = image.shape[2:]
    first = boxes[:, :2].amin(0).floor()
    last = boxes[:, 2:].amax(0).ceil()
    left, top = first.int().tolist()
    right, bottom = last.int().tolist()
    left, right = _with_margin(left, right, _MARGIN, width)
    top, bottom = _with_margin(top, bottom, _MARGIN, height)

    # One cell more, which the convolution looks at; what it gives there lacks neighbors.
    first_column, last_column = _with_margin(left, right, 1, width)
    first_row, last_row = _with_margin(top, bottom, 1, height)
    looked_at = image[:, :, first_row:last_row, first_column:last_column]
    seen = _convolve(output, looked_at)

    # the rectangle alone, and zeros around it
    rows = slice(top - first_row, bottom - first_row)
    columns = slice(left - first_column, right - first_column)
    inside = seen[:, :, rows, columns]
    around = (left, width - right, top, height - bottom)
    return F.pad(inside, around)


def _with_margin(first: int, last: int, margin: int, length: int) -> tuple[int, int]:
    """Widen the range [first, last) of cells, within [0, length); it has one cell at least."""
    start = max(first - margin, 0)
    start = min(start, length - 1)
    end = min(last + margin, length)
    return start, max(end, start + 1)
