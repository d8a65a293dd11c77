"""GuidedEfficientNetLite: the released network's arithmetic, and its guide."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mmvos.apis.published_checkpoints import _move_backbone, efficientnet_lite
from mmvos.models import EfficientNetLite, GuidedEfficientNetLite
from mmvos.models.efficientnet_lite import _same_padding


def randomized(guide_channels: int = 1) -> GuidedEfficientNetLite:
    torch.manual_seed(0)
    model = GuidedEfficientNetLite(guide_channels)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.normal_(module.running_mean, std=0.1)
    return model.eval()


@pytest.mark.parametrize(
    ('length', 'kernel', 'stride', 'padding'),
    # TensorFlow's rule by hand: outputs = ceil(224 / 2) = 112, (112 - 1) 2 + 3 - 224 = 1.
    [(224, 3, 2, 1), (225, 3, 2, 2), (56, 5, 2, 3), (56, 5, 1, 4), (7, 1, 1, 0)],
)
def test_padding_is_tensorflows(length: int, kernel: int, stride: int, padding: int) -> None:
    assert _same_padding(length, kernel, stride) == padding


def test_the_extra_pixel_of_the_padding_is_on_the_right_and_at_the_bottom() -> None:
    model = GuidedEfficientNetLite()
    torch.nn.init.zeros_(model.stem_conv.weight)
    with torch.no_grad():
        model.stem_conv.weight[0, 0, 0, 0] = 1  # takes the first pixel of its window
    image = torch.arange(64.0).view(1, 1, 8, 8).expand(1, 3, 8, 8)
    # Windows begin at pixels 0, 2, 4, 6: nothing is added on the left and on the top.
    assert torch.equal(model.stem_conv(image)[0, 0], image[0, 0, ::2, ::2])


def test_levels_have_the_shapes_of_their_strides() -> None:
    levels = randomized()(torch.randn(2, 3, 64, 96))
    assert [tuple(level.shape) for level in levels] == [
        (2, 16, 32, 48),
        (2, 24, 16, 24),
        (2, 40, 8, 12),
        (2, 112, 4, 6),
    ]


def test_a_new_guide_changes_nothing_and_a_trained_one_is_two_more_input_channels() -> None:
    model = randomized(guide_channels=2)
    image, guide = torch.randn(1, 3, 32, 32), torch.randn(1, 2, 32, 32)
    for with_guide, without in zip(model(image, guide), model(image), strict=True):
        assert torch.equal(with_guide, without)
    torch.nn.init.normal_(model.guide_conv.weight, std=0.1)
    weight = torch.cat([model.stem_conv.weight, model.guide_conv.weight], dim=1)
    padded = F.pad(torch.cat([image, guide], dim=1), (0, 1, 0, 1))
    stem = F.relu6(model.stem_norm(F.conv2d(padded, weight, stride=2)))
    expected = model.stages[0](stem)
    torch.testing.assert_close(model(image, guide)[0], expected, rtol=1e-4, atol=1e-5)


def test_norms_stay_as_published_in_training() -> None:
    model = randomized().train()
    before = model.stem_norm.running_mean.clone()
    model(torch.randn(2, 3, 32, 32))
    assert torch.equal(model.stem_norm.running_mean, before)
    assert not model.stem_norm.weight.requires_grad


def test_released_names_fill_the_whole_backbone_but_the_guide() -> None:
    model = GuidedEfficientNetLite()
    ours = {f'tracker.backbone.{name}': value for name, value in model.state_dict().items()}
    # The release numbers its blocks through: stages have 1, 2, 2, 3, 3 of them.
    first = (0, 1, 3, 5, 8)
    parts = {ours: theirs for theirs, ours in efficientnet_lite._PARTS.items()}
    released = {}
    for name, value in model.state_dict().items():
        if name.startswith('stages.'):
            _, stage, block, part, leaf = name.split('.')
            number = first[int(stage)] + int(block)
            released[f'_blocks.{number}.{parts[part]}.{leaf}'] = value
    for leaf in ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'):
        released[f'_bn0.{leaf}'] = model.state_dict()[f'stem_norm.{leaf}']
    released['_conv_stem.weight'] = model.stem_conv.weight
    released['_blocks.11._expand_conv.weight'] = torch.zeros(1)
    released['_fc.weight'] = torch.zeros(1)
    assert efficientnet_lite.recognises(released)
    # What lies behind stride 16 is left out: this backbone ends there.
    converted = _move_backbone(efficientnet_lite.convert(released), ours)
    assert set(ours) - set(converted) == {'tracker.backbone.guide_conv.weight'}
    for name, (_, value) in converted.items():
        assert torch.equal(value, ours[name])


def test_released_names_fill_a_detectors_backbone_to_stride_32() -> None:
    model = EfficientNetLite(out_strides=(8, 16, 32))
    own = {f'detector.backbone.{name}': value for name, value in model.state_dict().items()}
    released = {'_conv_stem.weight': model.stem_conv.weight}
    # Block 10 is the last of stride 16, 15 the only one of the last stage.
    for number, block in (
        (10, model.stages[4][2]),
        (11, model.stages[5][0]),
        (15, model.stages[6][0]),
    ):
        released[f'_blocks.{number}._project_conv.weight'] = block.project_conv.weight
    converted = _move_backbone(efficientnet_lite.convert(released), own)
    assert len(converted) == 4
    for name, (_, value) in converted.items():
        assert torch.equal(value, own[name])


def test_strides_of_the_levels_can_be_chosen() -> None:
    levels = EfficientNetLite(out_strides=(8, 32))(torch.randn(1, 3, 64, 96))
    assert [tuple(level.shape) for level in levels] == [(1, 40, 8, 12), (1, 320, 2, 3)]
