"""Merging the masks of objects that were segmented one by one. K objects, H x W pixels."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_aggregate(
    probabilities: Tensor, background: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Normalises the odds of all objects and of the background (Oh et al., RGMP, CVPR 2018,
    equation 1).

    Args:
        probabilities: (K, H, W) in [0, 1], of each object against the rest.
        background: (H, W) in [0, 1]; the product of 1 - p over the objects by default.

    Returns:
        (K, H, W) of the objects and (H, W) of the background; they add up to 1 at every pixel.
    """
    if background is None:
        background = (1 - probabilities).prod(dim=0)
    both = torch.cat([background[None], probabilities]).float().clamp(1e-7, 1 - 1e-7)
    odds = both / (1 - both)
    merged = odds / odds.sum(dim=0)
    return merged[1:], merged[0]


def hard_merge(probabilities: Tensor, first_wins: bool = False) -> Tensor:
    """Of the objects that claim a pixel (p >= .5) the most certain gets all of it, as in
    MaskTrack's and SiamMask's public code.

    A loser's pixel is background for it, so that no pixel of a guide is outside [-1, 1].

    Args:
        probabilities: (K, H, W) in [0, 1].
        first_wins: whether of equally certain objects the first gets the pixel, as in SiamMask;
            else the last, as in MaskTrack.

    Returns:
        (K, H, W), the winner 1 and everybody else 0.
    """
    if not len(probabilities):
        return probabilities
    if first_wins:
        winner = probabilities.argmax(dim=0)
    else:
        # argmax gives the first of equal values
        winner = len(probabilities) - 1 - probabilities.flip(0).argmax(dim=0)
    claimed = probabilities.amax(dim=0) >= 0.5
    numbers = torch.arange(len(probabilities), device=winner.device)[:, None, None]
    return ((numbers == winner) & claimed).to(probabilities.dtype)
