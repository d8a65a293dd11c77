"""The track head: the loss with numbers worked out by hand, and where its gradients go."""

from __future__ import annotations

import math

import pytest
import torch

from mmvos.models import TrackHead

HEAD = TrackHead(in_channels=1, roi_feat_size=1, fc_out_channels=1)


def embeddings_with(logits: list[list[float]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Key and reference embeddings whose dot products are the given (N, M) logits."""
    wanted = torch.tensor(logits)
    return wanted.clone().requires_grad_(), torch.eye(wanted.shape[1]).requires_grad_()


def test_loss_is_averaged_per_image_and_then_over_images():
    """V9: image A has cross entropies .1698, 2.1698, .0659 (mean .801859), image B .3133 with one
    positive.

    The total is their mean, .557560. The original code gives .400929, because it drops an image
    with a single positive but still counts it; mmdet gives .758025, because it divides by the
    positives whose object is in the reference frame.
    """
    key_a, reference_a = embeddings_with([[2.0, -1.0], [2.0, -1.0], [-1.0, 3.0]])
    key_b, reference_b = embeddings_with([[1.0]])
    targets = [torch.tensor([1, 0, 2]), torch.tensor([1])]
    losses = HEAD.loss([key_a, key_b], [reference_a, reference_b], targets)
    assert losses['loss_match'].item() == pytest.approx(0.557560, abs=1e-5)
    assert losses['match_accuracy'].item() == pytest.approx(75.0)  # all but the second RoI of A
    losses['loss_match'].backward()
    for tensor in (key_a, reference_a, key_b, reference_b):
        assert tensor.grad.abs().sum() > 0


def test_an_image_without_positives_counts_and_is_connected():
    key_b, reference_b = embeddings_with([[1.0]])
    nothing = torch.zeros(0, 1, requires_grad=True)
    losses = HEAD.loss(
        [nothing, key_b],
        [reference_b, reference_b],
        [torch.zeros(0, dtype=torch.long), torch.tensor([1])],
    )
    assert losses['loss_match'].item() == pytest.approx(0.3133 / 2, abs=1e-4)
    alone = HEAD.loss([nothing], [reference_b], [torch.zeros(0, dtype=torch.long)])
    assert alone['loss_match'].item() == 0 and alone['loss_match'].requires_grad
    assert alone['match_accuracy'].item() == 100
    alone['loss_match'].backward()
    assert reference_b.grad is not None and nothing.grad is not None


def test_nothing_in_the_reference_frame_means_everything_is_new():
    key = torch.randn(3, 4, requires_grad=True)
    losses = HEAD.loss([key], [torch.zeros(0, 4)], [torch.zeros(3, dtype=torch.long)])
    assert (
        losses['loss_match'].item() == 0
        and losses['loss_match'].requires_grad
        and losses['match_accuracy'].item() == 100
    )


def test_large_logits_stay_finite():
    """Raw dot products of 1024 numbers reach hundreds; the loss of a confident error is the logit
    itself.
    """
    key, reference = embeddings_with([[800.0]])
    loss = HEAD.loss([key], [reference], [torch.tensor([0])])['loss_match']
    assert loss.item() == pytest.approx(800.0)


@pytest.mark.parametrize('relu_after_last', [False, True])
def test_only_checkpoints_of_mmdet_have_a_relu_after_the_last_layer(relu_after_last):
    torch.manual_seed(0)
    head = TrackHead(
        in_channels=2, roi_feat_size=3, fc_out_channels=64, relu_after_last=relu_after_last
    )
    with torch.no_grad():
        embedding = head.embed(torch.randn(8, 2, 3, 3))
    assert embedding.shape == (8, 64) and bool((embedding < 0).any()) == (not relu_after_last)


def test_the_size_and_start_of_the_head():
    """13,895,680 weights for 256 x 7 x 7 features; normal with deviation 0.01, bias 0."""
    head = TrackHead()
    assert sum(p.numel() for p in head.parameters()) == 13_895_680
    head.init_weights()
    assert (
        head.fcs[0].weight.std().item() == pytest.approx(0.01, rel=0.02)
        and head.fcs[1].bias.abs().max() == 0
    )


def test_the_loss_is_computed_in_float32_under_autocast():
    """The raw dot products may be large: 2000.5 against 2001 must not become the same number."""
    key, reference = embeddings_with([[2000.5, 2001.0]])
    expected = HEAD.loss([key], [reference], [torch.tensor([1])])['loss_match']
    with torch.autocast('cpu', torch.bfloat16):
        found = HEAD.loss([key], [reference], [torch.tensor([1])])['loss_match']
    assert expected.item() == pytest.approx(math.log(1 + math.exp(0.5))) and torch.equal(
        found, expected
    )
