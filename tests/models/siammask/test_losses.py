"""Losses of the siamese tracker: hand-computed values, and finite whatever comes in."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mmvos.models.siammask.losses import (
    box_loss,
    mask_loss,
    mask_overlap,
    mask_targets,
    positive_cells,
    score_loss,
)


def test_score_loss_known_value():
    """Background 0, object 1 everywhere, one positive, two negatives."""
    scores = torch.zeros(1, 10, 1, 3)
    scores[:, 5:] = 1
    labels = torch.full((1, 5, 1, 3), -1)
    labels[0, 0, 0, 0], labels[0, 1, 0, :2] = 1, 0
    assert score_loss(scores, labels).item() == pytest.approx(0.813262, abs=1e-6)


def test_score_loss_is_cross_entropy_of_the_channel_order():
    torch.manual_seed(0)
    scores, labels = torch.randn(2, 10, 4, 4), torch.randint(-1, 2, (2, 5, 4, 4))
    flat = scores.view(2, 2, 5, 4, 4).permute(0, 2, 3, 4, 1).reshape(-1, 2)
    kinds = [
        F.cross_entropy(flat[labels.flatten() == kind], labels.flatten()[labels.flatten() == kind])
        for kind in (0, 1)
    ]
    assert score_loss(scores, labels).item() == pytest.approx(sum(kinds).item() / 2, rel=1e-5)


def test_box_loss_known_value():
    """Two pairs, one cell each, |difference| .1 + .2 + .3 + .4, weights .5 and .25."""
    targets, weights = torch.zeros(2, 4, 5, 3, 3), torch.zeros(2, 5, 3, 3)
    deltas = torch.full((2, 20, 3, 3), 7.0)
    for pair, weight in enumerate((0.5, 0.25)):
        weights[pair, 2, 1, 0] = weight
        targets[pair, :, 2, 1, 0] = 7 - torch.tensor([0.1, -0.2, 0.3, -0.4])
    assert box_loss(deltas, targets, weights).item() == pytest.approx(0.375, abs=1e-6)


def test_box_loss_ignores_what_has_no_weight():
    deltas = torch.full((1, 20, 1, 1), float('inf'))
    assert box_loss(deltas, torch.zeros(1, 4, 5, 1, 1), torch.zeros(1, 5, 1, 1)).item() == 0


def test_positive_cells_need_a_mask():
    labels = torch.full((3, 5, 4, 4), -1)
    labels[0, 1, 2, 3] = labels[0, 4, 2, 3] = labels[1, 0, 0, 0] = 1
    labels[2] = 0
    assert positive_cells(labels, torch.tensor([True, True, True])).tolist() == [
        [0, 2, 3],
        [1, 0, 0],
    ]
    assert positive_cells(labels, torch.tensor([False, True, True])).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(('size', 'padding', 'cells'), [(255, 32, 25), (143, 0, 3)])
def test_windows_are_those_of_a_sliding_window(size, padding, cells):
    torch.manual_seed(0)
    masks = (torch.rand(2, size, size) > 0.5).float()
    # (2, 127 * 127, cells * cells)
    unfolded = F.unfold(masks[:, None] * 2 - 1, 127, padding=padding, stride=8)
    assert unfolded.shape[2] == cells * cells
    chosen = torch.tensor([[0, 0, 0], [0, 1, 2], [1, cells - 1, 0], [1, cells - 1, cells - 1]])
    expected = torch.stack([unfolded[b, :, y * cells + x].view(127, 127) for b, y, x in chosen])
    assert torch.equal(mask_targets(masks, chosen, cells), expected)


def test_base_window_reaches_beyond_the_crop():
    (window,) = mask_targets(torch.ones(1, 255, 255), torch.tensor([[0, 0, 0]]), 25)
    assert (
        (window[:32] == 0).all() and (window[:, :32] == 0).all() and (window[32:, 32:] == 1).all()
    )


def test_mask_loss_known_values():
    windows = torch.ones(1, 127, 127)
    assert mask_loss(torch.full((1, 127, 127), 2.0), windows).item() == pytest.approx(
        math.log1p(math.exp(-2)), rel=1e-5
    )
    assert mask_loss(torch.full((1, 63, 63), 2.0), -windows).item() == pytest.approx(
        math.log1p(math.exp(2)), rel=1e-5
    )
    logits = torch.randn(1, 127, 127, requires_grad=True)
    outside = mask_loss(logits, torch.zeros(1, 127, 127))
    outside.backward()
    assert outside.item() == pytest.approx(math.log(2), rel=1e-6) and (logits.grad == 0).all()


def test_base_masks_are_enlarged_corner_on_corner():
    logits = torch.linspace(-31, 31, 63).expand(1, 63, 63)
    sign = torch.where(torch.linspace(-31, 31, 127) > 0, 1.0, -1.0).expand(1, 127, 127)
    wide = torch.linspace(-31, 31, 127).expand(1, 127, 127)
    assert mask_loss(logits, sign).item() == pytest.approx(
        F.soft_margin_loss(wide, sign).item(), rel=1e-5
    )
    assert mask_overlap(logits, sign).item() == 1


def test_overlap_counts_only_pixels_inside():
    windows = torch.full((1, 127, 127), -1.0)
    windows[0, :40] = 0
    windows[0, 40:60] = 1
    logits = torch.full((1, 127, 127), -1.0)
    logits[0, :80] = 1
    assert mask_overlap(logits, windows).item() == pytest.approx(0.5)
    assert mask_overlap(-logits.abs(), -windows.abs()).item() == 1


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 3),
    st.sampled_from([63, 127]),
    st.sampled_from([0.0, 1.0, 1e4, -1e4]),
    st.sampled_from([-1, 0, 1, 2]),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_every_loss_is_finite_with_finite_gradients(pairs, side, size, kind, empty, seed):
    torch.manual_seed(seed)
    scores, deltas = (
        (torch.randn(pairs, channels, 25, 25) + size).requires_grad_() for channels in (10, 20)
    )
    labels = (
        torch.randint(-1, 2, (pairs, 5, 25, 25))
        if kind == 2
        else torch.full((pairs, 5, 25, 25), kind)
    )
    weights = (labels == 1) / ((labels == 1).sum(dim=(1, 2, 3), keepdim=True) + 1e-6)
    masks = torch.zeros(pairs, 255, 255) if empty else (torch.rand(pairs, 255, 255) > 0.5).float()
    cells = positive_cells(labels, torch.arange(pairs) != 1)[:3]
    logits = (torch.randn(len(cells), side, side) + size).requires_grad_()
    windows = mask_targets(masks, cells, 25)
    losses = [
        score_loss(scores, labels),
        box_loss(deltas, torch.zeros(pairs, 4, 5, 25, 25), weights),
        mask_loss(logits, windows),
    ]
    sum(losses).backward()
    assert all(math.isfinite(loss.item()) for loss in losses)
    assert all(
        value.grad is not None and value.grad.isfinite().all() for value in (scores, deltas, logits)
    )
    assert 0 <= mask_overlap(logits, windows).item() <= 1
