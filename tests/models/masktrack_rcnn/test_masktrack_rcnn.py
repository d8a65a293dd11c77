"""MaskTrackRCNN: losses of pairs of frames, and steps through a video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from tiny_masktrack import batch, frame, instances, pair, tiny_config, tiny_model, two_objects

from mmvos.models import MaskTrackRCNN
from mmvos.models.masktrack_rcnn.model import _same_object
from mmvos.ops import precision
from mmvos.optimize import optimize
from mmvos.structures import Prompts
from mmvos.structures.rle import area, decode

LOSSES = {
    'loss_rpn_cls',
    'loss_rpn_bbox',
    'loss_cls',
    'loss_bbox',
    'loss_mask',
    'loss_match',
    'acc',
    'match_accuracy',
}
EMPTY = ([], [], [])


@pytest.fixture(scope='module')
def model() -> MaskTrackRCNN:
    return tiny_model()


@pytest.fixture
def training(model: MaskTrackRCNN) -> Iterator[MaskTrackRCNN]:
    """In training mode but with frozen statistics, so that a loss does not change the model;
    afterwards as before.
    """
    model.zero_grad()
    for module in (model.detector.rpn_head, model.detector.roi_head, model.track_head):
        module.train()
    yield model
    model.eval()


def losses_of(model: MaskTrackRCNN, *pairs: dict) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return model(**model.data_preprocessor(batch(*pairs), True))


def scalar(value: torch.Tensor | list[torch.Tensor]) -> torch.Tensor:
    return sum(value) if isinstance(value, list) else value


# Losses


@pytest.mark.parametrize(
    'key, reference',
    [
        (([[4, 4, 30, 30], [34, 30, 60, 62]], [3, 1], [1, 2]), ([[8, 6, 34, 32]], [3], [1])),
        (([[4, 4, 30, 30]], [0], [1]), ([[8, 6, 34, 32]], [4], [9])),  # no object in common
        (([[4, 4, 30, 30]], [0], [1]), EMPTY),
        (EMPTY, ([[8, 6, 34, 32]], [4], [9])),
        (EMPTY, EMPTY),
        # a pixel, the whole frame
        (([[10, 10, 11, 11], [0, 0, 64, 64]], [0, 1], [1, 2]), ([[63, 63, 64, 64]], [0], [1])),
    ],
    ids=['one left', 'all replaced', 'reference empty', 'key empty', 'both empty', 'extreme boxes'],
)
def test_all_losses_are_there_finite_and_reach_the_weights(training, key, reference):
    losses = losses_of(training, pair(instances(*key), instances(*reference)), two_objects(1))
    assert set(losses) == LOSSES
    assert all(torch.isfinite(scalar(value)).all() for value in losses.values())
    sum(scalar(value) for name, value in losses.items() if 'loss' in name).backward()
    without = [
        name
        for name, weight in training.named_parameters()
        if weight.requires_grad and weight.grad is None
    ]
    assert not without  # a weight outside the graph stops distributed training


def test_a_batch_without_any_object_is_connected_to_all_weights(training):
    losses = losses_of(training, pair(instances(*EMPTY), instances(*EMPTY)))
    assert set(losses) == LOSSES
    assert losses['loss_match'].item() == 0 and scalar(losses['loss_mask']).item() == 0
    sum(scalar(value) for name, value in losses.items() if 'loss' in name).backward()
    assert not [
        name
        for name, weight in training.named_parameters()
        if weight.requires_grad and weight.grad is None
    ]


def test_the_track_loss_has_gradients_in_both_frames(training):
    data = training.data_preprocessor(batch(two_objects()), True)
    inputs = data['inputs'].requires_grad_()
    training.loss(inputs, data['data_samples'])['loss_match'].backward()
    key, reference = inputs.grad[0].abs().sum(dim=(1, 2, 3))
    assert key > 0 and reference > 0


def test_detection_losses_look_at_the_key_frame_only(training):
    data = training.data_preprocessor(batch(two_objects()), True)
    inputs = data['inputs'].requires_grad_()
    losses = training.loss(inputs, data['data_samples'])
    sum(
        scalar(value) for name, value in losses.items() if 'loss' in name and name != 'loss_match'
    ).backward()
    key, reference = inputs.grad[0].abs().sum(dim=(1, 2, 3))
    assert key > 0 and reference == 0


def test_both_frames_may_be_key(training, monkeypatch):
    monkeypatch.setattr(training, 'both_frames_as_key', True)
    data = training.data_preprocessor(batch(two_objects()), True)
    inputs = data['inputs'].requires_grad_()
    losses = training.loss(inputs, data['data_samples'])
    assert set(losses) == LOSSES
    sum(
        scalar(value) for name, value in losses.items() if 'loss' in name and name != 'loss_match'
    ).backward()
    assert (inputs.grad[0].abs().sum(dim=(1, 2, 3)) > 0).all()


def test_with_both_frames_as_key_the_track_loss_is_the_mean_of_both_directions(
    training, monkeypatch
):
    there = pair(
        instances([[4, 4, 30, 30], [34, 30, 60, 62]], [3, 1], [1, 2]),
        instances([[8, 6, 34, 32]], [3], [1]),
    )
    back = pair(
        instances([[8, 6, 34, 32]], [3], [1]),
        instances([[4, 4, 30, 30], [34, 30, 60, 62]], [3, 1], [1, 2]),
    )
    back['inputs'] = there['inputs'].flip(0)
    # only the ground truth is positive, so nothing is random
    for cfg in (training.detector.roi_head.bbox_assigner,):
        monkeypatch.setattr(cfg, 'pos_iou_thr', 0.999)
        monkeypatch.setattr(cfg, 'match_low_quality', False)
    one, other = (losses_of(training, item)['loss_match'] for item in (there, back))
    monkeypatch.setattr(training, 'both_frames_as_key', True)
    torch.testing.assert_close(losses_of(training, there)['loss_match'], (one + other) / 2)


def test_the_key_frame_may_come_second(training):
    first = two_objects()
    second = two_objects()
    second['inputs'] = second['inputs'].flip(0)
    sample = second['data_samples']
    sample.video_data_samples = sample.video_data_samples[::-1]
    sample.set_metainfo(dict(key_frames_inds=[1], ref_frames_inds=[0]))
    expected, swapped = losses_of(training, first), losses_of(training, second)
    for name in LOSSES:
        torch.testing.assert_close(scalar(swapped[name]), scalar(expected[name]))


def test_rois_are_sampled_once_and_their_features_shared(training, monkeypatch):
    calls: Counter[str] = Counter()

    def count(owner: object, method: str, name: str) -> None:
        original = getattr(owner, method)

        def counted(*args, **kwargs):
            calls[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, method, counted)

    head = training.detector.roi_head
    count(training.detector.backbone, 'forward', 'backbone')
    count(head.bbox_assigner, 'assign', 'assign')
    count(head.bbox_sampler, 'sample', 'sample')
    count(head.bbox_roi_extractor, 'forward', '7 x 7 features')
    count(head.mask_roi_extractor, 'forward', '14 x 14 features')
    losses_of(training, two_objects(0), two_objects(1), two_objects(2))
    # Box and track loss share the features on the three key frames; the second time is for the
    # reference frames' boxes.
    assert calls == {
        'backbone': 1,
        'assign': 3,
        'sample': 3,
        '7 x 7 features': 2,
        '14 x 14 features': 1,
    }


def test_targets_of_the_track_loss():
    key, reference = torch.tensor([7, 3, 5]), torch.tensor([5, 9, 7])
    assert _same_object(key, reference).tolist() == [3, 0, 1]
    assert _same_object(key, torch.zeros(0, dtype=torch.int32)).tolist() == [0, 0, 0]
    assert _same_object(torch.zeros(0, dtype=torch.int32), reference).tolist() == []
    assert _same_object(torch.tensor([1]), torch.tensor([1])).tolist() == [1]


# RPN labels


@pytest.fixture
def perfect(training, monkeypatch) -> tuple[MaskTrackRCNN, list, list, torch.Tensor]:
    """Model, RPN scores, deltas, and the box that one anchor matches exactly: its logit is +10,
    that of all others -10.
    """
    head = training.detector.rpn_head
    shapes = [(64 // stride, 64 // stride) for stride in (4, 8, 16, 32, 64)]
    anchors = head.prior_generator.grid_priors(shapes, device='cpu')
    inside = ((anchors[0][:, :2] >= 0) & (anchors[0][:, 2:] <= 64)).all(dim=1).nonzero()[:, 0]
    place = int(inside[len(inside) // 2])
    scores = []
    for level, (height, width) in enumerate(shapes):
        logits = torch.full((height * width * 3,), -10.0)
        if level == 0:
            logits[place] = 10.0
        scores.append(logits.view(1, height, width, 3).permute(0, 3, 1, 2))
    deltas = [torch.zeros(1, 12, *shape) for shape in shapes]
    monkeypatch.setattr(head, 'forward', lambda _: (scores, deltas))
    # Neighbors overlap the box by more than .7; only the exact anchor is to be positive.
    monkeypatch.setattr(head.assigner, 'pos_iou_thr', 0.95)
    monkeypatch.setattr(head.assigner, 'neg_iou_thr', 0.95)
    monkeypatch.setattr(head.assigner, 'match_low_quality', False)
    return training, scores, deltas, anchors[0][place]


@pytest.mark.parametrize('label', [0, 25])
def test_rpn_tells_objects_of_every_class_from_background(perfect, label):
    """V19: with one object exactly on an anchor these logits are all right, whatever the object's
    class.
    """
    model, _scores, _, box = perfect
    sample = two_objects()['data_samples'][0]
    sample.gt_instances = InstanceData(bboxes=box[None], labels=torch.tensor([label]))
    sample.set_metainfo(dict(pad_shape=(64, 64)))
    losses, proposals = model._rpn_loss((torch.zeros(1),), [sample])
    assert (
        float(scalar(losses['loss_rpn_cls'])) < 1e-3 and float(scalar(losses['loss_rpn_bbox'])) == 0
    )
    torch.testing.assert_close(proposals[0].bboxes[0], box)
    assert sample.gt_instances.labels.tolist() == [label]  # the box head needs it


def test_rpn_labels_that_are_not_zeroed_would_cost_much(perfect):
    """The same with the labels as they are, as in mmdet: the exact anchor costs 10 of the 64
    sampled.
    """
    model, scores, deltas, box = perfect
    meta = dict(img_shape=(64, 64), pad_shape=(64, 64))
    objects = InstanceData(bboxes=box[None], labels=torch.tensor([25]))
    losses = model.detector.rpn_head.loss_by_feat(scores, deltas, [objects], [meta])
    assert float(scalar(losses['loss_rpn_cls'])) == pytest.approx(10 / 64, rel=0.01)


# Steps


def test_frames_are_found_and_named(model):
    results = list(model.run(frame(t) for t in range(3)))
    assert [result.frame_index for result in results] == [0, 1, 2]
    for result in results:
        assert result.shape == (32, 32)
        ids = [item.id for item in result.objects]
        assert 0 < len(ids) <= 10 and ids == sorted(set(ids)) and ids[0] >= 1
        for item in result.objects:
            assert 0 <= item.label < 5 and 0.05 < item.score <= 1 and item.mask['size'] == [32, 32]
            x1, y1, x2, y2 = item.box
            assert 0 <= x1 <= x2 <= 32 and 0 <= y1 <= y2 <= 32
    assert [item.id for item in results[0].objects] == list(range(1, len(results[0].objects) + 1))


@torch.no_grad()
def test_a_step_can_be_replayed_bit_for_bit(model):
    state, _ = model.step(frame(0), model.init_state())
    before = {f.name: getattr(state, f.name).clone() for f in fields(state)}
    first_state, first = model.step(frame(1), state)
    second_state, second = model.step(frame(1), state)
    assert first == second and len(first.objects) > 0
    for name, old in before.items():
        assert torch.equal(getattr(state, name), old)
        assert torch.equal(getattr(first_state, name), getattr(second_state, name))


def test_videos_do_not_know_each_other(model):
    alone = list(model.run(frame(t) for t in range(2)))
    list(model.run(frame(t, seed=t + 5) for t in range(3)))
    assert list(model.run(frame(t) for t in range(2))) == alone


def run_with_blind_frames(model: MaskTrackRCNN, blind: set[int], length: int) -> list:
    """Frames in which no score is high enough, among others that all show the same picture."""
    settings = model.detector.test_cfg.rcnn

    def frames() -> Iterator:
        for t in range(length):
            settings.score_thr = 1.0 if t in blind else 0.05
            yield frame(t, seed=3)

    try:
        return list(model.run(frames()))
    finally:
        settings.score_thr = 0.05


@pytest.mark.parametrize('blind', [{0}, {1}, {0, 2}, {0, 1, 2}], ids=str)
def test_frames_in_which_nothing_is_found(model, blind):
    results = run_with_blind_frames(model, blind, 3)
    found = [result for result in results if result.objects]
    assert {result.frame_index for result in found} == {0, 1, 2} - blind
    for result in found:  # the same picture, so the same objects, whatever lay between
        assert next(item.id for item in result.objects) == 1
        assert {item.id for item in result.objects} <= {item.id for item in found[0].objects}
    assert all(result.shape == (32, 32) for result in results)


def test_a_video_of_one_frame_and_of_none(model):
    assert len(list(model.run([frame(0)]))) == 1 and list(model.run([])) == []


def scripted(model: MaskTrackRCNN, monkeypatch, *detections: tuple) -> None:
    """The detector says this in the next frame: (box in network pixels, label, score)."""
    found = InstanceData(
        bboxes=torch.tensor([d[0] for d in detections], dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor([d[1] for d in detections], dtype=torch.long),
        scores=torch.tensor([d[2] for d in detections], dtype=torch.float32),
    )
    monkeypatch.setattr(model, '_detect', lambda *_: found)


@torch.no_grad()
def test_late_lost_and_duplicate_objects(model, monkeypatch):
    """With the embeddings of a random head all logits are near 0, so label and overlap decide."""
    left, right, below = [2.0, 2.0, 26.0, 26.0], [36.0, 4.0, 62.0, 30.0], [4.0, 38.0, 30.0, 62.0]
    one_frame = frame(0)
    script = [
        ([(left, 0, 0.9)], [1]),
        ([(right, 1, 0.8), (left, 0, 0.9)], [1, 2]),  # a late one
        ([(below, 2, 0.8)], [3]),  # the first two are lost
        ([], []),
        # back, and a duplicate that vanishes
        ([(right, 1, 0.7), (left, 0, 0.6), (left, 0, 0.5)], [1, 2]),
        ([(left, 3, 0.9)], [4]),  # another label at the same place is another object
    ]
    state = model.init_state()
    for detections, ids in script:
        scripted(model, monkeypatch, *detections)
        state, result = model.step(one_frame, state)
        assert [item.id for item in result.objects] == ids
    assert state.labels.tolist() == [0, 1, 2, 3]


@torch.no_grad()
def test_boxes_and_masks_are_in_original_pixels(model, monkeypatch):
    """The network's pixels are half as large as the original's; a mask head that always says 1
    fills the box.
    """
    scripted(model, monkeypatch, ([8.0, 16.0, 40.0, 56.0], 0, 0.9))
    monkeypatch.setattr(model, '_segment', lambda _, found: torch.ones(len(found), 28, 28))
    _, result = model.step(frame(0), model.init_state())
    (item,) = result.objects
    assert item.box == (4.0, 8.0, 20.0, 28.0) and area(item.mask) == 16 * 20
    rows, columns = np.nonzero(decode(item.mask))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 27, 4, 19)


@torch.no_grad()
def test_the_mask_is_that_of_the_objects_class(model, monkeypatch):
    logits = torch.full((2, 5, 28, 28), -10.0)
    logits[0, 3], logits[1, 1] = 10.0, 10.0
    monkeypatch.setattr(model.detector.roi_head.mask_head, 'forward', lambda _: logits)
    found = InstanceData(
        bboxes=torch.tensor([[0.0, 0.0, 9.0, 9.0]] * 2),
        labels=torch.tensor([3, 1]),
        scores=torch.ones(2),
    )
    features = frame(0).features(model, model.extract_features)
    assert model._segment(features, found).min() > 0.99


@torch.no_grad()
def test_no_proposal_at_all(model, monkeypatch):
    monkeypatch.setattr(
        model.detector.rpn_head,
        'predict_by_feat',
        lambda *_, **__: [
            InstanceData(bboxes=torch.zeros(0, 4), scores=torch.zeros(0), labels=torch.zeros(0))
        ],
    )
    state, result = model.step(frame(0), model.init_state())
    assert result.objects == () and len(state.labels) == 0


@torch.no_grad()
def test_frames_of_another_size_within_a_video(model):
    results = list(model.run([frame(0), frame(1, size=96), frame(2)]))
    assert [result.shape for result in results] == [(32, 32), (48, 48), (32, 32)]
    assert all(
        item.mask['size'] == list(result.shape) for result in results for item in result.objects
    )


def test_a_prompt_is_refused_with_a_reason(model):
    prompt = Prompts((1,), (None,), ((0.0, 0.0, 5.0, 5.0),))
    with pytest.raises(ValueError, match=r'frame 0 has a prompt.*takes none'):
        model.step(frame(0), model.init_state(), prompt)
    with pytest.raises(ValueError, match='has no frame 7'):
        list(model.run([], {7: prompt}))


def test_it_is_not_called_for_testing_by_accident(model):
    with pytest.raises(RuntimeError, match='VideoTestLoop'):
        model(torch.zeros(1, 1, 3, 64, 64), mode='predict')


# Acceleration


@pytest.fixture(scope='module')
def used() -> dict:
    """Weights of a model whose batch norms have seen data, so that folding them changes
    something.
    """
    model = tiny_model(1)
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.state_dict()


def loaded(weights: dict) -> MaskTrackRCNN:
    model = tiny_model(2)
    model.load_state_dict(weights)
    return model


@torch.no_grad()
def test_acceleration_in_float32_changes_nothing_but_rounding(used):
    plain, fast = loaded(used), optimize(loaded(used))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fast.modules())
    for a, b in zip(plain.extract_features(frame(0).image), fast.extract_features(frame(0).image)):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)
    for a, b in zip(plain.run(frame(t) for t in range(2)), fast.run(frame(t) for t in range(2))):
        assert [(item.id, item.label) for item in a.objects] == [
            (item.id, item.label) for item in b.objects
        ]
        np.testing.assert_allclose(
            [item.box for item in a.objects], [item.box for item in b.objects], atol=1e-2
        )
        np.testing.assert_allclose(
            [item.score for item in a.objects], [item.score for item in b.objects], atol=1e-3
        )
    optimize(fast)  # a second time does no harm
    assert len(next(iter(fast.run([frame(0)]))).objects) > 0


@torch.no_grad()
def test_bfloat16_without_instructions_for_it_is_warned_of(used, monkeypatch):
    monkeypatch.setattr(precision, '_cpu_has_bfloat16', lambda: False)
    with pytest.warns(UserWarning, match='bfloat16 is slow on this cpu'):
        optimize(loaded(used), torch.bfloat16)


@torch.no_grad()
def test_bfloat16_runs_and_stays_near_float32(used):
    plain, fast = loaded(used), optimize(loaded(used), torch.bfloat16)
    with fast.autocast(torch.device('cpu')):
        reduced = fast.extract_features(frame(0).image)
    for a, b in zip(plain.extract_features(frame(0).image), reduced):
        assert b.dtype == torch.float32 and torch.isfinite(b).all() and not torch.equal(a, b)
        assert torch.cosine_similarity(a.flatten(), b.flatten(), dim=0) > 0.99
    state = fast.init_state()
    for t in range(2):
        state, result = fast.step(frame(t), state)
        assert len(result.objects) > 0
        assert all(np.isfinite((item.score, *item.box)).all() for item in result.objects)
    assert state.embeddings.dtype == torch.float32 and torch.isfinite(state.embeddings).all()


def test_channels_last_changes_the_order_in_memory_only(used):
    last = loaded(used)
    first = tiny_model(2, model__channels_last=False)
    first.load_state_dict(used)
    assert last.channels_last and not first.channels_last
    with torch.no_grad():
        for a, b in zip(
            last.extract_features(frame(0).image), first.extract_features(frame(0).image)
        ):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_the_settings_are_those_of_the_method():
    """Section 1 of the method: matching weights 1, 2, 10; score .05; 10 boxes a frame; NMS .5; 64
    anchors; RPN beta 1/9.
    """
    model = tiny_config().model
    assert tuple(model.memory.match_weights) == (1.0, 2.0, 10.0)
    rcnn, rpn = model.detector.test_cfg.rcnn, model.detector.train_cfg.rpn
    assert (rcnn.score_thr, rcnn.max_per_img, rcnn.nms.iou_threshold) == (0.05, 10, 0.5)
    assert (rpn.sampler.num, rpn.allowed_border) == (64, 0)
    assert model.detector.rpn_head.loss_bbox.beta == pytest.approx(1 / 9)
    assert model.detector.roi_head.bbox_roi_extractor.roi_layer.sampling_ratio == 2
