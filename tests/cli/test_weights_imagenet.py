"""``mmvos weights imagenet``: images of one color whose scores are known by hand, weights of every
naming against torch's layers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.models.backbones import ResNet
from PIL import Image
from torch import Tensor, nn

from mmvos.cli.weights.imagenet import main
from mmvos.datasets.labeled_images import center_crop
from mmvos.registry import MODELS

COLORS = {
    'a red': (250, 10, 30),
    'b green': (20, 240, 5),
    'c blue': (3, 40, 255),
    'd white': (240, 235, 250),
    # no two pairs are equally far apart
    'e black': (8, 15, 2),
    'f yellow': (235, 250, 60),
    'g gray': (128, 110, 120),
}
TINY = dict(depth=18, base_channels=4, stem_channels=4)
Evaluate = Callable[..., dict[str, Any]]


@MODELS.register_module(force=True)
class MeanColor(nn.Module):
    """A backbone whose only map is the image, times a weight of 1."""

    def __init__(self, init_cfg: Any = None) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (images * self.scale,)


@pytest.fixture
def evaluate(tmp_path: Path) -> Evaluate:
    """Runs the command and gives its JSON."""

    def call(*arguments: object) -> dict[str, Any]:
        out = tmp_path / 'result.json'
        main([*map(str, arguments), '--device', 'cpu', '--workers', '0', '--out', str(out)])
        return json.loads(out.read_text())

    return call


def nearest_color(
    path: Path,
    mean: tuple[float, ...],
    std: tuple[float, ...] = (1, 1, 1),
    background: bool = False,
) -> Path:
    """Weights of a classifier that gives the nearest of ``COLORS``: logits 2 c x - c c."""
    colors = (torch.tensor(list(COLORS.values())).double() - torch.tensor(mean)) / torch.tensor(std)
    weight, bias = 2 * colors, -(colors**2).sum(1)
    if background:
        weight, bias = (
            torch.cat([torch.zeros(1, 3), weight]),
            torch.cat([torch.full((1,), -1e9), bias]),
        )
    torch.save(
        {
            'state_dict': {
                'scale': torch.ones(1),
                'fc.weight': weight.float(),
                'fc.bias': bias.float(),
            }
        },
        path,
    )
    return path


def nearest(color: tuple[int, ...]) -> list[int]:
    """The labels by distance to a color."""
    distance = ((np.array(list(COLORS.values()), float) - color) ** 2).sum(1)
    return [int(label) for label in np.argsort(distance)]


def color_folders(root: Path) -> Path:
    """A folder per color with three images: one framed by another color outside of the middle,
    which the crop leaves out, one noisy, and one of the next color, which is wrong."""
    rng = np.random.default_rng(0)
    for place, (name, color) in enumerate(COLORS.items()):
        (root / name).mkdir(parents=True)
        framed = np.full((60, 160, 3), list(COLORS.values())[place - 1], np.uint8)
        # scaled by 256 / 60: the crop shows rows 3.75 to 56.25, columns 53.75 to 106.25
        framed[3:-3, 53:107] = color
        noisy = np.clip(np.array(color) + rng.normal(0, 6, (40, 30, 3)), 0, 255).astype(np.uint8)
        wrong = np.full((30, 30, 3), list(COLORS.values())[(place + 1) % 7], np.uint8)
        for stem, pixels in (('1', framed), ('2', noisy), ('3', wrong)):
            Image.fromarray(pixels).save(root / name / f'{stem}.png')
    Image.open(root / 'a red/2.png').convert('P').save(root / 'a red/2.png')  # of another mode
    return root


@pytest.fixture(scope='module')
def colors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return color_folders(tmp_path_factory.mktemp('colors'))


@pytest.mark.parametrize('more', [[], ['--dtype', 'bfloat16', '--batch-size', 4]])
def test_known_scores_of_class_folders(
    evaluate: Evaluate, colors: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: list
) -> None:
    """Of three images per class two are right; of the wrong ones those whose class is not among the
    five nearest colors are counted by distance."""
    weights = nearest_color(tmp_path / 'w.pth', (123.68, 116.78, 103.94))
    result = evaluate(colors, '--weights', weights, '--backbone', 'type=mmvos.MeanColor', *more)
    ranks = [nearest(list(COLORS.values())[(place + 1) % 7]).index(place) for place in range(7)]
    assert result['images'] == 21 and result['top1'] == 14 / 21
    assert (
        result['top5'] == (14 + sum(rank < 5 for rank in ranks)) / 21
        and min(ranks) > 0
        and max(ranks) >= 5
    )
    assert (result['mean'], result['std'], result['resize'], result['crop']) == (
        [123.68, 116.78, 103.94],
        [1, 1, 1],
        256,
        224,
    )
    assert 'top-1 66.67 %' in capsys.readouterr().out


def test_options_of_the_input(evaluate: Evaluate, colors: Path, tmp_path: Path) -> None:
    """Torchvision's numbers, BGR (the network sees red as blue)."""
    weights = nearest_color(tmp_path / 'w.pth', (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
    common = (colors, '--weights', weights, '--backbone', 'type=mmvos.MeanColor')
    assert evaluate(*common, '--torchvision')['top1'] == 14 / 21
    weights = nearest_color(tmp_path / 'w.pth', (0, 0, 0))
    assert evaluate(*common, '--mean', 0, 0, 0)['top1'] == 14 / 21
    shown = evaluate(*common, '--mean', 0, 0, 0, '--bgr')
    seen = [nearest(color[::-1])[0] for color in COLORS.values()]  # per color
    right = sum(2 * (seen[label] == label) + (seen[(label + 1) % 7] == label) for label in range(7))
    assert shown['top1'] == right / 21 < 14 / 21


def test_the_crop_is_the_middle() -> None:
    """Red counts pairs of columns, green rows; 512 x 256 pixels are not resized, and half of them
    are by a factor of 2.
    """
    rows, columns = np.mgrid[:256, :512]
    picture = np.stack([columns // 2, rows, 0 * rows], -1).astype(np.uint8)
    cropped = center_crop(Image.fromarray(picture), 256, 224)
    assert cropped.shape == (224, 224, 3)
    assert cropped[0, 0].tolist() == [72, 16, 0] and cropped[-1, -1].tolist() == [183, 239, 0]
    half = center_crop(Image.fromarray(picture), 128, 100)
    assert half[0, 0].tolist() == pytest.approx([2 * 78 // 2, 2 * 14, 0], abs=1)


def test_flat_folder_and_background_class(evaluate: Evaluate, tmp_path: Path) -> None:
    (tmp_path / 'flat').mkdir()
    names = list(COLORS)
    for place, name in enumerate(names):
        Image.new('RGB', (20, 30), COLORS[name]).save(tmp_path / f'flat/{place}.png')
    (tmp_path / 'by_name.txt').write_text(
        '\n'.join(f'{place}.png {place if place else 3}' for place in reversed(range(7)))
    )
    (tmp_path / 'in_order.txt').write_text(
        '\n'.join(str(place if place > 1 else 6) for place in range(7))
    )
    weights = nearest_color(tmp_path / 'w.pth', (123.68, 116.78, 103.94), background=True)
    common = (tmp_path / 'flat', '--weights', weights, '--backbone', 'type=mmvos.MeanColor')
    assert (
        evaluate(*common, '--labels', tmp_path / 'by_name.txt', '--label-offset', 1)['top1']
        == 6 / 7
    )
    assert (
        evaluate(*common, '--labels', tmp_path / 'in_order.txt', '--label-offset', 1)['top1']
        == 5 / 7
    )


def test_a_subset_with_the_list_of_all_classes(
    evaluate: Evaluate, colors: Path, tmp_path: Path
) -> None:
    weights = nearest_color(tmp_path / 'w.pth', (123.68, 116.78, 103.94))
    for name in ('c blue', 'f yellow'):
        (tmp_path / 'some' / name).mkdir(parents=True)
        Image.new('RGB', (20, 30), COLORS[name]).save(tmp_path / 'some' / name / 'x.jpg')
    common = (tmp_path / 'some', '--weights', weights, '--backbone', 'type=mmvos.MeanColor')
    with pytest.raises(ValueError, match='some has 2 class folders'):
        evaluate(*common)
    (tmp_path / 'names.txt').write_text('\n'.join(COLORS))
    assert evaluate(*common, '--classes', tmp_path / 'names.txt')['top1'] == 1
    (tmp_path / 'names.txt').write_text('a red\nc blue\n')
    with pytest.raises(ValueError, match=r'names\.txt .* f yellow'):
        evaluate(*common, '--classes', tmp_path / 'names.txt')


# ResNets


@pytest.fixture(scope='module')
def resnet() -> tuple[ResNet, nn.Linear]:
    torch.manual_seed(0)
    net = ResNet(**TINY)
    net.eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return net, nn.Linear(32, 7)


@pytest.fixture(scope='module')
@torch.inference_mode()
def expected_hits(resnet: tuple[ResNet, nn.Linear], colors: Path) -> tuple[int, int]:
    """Top-1 and top-5 by torch's layers; the pixels are cropped by indices out of the resized
    picture.
    """
    net, fc = resnet
    first = among = 0
    for label, name in enumerate(COLORS):
        for path in sorted((colors / name).iterdir()):
            image = Image.open(path).convert('RGB')
            scale = 256 / min(image.size)
            wide = np.array(
                image.resize([int(side * scale) for side in image.size], Image.Resampling.BILINEAR),
                np.float32,
            )
            top, left = (wide.shape[0] - 224) // 2, (wide.shape[1] - 224) // 2
            pixels = wide[top : top + 224, left : left + 224] - np.array(
                [123.68, 116.78, 103.94], np.float32
            )
            pooled = net(torch.from_numpy(pixels).permute(2, 0, 1)[None])[-1].mean((2, 3))
            order = fc(pooled)[0].argsort(descending=True).tolist()
            first += order[0] == label
            among += label in order[:5]
    return first, among


def named(
    resnet: tuple[ResNet, nn.Linear], backbone: str = '', head: str = 'fc.'
) -> dict[str, Tensor]:
    net, fc = resnet
    return {backbone + name: value for name, value in net.state_dict().items()} | {
        head + name: value for name, value in fc.state_dict().items()
    }


CONFIGS = {
    'plain': "model = dict(backbone=dict(type='ResNet', depth=18, base_channels=4, "
    'stem_channels=4, '
    'out_indices=(1, 2)))',
    'guided': "model = dict(tracker=dict(features=dict(backbone=dict(type='mmvos.GuidedResNet', "
    'depth=18, '
    "base_channels=4, stem_channels=4, frozen_stages=1, init_cfg=dict(type='Pretrained', "
    "checkpoint='nowhere://x')))))",
}


@pytest.mark.parametrize(
    ('config', 'backbone', 'head'),
    [
        ('plain', '', 'fc.'),
        ('plain', 'backbone.', 'head.fc.'),
        ('guided', 'module.net.', 'classifier.'),
    ],
)
def test_weights_of_other_names(
    evaluate: Evaluate,
    colors: Path,
    tmp_path: Path,
    resnet: Any,
    expected_hits: tuple[int, int],
    config: str,
    backbone: str,
    head: str,
) -> None:
    """Also through a config whose backbone gives other stages, and through one that would download
    weights and see a guide.
    """
    (tmp_path / 'config.py').write_text(f"default_scope = 'mmdet'\n{CONFIGS[config]}\n")
    torch.save(named(resnet, backbone, head), tmp_path / 'w.pth')
    result = evaluate(tmp_path / 'config.py', colors, '--weights', tmp_path / 'w.pth')
    first, among = expected_hits
    assert (result['top1'], result['top5']) == (first / 21, among / 21) and 0 < among < 21


def without(*names: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda weights: {name: value for name, value in weights.items() if name not in names}


@pytest.mark.parametrize(
    ('change', 'arguments', 'sentence'),
    [
        (
            without('fc.weight', 'fc.bias'),
            [],
            r'w\.pth has no classifier',
        ),
        (
            without('layer4.1.conv2.weight'),
            [],
            r'w\.pth lacks 1 of \d+ weights .*layer4\.1\.conv2\.weight',
        ),
        (
            lambda weights: weights | {'conv1.weight': torch.zeros(4, 1, 7, 7)},
            [],
            r'conv1\.weight has the shape \(4, 1, 7, 7\)',
        ),
        (
            lambda weights: weights | {'head.weight': torch.zeros(7, 32)},
            [],
            r'several classifiers \(fc\.weight, head\.weight\)',
        ),
        (
            lambda weights: weights | {'fc.weight': torch.zeros(7, 16)},
            [],
            r'32 channels, .* 16',
        ),
        (
            lambda weights: weights | {'fc.weight': torch.zeros(8, 32), 'fc.bias': torch.zeros(8)},
            [],
            r'--label-offset 1',
        ),
        (
            dict,
            ['--crop', '300'],
            r'crop of 300 pixels .* 256',
        ),
        (dict, ['--labels', 'x.txt'], r'holds no image'),
        (dict, ['--backbone', 'type=ResNetX'], r'ResNetX cannot be built'),
        (dict, ['--backbone', 'depth=50'], r'--backbone needs a type'),
    ],
)
def test_faults_are_named(
    evaluate: Evaluate,
    colors: Path,
    tmp_path: Path,
    resnet: Any,
    change: Callable,
    arguments: list[str],
    sentence: str,
) -> None:
    torch.save(change(named(resnet)), tmp_path / 'w.pth')
    (tmp_path / 'config.py').write_text(f'{CONFIGS["plain"]}\n')
    config = [] if '--backbone' in arguments else [tmp_path / 'config.py']
    with pytest.raises(ValueError, match=sentence):
        evaluate(*config, colors, '--weights', tmp_path / 'w.pth', *arguments)


def test_a_damaged_image_and_missing_files_are_named(evaluate: Evaluate, tmp_path: Path) -> None:
    weights = nearest_color(tmp_path / 'w.pth', (123.68, 116.78, 103.94))
    color_folders(tmp_path / 'images')
    (tmp_path / 'images/d white/2.png').write_bytes(b'\x89PNG')
    common = ('--backbone', 'type=mmvos.MeanColor')
    with pytest.raises(ValueError, match=r'd white/2\.png cannot be read'):
        evaluate(tmp_path / 'images', '--weights', weights, *common)
    with pytest.raises(FileNotFoundError, match=r'nowhere\.pth'):
        evaluate(tmp_path / 'images', '--weights', 'nowhere.pth', *common)
    with pytest.raises(ValueError, match='nowhere holds no folder'):
        evaluate(tmp_path / 'nowhere', '--weights', weights, *common)
    two = ', '.join(
        f"{name}=dict(backbone=dict(type='ResNet', depth={depth}))"
        for name, depth in (('a', 18), ('b', 50))
    )
    (tmp_path / 'two.py').write_text(f'model = dict({two})')
    with pytest.raises(ValueError, match=r'two\.py has 2 backbones'):
        evaluate(tmp_path / 'two.py', tmp_path / 'images', '--weights', weights)
