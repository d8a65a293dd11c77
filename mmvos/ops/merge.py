"""Merging the masks of objects that were segmented one by one. K objects, H x W pixels."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_aggregate(
    probabilities: Tensor, background: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Normalize the odds of all objects and of the background (Oh et al., RGMP, CVPR 2018, eq. 1).

    Args:
        probabilities: (K, H, W) in [0, 1], of each object against the rest.
        background: (H, W) in [0, 1]; the product of 1 - p over the objects by default.

    Returns:
        (K, H, W) of the objects and (H, W) of the background; they add up to 1 at every pixel.
    """
    if background is None:
        background = (1 - probabilities).prod(dim=0)
    # (1 + K, H, W): the background is one more class
    classes = torch.cat([background[None], probabilities]).float()
    classes = classes.clamp(1e-7, 1 - 1e-7)
    odds = classes / (1 - classes)
    merged = odds / odds.sum(dim=0)
    return merged[1:], merged[0]


def hard_merge(probabilities: Tensor, first_wins: bool = False) -> Tensor:
    """Give each pixel to the most certain of the objects that claim it (p >= .5).

    So do MaskTrack's and SiamMask's public code. A loser's pixel is background for it, so that no
    pixel of a guide is outside [-1, 1].

    Args:
        probabilities: (K, H, W) in [0, 1].
        first_wins: whether of equally certain objects the first gets the pixel, as in SiamMask;
            else the last, as in MaskTrack.

    Returns:
        (K, H, W), the winner 1 and everybody else 0.
    """
    num_objects = len(probabilities)
    if num_objects == 0:
        return probabilities
    # (H, W): the number of the most certain object; argmax gives the first of equal values
    if first_wins:
        winner = probabilities.argmax(dim=0)
    else:
        winner = num_objects - 1 - probabilities.flip(0).argmax(dim=0)
    is_claimed = probabilities.amax(dim=0) >= 0.5
    # (K, H, W)
    numbers = torch.arange(num_objects, device=winner.device)[:, None, None]
    is_won = (numbers == winner) & is_claimed
    return is_won.to(probabilities.dtype)
