"""Objects cut out of one picture and pasted into another without a rim of the old background or a
hard edge.

Letters: H, W height and width in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mmvos.structures.rle import tight_box

SOFTNESS = 0.8  # standard deviation of a soft edge, pixels


@dataclass(frozen=True)
class Layer:
    """One object in one frame.

    Attributes:
        color: (H, W, 3) float32, its colors from 0 to 255 times its opacity.
        alpha: (H, W) float32, its opacity from 0 to 1.
    """

    color: np.ndarray
    alpha: np.ndarray


def cut_out(picture: np.ndarray, mask: np.ndarray) -> Layer:
    """Cut an object out along its mask, without a rim of the old background.

    The mask loses its outermost pixel, where object and background are mixed, and gets a soft edge;
    the colors under the soft edge come from the inside of the object.

    Args:
        picture: (H, W, 3) uint8.
        mask: (H, W) bool.

    Returns:
        Colors that are multiplied by their opacity.
    """
    # the mask without its outermost pixel
    neighbors = np.ones((3, 3), np.uint8)
    inside = cv2.erode(mask.astype(np.uint8), neighbors, borderType=cv2.BORDER_REPLICATE)
    weight = inside.astype(np.float32)

    # the mean of the object's own colors near by, for the pixels outside
    object_colors = picture * weight[..., None]
    blurred = cv2.GaussianBlur(object_colors, (0, 0), 2)
    blurred_weight = cv2.GaussianBlur(weight, (0, 0), 2)
    divisor = np.maximum(blurred_weight, 1e-3)
    near = blurred / divisor[..., None]
    is_inside = inside[..., None] > 0
    color = np.where(is_inside, picture, near)

    # the soft edge
    alpha = cv2.GaussianBlur(weight, (0, 0), SOFTNESS)
    return Layer(color.astype(np.float32) * alpha[..., None], alpha)


def place(layer: Layer, matrix: np.ndarray, size: tuple[int, int]) -> Layer:
    """Map a layer into a frame of size (W, H) by the (2, 3) matrix; shrinking is smoothed first."""
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    color = layer.color
    alpha = layer.alpha
    if scale < 0.7:
        sigma = 0.35 / scale
        color = cv2.GaussianBlur(color, (0, 0), sigma)
        alpha = cv2.GaussianBlur(alpha, (0, 0), sigma)
    return Layer(
        color=cv2.warpAffine(color, matrix, size),
        alpha=cv2.warpAffine(alpha, matrix, size),
    )


def box_of(mask: np.ndarray) -> np.ndarray | None:
    """Return the tight box of an (H, W) mask as an array; None where the mask is empty."""
    box = tight_box(mask)
    return None if box is None else np.array(box)


def center_of(box: np.ndarray) -> np.ndarray:
    """Return the center (x, y) of a box (4,) in coordinates of pixel centers."""
    return (box[:2] + box[2:] - 1) / 2


def paste(
    picture: np.ndarray, own: np.ndarray, layers: Sequence[Layer | None], behind: int
) -> tuple[np.ndarray, np.ndarray]:
    """Paste layers into a frame that has an object of its own.

    Args:
        picture: (H, W, 3) uint8.
        own: (H, W) bool, the object of the frame; it is object 1.
        layers: pasted objects 2, 3, ... from the back to the front; None where an object is absent.
        behind: how many of the layers, the first ones, are behind the frame's own object.

    Returns:
        Picture (H, W, 3) uint8 and label map (H, W) uint8.
    """
    image = picture.astype(np.float32)
    labels = own.astype(np.uint8)

    # what is seen beside the frame's own object and its soft edge
    neighbors = np.ones((3, 3), np.uint8)
    wide = cv2.dilate(labels, neighbors).astype(np.float32)
    beside_own = 1 - cv2.GaussianBlur(wide, (0, 0), SOFTNESS)

    for order, layer in enumerate(layers):
        if layer is None:
            continue
        alpha = layer.alpha
        color = layer.color
        if order < behind:
            alpha = alpha * beside_own
            color = color * beside_own[..., None]
        image = image * (1 - alpha[..., None]) + color
        labels[alpha >= 0.5] = order + 2

    rounded = np.clip(image + 0.5, 0, 255).astype(np.uint8)
    return rounded, labels
