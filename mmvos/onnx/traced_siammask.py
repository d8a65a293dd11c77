"""SiamMask's network as graphs: what is traced of a siamese tracker in torch, and its settings.

K objects, C channels, a x a cells of a template, m x m of a search window, n x n of the response
map; P cells whose mask is wanted.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from mmvos.models import CropFeatures, SiameseTracker
from mmvos.models.siammask.network import BRANCHES
from mmvos.ops.device_sampling import cut_cells
from mmvos.ops.siamese_geometry import TEMPLATE_SIZE

from .settings import SiamMaskSettings, VoteSettings
from .siamese import FEATURES
from .tracing import ExportError, Graph, Input


class _Template(nn.Module):
    """The kernels of templates."""

    def __init__(self, tracker: SiameseTracker) -> None:
        super().__init__()
        self.tracker = tracker

    def forward(self, windows: Tensor) -> Tensor:
        """(K, 3, 127, 127) template windows -> (K, 3, C, 5, 5)."""
        template, _ = self.tracker.features(windows)
        kernels: Tensor = self.tracker.neck.encode_template(template)
        return kernels


class _Search(nn.Module):
    """Scores and boxes of all anchors of search windows, and what masks are made of."""

    def __init__(self, tracker: SiameseTracker) -> None:
        super().__init__()
        self.tracker = tracker

    def forward(self, windows: Tensor, kernels: Tensor) -> tuple[Tensor, ...]:
        """Compare search windows (K, 3, S, S) with kernels (K, 3, C, 5, 5).

        Returns:
            Scores (K, N), what is predicted for boxes (K, 4, N), adjusted features (K, C, m, m),
            and the levels that masks are refined from.
        """
        search, levels = self.tracker.features(windows)

        # (K, C, n, n): the response maps of both branches
        responses = []
        for branch in ('score', 'box'):
            features = self.tracker.neck.search[branch](search)
            kernel = kernels[:, BRANCHES.index(branch)]
            responses.append(correlate_by_columns(features, kernel))

        # (K, N) and (K, 4, N)
        logits, deltas = self.tracker.head(*responses)
        scores, deltas = self.tracker.head.flatten(logits, deltas)
        return scores, deltas, search, *levels


class _Refine(nn.Module):
    """The masks of chosen cells."""

    def __init__(self, tracker: SiameseTracker) -> None:
        super().__init__()
        self.tracker = tracker

    def forward(
        self,
        search: Tensor,
        stem: Tensor,
        stage1: Tensor,
        stage2: Tensor,
        kernels: Tensor,
        cells: Tensor,
    ) -> Tensor:
        """Predict the masks (P, M, M) of cells (P, 3), rows (window, row, column), from what
        ``_Search`` gives.
        """
        # (P, C): the mask branch's response, from a x a cells of the search features
        objects = cells[:, 0]
        kernel = kernels[objects, BRANCHES.index('mask')]
        around_cells = cut_cells(search, objects, cells[:, 1:], kernel.shape[3] + 2)
        features = self.tracker.neck.search['mask'](around_cells)
        responses = (features * kernel).sum(dim=(2, 3))

        # (P, M, M)
        patches = CropFeatures.patches_at_once((stem, stage1, stage2), cells)
        logits = self.tracker.head.refine(responses, patches)
        return logits.sigmoid()


def correlate_by_columns(features: Tensor, kernels: Tensor) -> Tensor:
    """Slide each object's kernel over the same object's features, as ``depthwise_correlation``.

    A convolution of an ONNX graph has a fixed number of groups, so it cannot have as many as there
    are objects; products of matrices and sums can.

    Args:
        features: (K, C, H, H).
        kernels: (K, C, h, h).

    Returns:
        (K, C, n, n), n = H - h + 1.
    """
    side = features.shape[3]
    reach = kernels.shape[3]
    n = side - reach + 1

    # (K, C, h, H, n): the features moved by each column of the kernel
    moved = torch.stack([features[..., j : j + n] for j in range(reach)], dim=2)
    # (K, C, h, h) x (K, C, h, H n): each row of the kernel along all rows of the features
    rows = kernels @ moved.flatten(3)
    rows = rows.unflatten(3, (side, n))

    # (K, C, n, n): and the rows together
    total = rows[:, :, 0, :n]
    for i in range(1, reach):
        total = total + rows[:, :, i, i : i + n]
    return total


@torch.no_grad()
def siammask_graphs(tracker: SiameseTracker) -> tuple[dict[str, Graph], SiamMaskSettings]:
    """Return what is traced of a siamese tracker, and its settings.

    K objects and P cells are free.

    Raises:
        ExportError: its features are not those of windows, or its masks are not refined.
    """
    if not isinstance(tracker.features, CropFeatures):
        raise ExportError('only a SiamMask that cuts its windows (CropFeatures) is exported')
    if tracker.head.refine is None or (tracker.voting and not tracker.voting.refined):
        raise ExportError('only a SiamMask whose masks are refined (MaskRefiner) is exported')

    # What the network gives of two templates and search windows.
    count = 2
    size = tracker.search_size
    templates = torch.zeros(count, 3, TEMPLATE_SIZE, TEMPLATE_SIZE)
    windows = torch.zeros(count, 3, size, size)
    kernels = _Template(tracker)(templates)
    _, _, *maps = _Search(tracker)(windows, kernels)

    each = {0: torch.export.Dim('K', min=1)}
    template = Graph(_Template(tracker), {'windows': Input(templates, each)}, ['kernels'])
    search = Graph(
        _Search(tracker),
        {'windows': Input(windows, each), 'kernels': Input(kernels, each)},
        ['scores', 'deltas', *FEATURES],
    )
    # Three cells of two windows.
    inputs: dict[str, Input | list[Input]] = {}
    for name, value in zip(FEATURES, maps, strict=True):
        inputs[name] = Input(value, each)
    inputs['kernels'] = Input(kernels, each)
    cells = torch.tensor([[0, 0, 0], [1, 12, 7], [1, 3, 5]])
    inputs['cells'] = Input(cells, {0: torch.export.Dim('P', min=1)})
    refine = Graph(_Refine(tracker), inputs, ['probabilities'])

    levels = [list(level.shape[1:]) for level in maps[1:]]
    settings = _settings(tracker, kernels.shape[2], levels)
    return {'template': template, 'search': search, 'refine': refine}, settings


def _settings(tracker: SiameseTracker, channels: int, levels: list[list[int]]) -> SiamMaskSettings:
    """Gather what a program must know beside the graphs."""
    vote = None
    if tracker.voting is not None:
        names = [field.name for field in dataclasses.fields(VoteSettings)]
        vote = VoteSettings(**{name: getattr(tracker.voting, name) for name in names})
    return SiamMaskSettings(
        channels=channels,
        levels=levels,
        search_size=tracker.search_size,
        mask_threshold=tracker.mask_threshold,
        penalty=tracker.penalty,
        window_influence=tracker.window_influence,
        size_rate=tracker.size_rate,
        motion=tracker.motion,
        lost_score=tracker.lost_score,
        follow_mask=tracker.follow_mask,
        vote=vote,
        computed_objects=tracker.computed_objects,
    )
