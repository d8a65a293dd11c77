"""SiameseHead and MaskRefiner: order of anchors and channels, shapes, and base masks at chosen
cells.
"""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import init_default_scope

from mmvos.models import MaskRefiner, SiameseHead
from mmvos.models.siammask.network import objectness


@pytest.fixture(scope='module')
def head() -> SiameseHead:
    init_default_scope('mmdet')
    torch.manual_seed(0)
    return SiameseHead(channels=4).eval()


def test_channels_are_class_then_anchor_and_coordinate_then_anchor():
    """Channel class * 5 + anchor, and the flat index anchor * 9 + row * 3 + column of 3 x 3
    cells.
    """
    logits, deltas = torch.zeros(1, 10, 3, 3), torch.zeros(1, 20, 3, 3)
    logits[0, 5 + 2, 1, 0] = 3.0  # object, anchor 2
    logits[0, 4, 2, 2] = 3.0  # background, anchor 4
    deltas[0, 3 * 5 + 2, 1, 0] = 7.0  # height, anchor 2
    scores, flat = SiameseHead.flatten(logits, deltas)
    assert scores.argmax().item() == 2 * 9 + 1 * 3 and scores.argmin().item() == 4 * 9 + 2 * 3 + 2
    assert scores[0, 21].item() == pytest.approx(0.952574) and scores[0, 0].item() == 0.5
    assert flat.shape == (1, 4, 45) and flat[0, 3, 21].item() == 7


def test_maps(head):
    logits, deltas = head(torch.rand(2, 4, 25, 25), torch.rand(2, 4, 25, 25))
    assert (logits.shape, deltas.shape) == ((2, 10, 25, 25), (2, 20, 25, 25))


def test_base_masks_of_cells_are_those_of_the_whole_map(head):
    """As the published head computes them: 3969 channels at all cells."""
    mask_map = torch.rand(2, 4, 5, 5)
    index = torch.tensor([[1, 0, 4], [0, 2, 3], [1, 0, 4]])
    with torch.no_grad():
        whole = head.mask(mask_map)
        found = head.base_masks_of(mask_map, index)
        alone = head.base_masks(mask_map[0, :, 2, 3][None])
    assert whole.shape == (2, 3969, 5, 5)
    for logits, (image, row, column) in zip(found, index.tolist(), strict=True):
        torch.testing.assert_close(logits, whole[image, :, row, column].view(63, 63))
    torch.testing.assert_close(alone[0], found[1])


def test_base_masks_in_training_see_all_cells():
    """The batch norm's statistics are those of the map, not of the chosen cells."""
    torch.manual_seed(0)
    head = SiameseHead(channels=4).train()
    mask_map = torch.rand(2, 4, 5, 5)
    expected = head.mask[0](mask_map).mean(dim=(0, 2, 3)) * 0.1
    assert head.base_masks_of(mask_map, torch.zeros(0, 3, dtype=torch.long)).shape == (0, 63, 63)
    torch.testing.assert_close(head.mask[1].running_mean, expected)


def test_refiner_sizes_and_weights():
    """32 tensors: six branches of two convolutions and four single layers; no batch norm."""
    refiner = MaskRefiner(in_channels=(3, 5, 6), channels=4)
    assert len(refiner.state_dict()) == 32
    with torch.no_grad():
        logits = refiner(
            torch.rand(2, 4),
            [torch.rand(2, 3, 61, 61), torch.rand(2, 5, 31, 31), torch.rand(2, 6, 15, 15)],
        )
    assert logits.shape == (2, 127, 127)
    assert {
        name: tuple(value.shape)
        for name, value in MaskRefiner().state_dict().items()
        if 'weight' in name
    } == {
        'v0.0.weight': (16, 64, 3, 3),
        'v0.2.weight': (4, 16, 3, 3),
        'v1.0.weight': (64, 256, 3, 3),
        'v1.2.weight': (16, 64, 3, 3),
        'v2.0.weight': (128, 512, 3, 3),
        'v2.2.weight': (32, 128, 3, 3),
        'h2.0.weight': (32, 32, 3, 3),
        'h2.2.weight': (32, 32, 3, 3),
        'h1.0.weight': (16, 16, 3, 3),
        'h1.2.weight': (16, 16, 3, 3),
        'h0.0.weight': (4, 4, 3, 3),
        'h0.2.weight': (4, 4, 3, 3),
        'deconv.weight': (256, 32, 15, 15),
        'post0.weight': (16, 32, 3, 3),
        'post1.weight': (4, 16, 3, 3),
        'post2.weight': (1, 4, 3, 3),
    }


def test_refiner_enlarges_by_repetition_and_ends_without_a_rectifier():
    """With branches that give 0, biases of the last layer alone are seen; with one bright cell,
    blocks of equal values.
    """
    refiner = MaskRefiner(in_channels=(1, 1, 1), channels=1)
    for parameter in refiner.parameters():
        torch.nn.init.zeros_(parameter)
    refiner.post2.bias.data.fill_(-2.0)
    refiner.v0[2].bias.data.fill_(1.0)
    refiner.post2.weight.data[0, 0, 1, 1] = 1.0
    patches = [torch.zeros(1, 1, 61, 61), torch.zeros(1, 1, 31, 31), torch.zeros(1, 1, 15, 15)]
    with torch.no_grad():
        assert (refiner(torch.zeros(1, 1), patches) == -1.0).all()
        refiner.v0[0].weight.data[:, :, 1, 1] = 1.0
        refiner.v0[2].weight.data[0, :, 1, 1] = 1 / 16
        refiner.v0[2].bias.data.fill_(0.0)
        patches[0][0, 0, 0, 0] = 5.0
        logits = refiner(torch.zeros(1, 1), patches)[0]
    # 127 / 61 = 2.08: pixels 0, 1, 2 of cell 0
    assert (logits[:3, :3] == 3.0).all() and (logits > -2).sum() == 9


def test_refiner_starts_as_published():
    """Convolutions: uniform within sqrt(3 / (9 C)), the gain of a = 1 being 1; biases are torch's
    own and not 0.
    """
    torch.manual_seed(0)
    refiner = MaskRefiner()
    before = {name: value.clone() for name, value in refiner.named_parameters()}
    refiner.init_weights()
    bound = (3 / (9 * 512)) ** 0.5
    assert 0.99 * bound < refiner.v2[0].weight.abs().max() <= bound
    for name, value in refiner.named_parameters():
        kept = name.endswith('bias') or name.startswith('deconv')
        assert torch.equal(value, before[name]) == kept and value.any(), name


def test_a_cell_has_its_best_anchors_probability():
    logits = torch.zeros(1, 4, 2, 2)  # two anchors: background of both, then object of both
    logits[0, 3, 0, 1] = torch.tensor(3.0).log()  # the second anchor says 3 : 1
    logits[0, 0, 1, 1] = logits[0, 1, 1, 1] = torch.tensor(4.0).log()  # both say 1 : 4
    assert torch.allclose(objectness(logits), torch.tensor([[[0.5, 0.75], [0.5, 0.2]]]))
