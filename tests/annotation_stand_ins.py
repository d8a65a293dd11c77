"""Small inputs of the converters and of `mmvos weights imagenet` under the names that docs/data.md uses:
labelme, CVAT, ImageNet.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from mmdet.models.backbones import ResNet
from PIL import Image
from torch import nn

HEIGHT, WIDTH, FRAMES = 24, 32, 3


def write_annotation_stand_ins(folder: Path) -> None:
    """Writes data/labelme, data/cvat, data/imagenet/val and resnet18.pth into the folder."""
    _write_labelme(folder / 'data/labelme')
    _write_cvat(folder / 'data/cvat')
    _write_imagenet(folder)


def _write_frames(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for name in names:
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)).save(folder / name)


def _write_labelme(root: Path) -> None:
    """Video yard: a dog in all frames, a cat in the first; the last frame has no JSON."""
    _write_frames(root / 'yard', [f'{t}.jpg' for t in range(FRAMES + 1)])
    for t in range(FRAMES):
        shapes = [
            dict(
                label='dog',
                group_id=1,
                shape_type='polygon',
                points=[[2 + t, 3], [12 + t, 3], [9 + t, 14]],
            )
        ]
        if t == 0:
            shapes.append(
                dict(label='cat', group_id=2, shape_type='circle', points=[[22, 12], [22, 17]])
            )
        (root / f'yard/{t}.json').write_text(
            json.dumps(
                dict(
                    imagePath=f'{t}.jpg',
                    imageHeight=HEIGHT,
                    imageWidth=WIDTH,
                    imageData=None,
                    shapes=shapes,
                )
            )
        )


def _write_cvat(root: Path) -> None:
    """Videos street and yard: a box that moves to the right."""
    for name in ('street', 'yard'):
        _write_frames(root / 'frames' / name, [f'frame_{t:06d}.png' for t in range(FRAMES)])
        boxes = ''.join(
            f'<box frame="{t}" outside="0" occluded="0" keyframe="1" xtl="{3 + t}" ytl="4" '
            f'xbr="{12 + t}" ybr="15"/>'
            for t in (0, FRAMES - 1)
        )
        (root / f'{name}.xml').write_text(
            f'<annotations><version>1.1</version><meta><task><size>{FRAMES}</size><labels><label><name>dog</name></label></labels>'
            f'<original_size><width>{WIDTH}</width><height>{HEIGHT}</height></original_size></task></meta>'
            f'<track id="0" label="dog">{boxes}</track></annotations>'
        )


def _write_imagenet(folder: Path) -> None:
    """Two classes with an image each, and a ResNet-18 at random."""
    for name in ('n01440764', 'n01443537'):
        _write_frames(folder / 'data/imagenet/val' / name, [f'{name}.JPEG'])
    net, fc = ResNet(18), nn.Linear(512, 2)
    torch.save(
        {**net.state_dict(), **{f'fc.{key}': value for key, value in fc.state_dict().items()}},
        folder / 'resnet18.pth',
    )
