"""What somebody has drawn in some frames of a video: which drawings are one object, which frame a
file is about, and the prompts that they make.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from mmvos.apis.object_prompt import ObjectPrompt, join_objects
from mmvos.convert.annotation_model import Notes, as_rle, joined
from mmvos.convert.shape_polygons import as_box
from mmvos.io.errors import DataError
from mmvos.structures import Prompts

_NUMBER = re.compile(r'\d+')
_LONGEST_NUMBER = 9  # digits
Size = tuple[int, int]
Key = Hashable


class NamedFrames(Protocol):
    """A video whose frames have names."""

    @property
    def name(self) -> str:
        """The name of the video."""

    @property
    def frames(self) -> int:
        """The number of frames."""

    def frame_name(self, index: int) -> str:
        """The name of a frame."""

    def frame_of_name(self, stem: str) -> int | None:
        """The frame that is called so, without a suffix; None where there is none."""


@dataclass(frozen=True)
class FrameNames:
    """The frames of a video by the names of their files.

    Attributes:
        name: of the video.
        names: of the frames, with their suffix.
    """

    name: str
    names: Sequence[str]

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self.names)

    def frame_name(self, index: int) -> str:
        """The name of a frame."""
        return self.names[index]

    def frame_of_name(self, stem: str) -> int | None:
        """The frame that is called so, without a suffix; None where there is none."""
        return self._by_stem.get(stem)

    @cached_property
    def _by_stem(self) -> dict[str, int]:
        return {Path(name).stem: index for index, name in enumerate(self.names)}


def frame_of(name: str, video: NamedFrames) -> int:
    """The frame that a file is about: that of its name, else of the last number in it.

    Raises:
        DataError: there is no such frame.
    """
    stem = Path(name).stem
    known = video.frame_of_name(stem)
    if known is not None:
        return known

    # Else the last number, as long as it can be one of a frame.
    numbers = _NUMBER.findall(stem)
    if numbers and len(numbers[-1]) <= _LONGEST_NUMBER and int(numbers[-1]) < video.frames:
        return int(numbers[-1])
    raise DataError(
        f'{name} names no frame of {video.name}, which has {video.frames}; files are called after '
        f'frames, e.g. {video.frame_name(0)}'
    )


@dataclass(frozen=True)
class Drawing:
    """One shape that somebody has drawn.

    Attributes:
        frame: index in the video.
        label: class of the object.
        group: the object's number as it is drawn; None where it has none.
        mask: run lengths or polygons.
        place: what it is called in messages.
        origin: the entry of the file that it was read from.
    """

    frame: int
    label: str
    group: int | str | None
    mask: Any
    place: str
    origin: Any = None


@dataclass
class DrawnObject:
    """An object, and where it is drawn.

    Attributes:
        label: its class.
        group: its number, different from those of all objects of this label.
        drawings: by frame.
    """

    label: str
    group: int | str
    drawings: dict[int, list[Drawing]] = field(default_factory=dict)

    def nearest(self, frame: int) -> Drawing:
        """The first drawing of the frame that lies nearest; of two the earlier one."""
        at = min(self.drawings, key=lambda index: (abs(index - frame), index))
        return self.drawings[at][0]


def join_drawings(drawings: Sequence[Drawing]) -> list[DrawnObject]:
    """Say which drawings are one object.

    Drawings with one label and one group are one object, in a frame and between frames. Without
    groups a class that is drawn once in each of its frames is one object; one that is drawn several
    times in the only frame where it is drawn is several objects.

    Returns:
        The objects in the order in which they are drawn first.

    Raises:
        DataError: several drawings of one class have no group, and there are such drawings in
            other frames too.
    """
    # How often each class is drawn without a group, in which frames.
    counts = Counter((item.label, item.frame) for item in drawings if item.group is None)
    frames_of: dict[str, set[int]] = {}
    for label, frame in counts:
        frames_of.setdefault(label, set()).add(frame)

    # One label and one group are one object; a class that is alone in its frames, too.
    objects: dict[Key, DrawnObject] = {}
    free = _free_group(drawings)
    for item in sorted(drawings, key=lambda item: item.frame):
        key: Key = ('group', item.label, item.group)
        if item.group is None:
            is_alone = counts[item.label, item.frame] == 1
            if not is_alone and len(frames_of[item.label]) > 1:
                raise DataError(
                    f'{item.place}: several "{item.label}" of this frame have no group id, and '
                    f'there are such in other frames too, so nobody knows which are the same; give '
                    f'each object one group id in all frames'
                )
            key = ('label', item.label) if is_alone else ('place', item.place)
        if key not in objects:
            group = item.group
            if group is None:
                group = free
                free += 1
            objects[key] = DrawnObject(item.label, group)
        objects[key].drawings.setdefault(item.frame, []).append(item)
    return list(objects.values())


def _free_group(drawings: Sequence[Drawing]) -> int:
    """The first number from which on no drawing has a group."""
    numbers = [item.group for item in drawings if isinstance(item.group, int)]
    return max([0, *numbers]) + 1


def make_prompts(objects: Sequence[DrawnObject], size: Size, notes: Notes) -> dict[int, Prompts]:
    """Make prompts of all drawings; object k has the id k + 1.

    An upright box that stands alone is a box, everything else a mask. Where masks of two objects
    overlap, each is given as it is drawn.

    Args:
        objects: of the video.
        size: (H, W) of its frames.
        notes: takes what is left out.

    Raises:
        DataError: nothing is left.
    """
    by_frame: dict[int, dict[int, ObjectPrompt]] = {}
    for number, item in enumerate(objects, 1):
        for frame, drawings in item.drawings.items():
            prompt = _prompt_of(drawings, size)
            if prompt is None:
                notes.add('drawings cover no pixel and are left out', drawings[0].place)
                continue
            by_frame.setdefault(frame, {})[number] = prompt
    if not by_frame:
        raise DataError('no frame is annotated: draw each object in at least one frame')

    # One prompt for each frame, of all its objects.
    prompts = {}
    for frame, given in sorted(by_frame.items()):
        prompts[frame] = join_objects(given, (), f'frame {frame}')
    return prompts


def _prompt_of(drawings: Sequence[Drawing], size: Size) -> ObjectPrompt | None:
    """The prompt of one object in one frame; None where nothing of it lies in the frame."""
    # An upright box that stands alone is a box.
    if len(drawings) == 1:
        box = as_box(drawings[0].mask)
        if box is not None:
            height, width = size
            x1, y1, x2, y2 = box
            is_inside = x1 < width and y1 < height and x2 > 0 and y2 > 0
            return ObjectPrompt(box=box) if is_inside else None

    mask = mask_of(drawings, size)
    if not mask.any():
        return None
    return ObjectPrompt(mask=mask)


def mask_of(drawings: Sequence[Drawing], size: Size) -> NDArray[np.bool_]:
    """The union of drawings as (H, W) bool."""
    whole = joined([item.mask for item in drawings], *size)
    return np.asarray(coco_mask.decode(as_rle(whole, *size)), dtype=bool)
