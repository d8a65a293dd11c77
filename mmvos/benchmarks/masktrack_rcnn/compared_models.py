"""The two models that are compared: mmvos' MaskTrackRCNN, and mmdet's from the config it ships,
with the same weights.

The settings that decide how much work a frame is (boxes kept, score threshold, classes, widths) are
made equal. What differs is what the projects do differently: the config of mmdet samples RoIs
adaptively, and its track head ends in a ReLU.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmdet
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from mmvos.apis import init_model
from mmvos.models import VideoModel
from mmvos.registry import MODELS
from mmvos.structures import Frame

_SHIPPED = 'masktrack_rcnn/masktrack-rcnn_mask-rcnn_r50_fpn_8xb1-12e_youtubevis2019.py'
_STRUCTURE = {
    'in_channels',
    'feat_channels',
    'out_channels',
    'fc_out_channels',
    'conv_out_channels',
    'num_convs',
    'num_classes',
}
# (proposal, class) pairs above the score threshold, before non-maximum suppression, of a synthetic
# classifier
SCORES_ABOVE = 40


def shipped_config() -> Config:
    """mmdet's MaskTrack R-CNN config, from the installed package."""
    root = Path(mmdet.__file__).parent
    places = [root / '.mim' / 'configs' / _SHIPPED, root.parent / 'configs' / _SHIPPED]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise FileNotFoundError(
            f'the installed mmdet has no {_SHIPPED}; install a distribution with its configs'
        )
    return Config.fromfile(found)


def baseline_config(ours: Config) -> dict[str, Any]:
    """mmdet's model config with the backbone, the widths, the classes and the limits of ours.

    Args:
        ours: config of a ``MaskTrackRCNN`` of this project.

    Returns:
        The config of a model of mmdet's registry.
    """
    model = shipped_config().model.to_dict()
    source = ours.model.to_dict()
    detector = model['detector']
    our_detector = source['detector']

    # The detector: the same backbone and neck; of the heads what decides about their work.
    detector.pop('init_cfg', None)
    detector['backbone'] = our_detector['backbone']
    detector['neck'] = our_detector['neck']
    _take(detector['rpn_head'], our_detector['rpn_head'])
    roi_head = detector['roi_head']
    our_roi_head = our_detector['roi_head']
    if our_roi_head['bbox_head']['type'] != roi_head['bbox_head']['type']:
        # another structure, taken whole
        roi_head['bbox_head'] = our_roi_head['bbox_head']
    for name in ('bbox_roi_extractor', 'bbox_head', 'mask_roi_extractor', 'mask_head'):
        _take(roi_head[name], our_roi_head[name])
    detector['test_cfg'] = our_detector['test_cfg']
    detector['train_cfg'] = our_detector['train_cfg']

    # The track head: the same RoIs and the same widths.
    track_head = model['track_head']
    our_track_head = source['track_head']
    track_head['train_cfg']['sampler'] = our_detector['train_cfg']['rcnn']['sampler']
    track_head['roi_extractor']['out_channels'] = our_track_head['in_channels']
    track_head['embed_head']['in_channels'] = our_track_head['in_channels']
    track_head['embed_head']['fc_out_channels'] = our_track_head['fc_out_channels']
    return ConfigDict(model)


def _take(target: dict[str, Any], source: dict[str, Any]) -> None:
    target.update({key: value for key, value in source.items() if key in _STRUCTURE})


def build_baseline(config: Config, ours: VideoModel) -> nn.Module:
    """mmdet's model with the weights of ours, which must not yet be optimized; in the same mode,
    on the same device.
    """
    init_default_scope('mmdet')
    baseline = MODELS.build(baseline_config(config))
    state = ours.state_dict()
    baseline.load_state_dict(
        {
            name.replace('track_head.', 'track_head.embed_head.'): state[name].contiguous()
            for name in state
        }
    )
    return baseline.to(next(ours.parameters()).device).train(ours.training)


def build_ours(
    config: Config, checkpoint: str | None, backbone: str | None, device: str
) -> VideoModel:
    """Build our model.

    Args:
        config: of it.
        checkpoint: of its weights; None: random heads.
        backbone: a file with weights of torchvision's names for the backbone, or None.
        device: of the model.
    """
    torch.manual_seed(0)
    model = init_model(config, checkpoint, device)
    if checkpoint is None:
        init_default_scope('mmdet')
        model.init_weights()
    if backbone is not None:
        content = torch.load(backbone, map_location='cpu', weights_only=True)
        weights = {}
        for name, value in content.get('state_dict', content).items():
            weights[name.removeprefix('backbone.')] = value.float()
        fit = model.detector.backbone.load_state_dict(weights, strict=False)
        # Counters of batches are not needed to compute.
        missing = [name for name in fit.missing_keys if 'num_batches_tracked' not in name]
        assert not missing, missing
    return model


@torch.no_grad()
def make_detections_realistic(model: VideoModel, frames: Sequence[Frame]) -> None:
    """Rescale an untrained box classifier so that a frame has about as many detections as one of a
    trained model.

    The class logits get a spread of 1.5 over the proposals, and the background's bias is set so
    that ``SCORES_ABOVE`` pairs of proposal and class pass the score threshold: about ten boxes are
    left to be tracked and segmented. The embeddings become zero, so that boxes and labels decide
    about identities; random ones would call all detections one object.

    Args:
        model: with random heads; its weights change.
        frames: on which the detections are counted.
    """
    # What the classifier is given: the features of all proposals of all frames.
    layer: nn.Linear = model.detector.roi_head.bbox_head.fc_cls
    inputs: list[Tensor] = []

    def keep_input(_module: nn.Module, given: tuple[Tensor, ...], _out: Tensor) -> None:
        inputs.append(given[0].float())

    handle = layer.register_forward_hook(keep_input)
    for _ in model.run(frames):
        pass
    handle.remove()

    # (proposals, classes + 1): center the logits and give them their spread.
    logits = torch.cat(inputs) @ layer.weight.T
    mean = logits.mean(dim=0)
    scale = 1.5 / logits.std(dim=0).mean()
    layer.weight.mul_(scale)
    layer.bias.copy_(-scale * mean)
    logits = (logits - mean) * scale

    # Search by halves for the background's bias that leaves the wanted number of scores.
    threshold = model.detector.test_cfg.rcnn.score_thr
    low = -20.0
    high = 40.0
    for _ in range(40):
        middle = (low + high) / 2
        shifted = logits.clone()
        shifted[:, -1] += middle
        scores = shifted.softmax(dim=1)[:, :-1]
        above = (scores > threshold).sum().item() / len(frames)
        if above > SCORES_ABOVE:
            low = middle
        else:
            high = middle
    layer.bias[-1] += low

    last: nn.Linear = model.track_head.fcs[-1]
    last.weight.zero_()
    last.bias.zero_()
