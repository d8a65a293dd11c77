"""Initial weights: which kind of file it is, what starts at random, and what is refused."""

import pytest
import torch
from torch import nn

from mmvos.apis.initial_weights import match_initial_weights


class _Detector(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3))
        self.fc_cls = nn.Linear(4, classes)


class _Model(nn.Module):
    def __init__(self, classes=6):
        super().__init__()
        self.detector = _Detector(classes)
        self.track_head = nn.Linear(4, 2)


def test_a_detector_of_other_classes_leaves_the_class_layers_and_the_track_head_random():
    initial = match_initial_weights(_Model(), _Detector(81).state_dict(), 'coco.pth')
    assert initial.source == 'detector'
    assert set(initial.weights) == {'detector.backbone.0.weight', 'detector.backbone.0.bias'}
    assert set(initial.random) == {
        'detector.fc_cls.weight',
        'detector.fc_cls.bias',
        'track_head.weight',
        'track_head.bias',
    }


def test_a_backbone_is_found_by_its_names_and_its_classifier_is_dropped():
    weights = dict(_Detector(6).backbone.state_dict(), **{'fc.weight': torch.zeros(10, 4)})
    weights['0.weight'] = weights['0.weight'].half()
    initial = match_initial_weights(_Model(), weights, 'resnet.pth')
    assert (
        initial.source == 'backbone'
        and initial.weights['detector.backbone.0.weight'].dtype == torch.float32
    )


def test_a_checkpoint_of_the_model_is_taken_whole():
    model = _Model()
    initial = match_initial_weights(model, model.state_dict(), 'epoch_1.pth')
    assert initial.source == 'model' and initial.random == ()


def test_another_architecture_is_refused_by_name():
    weights = _Detector(6).state_dict()
    weights['backbone.0.weight'] = torch.zeros(8, 3, 3, 3)
    with pytest.raises(ValueError, match=r'coco\.pth: detector\.backbone\.0\.weight'):
        match_initial_weights(_Model(), weights, 'coco.pth')
    with pytest.raises(ValueError, match=r'coco.pth: detector.neck.weight is unknown'):
        match_initial_weights(
            _Model(), dict(_Detector(6).state_dict(), **{'neck.weight': torch.zeros(1)}), 'coco.pth'
        )
    with pytest.raises(ValueError, match='holds no weight'):
        match_initial_weights(_Model(), {'x': torch.zeros(1)}, 'coco.pth')


@pytest.mark.parametrize('place', ['detector', 'tracker', 'tracker.features'])
def test_a_backbone_goes_where_the_model_has_one(place):
    """A siamese tracker's is in its features."""
    model = nn.Module()
    inner = model
    for name in place.split('.'):
        inner.add_module(name, nn.Module())
        inner = getattr(inner, name)
    inner.backbone = nn.Sequential(nn.Conv2d(3, 4, 3))
    initial = match_initial_weights(
        model, nn.Sequential(nn.Conv2d(3, 4, 3)).state_dict(), 'resnet.pth'
    )
    assert set(initial.weights) == {f'{place}.backbone.0.weight', f'{place}.backbone.0.bias'}
