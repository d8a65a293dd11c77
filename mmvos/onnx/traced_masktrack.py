"""MaskTrack's network as graphs: what is traced of a mask propagator in torch, and its settings."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmvos.models import MaskPropagator

from .settings import MaskTrackSettings
from .tracing import ExportError, Graph, Input


class _Encode(nn.Module):
    """The features of squares."""

    def __init__(self, tracker: MaskPropagator) -> None:
        super().__init__()
        self.tracker = tracker

    def forward(self, images: Tensor, guides: Tensor) -> tuple[Tensor, ...]:
        levels: tuple[Tensor, ...] = self.tracker._levels(images, guides)
        return levels


class _Segment(nn.Module):
    """The masks of squares, from their features and remembered frames."""

    def __init__(self, tracker: MaskPropagator) -> None:
        super().__init__()
        self.tracker = tracker

    def forward(
        self, levels: list[Tensor], guides: Tensor, keys: Tensor, values: Tensor, shares: Tensor
    ) -> Tensor:
        head = self.tracker.head
        read = head.read_memories(levels[-1], keys, values, shares)
        logits: Tensor = head.decode(levels, guides, read)
        return logits[:, 0].sigmoid()


class _Remember(nn.Module):
    """What is remembered of squares."""

    def __init__(self, tracker: MaskPropagator) -> None:
        super().__init__()
        self.tracker = tracker

    def forward(self, top: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = self.tracker.head.encode_memory([top], masks)
        return keys, values


@dataclass(frozen=True)
class _Sizes:
    """Shapes of levels (C, h, w), and the lengths of keys and values."""

    levels: list[tuple[int, int, int]]
    keys: int
    values: int
    guides: int


def masktrack_graphs(tracker: MaskPropagator) -> tuple[dict[str, Graph], MaskTrackSettings]:
    """Return what is traced of a mask propagator, and its settings.

    K objects, M remembered frames with N positions each, and the sides of squares are free.

    Raises:
        ExportError: it has no memory, or is not in mode 'crop'.
    """
    if tracker.mode != 'crop' or not tracker.reads_memory:
        raise ExportError("only a propagator in mode 'crop' whose head has a memory is exported")
    sizes = _find_sizes(tracker)
    settings = MaskTrackSettings(
        size=tracker.size,
        calm_size=tracker.calm_size,
        idle_change=tracker.idle_change,
        computed_objects=tracker.computed_objects,
        levels=[list(shape) for shape in sizes.levels],
        key_channels=sizes.keys,
        value_channels=sizes.values,
        guide_channels=sizes.guides,
        context=tracker.context,
        box_change=tracker.box_change,
        box_prior=tracker.box_prior,
        box_passes=tracker.box_passes,
        min_area_ratio=tracker.min_area_ratio,
        search_growth=tracker.search_growth,
    )

    # What is free.
    each = {0: torch.export.Dim('K', min=1)}
    each_frame = {**each, 1: torch.export.Dim('M', min=0)}
    each_position = {**each_frame, 3: torch.export.Dim('N', min=1)}
    # The sides of squares and of levels follow from h, the side of the coarsest level.
    side = torch.export.Dim('h', min=2)
    coarsest = max(tracker.strides)
    square = {**each, 2: coarsest * side, 3: coarsest * side}
    cells = []
    for stride in tracker.strides:
        level_side = side if stride == coarsest else coarsest // stride * side
        cells.append({**each, 2: level_side, 3: level_side})

    # Pictures -> levels of features.
    count = 2
    size = tracker.size
    images = Input(torch.zeros(count, 3, size, size), square)
    guides = Input(torch.zeros(count, sizes.guides, size, size), square)
    names = [f'level{number}' for number in range(len(sizes.levels))]
    encode = Graph(_Encode(tracker), {'images': images, 'guides': guides}, names)

    # Features, guides and what is remembered -> probabilities.
    levels = []
    for shape, axes in zip(sizes.levels, cells, strict=True):
        levels.append(Input(torch.zeros(count, *shape), axes))
    positions = sizes.levels[-1][1] * sizes.levels[-1][2]
    inputs: dict[str, Input | list[Input]] = {'levels': levels, 'guides': guides}
    inputs['keys'] = Input(torch.zeros(count, 3, sizes.keys, positions), each_position)
    inputs['values'] = Input(torch.zeros(count, 3, sizes.values, positions), each_position)
    inputs['shares'] = Input(torch.full((count, 3), 1 / 3), each_frame)
    segment = Graph(_Segment(tracker), inputs, ['probabilities'])

    # Features and masks -> keys and values.
    masks = Input(torch.zeros(count, 1, size, size), square)
    remember = Graph(_Remember(tracker), {'top': levels[-1], 'masks': masks}, ['keys', 'values'])
    return {'encode': encode, 'segment': segment, 'remember': remember}, settings


@torch.no_grad()
def _find_sizes(tracker: MaskPropagator) -> _Sizes:
    """Find the shapes by computing them once."""
    size = tracker.size
    guide_channels = 2 if tracker.clicks else 1
    images = torch.zeros(1, 3, size, size)
    guides = torch.zeros(1, guide_channels, size, size)
    masks = torch.zeros(1, 1, size, size)

    levels = tracker._levels(images, guides)
    keys, values = tracker.head.encode_memory(levels, masks)
    shapes = []
    for level in levels:
        _, channels, height, width = level.shape
        shapes.append((channels, height, width))
    key_channels = keys.shape[1]
    value_channels = values.shape[1]
    return _Sizes(shapes, key_channels, value_channels, guide_channels)
