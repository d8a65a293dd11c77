"""Losses and gradients are the same when levels of reference frames are computed where they are
read, and nothing else is.
"""

from __future__ import annotations

import pytest
import torch
from mmdet.structures.bbox import bbox2roi
from tiny_masktrack import batch, instances, pair, tiny_model

from mmvos.models.masktrack_rcnn import model as model_file
from mmvos.models.masktrack_rcnn import reference_features, rpn_head
from mmvos.models.masktrack_rcnn.reference_features import can_compute_in_part, features_of_pairs

SIZE = 256
# Of P2, of P3 over the picture's edge, and of P4, the whole picture.
BOXES = [[4, 4, 30, 30], [150, 20, 290, 170], [0, 0, 256, 256]]
SMALL = [[100, 90, 130, 140], [200, 10, 222, 30]]
NO_NORM = {'model__detector__neck__norm_cfg': None}


def gradients_of(references: list[list[list[float]]]) -> dict[str, torch.Tensor]:
    """Losses and gradients of pairs whose reference frames have these boxes."""
    model = tiny_model(**NO_NORM).train()
    model.apply(lambda part: part.eval() if isinstance(part, torch.nn.BatchNorm2d) else None)
    pairs = []
    for seed, boxes in enumerate(references):
        ids = list(range(1, len(boxes) + 1))
        key = instances([[60, 50, 120, 130], [10, 10, 200, 180]], [1, 2], [1, 2], SIZE)
        reference = instances(boxes, [1] * len(boxes), ids, SIZE)
        pairs.append(pair(key, reference, seed, SIZE))
    data = model.data_preprocessor(batch(*pairs), training=True)
    torch.manual_seed(0)
    losses = model.loss(**data)
    total = torch.zeros(())
    found = {}
    for name, value in losses.items():
        values = value if isinstance(value, list) else [value]
        found[name] = torch.stack([item.detach().float() for item in values])
        if 'loss' in name:
            total = total + sum(values)
    total.backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            found[name] = parameter.grad
    return found


@pytest.mark.parametrize('references', [[BOXES], [SMALL, BOXES], [SMALL, []], [[]]])
def test_losses_and_gradients_are_the_same(references, monkeypatch) -> None:
    used = []
    monkeypatch.setattr(
        model_file, 'features_of_pairs', lambda *args: used.append(1) or features_of_pairs(*args)
    )
    found = gradients_of(references)
    assert used

    # All cells of all levels, and all their gradients.
    monkeypatch.setattr(model_file, 'can_compute_in_part', lambda *_: False)
    monkeypatch.setattr(rpn_head, 'can_convolve', lambda *_: False)
    expected = gradients_of(references)
    assert found.keys() == expected.keys() and len(used) == 1
    for name, value in expected.items():
        scale = float(value.abs().max())
        torch.testing.assert_close(found[name], value, atol=1e-5 * scale + 1e-7, rtol=1e-4)


def test_levels_are_those_of_the_neck_near_boxes_and_zero_elsewhere() -> None:
    torch.manual_seed(0)
    detector = tiny_model(**NO_NORM).detector
    extractor = detector.roi_head.bbox_roi_extractor
    images = torch.randn(4, 3, SIZE, SIZE)
    regions = bbox2roi([torch.tensor(SMALL, dtype=torch.float32), torch.zeros(0, 4)])
    with torch.no_grad():
        stages = detector.backbone(images)
        expected = detector.neck(stages)
        keys, parts = features_of_pairs(detector.neck, extractor, stages, regions)
    assert len(keys) == len(expected) and len(parts) == extractor.num_inputs
    for key, level in zip(keys, expected, strict=True):
        torch.testing.assert_close(key, level[:2], atol=1e-6, rtol=1e-5)

    # Boxes of P2, from (100, 10) to (222, 140) in pixels of 4 a cell, with two cells around.
    near = (0, slice(None), slice(0, 37), slice(23, 58))
    torch.testing.assert_close(parts[0][near], expected[0][2:][near], atol=1e-6, rtol=1e-5)
    parts[0][near] = 0
    assert all(not part.any() for part in parts)
    assert [part.shape for part in parts] == [level[2:].shape for level in expected[:4]]


def test_necks_whose_cells_depend_on_all_others_are_computed_whole() -> None:
    plain = tiny_model(**NO_NORM).detector
    extractor = plain.roi_head.bbox_roi_extractor
    assert can_compute_in_part(plain.neck, extractor)
    assert not can_compute_in_part(torch.nn.Identity(), extractor)
    assert not can_compute_in_part(plain.neck, torch.nn.Identity())
    normed = tiny_model(model__detector__neck__norm_cfg=dict(type='BN')).detector
    assert not can_compute_in_part(normed.neck, extractor)
    plain.neck.fpn_convs[1].conv.stride = (2, 2)
    assert not can_compute_in_part(plain.neck, extractor)


def test_ranges_stay_inside() -> None:
    widened = reference_features._with_margin
    assert widened(5, 9, 2, 20) == (3, 11)
    assert widened(0, 20, 2, 20) == (0, 20)
    # Boxes that lie outside still have a cell.
    assert widened(30, 40, 2, 20) == (19, 20)
    assert widened(-9, -5, 2, 20) == (0, 1)
