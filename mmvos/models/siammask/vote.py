"""MaskVote: the mask of an object by vote of several candidates (S2iamMask).

Derived from the description of S2iamMask, a second stage on SiamMask: each of the best candidates
gives a mask inside its box; a pixel is the object's where enough candidates say so. Arrays are
torch's or numpy's; nothing here imports torch.

Letters for shapes: K search windows of S x S pixels, N anchors, T voters of a window, M x M pixels
of the mask of a voter. Anchor boxes are center and size in window pixels from the window's middle;
regions are rows of a window and corners xyxy in window pixels, 0 being the edge of the first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmvos.ops.arrays import (
    Array,
    array_like,
    array_namespace,
    as_numpy,
    device,
    is_on_host,
    to_device,
)
from mmvos.ops.boxes import box_overlaps, corners_of
from mmvos.ops.masks import paste_in_box
from mmvos.ops.siamese_geometry import Window


class MaskVote:
    """The vote; a child gives the settings.

    Attributes:
        top_k: T, candidates that vote.
        iou_weight: share of the overlap with the last box in the choice of candidates, against
            score, penalties and nearness.
        enlarge: by how much of its width or height a candidate's box is moved out at each side.
        mask_threshold: probability above which a candidate votes for a pixel.
        min_votes: votes that a pixel needs.
        min_area: pixels that the outline of a mask must enclose for the object to be followed by
            it.
    """

    top_k: int
    iou_weight: float
    enlarge: float
    mask_threshold: float
    min_votes: int
    min_area: float

    @property
    def threshold(self) -> float:
        """The share that lies between too few votes and enough."""
        return (self.min_votes - 0.5) / self.top_k

    def rerank_by_overlap(self, ranks: Array, boxes: Array, last_boxes: Array) -> Array:
        """Rank anchors by score and by overlap with where the objects were.

        Args:
            ranks: (K, N).
            boxes: (K, N, 4).
            last_boxes: (K, 4), center and size.

        Returns:
            (K, N).
        """
        # (K, N): the overlap of each anchor's box with the object's last one
        corners = corners_of(boxes)
        last_corners = corners_of(last_boxes[:, None])
        overlaps = box_overlaps(corners, last_corners)[..., 0]

        rank_weight = 1 - self.iou_weight
        return rank_weight * ranks + self.iou_weight * overlaps

    def voter_rois(self, boxes: Array, size: int) -> Array:
        """Return the regions in which candidates give their masks.

        Args:
            boxes: (K, T, 4).
            size: S.

        Returns:
            (K * T, 5), enlarged and inside the window.
        """
        # (K, T, 4): from the window's middle to its edge, and enlarged
        corners = corners_of(boxes) + size / 2
        corners = self._enlarged(corners, size)

        # (K, T, 1): of each region its window
        xp = array_namespace(boxes)
        count, voters, _ = boxes.shape
        windows = xp.arange(count, dtype=corners.dtype, device=device(boxes))
        windows = xp.broadcast_to(windows[:, None, None], (count, voters, 1))

        rois = xp.concat([windows, corners], axis=-1)
        return xp.astype(xp.reshape(rois, (-1, 5)), xp.float32)

    @staticmethod
    def cut_to_boxes(probabilities: Array, places: Array, rois: Array) -> Array:
        """Say no outside of the candidates' regions.

        Args:
            probabilities: (K * T, M, M).
            places: (K * T, 5), window, and corners of where the masks lie.
            rois: (K * T, 5), from ``voter_rois``.

        Returns:
            (K * T, M, M).
        """
        xp = array_namespace(probabilities)
        size = probabilities.shape[1]

        # (M,) middles of the mask's pixels, as shares of its side
        pixels = xp.arange(size, dtype=xp.float32, device=device(probabilities))
        middles = (pixels + 0.5) / size
        inside = []
        for axis in (2, 1):  # rows, columns
            start = places[:, axis, None]
            end = places[:, axis + 2, None]

            # (K * T, M) window pixels
            lines = start + (end - start) * middles
            low = rois[:, axis, None]
            high = rois[:, axis + 2, None]
            inside.append((lines >= low) & (lines <= high))
        rows, columns = inside
        return xp.where(rows[:, :, None] & columns[:, None, :], probabilities, 0.0)

    def vote(
        self,
        probabilities: Array,
        rois: Array,
        windows: Sequence[Window],
        size: int,
        height: int,
        width: int,
    ) -> Array:
        """Count the share of the candidates that vote for each pixel of the frame.

        Args:
            probabilities: (K * T, M, M).
            rois: (K * T, 5), where the masks lie.
            windows: K, where the search windows lie in the frame.
            size: S.
            height, width: of the frame.

        Returns:
            (K, height, width) in [0, 1]; a pixel is the object's above ``threshold``.
        """
        if not is_on_host(probabilities):
            return self._vote_at_once(probabilities, rois, windows, size, height, width)
        shares: list[NDArray[np.float32]] = []
        for _ in windows:
            shares.append(np.zeros((height, width), dtype=np.float32))
        vote = 1 / np.float32(self.top_k)
        for mask, roi in zip(probabilities, rois.tolist(), strict=True):
            window_index = int(roi[0])
            share = shares[window_index]

            # (4,): the region in frame pixels
            x, y, side = windows[window_index]
            scale = side / size
            box = array_like(roi[1:], probabilities) * scale
            box = box + array_like([x, y, x, y], probabilities)

            # (h, w): a candidate votes where its own probability is high enough.
            pasted, top, left = paste_in_box(mask, box, height, width)
            votes = as_numpy(pasted > self.mask_threshold)
            rows = slice(top, top + pasted.shape[0])
            columns = slice(left, left + pasted.shape[1])
            share[rows, columns] += votes * vote
        return array_like(np.stack(shares), probabilities)

    def _vote_at_once(
        self,
        probabilities: Array,
        rois: Array,
        windows: Sequence[Window],
        size: int,
        height: int,
        width: int,
    ) -> Array:
        """Vote on a device, without a loop over the candidates; see ``vote``."""
        from mmvos.ops.device_sampling import paste_in_boxes

        # (K * T, 4): the regions in frame pixels
        places = to_device(windows, rois)
        own_places = places[rois[:, 0].long()]
        corners, sides = own_places.split((2, 1), dim=1)
        boxes = rois[:, 1:] * (sides / size) + corners.repeat(1, 2)

        # (K * T, H, W) -> (K, H, W)
        pasted = paste_in_boxes(probabilities, boxes, height, width)
        votes = (pasted > self.mask_threshold).unflatten(0, (len(windows), -1))
        return votes.sum(dim=1) / self.top_k

    def _enlarged(self, corners: Array, size: int) -> Array:
        """Boxes (..., 4) with ``enlarge`` of their sides added at each side, inside the window."""
        low = corners[..., :2]
        high = corners[..., 2:]
        margin = self.enlarge * (high - low)
        xp = array_namespace(corners)
        enlarged = xp.concat([low - margin, high + margin], axis=-1)
        return enlarged.clip(0, size)
