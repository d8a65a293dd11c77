"""OnlineFineTuner: adapts a model to the objects of one video, from the frame in which they are
given.

Perazzi et al., Learning Video Object Segmentation from Static Images (MaskTrack), CVPR 2017,
section 3.2. One copy of the network for all objects of the video; each training sample is about one
of them, and the others are background to it. The model itself never changes, so that there is
nothing to restore after the video.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, product
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from numpy.typing import NDArray

from mmvos.datasets.transforms.mask_deformations import online_set
from mmvos.deprecation import accept_old_options
from mmvos.models import VideoModel
from mmvos.optimize import optimize
from mmvos.option_ranges import COUNT, COUNT_OR_ZERO, options_in
from mmvos.registry import TASK_UTILS
from mmvos.structures import Frame, FrameResult, GuideKind, Prompts
from mmvos.structures.rle import decode

# Of the augmentations: the same for each video, so that a result does not depend on the others.
SEED = 0


@TASK_UTILS.register_module()
@accept_old_options(removed=('seed',))
@options_in(COUNT, 'steps', 'batch_size')
@options_in(COUNT_OR_ZERO, 'iterations')
class OnlineFineTuner:
    """Trains a copy of a prompted model on augmented copies of the frame with the first prompt,
    then runs it over the video.

    Objects that are given later are segmented by the adapted copy too, but it is not adapted again.

    Args:
        steps: iterations of the training; each is one call of the optimizer wrapper (which may
            accumulate gradients).
        batch_size: samples per iteration.
        optim_wrapper: config of the optimizer wrapper.
        pipeline: transforms that make a training clip of a still image with the mask of one object:
            ``img`` and ``gt_masks`` are lists of length 1.
        param_scheduler: configs of mmengine's schedulers, counted in iterations.
        iterations: 0, or how often the set of the paper's code is drawn (42 images, 84 pairs of
            image and guide each), which then goes through the pipeline instead of the still image.
    """

    def __init__(
        self,
        steps: int,
        batch_size: int,
        optim_wrapper: dict[str, Any],
        pipeline: Sequence[dict[str, Any]],
        param_scheduler: Sequence[dict[str, Any]] = (),
        iterations: int = 0,
    ) -> None:
        self.steps = steps
        self.batch_size = batch_size
        self.iterations = iterations
        self.optim_wrapper = optim_wrapper
        self.param_scheduler = list(param_scheduler)
        self.pipeline = Compose(pipeline)
        self.precision = torch.float32  # of the copy that goes over the video
        self.seconds = 0.0  # spent in adapting, all videos together

    def run(
        self, model: VideoModel, frames: Iterable[Frame], prompts: Mapping[int, Prompts]
    ) -> Iterator[FrameResult]:
        """``VideoModel.run`` with a copy of the model adapted to the first prompt; the model must
        not have been optimized.
        """
        frames = iter(frames)
        for frame in frames:
            if frame.meta.index in prompts:
                # keeps no features
                tuned = self.adapted(
                    model, Frame(frame.image, frame.meta), prompts[frame.meta.index]
                )
                yield from tuned.run(chain([frame], frames), prompts)
                return
            yield from model.run([frame])
        yield from model.run((), prompts)  # says which frame did not come

    def adapted(self, model: VideoModel, frame: Frame, prompts: Prompts) -> VideoModel:
        """Make a copy of the model, trained on a frame with its prompts, in evaluation mode and
        optimized.
        """
        started = time.perf_counter()

        # 1. The masks of the objects in this frame, as the model has them after the prompts.
        with torch.no_grad():  # a box becomes a mask
            _, result = model.eval().step(frame, model.init_state(), prompts)
        height, width = frame.meta.network_shape
        masks = [_resized(decode(item.mask), height, width) for item in result.objects]
        masks = [mask for mask in masks if mask.any()]

        # 2. Train the copy; what the process draws afterwards is not changed by it.
        tuned = copy.deepcopy(model)
        if masks:
            image = _pixels(model, frame)[:height, :width]
            state = np.random.get_state()
            np.random.seed(SEED)  # the transforms draw from numpy's global generator
            with torch.random.fork_rng(), torch.enable_grad():
                torch.manual_seed(SEED)
                self._train(tuned.train(), self._items(image, masks))
            np.random.set_state(state)

        # 3. Make it fast for the frames of the video.
        self.seconds += time.perf_counter() - started
        return optimize(tuned.eval(), self.precision)

    def _train(self, model: VideoModel, items: Iterator[dict[str, Any]]) -> None:
        """Train for `steps` iterations; a line of log every ten seconds."""
        wrapper = build_optim_wrapper(model, copy.deepcopy(self.optim_wrapper))
        schedulers = [
            PARAM_SCHEDULERS.build(dict(config, optimizer=wrapper))
            for config in self.param_scheduler
        ]
        logger = MMLogger.get_current_instance()
        shown = time.perf_counter()
        for step in range(1, self.steps + 1):
            # One step: a batch of new clips of the prompted frame.
            samples = [self.pipeline(next(items)) for _ in range(self.batch_size)]
            batch = pseudo_collate(samples)
            with wrapper.optim_context(model):
                losses = model(**model.data_preprocessor(batch, True), mode='loss')
                loss, values = model.parse_losses(losses)
            wrapper.update_params(loss)
            for scheduler in schedulers:
                scheduler.step()
            if step == self.steps or time.perf_counter() - shown > 10:
                shown = time.perf_counter()
                logger.info(
                    f'online fine-tuning: step {step} of {self.steps}, loss '
                    f'{float(values["loss"].detach()):.4f}'
                )

    def _items(
        self, image: NDArray[np.uint8], masks: list[NDArray[np.uint8]]
    ) -> Iterator[dict[str, Any]]:
        """What goes into the pipeline, without end."""
        if not self.iterations:
            while True:
                yield _item(image, masks[np.random.randint(len(masks))])

        # one epoch; drawn again in the next instead of being kept, which would take a gigabyte
        while True:
            rng = np.random.default_rng(SEED)
            for _, mask in product(range(self.iterations), masks):
                for turned, target, guide in online_set(image, mask.astype(bool), rng):
                    yield _item(turned, target.astype(np.uint8), guide)


def _resized(mask: NDArray[np.bool_], height: int, width: int) -> NDArray[np.uint8]:
    return np.asarray(
        cv2.resize(mask.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST),
        dtype=np.uint8,
    )


def _item(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], guide: NDArray[np.bool_] | None = None
) -> dict[str, Any]:
    """A clip of one frame with one object, as a pipeline takes it."""
    height, width = mask.shape
    item = dict(
        img=[image],
        img_shape=[(height, width)],
        ori_shape=[(height, width)],
        img_id=[0],
        frame_id=[0],
        video_id=[0],
        img_path=['the frame with the prompt'],
        gt_masks=[BitmapMasks(mask[None], height, width)],
        gt_instances_ids=[np.array([1])],
    )

    # A guide in [-1, 1] that a user has given, which may be wrong.
    if guide is not None:
        item.update(
            gt_guides=[guide[None].astype(np.float32) * 2 - 1],
            gt_guide_kinds=[np.array([GuideKind.PERTURBED])],
        )
    return item


def _pixels(model: VideoModel, frame: Frame) -> NDArray[np.uint8]:
    """The frame (H, W, 3) uint8 BGR as it was before the data preprocessor."""
    preprocessor = model.data_preprocessor
    image = frame.image
    if preprocessor._enable_normalize:
        image = image * preprocessor.std + preprocessor.mean
    if preprocessor._channel_conversion:
        image = image.flip(1)
    pixels: NDArray[np.uint8] = (
        image[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    )
    return np.ascontiguousarray(pixels)
