"""Packing a pair; this is what a siamese tracker's ``loss`` reads.

    inputs: (2, 3, S, S) uint8 BGR. inputs[0] has the template in its upper left corner (img_shape
        of the first sample says how much of it, (127, 127); the rest is 0), inputs[1] is the search
        image. S is the search image's side, 255 or 143.
    data_samples: TrackDataSample of two DetDataSamples, template and search, each with
        gt_instances.bboxes: (1, 4) float32 xyxy of its object, in pixels of the crop with the
        origin in the center of its first
            pixel, as anchors are (the middle of a search image of 255 is 127); it may reach beyond
            the crop.
        gt_instances.masks: BitmapMasks (1, s, s) of its object, s the side of the crop; empty where
            only the box is known.
        metainfo: img_shape, img_path, img_id, frame_id, video_id, and, the same in both, negative:
            bool, the two show different objects; the search image's box and mask are then not the
            template's. has_mask: bool, the masks are known and the pair is not negative.

A batch comes out of mmdet's ``TrackDataPreprocessor`` as inputs (B, 2, 3, S, S) and a list of B
samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData

from mmvos.registry import TRANSFORMS

_META = ('img_shape', 'img_path', 'img_id', 'frame_id', 'video_id', 'negative', 'has_mask')


@TRANSFORMS.register_module()
class PackPair(BaseTransform):
    """Pack the lists of a pair into dict(inputs, data_samples); see the header."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read ``img``, ``gt_bboxes``, ``gt_masks`` and the metainfo of the pair, lists of two."""
        template, search = results['img']
        assert len(template) <= len(search), 'the template is larger than the search image'

        # (2, S, S, 3): the template in the upper left corner
        inputs = np.zeros((2, *search.shape), dtype=search.dtype)
        inputs[0, : len(template), : len(template)] = template
        inputs[1] = search
        samples = []
        for t in range(2):
            bboxes = torch.from_numpy(results['gt_bboxes'][t])
            instances = InstanceData(bboxes=bboxes, masks=results['gt_masks'][t])
            metainfo = {key: results[key][t] for key in _META}
            samples.append(DetDataSample(gt_instances=instances, metainfo=metainfo))
        return dict(
            inputs=torch.from_numpy(np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))),
            data_samples=TrackDataSample(video_data_samples=samples),
        )

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
