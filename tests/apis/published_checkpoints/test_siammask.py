"""Conversion of SiamMask files: all tensors of every layout, synthesised with their names and
shapes, find their place.
"""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny_siamese import MODEL

from mmvos.apis.published_checkpoints import convert_weights
from mmvos.registry import MODELS

NORM = ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')
BRANCH = {
    'conv_kernel.0.weight': (256, 256, 3, 3),
    'conv_search.0.weight': (256, 256, 3, 3),
    'head.0.weight': (256, 256, 1, 1),
}
REFINE = {
    'v0.0': (16, 64),
    'v0.2': (4, 16),
    'v1.0': (64, 256),
    'v1.2': (16, 64),
    'v2.0': (128, 512),
    'v2.2': (32, 128),
    'h2.0': (32, 32),
    'h2.2': (32, 32),
    'h1.0': (16, 16),
    'h1.2': (16, 16),
    'h0.0': (4, 4),
    'h0.2': (4, 4),
    'post0': (16, 32),
    'post1': (4, 16),
    'post2': (1, 4),
}


def norm(prefix: str, channels: int) -> dict[str, tuple[int, ...]]:
    return {
        f'{prefix}.{name}': () if name == 'num_batches_tracked' else (channels,) for name in NORM
    }


def resnet(prefix: str, wide: int = 3) -> dict[str, tuple[int, ...]]:
    """Three stages; shortcuts of stages 2 and 3 are ``wide`` x ``wide``."""
    shapes = {'conv1.weight': (64, 3, 7, 7)} | norm('bn1', 64)
    channels = 64
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6)), 1):
        for b in range(blocks):
            name = f'layer{stage}.{b}'
            for i, (out, given, side) in enumerate(
                ((width, channels, 1), (width, width, 3), (4 * width, width, 1)), 1
            ):
                shapes |= {f'{name}.conv{i}.weight': (out, given, side, side)} | norm(
                    f'{name}.bn{i}', out
                )
            if b == 0:
                side = 1 if stage == 1 else wide
                shapes |= {f'{name}.downsample.0.weight': (4 * width, channels, side, side)}
                shapes |= norm(f'{name}.downsample.1', 4 * width)
            channels = 4 * width
    return {prefix + name: shape for name, shape in shapes.items()}


def published(pysot: bool = False, refine: bool = True) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a SiamMask file, from the table of its tensors."""
    prefixes = (
        dict(
            backbone='backbone.',
            adjust='neck.',
            rpn='rpn_head.',
            mask='mask_head.',
            refine='refine_head.',
        )
        if pysot
        else dict(
            backbone='features.features.',
            adjust='features.',
            rpn='rpn_model.',
            mask='mask_model.mask.',
            refine='refine_model.',
        )
    )
    shapes = resnet(prefixes['backbone'])
    shapes |= {f'{prefixes["adjust"]}downsample.downsample.0.weight': (256, 1024, 1, 1)}
    shapes |= norm(f'{prefixes["adjust"]}downsample.downsample.1', 256)
    for prefix, outputs in (
        (prefixes['rpn'] + 'cls.', 10),
        (prefixes['rpn'] + 'loc.', 20),
        (prefixes['mask'], 3969),
    ):
        for name, shape in BRANCH.items():
            shapes |= {prefix + name: shape} | norm(prefix + name.replace('0.weight', '1'), 256)
        shapes |= {
            prefix + 'head.3.weight': (outputs, 256, 1, 1),
            prefix + 'head.3.bias': (outputs,),
        }
    if refine:
        for name, (out, given) in REFINE.items():
            shapes |= {
                f'{prefixes["refine"]}{name}.weight': (out, given, 3, 3),
                f'{prefixes["refine"]}{name}.bias': (out,),
            }
        shapes |= {
            f'{prefixes["refine"]}deconv.weight': (256, 32, 15, 15),
            f'{prefixes["refine"]}deconv.bias': (32,),
        }
    return shapes


def filled(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Tensors that are told apart by their value."""
    return {
        name: torch.full(shape, value, dtype=torch.long if 'tracked' in name else torch.float32)
        for value, (name, shape) in enumerate(shapes.items(), 1)
    }


def own(refine: bool = True) -> dict[str, torch.Tensor]:
    init_default_scope('mmdet')
    config = Config.fromfile(MODEL)
    if not refine:
        config.model.tracker.head.refine = None
    return MODELS.build(config.model).state_dict()


@pytest.fixture(scope='module')
def sharp() -> dict[str, torch.Tensor]:
    return own()


def test_the_layouts_have_the_published_numbers_of_tensors():
    assert (len(published()), len(published(pysot=True)), len(published(refine=False))) == (
        356,
        356,
        324,
    )


@pytest.mark.parametrize('pysot', [False, True], ids=['SiamMask', 'pysot'])
def test_every_tensor_finds_its_place(sharp, pysot):
    given = filled(published(pysot))
    converted = convert_weights(given, sharp, 'file')
    assert converted.kind == 'SiamMask' and set(converted.weights) == set(sharp)
    # each once
    assert sorted(int(t.flatten()[0]) for t in converted.weights.values()) == list(range(1, 357))
    places = {
        ('rpn_head.' if pysot else 'rpn_model.')
        + 'cls.conv_kernel.0.weight': 'tracker.neck.kernel.score.0.weight',
        ('rpn_head.' if pysot else 'rpn_model.')
        + 'loc.conv_search.1.bias': 'tracker.neck.search.box.1.bias',
        ('mask_head.' if pysot else 'mask_model.mask.') + 'head.3.bias': 'tracker.head.mask.3.bias',
        ('refine_head.' if pysot else 'refine_model.')
        + 'v1.2.weight': 'tracker.head.refine.v1.2.weight',
        ('backbone.' if pysot else 'features.features.')
        + 'layer3.0.downsample.0.weight': 'tracker.features.backbone.layer3.0.downsample.0.weight',
        ('neck.' if pysot else 'features.')
        + 'downsample.downsample.1.running_var': 'tracker.features.adjust.layer.bn.running_var',
    }
    for name, place in places.items():
        assert torch.equal(converted.weights[place], given[name]), name


def test_base_file_and_files_without_counters():
    base = own(refine=False)
    without = {
        name: tensor
        for name, tensor in filled(published(refine=False)).items()
        if 'tracked' not in name
    }
    converted = convert_weights(without, base, 'file')
    assert {name for name in base if 'tracked' not in name} == set(converted.weights)


def changed(**more: tuple[int, ...] | None) -> dict[str, torch.Tensor]:
    shapes = published()
    for name, shape in more.items():
        shapes.pop(name.replace('__', '.'), None)
        if shape is not None:
            shapes[name.replace('__', '.')] = shape
    return filled(shapes)


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (
            changed(rpn_model__cls__head__3__bias=None),
            r'1 weights the file does not give \(tracker.head.score.3.bias\)',
        ),
        (
            changed(features__features__layer4__0__conv1__weight=(512, 1024, 1, 1)),
            r'1 weights the model does not know \(features.features.layer4.0.conv1.weight\)',
        ),
        (changed(refine_model__unknown=(3,)), r'does not know \(refine_model.unknown\)'),
        (changed(optimizer__state=(3,)), r'does not know \(optimizer.state\)'),
        (
            changed(rpn_model__loc__head__3__bias=(40,)),
            r'rpn_model.loc.head.3.bias \(40,\) instead of \(20,\)',
        ),
        (
            filled(published(refine=False)),
            r'32 weights the file does not give \(tracker.head.refine',
        ),
        (
            {name: t for name, t in changed().items() if not name.startswith('mask_model')},
            'SiamRPN without masks',
        ),
        (
            changed(rpn_head__loc__head__3__bias=(20,)),
            r'rpn_model.loc.head.3.bias and rpn_head.loc.head.3.bias are the same weight',
        ),
        (
            {'a.weight': torch.zeros(2), 'b.bias': torch.zeros(2)},
            r'no kind that can be converted \(it has a.weight, b.bias\)',
        ),
    ],
    ids=[
        'missing',
        'layer4',
        'unknown in a part',
        'unknown part',
        'shape',
        'base for sharp',
        'no masks',
        'twice',
        'other',
    ],
)
def test_what_does_not_fit_is_named(sharp, given, message):
    with pytest.raises(ValueError, match=message):
        convert_weights(given, sharp, 'file')


def test_a_config_of_another_method_is_named():
    with pytest.raises(ValueError, match='is a SiamMask, but the config'):
        convert_weights(
            filled(published()), {'detector.backbone.conv1.weight': torch.zeros(1)}, 'file'
        )


# The start of training


def test_own_resnet_of_siammask(sharp):
    """resnet.model: 3x3 shortcuts, stage 4 unused; tensors as they are."""
    given = filled(resnet('') | {'layer4.0.conv1.weight': (512, 1024, 1, 1), 'fc.bias': (1000,)})
    converted = convert_weights(given, sharp, 'file')
    assert len(converted.weights) == 258 and converted.kind == 'ResNet-50'
    for name, tensor in converted.weights.items():
        assert torch.equal(tensor, given[name.removeprefix('tracker.features.backbone.')])


def test_a_resnet_with_narrow_shortcuts_sees_the_same():
    """Stem and stages on BGR from 0 to 255 give what the given ResNet gives on normalised RGB at
    the same pixels.
    """
    from mmdet.models.backbones import ResNet

    from mmvos.models import SiameseResNet

    torch.manual_seed(0)
    given = ResNet(
        depth=50, num_stages=3, strides=(1, 2, 1), dilations=(1, 1, 2), out_indices=(0, 1, 2)
    )
    given.train(False)
    for parameter in given.parameters():
        if parameter.dim() == 1:
            torch.nn.init.uniform_(parameter, 0.5, 1)
    weights = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in given.state_dict().items()
    }
    given.load_state_dict(weights)
    target = SiameseResNet()
    target.train(False)
    names = {
        f'tracker.features.backbone.{name}': tensor for name, tensor in target.state_dict().items()
    }
    converted = convert_weights(weights, names, 'file').weights
    target.load_state_dict(
        {
            name.removeprefix('tracker.features.backbone.'): tensor
            for name, tensor in converted.items()
        }
    )
    image = torch.randint(0, 256, (1, 3, 61, 61)).float()
    mean, std = (
        torch.tensor([123.675, 116.28, 103.53])[:, None, None],
        torch.tensor([58.395, 57.12, 57.375])[:, None, None],
    )
    with torch.no_grad():
        given.conv1.padding = (0, 0)
        expected = given.relu(given.norm1(given.conv1((image.flip(1) - mean) / std)))
        torch.testing.assert_close(target(image)[0], expected, rtol=1e-3, atol=1e-3)
        shortcut = torch.rand(1, 256, 31, 31)
        narrow = given.layer2[0].downsample[0](shortcut[:, :, 1:-1, 1:-1])
        torch.testing.assert_close(
            target.layer2[0].downsample[0](shortcut), narrow, rtol=1e-3, atol=1e-3
        )
