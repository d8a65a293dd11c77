"""Frame: one image of a video as the network sees it, with features computed at most once and
shared by all objects.

H, W: the padded network size; h, w: the valid part of it; "original" pixels are those of the file
the frame came from.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class FrameMeta:
    """Geometry of one frame.

    Attributes:
        index: position in the video, from 0.
        original_shape: (height, width) of the file's image.
        network_shape: (h, w), valid part of the network's input before padding.
        scale: (sx, sy), network pixels per original pixel, for x and for y.
    """

    index: int
    original_shape: tuple[int, int]
    network_shape: tuple[int, int]
    scale: tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """A preprocessed image and its geometry.

    Attributes:
        image: (1, 3, H, W) float, normalized and padded: a tensor on the model's device, or an
            array of numpy for a model without torch.
        meta: the geometry.
    """

    image: Any
    meta: FrameMeta
    _features: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    def features(self, owner: Hashable, compute: Callable[[Any], Any]) -> Any:
        """Return what a module computes once of this frame.

        Args:
            owner: the module; two modules never share their features.
            compute: called with ``image``, only the first time.
        """
        if owner not in self._features:
            self._features[owner] = compute(self.image)
        return self._features[owner]
