"""GuideKind: what a guide of a training clip is, as data sets make them and mask propagation learns
from them.
"""

from __future__ import annotations

from enum import IntEnum


class GuideKind(IntEnum):
    """What a guide, the mask prior of one object in one frame, was made from."""

    GT_MASK = 0  # the object's own mask: there is nothing to learn, the frame is only remembered
    PERTURBED = 1  # a mask of the object, deformed or of the frame before
    BOX = 2  # the object's filled box
    ABSENT = 3  # a place where the object is not: nothing is to be found there
    CLICKS = 4  # no mask at all, clicks alone tell of the object
