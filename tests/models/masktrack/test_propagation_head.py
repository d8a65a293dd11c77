import math

import pytest
import torch

from mmvos.models import PropagationHead


def make(**settings):
    torch.manual_seed(0)
    head = PropagationHead(in_channels=(8, 16), channels=(8, 16), **settings)
    head.init_weights()
    levels = [torch.randn(3, 8, 16, 16), torch.randn(3, 16, 8, 8)]
    return head.eval(), levels, torch.rand(3, 1, 32, 32) * 2 - 1


def test_logits_are_at_the_finest_level():
    head, levels, guide = make()
    assert head(levels, guide).shape == (3, 1, 16, 16)


def test_a_new_heads_guide_changes_nothing_and_a_trained_ones_does():
    head, levels, guide = make()
    assert torch.equal(head(levels, guide), head(levels, torch.zeros_like(guide)))
    torch.nn.init.normal_(head.guides[0].weight)
    assert not torch.allclose(head(levels, guide), head(levels, torch.zeros_like(guide)))


def test_memory_tells_object_from_background():
    head, levels, guide = make()
    first, second = (head.encode_memory(levels, torch.full((3, 1, 32, 32), p)) for p in (0.0, 1.0))
    assert first[0].shape == (3, 64, 64) and first[1].shape == (3, 17, 64)
    assert torch.equal(first[0], second[0]) and not torch.allclose(
        head(levels, guide, [first]), head(levels, guide, [second])
    )


def test_remembered_frames_have_equal_say():
    head, levels, guide = make()
    near, far = (
        head.encode_memory(levels, torch.ones(3, 1, 32, 32)),
        head.encode_memory(levels, torch.zeros(3, 1, 32, 32)),
    )
    far = far[0] + 50, far[1]  # keys that nothing is like
    alone = [head._attend(levels[-1], [memory]) for memory in (near, far)]
    torch.testing.assert_close(head._attend(levels[-1], [near, far]), (alone[0] + alone[1]) / 2)
    torch.testing.assert_close(head(levels, guide, [near, near]), head(levels, guide, [near]))


def test_without_reference_nothing_is_remembered():
    head, levels, guide = make(reference=False)
    assert head.encode_memory(levels, guide) is None and not any(
        'readout' in name for name, _ in head.named_parameters()
    )


def test_objects_do_not_see_each_other():
    head, levels, guide = make()
    memory = head.encode_memory(levels, (guide + 1) / 2)
    together = head(levels, guide, [memory])
    alone = head(
        [level[1:2] for level in levels], guide[1:2], [tuple(item[1:2] for item in memory)]
    )
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-5)


def test_loss_numbers_and_weights():
    head, _, _ = make()
    logits = torch.zeros(2, 1, 4, 4)
    targets = torch.ones(2, 1, 8, 8)
    loss = head.loss(logits, targets, torch.tensor([1.0, 0.0]))
    assert loss['loss_mask'].item() == pytest.approx(0.693147, abs=1e-6)
    # p = .5 at 64 pixels of an object of 64
    assert loss['loss_dice'].item() == pytest.approx(1 - 65 / 97, abs=1e-6)
    logits[1] = 1e3  # the weightless object
    assert all(
        torch.equal(value, loss[name])
        for name, value in head.loss(logits, targets, torch.tensor([1.0, 0.0])).items()
    )


def test_loss_without_any_object_is_zero_with_a_graph():
    head, _, _ = make()
    logits = torch.zeros(2, 1, 4, 4, requires_grad=True)
    loss = sum(head.loss(logits, torch.ones(2, 1, 8, 8), torch.zeros(2)).values())
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()


def test_cross_entropy_is_a_mean_over_the_hardest_pixels():
    head, _, _ = make(hard_ratio=0.25)
    # One object of 2 x 2 pixels; log(1 + e^-x) of a right logit x, the hardest quarter is 0: log 2.
    logits = torch.tensor([[[[4.0, 4.0], [0.0, 4.0]]]])
    losses = head.loss(logits, torch.ones(1, 1, 2, 2), torch.ones(1))
    assert losses['loss_mask'].item() == pytest.approx(math.log(2))
    whole, _, _ = make()
    easy = math.log(1 + math.exp(-4.0))
    losses = whole.loss(logits, torch.ones(1, 1, 2, 2), torch.ones(1))
    assert losses['loss_mask'].item() == pytest.approx((math.log(2) + 3 * easy) / 4)


def test_memories_count_by_their_weights():
    head, levels, _ = make()
    near = head.encode_memory(levels, torch.ones(3, 1, 32, 32))
    far = head.encode_memory(levels, torch.zeros(3, 1, 32, 32))
    weights = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 1.0]])
    read = head._attend(levels[-1], [near, far], weights)
    one, other = (head._attend(levels[-1], [memory]) for memory in (near, far))
    expected = torch.stack([one[0], other[1], (3 * one[2] + other[2]) / 4])
    torch.testing.assert_close(read, expected)


def test_weights_that_are_all_small_weigh_the_same():
    """The losses are weighted means: only the proportion of the weights counts."""
    head, _, _ = make()
    logits = torch.randn(2, 1, 8, 8)
    targets = (torch.rand(2, 1, 8, 8) > 0.5).float()
    losses = head.loss(logits, targets, torch.tensor([1.0, 0.5]))
    small = head.loss(logits, targets, torch.tensor([1e-3, 5e-4]))
    for name, value in losses.items():
        assert float(small[name]) == pytest.approx(float(value), rel=1e-5)
