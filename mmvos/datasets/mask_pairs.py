"""Pairs of a template and a search frame for a siamese tracker, cut out of whole frames while
training (Wang et al., CVPR 2019).

There is no step that writes crops to disk: a pair costs two decoded frames, and any data set with
masks or boxes is a source.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import BaseDataset

from mmvos.option_ranges import COUNT_OR_ZERO, SHARE, options_in
from mmvos.registry import DATASETS

from .pair_sources import View

_MAX_DRAWS = 8  # of a view of another object
_LISTED = (
    'img_path',
    'img_id',
    'frame_id',
    'video_id',
    'height',
    'width',
    'gt_bboxes',
    'last_bbox',
    'published_crop',
)


@DATASETS.register_module()
@options_in(COUNT_OR_ZERO, 'samples')
@options_in(SHARE, 'negative')
class MaskPairDataset(BaseDataset):
    """Pairs of frames of one object, from several sources.

    An item belongs to a source and is another pair each time: video, object and frames are drawn
    anew. With probability ``negative`` the search frame shows another object, of a source chosen
    with equal probability. An item with a ``seed`` (``OrientationBatchSampler`` sends one) seeds
    numpy's global generator, and with it all that is drawn for the pair.

    An item given to the pipeline is a dict of lists of two, template and search: ``img_path``,
    ``img_id``, ``frame_id``, ``video_id``, ``height``, ``width``, ``gt_bboxes`` ((1, 4) float32
    xyxy, continuous pixels), ``last_bbox`` ((4,), the box in the frame before, or None),
    ``published_crop`` (bool, see ``CropPair``), ``gt_masks`` (BitmapMasks of one mask, empty where
    only the box is known), ``negative`` (bool, the pair shows different objects) and ``has_mask``
    (bool, the masks are known and are the same object's); the last two are said twice.

    Args:
        sources: configs of ``MaskFolderPairs``, ``YouTubeVISPairs`` or ``ImagePairs``.
        samples: items of each source in an epoch; by default the number of its videos or images.
        negative: probability of a pair of different objects.
        pipeline: transforms.
        lazy_init: open the sources at first use.
    """

    def __init__(
        self,
        sources: Sequence[dict[str, Any]],
        samples: Sequence[int] | None = None,
        negative: float = 0.2,
        pipeline: Sequence[Any] = (),
        lazy_init: bool = False,
    ) -> None:
        if not sources or (samples is not None and len(samples) != len(sources)):
            raise ValueError(
                f'{len(sources)} sources and {len(samples or ())} numbers of samples do not belong '
                'together'
            )
        self.negative = negative
        self.sources: list[Any] = []
        self._configs = sources
        self._samples = samples
        # item after the last one of each source
        self._ends: np.ndarray = np.zeros(0, dtype=np.int64)
        super().__init__(pipeline=list(pipeline), lazy_init=lazy_init)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Open the sources; return one record for each."""
        self.sources = [DATASETS.build(config) for config in self._configs]
        samples = self._samples
        if not samples:
            samples = [len(source) for source in self.sources]
        # item i is of the first source whose end is above i
        self._ends = np.cumsum(samples)
        return [dict(samples=int(count)) for count in samples]

    def __len__(self) -> int:
        self.full_init()
        return int(self._ends[-1])

    @property
    def landscape(self) -> np.ndarray:
        """(len(self),) bool; all crops are squares, so that any of them fit into one batch."""
        return np.zeros(len(self), dtype=bool)

    def prepare_data(self, idx: int) -> Any:
        """Return a pair, after the pipeline.

        None (another item is taken) where the videos that were drawn show no object.

        Args:
            idx: of the item; it may carry a ``seed``.
        """
        seed = getattr(idx, 'seed', None)
        if seed is not None:
            np.random.seed(seed)
        rng = np.random.default_rng(np.random.randint(1 << 31))

        # Two views, of one object or of two different ones.
        source = int(np.searchsorted(self._ends, int(idx), side='right'))
        is_negative = bool(rng.random() < self.negative)
        drawn = self._draw_pair(source, is_negative, rng)
        if drawn is None:
            return None
        views = [_complete(view) for view in drawn]

        # Masks may be learned where both are known and of the same object.
        both_known = all(view['gt_masks'] is not None for view in views)
        has_mask = both_known and not is_negative

        pair = {key: [view[key] for view in views] for key in _LISTED}
        pair['gt_masks'] = [view['gt_masks'] or _empty_masks(view) for view in views]
        pair['negative'] = [is_negative] * 2
        pair['has_mask'] = [has_mask] * 2
        return self.pipeline(pair)

    def _draw_pair(
        self, source: int, is_negative: bool, rng: np.random.Generator
    ) -> list[View] | None:
        """Two views of one object of a source, or of an object and another one."""
        if not is_negative:
            return self._draw(source, rng, 2)
        views = self._draw(source, rng, 1)
        if views is None:
            return None
        other = self._draw_other(source, views[0], rng)
        if other is None:
            return None
        return [views[0], other]

    def _draw(self, source: int, rng: np.random.Generator, count: int) -> list[View] | None:
        """Views of an object of a random video."""
        videos = self.sources[source]
        index = int(rng.integers(len(videos)))
        views: list[View] | None = videos.draw(index, rng, count)
        return views

    def _draw_other(self, source: int, view: View, rng: np.random.Generator) -> View | None:
        """A view of another object, from any source."""
        first = (source, view['video_id'], view['object_id'])
        for _ in range(_MAX_DRAWS):
            other_source = int(rng.integers(len(self.sources)))
            views = self._draw(other_source, rng, 1)
            if views is None:
                continue
            other = views[0]
            if (other_source, other['video_id'], other['object_id']) != first:
                return other
        return None


def _complete(view: View) -> View:
    """A view with all keys that the pipeline takes, and its box as (1, 4)."""
    return dict(
        view,
        gt_bboxes=view['gt_bboxes'][None],
        last_bbox=view.get('last_bbox'),
        published_crop=view.get('published_crop', False),
    )


def _empty_masks(view: View) -> BitmapMasks:
    """One mask without a pixel, where only the box is known."""
    height = view['height']
    width = view['width']
    return BitmapMasks(np.zeros((1, height, width), dtype=np.uint8), height, width)
