"""The systems of the toolbox, each with its own test pipeline but a narrow model with random
weights and small frames.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from mmengine.config import Config
from tiny_masktrack import tiny_model
from tiny_parts import tiny_parts
from tiny_segmenter import tiny_segmenter
from tiny_siamese import tiny_variant

from mmvos.apis import SYSTEMS, VideoInferencer
from mmvos.apis.model_index import find_model, project_root, shipped_models
from mmvos.models import VideoModel

HEIGHT, WIDTH = 72, 96
MODELS: dict[str, Callable[[], VideoModel]] = {
    'masktrack-rcnn': tiny_model,
    'masktrack': tiny_segmenter,
    'masktrack-box': tiny_segmenter,
    'siammask': lambda: tiny_variant('sharp'),
    's2iammask': lambda: tiny_variant('vote'),
    'parts': tiny_parts,
}


@cache
def tiny_inferencer(system: str) -> VideoInferencer:
    """The inferencer of a system; built once."""
    config = Config.fromfile(
        find_model(SYSTEMS[system].model, shipped_models(project_root())).config
    )
    _shrink(config.test_dataloader.dataset.pipeline)
    model = MODELS[system]()
    model.cfg, model.dataset_meta = config, dict(classes=(), category_ids=())
    return VideoInferencer(model)


def _shrink(steps: list) -> None:
    """Sets the size of the frames to what the pictures have."""
    for step in steps:
        if step['type'] == 'Resize':
            step.update(scale=(WIDTH, HEIGHT), keep_ratio=True)
            step.pop('scale_factor', None)
        _shrink(step.get('transforms', []))


def picture(index: int) -> np.ndarray:
    """(H, W, 3) BGR: blurred noise that stays, and a bright square that moves to the right."""
    noise = np.random.default_rng(0).integers(0, 160, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    image = np.kron(noise, np.ones((8, 8, 1), dtype=np.uint8))
    image[20:44, 10 + 2 * (index % 20) : 34 + 2 * (index % 20)] = (40, 220, 250)
    return image
