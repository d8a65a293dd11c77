"""Training of the siamese tracker: one pair is learned by heart, and whatever a pair can be gives
finite losses.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import pseudo_collate
from tiny_siamese import tiny_siamese

from mmvos.datasets.transforms import PackPair


def pair(
    size: int = 255,
    box: tuple[float, float, float, float] = (95, 95, 159, 159),
    negative: bool = False,
    has_mask: bool = True,
    seed: int = 0,
) -> dict:
    """A bright disk in a box, on noise; in the middle of the template, and anywhere in the search
    image.
    """
    rng = np.random.default_rng(seed)
    images, masks = [], []
    for side, (x1, y1, x2, y2) in ((127, (31, 31, 95, 95)), (size, box)):
        image = rng.integers(0, 100, (side, side, 3)).astype(np.uint8)
        y, x = np.mgrid[:side, :side]
        with np.errstate(divide='ignore', invalid='ignore'):
            disk = ((2 * x - x1 - x2) / (x2 - x1)) ** 2 + ((2 * y - y1 - y2) / (y2 - y1)) ** 2 <= 1
        image[disk] = (40, 220, 250)
        images.append(image)
        masks.append(BitmapMasks(disk.astype(np.uint8)[None], side, side))
    boxes = [np.array([corners], dtype=np.float32) for corners in ((31, 31, 95, 95), box)]
    return PackPair().transform(
        dict(
            img=images,
            gt_bboxes=boxes,
            gt_masks=masks,
            img_shape=[(127, 127), (size, size)],
            negative=[negative] * 2,
            has_mask=[has_mask and not negative] * 2,
            img_path=['a', 'b'],
            img_id=[0, 1],
            frame_id=[0, 1],
            video_id=[1, 1],
        )
    )


def losses_of(model, *pairs: dict) -> dict[str, torch.Tensor]:
    return model(**model.data_preprocessor(pseudo_collate(list(pairs)), True), mode='loss')


@pytest.mark.parametrize(('refine', 'size'), [(False, 255), (True, 255), (True, 143)])
def test_one_pair_is_learned(refine, size):
    """60 steps of a tiny net: score, box and mask losses, as far as they are trained, fall by half
    or more.
    """
    torch.manual_seed(0)
    middle = size // 2
    sample = pair(size, (middle - 32, middle - 32, middle + 32, middle + 32))
    model = tiny_siamese(refine=refine).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    history = []
    for _ in range(60):
        losses = losses_of(model, sample)
        total, _ = model.parse_losses(losses)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        history.append({name: float(value.detach()) for name, value in losses.items()})
    first, last = (
        history[0],
        {name: np.mean([row[name] for row in history[-5:]]) for name in history[0]},
    )
    # pixels outside of the crop cannot be learned
    floor = 36 * math.log(2) * (0 if size == 143 else 0.05)
    assert (
        sum(last[name] for name in last if 'loss' in name)
        < sum(first[name] for name in first if 'loss' in name) / 2
    )
    assert last['loss_score'] < first['loss_score'] / 2 and last['loss_box'] < first['loss_box'] / 2
    assert last['loss_mask'] - floor < first['loss_mask'] / 2
    assert last['mask_overlap'] > 0.7


@pytest.mark.parametrize('refine', [False, True])
@pytest.mark.parametrize(
    'pairs',
    [
        [dict(negative=True)],
        [dict(has_mask=False)],
        [dict(negative=True), dict()],
        [dict(box=(95, 95, 95, 95))],
        [dict(box=(300, 300, 380, 380))],
        [dict(box=(-500, -500, 900, 900))],
    ],
    ids=['negative', 'box alone', 'mixed', 'no area', 'outside', 'too large'],
)
def test_every_pair_gives_finite_losses_and_gradients(refine, pairs):
    model = tiny_siamese(refine=refine).train()
    losses = losses_of(model, *(pair(**item) for item in pairs))
    assert sorted(losses) == ['loss_box', 'loss_mask', 'loss_score', 'mask_overlap']
    total, _ = model.parse_losses(losses)
    total.backward()
    assert all(math.isfinite(value.item()) for value in losses.values())
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    known = any(
        not item.get('negative') and item.get('has_mask', True) and 'box' not in item
        for item in pairs
    )
    assert (losses['loss_mask'] > 0) == known
    assert (losses['loss_box'] > 0) == any(
        not item.get('negative') and 'box' not in item for item in pairs
    )


def test_weights_are_factors():
    values = []
    for weights in ((1.0, 1.0, 1.0), (0.0, 3.0, 4.0)):
        model = tiny_siamese(loss_weights=weights).train()
        torch.manual_seed(1)
        values.append(losses_of(model, pair()))
    for name, factor in (('score', 0), ('box', 3), ('mask', 4)):
        assert values[1][f'loss_{name}'].item() == pytest.approx(
            factor * values[0][f'loss_{name}'].item(), rel=1e-4
        )


def test_the_search_image_of_a_negative_pair_teaches_background_only():
    """With the logits of a single class pushed up, the loss of a negative pair falls with the
    background's.
    """
    model = tiny_siamese().train()
    bias = model.tracker.head.score[3].bias
    values = []
    for background in (0.0, 4.0):
        with torch.no_grad():
            bias[:5] = background
        values.append(losses_of(model, pair(negative=True))['loss_score'].item())
    assert values[1] < values[0] / 4


def test_no_more_cells_than_asked_for_give_masks(monkeypatch):
    """The disk's middle falls on several cells whose anchors overlap it; which of them are trained
    is drawn anew each time.
    """
    model = tiny_siamese()
    model.train()
    trained, ask = [], model.tracker.mask_logits
    monkeypatch.setattr(
        model.tracker, 'mask_logits', lambda *given: trained.append(given[2]) or ask(*given)
    )
    losses_of(model, pair(), pair())
    assert len(trained[-1]) > 3
    model.tracker.max_masks = 3
    for _ in range(8):
        assert torch.isfinite(losses_of(model, pair(), pair())['loss_mask'])
    assert all(len(index) == 3 for index in trained[1:])
    assert len({tuple(map(tuple, index.sort(dim=0).values.tolist())) for index in trained[1:]}) > 1


def test_hard_negatives_are_the_likely_ones():
    """Of background drawn in proportion to the net's own belief the score loss is larger than of
    background drawn alike.
    """
    torch.manual_seed(0)
    model = tiny_siamese()
    means = []
    for hard in (False, True):
        model.tracker.hard_negatives = hard
        means.append(sum(losses_of(model, pair())['loss_score'].item() for _ in range(20)) / 20)
    assert means[1] > means[0] * 1.02


def test_a_box_that_no_anchor_fits_is_learned_where_asked_for():
    """A disk of 100 px overlaps the best anchors by .41: no positives as published, and then no box
    or mask loss.
    """
    large = pair(box=(77, 77, 177, 177))
    published, other = (
        losses_of(tiny_siamese(**more), large) for more in ({}, dict(min_overlap=0.3))
    )
    assert published['loss_box'] == 0 and published['loss_mask'] == 0
    assert other['loss_box'] > 0 and other['loss_mask'] > 0
