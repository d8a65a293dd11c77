"""MaskTrackRCNN: finds, segments and tracks all instances of known classes (Yang et al., Video
Instance Segmentation, ICCV 2019).

mmdet's two-stage detector with a mask head, plus a track head on the box head's RoI features and a
memory of the instances seen. B images, N detections or RoIs, D the embedding's length; boxes are
xyxy network pixels until the result is made.
"""

from __future__ import annotations

from typing import Any

import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.bbox import bbox2roi
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn import functional as F

from mmvos.ops.masks import paste_in_box
from mmvos.registry import MODELS
from mmvos.structures import Frame, FrameResult, Prompts, TrackedObject
from mmvos.structures.rle import RLE, encode_crop

from ..video_model import VideoModel
from .instance_memory import MemoryState
from .mmdet05_compat import continuous_boxes, legacy_paste

Features = tuple[Tensor, ...]


@MODELS.register_module()
class MaskTrackRCNN(VideoModel):
    """Video instance segmentation with a two-stage detector.

    Args:
        detector: config of an mmdet two-stage detector with RPN, box head and mask head.
        track_head: config of the track head.
        memory: config of the instance memory.
        data_preprocessor: config of mmdet's ``TrackDataPreprocessor``.
        channels_last: see ``VideoModel``.
        both_frames_as_key: in training each frame of a pair is also the other's key frame, so that
            one pass of the backbone gives twice the detection losses; the paper has them on one
            frame only.
        legacy: boxes are inclusive and masks pasted as in mmdet 0.5 (see ``legacy_numerics``), for
            the published weights only.
        init_cfg: mmengine's weight initialisation.
    """

    def __init__(
        self,
        detector: dict[str, Any],
        track_head: dict[str, Any],
        memory: dict[str, Any],
        data_preprocessor: dict[str, Any],
        channels_last: bool = False,
        both_frames_as_key: bool = False,
        legacy: bool = False,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor, channels_last, init_cfg)
        self.detector = MODELS.build(detector)
        self.track_head = MODELS.build(track_head)
        self.memory = MODELS.build(memory)
        self.both_frames_as_key, self.legacy = both_frames_as_key, legacy
        if channels_last:
            self.to(memory_format=torch.channels_last)

    def init_state(self) -> MemoryState:
        """An empty memory."""
        last = self.track_head.fcs[-1]
        return self.memory.start(last.out_features, last.bias.device)

    def step(
        self, frame: Frame, state: MemoryState, prompts: Prompts | None = None
    ) -> tuple[MemoryState, FrameResult]:
        """Finds the objects of a frame and names them; see ``VideoModel.step``.

        Raises:
            ValueError: a prompt is given; this model finds its objects itself.
        """
        if prompts is not None:
            raise ValueError(
                f'frame {frame.meta.index} has a prompt, but MaskTrack R-CNN takes none: it finds '
                f'its objects'
            )
        with self.autocast(frame.image.device):
            features = frame.features(self, self.extract_features)
            found = self._detect(features, frame)
            embeddings = self._embed(features, [found.bboxes])
            places = (
                continuous_boxes(found.bboxes / _scale(found, frame))
                if self.legacy
                else found.bboxes
            )
            state, ids = self.memory.match(state, embeddings, places, found.labels, found.scores)
            kept = ids > 0
            found, ids = found[kept], ids[kept]
            masks = self._segment(features, found)
        return state, self._result(frame, found, ids, masks)

    def remove(self, state: MemoryState, object_id: int) -> MemoryState:
        """The state in which an object is still recognised, so that it gets no new id, but shown no
        more.

        Raises:
            ValueError: no object with this id has been seen, or it was removed before.
        """
        return self.memory.remove(state, object_id)

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Detection losses on the key frames, and the track loss between key and reference frames.

        Args:
            inputs: (B, 2, 3, H, W) normalised.
            data_samples: B pairs of one key and one reference frame.

        Returns:
            ``loss_rpn_cls``, ``loss_rpn_bbox``, ``loss_cls``, ``loss_bbox``, ``loss_mask``,
            ``loss_match`` and accuracies.
        """
        assert inputs.dim() == 5 and inputs.shape[1] == 2, (
            f'a key and a reference frame per sample, got {tuple(inputs.shape)}'
        )
        key_index = torch.tensor([sample.key_frames_inds[0] for sample in data_samples])
        images = torch.arange(len(inputs))
        # (2B, 3, H, W)
        both = torch.cat([inputs[images, key_index], inputs[images, 1 - key_index]])
        features = self.extract_features(both)
        samples = [s.get_key_frames()[0] for s in data_samples] + [
            s.get_ref_frames()[0] for s in data_samples
        ]
        keys = samples if self.both_frames_as_key else samples[: len(data_samples)]
        key = tuple(level[: len(keys)] for level in features)

        losses, proposals = self._rpn_loss(key, keys)
        sampled = self._sample(proposals, keys)
        box = self.detector.roi_head.bbox_loss(key, sampled)
        losses.update(box['loss_bbox'])
        instances = [sample.gt_instances for sample in keys]
        losses.update(
            self.detector.roi_head.mask_loss(key, sampled, box['bbox_feats'], instances)[
                'loss_mask'
            ]
        )
        losses.update(self._track_loss(box['bbox_feats'], sampled, samples, features))
        return losses

    def extract_features(self, images: Tensor) -> Features:
        """FPN levels P2 to P6, float32, of (B, 3, H, W) images."""
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return tuple(level.float() for level in self.detector.extract_feat(images))

    def _rpn_loss(
        self, features: Features, samples: list[DetDataSample]
    ) -> tuple[dict[str, Tensor], list[InstanceData]]:
        """RPN losses and proposals. The RPN tells object from background, so its ground truth has
        label 0 only.
        """
        head = self.detector.rpn_head
        objects = []
        for sample in samples:
            instances = sample.gt_instances.new()
            instances.bboxes = sample.gt_instances.bboxes
            instances.labels = torch.zeros_like(sample.gt_instances.labels)
            objects.append(instances)
        metas = [sample.metainfo for sample in samples]
        scores, deltas = ([level.float() for level in out] for out in head(features))
        losses = head.loss_by_feat(scores, deltas, objects, metas)
        proposals = head.predict_by_feat(
            scores, deltas, batch_img_metas=metas, cfg=self.detector.train_cfg.rpn_proposal
        )
        return losses, proposals

    def _sample(self, proposals: list[InstanceData], samples: list[DetDataSample]) -> list[Any]:
        """Samples RoIs once, for the box, the mask and the track loss."""
        head = self.detector.roi_head
        sampled = []
        for proposal, sample in zip(proposals, samples):
            priors = InstanceData(priors=proposal.bboxes.detach())
            assigned = head.bbox_assigner.assign(priors, sample.gt_instances)
            sampled.append(head.bbox_sampler.sample(assigned, priors, sample.gt_instances))
        return sampled

    def _track_loss(
        self,
        roi_features: Tensor,
        sampled: list[Any],
        samples: list[DetDataSample],
        features: Features,
    ) -> dict[str, Tensor]:
        """Track loss of the positive RoIs of the key frames against the ground-truth boxes of the
        frames they are paired with.

        ``samples`` and ``features`` are of 2B frames, of which i and i + B are a pair; ``sampled``
        of the first B or of all.
        """
        counts = [len(s.pos_priors) for s in sampled]
        starts = (
            torch.tensor([0] + [len(s.pos_priors) + len(s.neg_priors) for s in sampled])
            .cumsum(0)
            .tolist()
        )
        positive = torch.cat(
            [roi_features[start : start + count] for start, count in zip(starts, counts)]
        )
        key = self.track_head.embed(positive).split(counts)
        partner = [(i + len(samples) // 2) % len(samples) for i in range(len(sampled))]
        boxes = [
            s.gt_instances.bboxes[: None if i in partner else 0] for i, s in enumerate(samples)
        ]
        embedded = self._embed(features, boxes).split([len(b) for b in boxes])
        targets = [
            _same_object(
                samples[i].gt_instances.instances_ids, samples[j].gt_instances.instances_ids
            )[s.pos_assigned_gt_inds]
            for i, (j, s) in enumerate(zip(partner, sampled))
        ]
        return self.track_head.loss(list(key), [embedded[j] for j in partner], targets)

    def _embed(self, features: Features, boxes: list[Tensor]) -> Tensor:
        """Embeddings of the boxes of each image: (sum of their numbers, D)."""
        extractor = self.detector.roi_head.bbox_roi_extractor
        return self.track_head.embed(extractor(features[: extractor.num_inputs], bbox2roi(boxes)))

    def _detect(self, features: Features, frame: Frame) -> InstanceData:
        """Detections of one frame: ``bboxes`` (N, 4), ``scores`` (N,), ``labels`` (N,)."""
        meta = dict(
            img_shape=frame.meta.network_shape,
            ori_shape=frame.meta.original_shape,
            scale_factor=frame.meta.scale,
        )
        head, test_cfg = self.detector.rpn_head, self.detector.test_cfg
        scores, deltas = ([level.float() for level in out] for out in head(features))
        proposals = head.predict_by_feat(scores, deltas, batch_img_metas=[meta], cfg=test_cfg.rpn)
        return self.detector.roi_head.predict_bbox(features, [meta], proposals, test_cfg.rcnn)[0]

    def _segment(self, features: Features, found: InstanceData) -> Tensor:
        """Mask probabilities (N, S, S) of the detections, each of its own class, inside its box."""
        head = self.detector.roi_head
        rois = bbox2roi([found.bboxes])
        mask_features = head.mask_roi_extractor(
            features[: head.mask_roi_extractor.num_inputs], rois
        )
        logits = head.mask_head(mask_features)  # (N, classes, S, S)
        channel = torch.zeros_like(found.labels) if head.mask_head.class_agnostic else found.labels
        return logits[torch.arange(len(found), device=logits.device), channel].float().sigmoid()

    def _result(self, frame: Frame, found: InstanceData, ids: Tensor, masks: Tensor) -> FrameResult:
        """The frame's result in original pixels; ordered by id."""
        boxes = places = (found.bboxes / _scale(found, frame)).cpu()
        paste, threshold = (
            (legacy_paste if self.legacy else _paste),
            self.detector.test_cfg.rcnn.mask_thr_binary,
        )
        if self.legacy:
            height, width = frame.meta.original_shape
            places = continuous_boxes(boxes).minimum(
                boxes.new_tensor([width, height, width, height])
            )
        order = ids.argsort().tolist()
        masks, ids, labels, scores = (
            item.cpu() for item in (masks, ids, found.labels, found.scores.float())
        )
        return FrameResult(
            frame.meta.index,
            frame.meta.original_shape,
            tuple(
                TrackedObject(
                    int(ids[i]),
                    int(labels[i]),
                    float(scores[i]),
                    tuple(places[i].tolist()),
                    paste(masks[i], boxes[i], frame.meta.original_shape, threshold),
                )
                for i in order
            ),
        )


def _scale(found: InstanceData, frame: Frame) -> Tensor:
    """Network pixels per original pixel (4,), of a box's coordinates."""
    return found.bboxes.new_tensor(frame.meta.scale).repeat(2)


def _paste(mask: Tensor, box: Tensor, shape: tuple[int, int], threshold: float) -> RLE:
    """RLE of one mask (S, S) in its box, binarised at ``threshold``."""
    crop, top, left = paste_in_box(mask, box, *shape)
    return encode_crop((crop >= threshold).numpy(), top, left, *shape)


def _same_object(key_ids: Tensor, reference_ids: Tensor) -> Tensor:
    """For each object of the key frame 1 + its place among the reference frame's objects, 0 where
    it is absent.
    """
    same = key_ids[:, None] == reference_ids[None, :]
    # the first of equal values: 0 where nothing is the same
    return F.pad(same.to(torch.uint8), (1, 0)).argmax(dim=1)
