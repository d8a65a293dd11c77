import torch
from mmdet.structures.bbox import bbox_overlaps

from mmvos.ops.boxes import box_overlaps


def test_overlap_by_hand():
    boxes = torch.tensor([[0.0, 0, 2, 2], [10, 10, 11, 11]])
    others = torch.tensor([[1.0, 0, 3, 2], [0, 0, 2, 2], [5, 5, 5, 5]])
    assert torch.allclose(box_overlaps(boxes, others)[0], torch.tensor([2 / 6, 1.0, 0.0]))
    assert not box_overlaps(boxes, others)[1].any()


def test_the_numbers_are_mmdets_to_the_last_bit():
    generator = torch.Generator().manual_seed(0)
    first = torch.rand(5, 40, 4, generator=generator).double() * 100
    second = torch.rand(5, 30, 4, generator=generator).double() * 100
    first[..., 2:] += first[..., :2]
    second[..., 2:] += second[..., :2]
    assert torch.equal(box_overlaps(first, second), bbox_overlaps(first, second))
    assert box_overlaps(first[0, :0], second[0]).shape == (0, 30)
