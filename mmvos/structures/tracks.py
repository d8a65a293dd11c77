"""Results: what a video model says about one frame, and the tracks that the frames of a video add
up to.

N objects in a frame; masks are RLE in original pixels, so a result is small and lives on the CPU. A
class-agnostic model gives the label ``UNKNOWN_LABEL``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .rle import RLE, decode
from .soft_mask import SoftMask

UNKNOWN_LABEL = -1
Region = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class TrackedObject:
    """One object in one frame.

    Attributes:
        id: the object's name, an int >= 1, the same in all frames of the video.
        label: class index from 0, or ``UNKNOWN_LABEL``.
        score: confidence in [0, 1].
        box: (x1, y1, x2, y2), continuous original pixels.
        mask: RLE of the frame's original size.
        region: corners (x, y) of the polygon by which the model follows the object, continuous
            original pixels; None where it has no polygon of its own.
        soft: the probabilities that the mask was made of, where the model keeps them.
    """

    id: int
    label: int
    score: float
    box: tuple[float, float, float, float]
    mask: RLE
    region: Region | None = None
    soft: SoftMask | None = None


@dataclass(frozen=True)
class FrameResult:
    """The objects of one frame, in a fixed order, at most one per id.

    Attributes:
        frame_index: position in the video, from 0.
        shape: (height, width) of the original frame.
        objects: the objects found.
    """

    frame_index: int
    shape: tuple[int, int]
    objects: tuple[TrackedObject, ...]

    def label_map(self) -> NDArray[np.int32]:
        """(H, W) int32 of object ids, 0 = background; where masks overlap the higher score wins,
        ties go to the lower id.
        """
        ids = np.zeros(self.shape, dtype=np.int32)

        # The last one that is drawn wins.
        by_score = sorted(self.objects, key=lambda item: (item.score, -item.id))
        for item in by_score:
            ids[decode(item.mask)] = item.id
        return ids


@dataclass(frozen=True)
class Track:
    """One object over a whole video.

    Attributes:
        id: the object's id.
        label: the most frequent class index over the object's frames, ties to the smallest.
        score: plain mean of the scores over the frames where the object exists.
        masks: one entry per frame of the video, None where the object is absent.
    """

    id: int
    label: int
    score: float
    masks: tuple[RLE | None, ...]


@dataclass
class VideoTracks:
    """Collects the results of a video's frames into tracks.

    Args:
        length: number of frames of the video.
    """

    length: int
    _masks: dict[int, dict[int, RLE]] = field(default_factory=dict)
    _scores: dict[int, list[float]] = field(default_factory=dict)
    _labels: dict[int, Counter[int]] = field(default_factory=dict)

    def add(self, result: FrameResult) -> None:
        """Add the result of one frame.

        Raises:
            ValueError: the frame does not belong to the video, or has already been added for one of
                its objects.
        """
        if not 0 <= result.frame_index < self.length:
            raise ValueError(
                f'frame {result.frame_index} does not belong to a video of {self.length} frames'
            )
        for item in result.objects:
            masks = self._masks.setdefault(item.id, {})
            if result.frame_index in masks:
                raise ValueError(f'object {item.id} has two masks in frame {result.frame_index}')
            masks[result.frame_index] = item.mask
            scores = self._scores.setdefault(item.id, [])
            scores.append(item.score)
            votes = self._labels.setdefault(item.id, Counter())
            votes[item.label] += 1

    def tracks(self) -> list[Track]:
        """Return all tracks, ordered by id."""
        return [self._track(object_id) for object_id in sorted(self._masks)]

    def _track(self, object_id: int) -> Track:
        """The track of one object, with a mask or None for each frame."""
        # The label with the most votes; the smallest of those with equally many.
        votes = self._labels[object_id]
        most = max(votes.values())
        label = min(label for label, count in votes.items() if count == most)

        scores = self._scores[object_id]
        mean_score = sum(scores) / len(scores)
        masks = self._masks[object_id]
        of_frames = tuple(masks.get(t) for t in range(self.length))
        return Track(object_id, label, mean_score, of_frames)
