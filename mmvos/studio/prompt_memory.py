"""What the model remembers of the frames in which the user gave objects: looked at when it is
needed, and kept while a run goes on.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from mmvos.apis.propagation import PromptedFrame, look_at_prompts

from .project import Project
from .records import CORRECTED, decode_counts
from .segmenter import Segmenter, mask_prompts
from .video import StudioVideo

_NEAREST = 6  # prompted frames on each side of a frame that are remembered there
_KEPT = 64  # frames that were looked at
_Given = tuple[tuple[int, str], ...]  # id and mask of each object that is given in a frame


class PromptMemory:
    """The prompted frames of some objects.

    The masks that the user accepted (entries that are ``CORRECTED``) are what is given; a frame in
    which an object was said not to be seen gives nothing of it.

    Args:
        project, video: whose prompts and frames.
        segmenter: the model that remembers.
        ids: of the objects.
    """

    def __init__(
        self, project: Project, video: StudioVideo, segmenter: Segmenter, ids: list[int]
    ) -> None:
        self.segmenter = segmenter
        self._project = project
        self._video = video
        self._ids = ids
        self._read = video.new_reader()
        self._given: dict[int, _Given] | None = None
        self._looked_at: OrderedDict[tuple[int, _Given], PromptedFrame] = OrderedDict()

    def forget(self) -> None:
        """Read anew what is given; frames that did not change need no second look."""
        self._given = None

    def around(self, index: int) -> dict[int, PromptedFrame]:
        """Return the prompted frames that matter at a frame, with what is remembered of them.

        Args:
            index: of the frame; where it is prompted itself it is among them.
        """
        if self._given is None:
            self._given = self._read_given()
        before = [at for at in self._given if at <= index]
        after = [at for at in self._given if at > index]
        nearest = before[-_NEAREST:] + after[:_NEAREST]
        frames = {}
        for at in nearest:
            frames[at] = self._look_at(at, self._given[at])
        return frames

    def _read_given(self) -> dict[int, _Given]:
        """The masks that are given, by frame in order."""
        by_frame: dict[int, list[tuple[int, str]]] = {}
        for frame, number in self._project.prompts(self._ids):
            entry = self._project.entry(frame, number)
            if entry is not None and entry.area and entry.source == CORRECTED:
                by_frame.setdefault(frame, []).append((number, entry.counts))
        given = {}
        for frame in sorted(by_frame):
            masks = sorted(by_frame[frame])
            given[frame] = tuple(masks)
        return given

    def _look_at(self, index: int, given: _Given) -> PromptedFrame:
        """Look at a frame with its given masks."""
        key = (index, given)
        # A frame is looked at once for the same masks.
        known = self._looked_at.get(key)
        if known is not None:
            self._looked_at.move_to_end(key)
            return known
        size = self._video.size
        masks: dict[int, Any] = {}
        for number, counts in given:
            masks[number] = decode_counts(counts, size)
        frame = self.segmenter.frame(index, self._read(index))
        looked_at = look_at_prompts(self.segmenter.model, frame, mask_prompts(masks))
        assert looked_at is not None, 'masks are given'
        self._looked_at[key] = looked_at

        # Those that were not needed for longest are forgotten.
        while len(self._looked_at) > _KEPT:
            self._looked_at.popitem(last=False)
        return looked_at
