"""VotingMaskHead: what it is made of, where its regions lie, and who wins a vote."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmvos.models import VotingMaskHead

CHANNELS = 16


@pytest.fixture(scope='module')
def head() -> VotingMaskHead:
    torch.manual_seed(0)
    return VotingMaskHead(channels=CHANNELS).eval()


def sure(masks: np.ndarray) -> torch.Tensor:
    """Probabilities of masks that are as good as certain."""
    return torch.from_numpy(np.where(masks, 0.9999, 0.0001)).float()


def test_regions_give_28_pixels_and_the_logits_of_both_features_are_added(head):
    first, second = torch.rand(2, 2, CHANNELS, 31, 31)
    rois = torch.tensor([[1, 60.0, 60.0, 190.0, 150.0], [0, -20.0, 0.0, 40.0, 255.0]])
    nothing = torch.zeros_like(first)
    with torch.no_grad():
        pairs = ((first, second), (first, nothing), (nothing, second), (nothing, nothing))
        both, one, other, none = (head(*pair, rois) for pair in pairs)
    assert both.shape == (2, 28, 28) and torch.isfinite(both).all()
    torch.testing.assert_close(both, one + other - none, atol=1e-5, rtol=1e-4)


def test_layers_of_the_published_width():
    """Encoder 4 x 256 -> 256 (3x3), up 256 -> 64 -> 16 (4x4), skips 256 -> 128 -> 64 and 256 -> 64
    -> 16, one 1x1 to the mask.
    """
    shapes = {
        name: tuple(value.shape)
        for name, value in VotingMaskHead().state_dict().items()
        if 'weight' in name
    }
    assert shapes == {
        **{f'encoders.{i}.{j}.weight': (256, 256, 3, 3) for i in (0, 1) for j in (0, 2)},
        'up1.weight': (256, 64, 4, 4),
        'up2.weight': (64, 16, 4, 4),
        'skip1.0.weight': (128, 256, 1, 1),
        'skip1.2.weight': (64, 128, 1, 1),
        'skip2.0.weight': (64, 256, 1, 1),
        'skip2.2.weight': (16, 64, 1, 1),
        'last.weight': (1, 16, 1, 1),
    }


def test_a_region_around_a_cell_sees_that_cell(head, monkeypatch):
    """Cell m lies at pixel 8 m + 7, whose middle is 8 m + 7.5 from the edge; on a ramp of columns
    the region's middle gives m.
    """
    ramp = torch.arange(31.0).expand(1, CHANNELS, 31, 31)
    seen = []
    monkeypatch.setattr(head, '_decode', lambda features: seen.append(features) or features[:, :1])
    for cell in (3, 15):
        middle = 8 * cell + 7.5
        head(ramp, ramp, torch.tensor([[0, middle - 14, 100.0, middle + 14, 128.0]]))
    for features, cell in zip(seen, (3, 3, 15, 15), strict=True):
        assert features[0, 0].mean().item() == pytest.approx(cell, abs=1e-4)


def test_regions_are_enlarged_and_stay_inside_the_window(head):
    """A width of 50 and a height of 20 grow by .4 at each side to 90 x 36; a box over the edge is
    cut, never wrapped around.
    """
    rois = head.voter_rois(
        torch.tensor([[[0.0, 10.0, 50.0, 20.0]], [[-130.7, 0.0, 40.0, 40.0]]]), 255
    )
    assert rois[0].tolist() == pytest.approx([0, 82.5, 119.5, 172.5, 155.5])
    assert rois[1].tolist() == pytest.approx([1, 0, 91.5, 32.8, 163.5])


@pytest.mark.parametrize(('voters', 'wins'), [(0, False), (5, False), (6, True), (10, True)])
def test_five_of_ten_are_too_few_and_six_are_enough(head, voters, wins):
    masks = np.zeros((10, 28, 28), dtype=bool)
    masks[:voters] = True
    rois = torch.tensor([[0, 50.0, 50.0, 100.0, 100.0]] * 10)
    (share,) = head.vote(sure(masks), rois, [(0, 0, 255)], 255, 255, 255)
    assert share[75, 75] == pytest.approx(voters / 10, abs=1e-6)
    assert (share > head.threshold).any() == wins
    assert not (share > head.threshold)[:49].any()


def test_votes_of_equal_masks_are_the_mask_in_its_place(head):
    """A window of side 510 at (-100, 20): window pixels 50 to 100 are frame pixels 0 to 100 and 120
    to 220.
    """
    masks = np.zeros((10, 28, 28), dtype=bool)
    masks[:, :14] = True  # the upper half
    rois = torch.tensor([[0, 50.0, 50.0, 100.0, 100.0]] * 10)
    (share,) = head.vote(sure(masks), rois, [(-100, 20, 510)], 255, 300, 200)
    rows, columns = (share > head.threshold).nonzero(as_tuple=True)
    assert (columns.min(), columns.max()) == pytest.approx((0, 100), abs=2)
    assert (rows.min(), rows.max()) == pytest.approx((120, 170), abs=3)


def test_a_candidate_at_the_edge_of_the_image_is_not_empty(head):
    rois = head.voter_rois(torch.tensor([[[-120.0, -120.0, 40.0, 40.0]] * 10]), 255)
    (share,) = head.vote(
        sure(np.ones((10, 28, 28), dtype=bool)), rois, [(0, 0, 255)], 255, 255, 255
    )
    assert share[5, 5] == pytest.approx(1)


def test_windows_do_not_mix(head):
    rois = head.voter_rois(torch.zeros(2, 10, 4) + torch.tensor([0.0, 0.0, 50.0, 50.0]), 255)
    masks = torch.cat(
        [
            sure(np.ones((10, 28, 28), dtype=bool)),
            sure(np.zeros((10, 28, 28), dtype=bool)),
        ]
    )
    first, second = head.vote(masks, rois, [(0, 0, 255), (0, 0, 255)], 255, 255, 255)
    assert first.max() > 0.9 and second.max() == 0


def test_candidates_where_the_object_was_are_preferred(head):
    """Weights .3 and .7: of two equal ranks the one that overlaps wins; ranks .9 and .1 are 0.27
    and 0.03 + 0.7 / 3.
    """
    boxes = torch.tensor([[[60.0, 0.0, 20.0, 20.0], [10.0, 0.0, 20.0, 20.0]]])
    found = head.rerank_by_overlap(
        torch.tensor([[0.9, 0.1]]), boxes, torch.tensor([[0.0, 0.0, 20.0, 20.0]])
    )
    assert found[0].tolist() == pytest.approx([0.27, 0.03 + 0.7 / 3])


def test_loss_looks_at_regions_on_the_object_only():
    """The object's box and the one candidate of three that overlaps it by half or more, with .4 of
    their sides around them, as those that vote; a window without a mask gives 0."""
    torch.manual_seed(0)
    head = VotingMaskHead(channels=CHANNELS)
    maps = torch.rand(2, CHANNELS, 31, 31)
    boxes = torch.tensor(
        [[[0.0, 0.0, 64.0, 64.0], [4.0, 0.0, 60.0, 64.0], [90.0, 90.0, 40.0, 40.0]]]
    ).expand(2, 3, 4)
    scores = torch.tensor([[0.9, 0.8, 0.7]]).expand(2, 3)
    truth = torch.tensor([[97.5, 97.5, 157.5, 157.5]] * 2)
    masks = torch.zeros(2, 255, 255)
    masks[:, 97:158, 97:158] = 1
    seen = []
    head.register_forward_hook(lambda module, inputs, output: seen.append(inputs[2]))
    loss = head.loss(maps, maps, scores, boxes, truth, masks, torch.tensor([True, False]))[
        'loss_vote'
    ]
    assert seen[0][:, 0].tolist() == [0, 0]  # box 1 is suppressed by box 0, box 2 is elsewhere
    torch.testing.assert_close(
        seen[0][1, 1:],
        torch.tensor([95.5, 95.5, 159.5, 159.5]) + 25.6 * torch.tensor([-1, -1, 1, 1]),
    )
    assert 0.25 < loss.item() / 36 < 5  # of a mask that knows nothing: about ln 2
    loss.backward()
    assert all(
        weight.grad is not None and torch.isfinite(weight.grad).all()
        for weight in head.parameters()
    )
    nothing = head.loss(maps, maps, scores, boxes, truth, masks, torch.tensor([False, False]))[
        'loss_vote'
    ]
    assert nothing.item() == 0 and nothing.requires_grad


@pytest.mark.parametrize(('most', 'kept'), [(None, 6), (4, 4), (1, 1), (99, 6)])
def test_of_many_regions_the_object_and_a_draw_of_the_others_are_learned(most, kept):
    """Five candidates of 60 x 60 pixels, moved by 12 and so not suppressed by each other, overlap
    the object by half or more.
    """
    head = VotingMaskHead(channels=CHANNELS, max_regions=most)
    steps = torch.tensor([[0.0, 0.0], [12, 0], [-12, 0], [0, 12], [0, -12]])
    boxes = torch.cat([steps, torch.full((5, 2), 60.0)], dim=1)[None]
    truth, masks = torch.tensor([[98.0, 98.0, 158.0, 158.0]]), torch.ones(1, 255, 255)
    maps, seen = torch.rand(1, CHANNELS, 31, 31), []
    head.register_forward_hook(lambda module, inputs, output: seen.append(inputs[2]))
    for seed in range(8):
        torch.manual_seed(seed)
        head.loss(
            maps, maps, torch.linspace(0.9, 0.5, 5)[None], boxes, truth, masks, torch.tensor([True])
        )
    own = torch.tensor([0, 74.0, 74.0, 182.0, 182.0])
    assert all(len(rois) == kept and torch.equal(rois[0], own) for rois in seen)
    others = {tuple(row) for rois in seen for row in rois[1:].tolist()}
    assert len(others) == (0 if kept == 1 else 5)  # with 4 the eight draws reach every candidate


def test_impossible_votes_are_refused():
    with pytest.raises(ValueError, match='max_regions'):
        VotingMaskHead(channels=CHANNELS, max_regions=0)
    with pytest.raises(ValueError, match=r'min_votes .*\(4\), not 5'):
        VotingMaskHead(channels=CHANNELS, top_k=4, min_votes=5)


def test_finer_features_make_masks_of_128_pixels_and_need_windows_that_are_cut_out():
    torch.manual_seed(0)
    head = VotingMaskHead(channels=32, roi_size=16, fine_channels=(5, 4, 3)).eval()
    for layer in (head.refine[2].skip, head.refine[2].join):
        layer.weight.data.abs_()  # so that no influence is cut off by a rectifier
    response, search = torch.rand(2, 2, 32, 31, 31)
    fine = (torch.rand(2, 5, 31, 31), torch.rand(2, 4, 63, 63), torch.rand(2, 3, 125, 125))
    rois = torch.tensor([[1, 60.0, 60.0, 190.0, 150.0]])
    with torch.no_grad():
        logits = head(response, search, rois, fine)
        assert logits.shape == (1, 128, 128)
        # What the stem sees changes the mask there, and nowhere far from it.
        fine[2][1, :, 40, 40] += 100  # pixel 2 * 40 + 3
        changed = (head(response, search, rois, fine) - logits).abs()[0]
    row, column = (83.5 - 60) / 90 * 128, (83.5 - 60) / 130 * 128
    rows, columns = changed.gt(1e-3).nonzero().unbind(dim=1)
    assert rows.float().mean().item() == pytest.approx(row, abs=1.5)
    assert columns.float().mean().item() == pytest.approx(column, abs=1.5)
    with pytest.raises(ValueError, match='fine_channels'):
        head(response, search, rois)


def test_refined_masks_are_cut_to_their_regions():
    """A mask of 127 window pixels at (16, 32); the region keeps 40 to 80 and 50 to 110."""
    head = VotingMaskHead(refined=True)
    assert not list(head.parameters())
    places = torch.tensor([[0, 16.0, 32.0, 143.0, 159.0]])
    rois = torch.tensor([[0, 40.0, 50.0, 80.0, 110.0]])
    kept = head.cut_to_boxes(torch.ones(1, 127, 127), places, rois)[0] > 0
    rows, columns = kept.nonzero().unbind(dim=1)
    assert (rows.min().item() + 32, rows.max().item() + 33) == (50, 110)
    assert (columns.min().item() + 16, columns.max().item() + 17) == (40, 80)
    assert kept.sum() == 60 * 40
