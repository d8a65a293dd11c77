"""MaskTrackRCNN: finds, segments and tracks all instances of known classes (Yang et al., Video
Instance Segmentation, ICCV 2019).

mmdet's two-stage detector with a mask head, plus a track head on the box head's RoI features and a
memory of the instances seen.

B images or pairs of images, N detections or RoIs, S x S the resolution of a mask in its box, D the
embedding's length. Boxes are xyxy network pixels until the result is made.
"""

from __future__ import annotations

from typing import Any

import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.bbox import bbox2roi
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn import functional as F

from mmvos.ops.arrays import fetch
from mmvos.ops.masks import paste_in_box
from mmvos.ops.memory_format import to_channels_last
from mmvos.registry import MODELS
from mmvos.structures import Frame, FrameResult, Prompts, TrackedObject
from mmvos.structures.rle import RLE, encode_crop

from ..video_model import VideoModel
from .detection_at_once import classify, propose
from .instance_memory import MemoryState
from .mmdet05_compat import continuous_boxes, legacy_paste
from .reference_features import can_compute_in_part, features_of_pairs

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
        legacy: boxes are inclusive and masks pasted as in mmdet 0.5 (see ``mmdet05_compat``), for
            the published weights only.
        init_cfg: mmengine's weight initialization.
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
        self.both_frames_as_key = both_frames_as_key
        self.legacy = legacy
        if channels_last:
            to_channels_last(self)

    def init_state(self) -> MemoryState:
        """Return an empty memory. It is on the host, where detections are matched with it."""
        last = self.track_head.fcs[-1]
        return self.memory.start(last.out_features, 'cpu')

    def step(
        self, frame: Frame, state: MemoryState, prompts: Prompts | None = None
    ) -> tuple[MemoryState, FrameResult]:
        """Find the objects of a frame and name them; see ``VideoModel.step``.

        Raises:
            ValueError: a prompt is given; this model finds its objects itself.
        """
        if prompts is not None:
            raise ValueError(
                f'frame {frame.meta.index} has a prompt, but MaskTrack R-CNN takes none: it finds '
                f'its objects'
            )
        with self.autocast(frame.image.device):
            # Detect objects, and embed their boxes.
            features = frame.features(self, self.extract_features)
            at_once = None
            if frame.image.device.type != 'cpu' and not self.legacy:
                at_once = self._detect_at_once(features, frame)
            if at_once is None:
                found = self._detect(features, frame)
                embeddings = self._embed(features, [found.bboxes]).cpu()
                found = found.to('cpu')
                found_masks = None
            else:
                found, embeddings, found_masks = at_once

            # Match them to the instances that are remembered; those without id are dropped.
            boxes = found.bboxes
            if self.legacy:
                boxes = continuous_boxes(boxes / _scale(found, frame))
            state, ids = self.memory.match(state, embeddings, boxes, found.labels, found.scores)
            is_named = ids > 0
            found = found[is_named]
            ids = ids[is_named]

            # Segment what is left, or take what was segmented with the others.
            if found_masks is None:
                masks = self._segment(features, found).cpu()
            else:
                masks = found_masks[is_named]
        return state, self._result(frame, found, ids, masks)

    def remove(self, state: MemoryState, object_id: int) -> MemoryState:
        """Return the state in which an object is still recognized, so that it gets no new id, but
        shown no more.

        Raises:
            ValueError: no object with this id has been seen, or it was removed before.
        """
        return self.memory.remove(state, object_id)

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
        """Return detection losses on the key frames, and the track loss between key and reference
        frames.

        Args:
            inputs: (B, 2, 3, H, W) normalized.
            data_samples: B pairs of one key and one reference frame.

        Returns:
            ``loss_rpn_cls``, ``loss_rpn_bbox``, ``loss_cls``, ``loss_bbox``, ``loss_mask``,
            ``loss_match`` and accuracies.
        """
        assert inputs.dim() == 5 and inputs.shape[1] == 2, (
            f'a key and a reference frame per sample, got {tuple(inputs.shape)}'
        )

        # (2B, 3, H, W): the key frames, then their reference frames, in one pass
        pairs = torch.arange(len(inputs))
        key_index = torch.tensor([sample.key_frames_inds[0] for sample in data_samples])
        images = torch.cat([inputs[pairs, key_index], inputs[pairs, 1 - key_index]])
        key_samples = [sample.get_key_frames()[0] for sample in data_samples]
        reference_samples = [sample.get_ref_frames()[0] for sample in data_samples]
        samples = key_samples + reference_samples

        # The first frames of this list are those that the detector learns from; RoIs of the last
        # ones, their partners, are embedded only.
        learned = samples if self.both_frames_as_key else key_samples
        partners = samples if self.both_frames_as_key else reference_samples
        learned_features, partner_features = self._features_of_pairs(images, learned, partners)

        # RPN loss and proposals, of which RoIs are sampled once for all heads
        losses, proposals = self._rpn_loss(learned_features, learned)
        sampled = self._sample(proposals, learned)

        # box, mask and track loss
        roi_head = self.detector.roi_head
        box = roi_head.bbox_loss(learned_features, sampled)
        losses.update(box['loss_bbox'])
        instances = [sample.gt_instances for sample in learned]
        mask = roi_head.mask_loss(learned_features, sampled, box['bbox_feats'], instances)
        losses.update(mask['loss_mask'])
        losses.update(self._track_loss(box['bbox_feats'], sampled, samples, partner_features))
        return losses

    def extract_features(self, images: Tensor) -> Features:
        """Compute the FPN levels P2 to P6, float32, of (B, 3, H, W) images."""
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return tuple(level.float() for level in self.detector.extract_feat(images))

    def _features_of_pairs(
        self, images: Tensor, learned: list[DetDataSample], partners: list[DetDataSample]
    ) -> tuple[Features, Features]:
        """Return the levels of the images that the detector learns from, and of their partners.

        Args:
            images: (2B, 3, H, W), key frames and then their reference frames.
            learned: of the first B images, or of all.
            partners: of the last B images, or of all. Of their levels only those are there that
                regions are sampled from, and where these are reference frames only their boxes
                with what is near them may be computed.
        """
        detector = self.detector
        extractor = detector.roi_head.bbox_roi_extractor
        # A GPU would be asked where the boxes are, and is not.
        is_apart = len(learned) < len(images) and images.device.type == 'cpu'
        if not is_apart or not can_compute_in_part(detector.neck, extractor):
            features = self.extract_features(images)
            of_learned = tuple(level[: len(learned)] for level in features)
            return of_learned, tuple(level[-len(partners) :] for level in features)

        # The backbone sees all, and the pyramid of reference frames is computed near their boxes.
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        regions = bbox2roi([sample.gt_instances.bboxes for sample in partners])
        stages = detector.backbone(images)
        key_levels, parts = features_of_pairs(detector.neck, extractor, stages, regions)
        return tuple(level.float() for level in key_levels), tuple(part.float() for part in parts)

    def _rpn_loss(
        self, features: Features, samples: list[DetDataSample]
    ) -> tuple[dict[str, Tensor], list[InstanceData]]:
        """Return the RPN's losses and proposals."""
        # The RPN tells object from background: its ground truth has label 0 only.
        objects = []
        for sample in samples:
            instances = sample.gt_instances.new()
            instances.bboxes = sample.gt_instances.bboxes
            instances.labels = torch.zeros_like(sample.gt_instances.labels)
            objects.append(instances)
        metas = [sample.metainfo for sample in samples]
        scores, deltas = self._rpn(features)
        head = self.detector.rpn_head
        losses = head.loss_by_feat(scores, deltas, objects, metas)
        proposals = head.predict_by_feat(
            scores, deltas, batch_img_metas=metas, cfg=self.detector.train_cfg.rpn_proposal
        )
        return losses, proposals

    def _rpn(self, features: Features) -> tuple[list[Tensor], list[Tensor]]:
        """Return the RPN's scores and deltas of each level, float32."""
        # mmdet would bring the shapes of the anchors to the device in every pass
        generator = self.detector.rpn_head.prior_generator
        place = features[0].device
        generator.base_anchors = [shape.to(place) for shape in generator.base_anchors]
        scores, deltas = self.detector.rpn_head(features)
        return [level.float() for level in scores], [level.float() for level in deltas]

    def _sample(self, proposals: list[InstanceData], samples: list[DetDataSample]) -> list[Any]:
        """Sample RoIs once, for the box, the mask and the track loss."""
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
        """Return the track loss of the positive RoIs of the key frames against the ground-truth
        boxes of the frames they are paired with.

        Args:
            roi_features: of the sampled RoIs, image by image, the positive ones of an image first.
            sampled: of the first B images, or of all 2B.
            samples: of 2B images, of which i and i + B are a pair.
            features: of the images that are partners of those: the last B, or all.
        """
        # Embed the positive RoIs of each image.
        counts = [len(item.pos_priors) for item in sampled]
        positive = []
        start = 0
        for item, count in zip(sampled, counts):
            positive.append(roi_features[start : start + count])
            start += count + len(item.neg_priors)
        key_embeddings = self.track_head.embed(torch.cat(positive)).split(counts)

        # Embed the ground-truth boxes of their partners.
        partners = [(i + len(samples) // 2) % len(samples) for i in range(len(sampled))]
        first = min(partners)
        boxes = [sample.gt_instances.bboxes for sample in samples[first:]]
        embedded = self._embed(features, boxes).split([len(item) for item in boxes])

        # The target of an RoI is the place of its object among the partner's.
        targets = []
        for i, (partner, item) in enumerate(zip(partners, sampled)):
            key_ids = samples[i].gt_instances.instances_ids
            reference_ids = samples[partner].gt_instances.instances_ids
            places = _same_object(key_ids, reference_ids)
            targets.append(places[item.pos_assigned_gt_inds])
        references = [embedded[partner - first] for partner in partners]
        return self.track_head.loss(list(key_embeddings), references, targets)

    def _embed(self, features: Features, boxes: list[Tensor]) -> Tensor:
        """Embed the boxes of each image: (sum of their numbers, D)."""
        extractor = self.detector.roi_head.bbox_roi_extractor
        roi_features = extractor(features[: extractor.num_inputs], bbox2roi(boxes))
        return self.track_head.embed(roi_features)

    def _detect(self, features: Features, frame: Frame) -> InstanceData:
        """Detect the objects of a frame: ``bboxes`` (N, 4), ``scores`` (N,), ``labels`` (N,)."""
        meta = dict(
            img_shape=frame.meta.network_shape,
            ori_shape=frame.meta.original_shape,
            scale_factor=frame.meta.scale,
        )
        test_cfg = self.detector.test_cfg
        scores, deltas = self._rpn(features)
        proposals = self.detector.rpn_head.predict_by_feat(
            scores, deltas, batch_img_metas=[meta], cfg=test_cfg.rpn
        )
        roi_head = self.detector.roi_head
        return roi_head.predict_bbox(features, [meta], proposals, test_cfg.rcnn)[0]

    def _detect_at_once(
        self, features: Features, frame: Frame
    ) -> tuple[InstanceData, Tensor, Tensor] | None:
        """Detect, embed and segment the objects of a frame, of which the host hears once.

        Returns:
            What ``_detect``, ``_embed`` and ``_segment`` give, on the host; None where the answer
            is not mmdet's, see ``detection_at_once``.
        """
        test_cfg = self.detector.test_cfg
        roi_head = self.detector.roi_head
        shape = frame.meta.network_shape

        # proposals, and what the box head says about them
        scores, deltas = self._rpn(features)
        proposals = propose(self.detector.rpn_head, scores, deltas, shape, test_cfg.rpn)
        output = roi_head._bbox_forward(features, _as_rois(proposals.boxes))
        boxes = classify(
            roi_head.bbox_head,
            proposals,
            output['cls_score'].float(),
            output['bbox_pred'].float(),
            shape,
            test_cfg.rcnn,
        )

        # embeddings and masks, also of empty places
        places = InstanceData(bboxes=boxes.boxes, labels=boxes.labels)
        embeddings = self._embed(features, [boxes.boxes]).float()
        masks = self._segment(features, places)
        fetched = fetch(boxes.is_exact, boxes.boxes, boxes.scores, boxes.labels, embeddings, masks)
        is_exact, *arrays = fetched
        if not is_exact:
            return None
        own_boxes, own_scores, own_labels, own_embeddings, own_masks = map(torch.from_numpy, arrays)
        is_there = own_scores >= 0
        found = InstanceData(
            bboxes=own_boxes[is_there], scores=own_scores[is_there], labels=own_labels[is_there]
        )
        return found, own_embeddings[is_there], own_masks[is_there]

    def _segment(self, features: Features, found: InstanceData) -> Tensor:
        """Compute mask probabilities (N, S, S), each of its own class, inside its box."""
        head = self.detector.roi_head
        extractor = head.mask_roi_extractor
        rois = _as_rois(found.bboxes.to(features[0].device))
        mask_features = extractor(features[: extractor.num_inputs], rois)
        logits = head.mask_head(mask_features)  # (N, classes, S, S)
        channel = found.labels.to(logits.device)
        if head.mask_head.class_agnostic:
            channel = torch.zeros_like(channel)
        number = torch.arange(len(found), device=logits.device)
        return logits[number, channel].float().sigmoid()

    def _result(self, frame: Frame, found: InstanceData, ids: Tensor, masks: Tensor) -> FrameResult:
        """Make the frame's result in original pixels, ordered by id.

        Args:
            frame: the frame.
            found: N detections, on the host as all else.
            ids: (N,).
            masks: (N, S, S) probabilities.
        """
        # boxes in original pixels, and how masks are pasted into them
        shape = frame.meta.original_shape
        threshold = self.detector.test_cfg.rcnn.mask_thr_binary
        boxes = found.bboxes / _scale(found, frame)
        shown_boxes = boxes
        paste = _paste
        if self.legacy:
            height, width = shape
            corner = boxes.new_tensor([width, height, width, height])
            shown_boxes = continuous_boxes(boxes).minimum(corner)
            paste = legacy_paste

        # one object after the other
        order = ids.argsort().tolist()
        labels = found.labels
        scores = found.scores.float()
        objects = []
        for i in order:
            item = TrackedObject(
                id=int(ids[i]),
                label=int(labels[i]),
                score=float(scores[i]),
                box=tuple(shown_boxes[i].tolist()),
                mask=paste(masks[i], boxes[i], shape, threshold),
            )
            objects.append(item)
        return FrameResult(frame.meta.index, shape, tuple(objects))


def _as_rois(boxes: Tensor) -> Tensor:
    """Return boxes (N, 4) of the only image as regions (N, 5)."""
    return F.pad(boxes, (1, 0))


def _scale(found: InstanceData, frame: Frame) -> Tensor:
    """Return network pixels per original pixel (4,), of a box's coordinates."""
    return found.bboxes.new_tensor(frame.meta.scale).repeat(2)


def _paste(mask: Tensor, box: Tensor, shape: tuple[int, int], threshold: float) -> RLE:
    """Paste a mask (S, S) into its box (4,), binarized at ``threshold``."""
    crop, top, left = paste_in_box(mask, box, *shape)
    return encode_crop((crop >= threshold).numpy(), top, left, *shape)


def _same_object(key_ids: Tensor, reference_ids: Tensor) -> Tensor:
    """Find the objects of the key frame in the reference frame.

    Args:
        key_ids: (N,).
        reference_ids: (M,).

    Returns:
        (N,): 1 + the object's place among the reference frame's, 0 where it is absent.
    """
    is_same = key_ids[:, None] == reference_ids[None, :]

    # argmax gives the first of equal values: 0 where nothing is the same
    return F.pad(is_same.to(torch.uint8), (1, 0)).argmax(dim=1)
