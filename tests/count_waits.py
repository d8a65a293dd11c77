"""How often the host waits for a pretended device: ``python tests/count_waits.py OUT frames [SYSTEM]``
goes through a few frames with each system, ``python tests/count_waits.py OUT train [CONFIG ...]``
makes a training step of each config. Writes a JSON object: of each system or config its waits by
place; of systems also how much the results differ from those of the CPU.

A program of its own, because the device stays in the process; see ``pretended_device``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pretended_device
import test_configs
import tiny_masktrack
import tiny_parts
import tiny_segmenter
import tiny_siamese
import torch
from mmengine.optim import build_optim_wrapper
from tiny_masktrack import batch, two_objects

from mmvos.models import VideoModel
from mmvos.optimize import fold_batch_norms
from mmvos.registry import MODELS
from mmvos.structures import Frame, FrameResult, Prompts
from mmvos.structures.rle import decode

# frames before those that are counted: an object is given in the first, another in the second
WARM_UP, COUNTED = 3, 2
Waits = dict[str, float]
MakeFrame = Callable[[VideoModel, int], Frame]


def box_prompts(count: int) -> dict[int, Prompts]:
    """Prompts of the first frame: boxes of ``count`` objects beside each other."""
    boxes = []
    for k in range(count):
        left = 5.0 + 12 * k
        boxes.append((left, 10.0 + k, left + 30, 45.0 + 4 * k))
    return {0: Prompts(tuple(range(1, count + 1)), (None,) * count, tuple(boxes))}


def waits_of_frames(
    model: VideoModel,
    make_frame: MakeFrame,
    prompts: dict[int, Prompts] | None,
) -> dict[str, Any]:
    """Go through frames on the CPU and on the device.

    Returns:
        ``waits`` of a frame in which nothing is given, by place; how many objects are ``missing``
        on either side, ``least_iou`` of the masks on the device with those of the CPU, and
        ``score`` and ``region``, the largest differences.
    """
    model = fold_batch_norms(model)
    frames = [make_frame(model, t) for t in range(WARM_UP + COUNTED)]
    expected = list(model.run(frames, prompts))

    model = model.to(pretended_device.NAME)
    found = []
    with pretended_device.PretendedDevice():
        on_device = (Frame(item.image.to(pretended_device.NAME), item.meta) for item in frames)
        for t, result in enumerate(model.run(list(on_device), prompts)):
            found.append(result)
            if t == WARM_UP - 1:
                pretended_device.WAITS.clear()
    return {'waits': by_place(COUNTED), **differences(expected, found)}


def differences(expected: list[FrameResult], found: list[FrameResult]) -> dict[str, float]:
    """Compare the results of the CPU with those of the device."""
    overlaps = [1.0]
    scores = [0.0]
    regions = [0.0]
    missing = 0
    for first, second in zip(expected, found, strict=True):
        others = {item.id: item for item in second.objects}
        missing += len(set(others) ^ {item.id for item in first.objects})
        for one in first.objects:
            other = others.get(one.id)
            if other is None:
                continue
            mask, other_mask = decode(one.mask), decode(other.mask)
            either = (mask | other_mask).sum()
            overlaps.append(float((mask & other_mask).sum() / either) if either else 1.0)
            scores.append(abs(one.score - other.score))
            if one.region is not None:
                regions.append(float(np.abs(np.subtract(one.region, other.region)).max()))
    return {
        'missing': missing,
        'least_iou': min(overlaps),
        'score': max(scores),
        'region': max(regions),
    }


def by_place(count: int) -> Waits:
    """What has been counted, of each of ``count`` frames, the most frequent place first."""
    found: Waits = {}
    for (kind, place), number in pretended_device.WAITS.most_common():
        found[f'{place} {kind}'] = number / count
    pretended_device.WAITS.clear()
    return found


def refined_vote() -> VideoModel:
    """S2iamMask whose candidates vote with refined masks."""
    voting = dict(type='mmvos.VotingMaskHead', refined=True, min_area=100.0)
    return tiny_siamese.tiny_siamese(voting=voting)


def segmenter_frame(model: VideoModel, index: int) -> Frame:
    """A frame as a mask propagator takes it."""
    return tiny_segmenter.frame(index)


SYSTEMS: dict[str, tuple[Callable[[], VideoModel], MakeFrame]] = {
    'MaskTrack-Box': (tiny_segmenter.tiny_segmenter, segmenter_frame),
    'MaskTrack-Box, mode roi': (lambda: tiny_segmenter.tiny_segmenter(mode='roi'), segmenter_frame),
    'MaskTrack-Box, light': (tiny_segmenter.clicked_segmenter, segmenter_frame),
    'SiamMask': (lambda: tiny_siamese.tiny_variant('sharp'), tiny_siamese.frame_for),
    'SiamMask, base': (lambda: tiny_siamese.tiny_variant('base'), tiny_siamese.frame_for),
    'SiamMask, pyramid': (tiny_siamese.tiny_pyramid, tiny_siamese.frame_for),
    'S2iamMask': (lambda: tiny_siamese.tiny_variant('vote'), tiny_siamese.frame_for),
    'S2iamMask, refined': (refined_vote, tiny_siamese.frame_for),
    'parts': (lambda: tiny_parts.tiny_parts(crop=True), segmenter_frame),
    'parts, pyramid': (tiny_parts.tiny_parts, segmenter_frame),
}


def waits_of_systems(wanted: str) -> dict[str, Any]:
    """Count the waits of a frame in each system whose name begins so, with one and with four
    objects.
    """
    found = {}
    for name, (make_model, make_frame) in SYSTEMS.items():
        if not name.startswith(wanted):
            continue
        for count in (1, 4):
            found[f'{name}, {count}'] = waits_of_frames(
                make_model(), make_frame, box_prompts(count)
            )
    if 'MaskTrack'.startswith(wanted):
        found['MaskTrack, 2'] = waits_of_given_masks()
    if 'R-CNN'.startswith(wanted):
        model = tiny_masktrack.tiny_model()
        found['R-CNN'] = waits_of_frames(model, lambda _, t: tiny_masktrack.frame(t), None)
    return found


def waits_of_given_masks() -> dict[str, Any]:
    """Count the waits of a frame of MaskTrack, whose objects are given by masks."""
    masks = (tiny_segmenter.square_mask(10, 10), tiny_segmenter.square_mask(50, 30))
    given = {0: Prompts((1, 2), masks, (None, None))}
    return waits_of_frames(tiny_segmenter.tiny_segmenter(), segmenter_frame, given)


def training_batch(model: VideoModel, kind: str) -> dict[str, Any]:
    """Return a small batch as the loader of a kind of model gives it."""
    if kind == 'mmvos.MaskTrackRCNN':
        return batch(two_objects(0), two_objects(1))
    if kind == 'mmvos.SiameseTracker':
        trains_mask_only = model.tracker.loss_weights == (0, 0, 36)
        sample = tiny_siamese.pair_sample(143 if trains_mask_only else 255)
        return dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']])

    propagator = model.tracker
    if kind == 'mmvos.PartTracker':
        propagator = model.tracker.propagator
    propagator.size = propagator.train_size = 64
    masks = [tiny_segmenter.square_mask(20 + 4 * t, 20) for t in range(2)]
    stacked = np.stack(masks)[:, None]
    kinds = np.array([[2], [1]])
    sample = tiny_segmenter.clip_sample(stacked, stacked * 2.0 - 1, kinds)
    shape = (2, 3, tiny_segmenter.HEIGHT, tiny_segmenter.WIDTH)
    images = torch.randint(0, 255, shape, dtype=torch.uint8)
    return dict(inputs=[images], data_samples=[sample])


def waits_of_a_step(name: str) -> Waits:
    """Count the waits of a training step of a config, by place."""
    config = test_configs.load(name)
    kind = test_configs.kind(config)
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    content = training_batch(model, kind)
    model = model.to(pretended_device.NAME).train()
    settings = config.optim_wrapper.to_dict()
    settings['optimizer']['lr'] = 1e-4
    settings['dtype'] = 'float32'
    wrapper = build_optim_wrapper(model, settings)
    with pretended_device.PretendedDevice():
        pretended_device.WAITS.clear()
        model.train_step(content, wrapper)
    return by_place(1)


def main() -> None:
    """Count what the arguments ask for."""
    pretended_device.install()
    out, what, *names = sys.argv[1:]
    if what == 'frames':
        found = waits_of_systems(names[0] if names else '')
    else:
        found = {}
        for name in names or test_configs.NAMES:
            config = test_configs.load(name)
            is_ours = test_configs.kind(config) != 'MaskTrackRCNNTracker'
            if is_ours and 'optim_wrapper' in config:
                found[name] = waits_of_a_step(name)
    Path(out).write_text(json.dumps(found, indent=1))


if __name__ == '__main__':
    main()
