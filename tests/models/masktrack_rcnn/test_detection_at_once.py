"""Detection in tensors of fixed sizes finds what mmdet's finds."""

import pytest
import torch
from mmcv.ops import batched_nms
from mmengine.structures import InstanceData
from tiny_masktrack import frame, tiny_model

from mmvos.models.masktrack_rcnn.detection_at_once import NO_SCORE, suppress


def random_boxes(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Boxes in heaps, scores and groups."""
    generator = torch.Generator().manual_seed(seed)
    heaps = torch.rand(12, 2, generator=generator) * 200
    place = torch.randint(12, (count,), generator=generator)
    corner = heaps[place] + torch.rand(count, 2, generator=generator) * 25
    side = 20 + torch.rand(count, 2, generator=generator) * 30
    scores = torch.rand(count, generator=generator)
    groups = torch.randint(3, (count,), generator=generator)
    return torch.cat([corner, corner + side], dim=1), scores, groups


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('threshold', [0.3, 0.5, 0.7])
def test_suppression_is_mmcvs(seed, threshold):
    boxes, scores, groups = random_boxes(400, seed)
    rows, index = batched_nms(boxes, scores, groups, dict(type='nms', iou_threshold=threshold))
    found = suppress(boxes, scores, groups, threshold, 60)
    assert found.is_exact
    assert torch.equal(found.boxes, rows[:60, :4])
    assert torch.equal(found.scores, rows[:60, 4])
    assert torch.equal(found.labels, groups[index[:60]])


def test_empty_places_suppress_nothing_and_stay_empty():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60]])
    scores = torch.tensor([NO_SCORE, 0.5, 0.4])
    found = suppress(boxes, scores, torch.zeros(3, dtype=torch.long), 0.5, 3)
    assert found.scores.tolist() == pytest.approx([0.5, 0.4, NO_SCORE])
    assert found.boxes.tolist() == [[0, 0, 10, 10], [50, 50, 60, 60], [0, 0, 0, 0]]


def test_a_longer_chain_than_there_are_rounds_is_told():
    """Each box overlaps its neighbors, so that every second one stays: known from the first on."""
    left = torch.arange(60.0) * 10
    boxes = torch.stack([left, torch.zeros(60), left + 30, torch.full((60,), 10.0)], dim=1)
    scores = torch.linspace(1, 0.1, 60)
    found = suppress(boxes, scores, torch.zeros(60, dtype=torch.long), 0.4, 60)
    assert not found.is_exact


@pytest.mark.parametrize('seed', range(3))
def test_a_frame_has_the_same_objects(seed):
    model = tiny_model(seed)
    item = frame(seed)
    with torch.no_grad():
        features = model.extract_features(item.image)
        expected = model._detect(features, item)
        embeddings = model._embed(features, [expected.bboxes])
        masks = model._segment(features, expected)
        at_once = model._detect_at_once(features, item)
    assert at_once is not None
    found, own_embeddings, own_masks = at_once
    assert isinstance(found, InstanceData) and len(found) == len(expected) > 0
    assert torch.allclose(found.scores, expected.scores, atol=1e-6)
    assert torch.allclose(found.bboxes, expected.bboxes, atol=1e-3)
    assert torch.equal(found.labels, expected.labels)
    assert torch.allclose(own_embeddings, embeddings, atol=1e-5)
    assert torch.allclose(own_masks, masks, atol=1e-5)
