"""TrainingClips: the objects of a batch of clips, as the loss of mask propagation walks through
them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from mmdet.structures import TrackDataSample
from torch import Tensor

from mmvos.ops.masks import pad_maps


@dataclass(frozen=True)
class TrainingClips:
    """K objects in B clips of T frames, which are padded to H x W.

    Attributes:
        clip_index: of each object its clip.
        masks: (K, T, H, W) in {0, 1}.
        guides: (K, T, H, W) in [-1, 1], 0 in the padding.
        kinds: (K, T) int64, ``GuideKind``.
        clicks: (K, T, P, 3) rows x, y, sign in frame pixels, sign 0 is none; None without clicks.
    """

    clip_index: list[int]
    masks: Tensor
    guides: Tensor
    kinds: Tensor
    clicks: Tensor | None

    @classmethod
    def stack(
        cls, inputs: Tensor, data_samples: list[TrackDataSample], with_clicks: bool
    ) -> TrainingClips:
        """Stack what the samples hold.

        Args:
            inputs: (B, T, 3, H, W), the padded frames.
            data_samples: B clips of T frames with ``masks``, ``guides`` and ``guide_kinds`` of the
                same objects, and maybe ``clicks``.
            with_clicks: whether clicks are wanted.
        """
        size = tuple(inputs.shape[-2:])
        clip_index, masks, guides, kinds, clicks = [], [], [], [], []
        for clip, sample in enumerate(data_samples):
            frames = [sample[t].gt_instances for t in range(len(sample))]
            clip_index += [clip] * len(frames[0])
            # (K of the clip, T, H, W)
            bitmaps = [frame.masks.to_tensor(torch.uint8, inputs.device) for frame in frames]
            masks.append(torch.stack([pad_maps(bitmap, size) for bitmap in bitmaps], dim=1))
            guides.append(torch.stack([pad_maps(frame.guides, size) for frame in frames], dim=1))
            kinds.append(torch.stack([frame.guide_kinds for frame in frames], dim=1))
            if with_clicks and 'clicks' in frames[0]:
                clicks.append(torch.stack([frame.clicks for frame in frames], dim=1))
        return cls(
            clip_index,
            torch.cat(masks),
            torch.cat(guides),
            torch.cat(kinds),
            torch.cat(clicks) if clicks else None,
        )
