"""An image set with instance masks (COCO's JSON) seen as one-frame clips of one object each;
``SimulateMotion`` sets them in motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmvos.deprecation import register_old_name
from mmvos.io.coco import check_annotation, check_images, crowds_in_words, read_coco
from mmvos.io.errors import DataError
from mmvos.io.rle import decode_mask
from mmvos.option_ranges import COUNT, NOT_NEGATIVE, options_in
from mmvos.registry import DATASETS


@DATASETS.register_module()
@options_in(NOT_NEGATIVE, 'min_area')
@options_in(COUNT, 'samples_per_epoch')
class ImageClipDataset(BaseDataset):
    """Every object of a COCO JSON file that is not crowd and large enough, each as a clip of one
    frame.

    An item given to the pipeline has the keys of ``MaskClipDataset``'s items, in lists of length 1;
    ``video_id`` is the image's id, ``gt_instances_ids`` holds 1.

    Args:
        ann_file: the JSON file, relative to ``data_root``.
        data_root: root of ``ann_file`` and ``data_prefix``.
        data_prefix: ``img_path`` is the folder that the JSON's file names are relative to.
        min_area: least ``area`` in the JSON, in pixels.
        samples_per_epoch: number of items, each of a random object; by default one item for each
            object.
        source_weights: how often each set of images, an image's ``source`` in the JSON, is drawn
            from where items are random; sets that are not named are left out.
        pipeline: transforms.
        lazy_init: read the file at first use.

    Raises:
        ValueError: the file is missing, is no COCO JSON, or has no usable object; the message names
            it.
    """

    def __init__(
        self,
        ann_file: str,
        data_root: str = '',
        data_prefix: dict[str, str] | None = None,
        min_area: float = 32 * 32,
        samples_per_epoch: int | None = None,
        source_weights: dict[str, float] | None = None,
        pipeline: Sequence[Any] = (),
        lazy_init: bool = False,
    ) -> None:
        self.min_area = min_area
        self.samples_per_epoch = samples_per_epoch
        self.source_weights = source_weights
        self._by_source: dict[str, list[int]] = {}
        super().__init__(
            ann_file,
            data_root=data_root,
            data_prefix=data_prefix or dict(img_path=''),
            pipeline=list(pipeline),
            lazy_init=lazy_init,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return one record for each usable object."""
        content = read_coco(self.ann_file)
        annotations = content['annotations']
        images = check_images(content['images'], self.ann_file)
        folder = Path(self.data_prefix['img_path'])
        records = []
        for place, annotation in enumerate(annotations):
            check_annotation(annotation, images, place, self.ann_file)
            if not self._is_used(annotation):
                continue
            image = images[annotation['image_id']]
            record = dict(
                img_path=str(folder / image['file_name']),
                img_id=image['id'],
                height=image['height'],
                width=image['width'],
                segmentation=annotation['segmentation'],
                source=image.get('source', ''),
                annotation=annotation.get('id', place),
            )
            records.append(record)
        if not records:
            crowds = crowds_in_words(annotations)
            raise DataError(
                f'{self.ann_file} has no object of at least {self.min_area} pixels{crowds}.'
            )
        print_log(
            f'{self.ann_file}: {len(records)} of {len(annotations)} objects are used',
            logger='current',
        )
        return records

    def _is_used(self, annotation: dict[str, Any]) -> bool:
        """Whether an annotation is a large enough object with a mask, and no crowd."""
        if annotation.get('iscrowd') or not annotation.get('segmentation'):
            return False
        area = annotation.get('area') or 0
        return bool(area >= self.min_area)

    def __len__(self) -> int:
        return self.samples_per_epoch or super().__len__()

    def prepare_data(self, idx: int) -> Any:
        """Return one object, after the pipeline; None where its mask is empty."""
        if self.samples_per_epoch:
            idx = self._draw_object()
        record = self.get_data_info(idx)
        height = record['height']
        width = record['width']
        where = f'{self.ann_file}: annotation {record["annotation"]}'
        mask = decode_mask(record['segmentation'], height, width, where)
        if not mask.any():
            return None
        return self.pipeline(
            dict(
                img_path=[record['img_path']],
                img_id=[record['img_id']],
                frame_id=[0],
                video_id=[record['img_id']],
                height=[height],
                width=[width],
                gt_masks=[BitmapMasks(mask[None], height, width)],
                gt_instances_ids=[np.array([1], dtype=np.int64)],
            )
        )

    def _draw_object(self) -> int:
        """A random object, of a random source where there are weights of sources."""
        count = super().__len__()
        if self.source_weights is None:
            return int(np.random.randint(count))

        # The objects of each source, found once.
        if not self._by_source:
            for index in range(count):
                source = self.get_data_info(index)['source']
                self._by_source.setdefault(source, []).append(index)

        sources = [name for name in self.source_weights if name in self._by_source]
        if not sources:
            raise DataError(
                f'{self.ann_file}: source_weights names none of its sources '
                f'({", ".join(map(str, self._by_source))})'
            )
        weights = np.array([self.source_weights[name] for name in sources])
        probabilities = weights / weights.sum()
        source = sources[np.random.choice(len(sources), p=probabilities)]
        return int(np.random.choice(self._by_source[source]))


register_old_name(DATASETS, 'StaticClipDataset', ImageClipDataset)
