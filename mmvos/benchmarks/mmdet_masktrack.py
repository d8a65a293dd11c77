"""mmdet's own MaskTrackRCNN behind our ``VideoModel``, so that both are trained, tested and timed
by the same commands.

Importing this file registers ``mmvos.MMDetMaskTrackRCNN``; it is a measuring tool, not a part of
the package.
"""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models import MaskTrackRCNN as MMDetModel
from mmdet.structures import DetDataSample, TrackDataSample

from mmvos.models import VideoModel
from mmvos.ops.memory_format import to_channels_last
from mmvos.registry import MODELS
from mmvos.structures import Frame, FrameResult, Prompts, TrackedObject
from mmvos.structures.rle import encode


@MODELS.register_module()
class MMDetMaskTrackRCNN(VideoModel, MMDetModel):
    """mmdet's model, its losses, its tracker. The state of a video hangs on mmdet's tracker, so a
    step cannot be replayed.

    Where mmdet gives two detections of a frame the same id, the later one stays, as in mmdet's
    metric.

    Args:
        detector, track_head, tracker, data_preprocessor: as mmdet's.
        channels_last: see ``VideoModel``.
    """

    loss = MMDetModel.loss

    def __init__(
        self,
        detector: dict[str, Any],
        track_head: dict[str, Any],
        tracker: dict[str, Any],
        data_preprocessor: dict[str, Any],
        channels_last: bool = False,
    ) -> None:
        MMDetModel.__init__(self, detector, track_head, tracker, data_preprocessor)
        self.channels_last = channels_last
        self.compute_dtype = torch.float32
        if channels_last:
            to_channels_last(self)

    def init_state(self) -> None:
        """mmdet resets its tracker at frame 0."""

    def remove(self, state: None, object_id: int) -> None:
        """Refuse: mmdet's tracker forgets no single object.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"mmdet's tracker cannot remove object {object_id}")

    def step(
        self, frame: Frame, state: None, prompts: Prompts | None = None
    ) -> tuple[None, FrameResult]:
        """mmdet's prediction for one frame."""
        # the frame as mmdet packs it, a video of its own
        height, width = frame.image.shape[-2:]
        sample = DetDataSample(
            metainfo=dict(
                frame_id=frame.meta.index,
                ori_shape=frame.meta.original_shape,
                img_shape=frame.meta.network_shape,
                scale_factor=frame.meta.scale,
                batch_input_shape=(height, width),
                pad_shape=(height, width),
            )
        )
        video = TrackDataSample()
        video.video_data_samples = [sample]
        with self.autocast(frame.image.device):
            self.predict(frame.image[None], [video])

        # of each track the last row that has its id
        found = sample.pred_track_instances
        rows = {}
        for row, track in enumerate(found.instances_id.tolist()):
            rows[track] = row

        # ids count from 1
        objects = []
        for track, row in sorted(rows.items()):
            item = TrackedObject(
                id=track + 1,
                label=int(found.labels[row]),
                score=float(found.scores[row]),
                box=tuple(found.bboxes[row].tolist()),
                mask=encode(found.masks[row].cpu().numpy()),
            )
            objects.append(item)
        return None, FrameResult(frame.meta.index, frame.meta.original_shape, tuple(objects))
