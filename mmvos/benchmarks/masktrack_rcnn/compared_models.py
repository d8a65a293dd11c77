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
    """mmdet's model config with the backbone, the widths, the classes and the limits of ours."""
    model = shipped_config().model.to_dict()
    source = ours.model.to_dict()
    detector, track_head = model['detector'], source['track_head']
    detector.pop('init_cfg', None)
    for name in ('backbone', 'neck'):
        detector[name] = source['detector'][name]
    _take(detector['rpn_head'], source['detector']['rpn_head'])
    if (
        source['detector']['roi_head']['bbox_head']['type']
        != detector['roi_head']['bbox_head']['type']
    ):
        # another structure, taken whole
        detector['roi_head']['bbox_head'] = source['detector']['roi_head']['bbox_head']
    for name in ('bbox_roi_extractor', 'bbox_head', 'mask_roi_extractor', 'mask_head'):
        _take(detector['roi_head'][name], source['detector']['roi_head'][name])
    detector['test_cfg'] = source['detector']['test_cfg']
    detector['train_cfg'] = source['detector']['train_cfg']
    model['track_head']['train_cfg']['sampler'] = source['detector']['train_cfg']['rcnn']['sampler']
    for part in ('roi_extractor', 'embed_head'):
        key = 'out_channels' if part == 'roi_extractor' else 'in_channels'
        model['track_head'][part][key] = track_head['in_channels']
    model['track_head']['embed_head']['fc_out_channels'] = track_head['fc_out_channels']
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
    """Our model, from a checkpoint or with random heads; a file with backbone weights of
    torchvision's names is optional.
    """
    torch.manual_seed(0)
    model = init_model(config, checkpoint, device)
    if checkpoint is None:
        init_default_scope('mmdet')
        model.init_weights()
    if backbone is not None:
        state = torch.load(backbone, map_location='cpu', weights_only=True)
        state = state.get('state_dict', state)
        state = {name.removeprefix('backbone.'): value.float() for name, value in state.items()}
        fit = model.detector.backbone.load_state_dict(state, strict=False)
        assert not [name for name in fit.missing_keys if 'num_batches_tracked' not in name], (
            fit.missing_keys
        )
    return model


@torch.no_grad()
def make_detections_realistic(model: VideoModel, frames: Sequence[Frame]) -> None:
    """Rescales an untrained box classifier so that a frame has about as many detections as one of a
    trained model.

    The class logits get a spread of 1.5 over the proposals, and the background's bias is set so
    that ``SCORES_ABOVE`` pairs of proposal and class pass the score threshold: about ten boxes are
    left to be tracked and segmented. The embeddings become zero, so that boxes and labels decide
    about identities; random ones would call all detections one object.
    """
    layer: nn.Linear = model.detector.roi_head.bbox_head.fc_cls
    inputs: list[Tensor] = []
    handle = layer.register_forward_hook(
        lambda _module, given, _out: inputs.append(given[0].float())
    )
    list(model.run(frames))
    handle.remove()
    logits = torch.cat(inputs) @ layer.weight.T  # (proposals of all frames, classes + 1)
    scale = 1.5 / logits.std(dim=0).mean()
    layer.weight.mul_(scale)
    layer.bias.copy_(-scale * logits.mean(dim=0))
    logits = (logits - logits.mean(dim=0)) * scale
    threshold = model.detector.test_cfg.rcnn.score_thr
    low, high = -20.0, 40.0
    for _ in range(40):
        middle = (low + high) / 2
        shifted = logits.clone()
        shifted[:, -1] += middle
        above = (shifted.softmax(dim=1)[:, :-1] > threshold).sum().item() / len(frames)
        low, high = (middle, high) if above > SCORES_ABOVE else (low, middle)
    layer.bias[-1] += low
    last: nn.Linear = model.track_head.fcs[-1]
    last.weight.zero_()
    last.bias.zero_()
