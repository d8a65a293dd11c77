"""The quick steps of MaskTrack R-CNN's training data give what mmdet's give, to the last bit."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import init_default_scope
from pycocotools import mask as coco_mask

from mmvos.datasets.bitmap_masks import FrameMasks

HEIGHT = 36
WIDTH = 64
META = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')
MMDET = ('LoadTrackAnnotations', 'RandomFlip', 'PackTrackInputs')
OURS = ('mmvos.LoadInstances', 'mmvos.FlipFrame', 'mmvos.PackFrames')


def blob(generator: np.random.Generator) -> np.ndarray:
    """A mask with holes and single pixels."""
    return (generator.random((HEIGHT, WIDTH)) > 0.6).astype(np.uint8)


def as_counts(mask: np.ndarray, compressed: bool) -> dict[str, Any]:
    if compressed:
        rle = coco_mask.encode(np.asfortranarray(mask))
        return dict(size=list(rle['size']), counts=rle['counts'].decode())
    flat = mask.flatten(order='F')
    switches = np.flatnonzero(np.diff(flat, prepend=0)).tolist()
    return dict(size=[HEIGHT, WIDTH], counts=np.diff([0, *switches, flat.size]).tolist())


def item(folder: Path, objects: int = 3) -> dict[str, list[Any]]:
    """Two frames with objects of all forms of masks, one of them ignored."""
    generator = np.random.default_rng(0)
    pair: dict[str, list[Any]] = dict(img_path=[], img_id=[5, 9], instances=[])
    for name in ('a.png', 'b.png'):
        path = folder / name
        picture = generator.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        cv2.imwrite(str(path), picture)
        masks = [
            as_counts(blob(generator), compressed=True),
            as_counts(blob(generator), compressed=False),
            [[4.5, 6, 20, 6, 30.2, 25, 2, 14], [40, 3, 50, 3, 50, 30]],
        ]
        instances = [
            dict(
                bbox=[3.0 + i, 4.0, 30.5, 31.0],
                bbox_label=i,
                mask=masks[i],
                instance_id=7 + i,
                ignore_flag=int(name == 'b.png' and i == 1),
            )
            for i in range(objects)
        ]
        pair['img_path'].append(str(path))
        pair['instances'].append(instances)
    pair['key_frame_flags'] = [True, False]
    return pair


def pipeline(
    names: tuple[str, str, str], scale: tuple[int, int], flip: Any, **options: Any
) -> Compose:
    load, turn, pack = names
    keys = 'meta_keys' if pack.startswith('mmvos') else 'default_meta_keys'
    settings = {} if load.startswith('mmvos') else dict(with_mask=True)
    probability = 0.0 if flip is None else 1.0
    steps = [
        dict(type='mmvos.LoadFrame'),
        dict(type=load, **settings),
        dict(type='Resize', scale=scale, keep_ratio=scale != (50, 50)),
        dict(type=turn, prob=probability, direction=flip or 'horizontal'),
    ]
    broadcast = dict(type='TransformBroadcaster', share_random_params=True, transforms=steps)
    return Compose([broadcast, {'type': pack, keys: META, **options}])


def check_equal(ours: Any, theirs: Any) -> None:
    assert type(ours) is type(theirs) or isinstance(ours, FrameMasks)
    if isinstance(theirs, BitmapMasks):
        assert (ours.height, ours.width) == (theirs.height, theirs.width)
        assert ours.masks.dtype == theirs.masks.dtype
        np.testing.assert_array_equal(ours.masks, theirs.masks)
    elif isinstance(theirs, torch.Tensor):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)
    else:
        assert ours == theirs


@pytest.mark.parametrize('flip', [None, 'horizontal', 'vertical', 'diagonal'])
@pytest.mark.parametrize('scale', [(WIDTH, HEIGHT), (40, 31), (97, 60), (50, 50)])
def test_an_item_is_the_one_of_mmdet(tmp_path: Path, scale: tuple[int, int], flip: Any) -> None:
    init_default_scope('mmdet')
    ours, theirs = (pipeline(names, scale, flip)(item(tmp_path)) for names in (OURS, MMDET))
    check_equal(ours['inputs'], theirs['inputs'])
    our_item = ours['data_samples']
    their_item = theirs['data_samples']
    assert (
        our_item.metainfo == their_item.metainfo == dict(key_frames_inds=[0], ref_frames_inds=[1])
    )
    assert len(our_item) == len(their_item) == 2
    for our_sample, their_sample in zip(our_item, their_item, strict=True):
        assert our_sample.metainfo == their_sample.metainfo
        assert set(our_sample.metainfo) == set(META)
        for name in ('gt_instances', 'ignored_instances'):
            our_objects = our_sample.get(name)
            their_objects = their_sample.get(name)
            assert set(our_objects.keys()) == set(their_objects.keys())
            for key, value in their_objects.items():
                check_equal(our_objects[key], value)
    assert [len(sample.gt_instances) for sample in our_item] == [3, 2]
    assert their_item[0].gt_instances.masks.masks.any()


def test_masks_of_references_are_decoded_where_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init_default_scope('mmdet')
    theirs = pipeline(MMDET, (40, 31), 'horizontal')(item(tmp_path))['data_samples']
    decoded: list[Any] = []
    decode = coco_mask.decode
    monkeypatch.setattr(coco_mask, 'decode', lambda mask: decoded.append(mask) or decode(mask))
    steps = pipeline(OURS, (40, 31), 'horizontal', decode_references=False)
    ours = steps(item(tmp_path))['data_samples']
    assert len(decoded) == 3
    # Loaders send items from process to process; the preprocessor pads.
    reference = pickle.loads(pickle.dumps(ours[1].gt_instances.masks))
    padded = reference.pad((64, 96), pad_val=0)
    assert len(decoded) == 3 and (len(padded), padded.height, padded.width) == (2, 64, 96)
    check_equal(padded, theirs[1].gt_instances.masks.pad((64, 96), pad_val=0))
    check_equal(reference[[1]], theirs[1].gt_instances.masks[[1]])
    check_equal(ours[0].gt_instances.masks, theirs[0].gt_instances.masks)


def test_frames_without_objects_and_without_annotations(tmp_path: Path) -> None:
    init_default_scope('mmdet')
    ours, theirs = (
        pipeline(names, (40, 31), 'horizontal')(item(tmp_path, objects=0))
        for names in (OURS, MMDET)
    )
    for our_sample, their_sample in zip(ours['data_samples'], theirs['data_samples'], strict=True):
        for key, value in their_sample.gt_instances.items():
            check_equal(our_sample.gt_instances[key], value)
    picture = np.full((4, 5, 3), 7, dtype=np.uint8)
    packed = Compose([dict(type='mmvos.PackFrames', meta_keys=('img_id',))])(
        dict(img=[picture], img_id=[3])
    )
    assert packed['inputs'].shape == (1, 3, 4, 5) and packed['inputs'].eq(7).all()
    (sample,) = packed['data_samples']
    assert sample.metainfo == dict(img_id=3) and len(sample.gt_instances) == 0


def test_masks_are_padded_and_sampled_as_mmdet_does() -> None:
    generator = np.random.default_rng(1)
    pixels = np.stack([blob(generator) for _ in range(3)])
    ours, theirs = (kind(pixels, HEIGHT, WIDTH) for kind in (FrameMasks, BitmapMasks))
    for shape, value in (((HEIGHT, WIDTH), 0), ((64, 96), 0), ((40, 64), 1)):
        check_equal(ours.pad(shape, value), theirs.pad(shape, value))
    corners = generator.uniform(-5, 30, (9, 2))
    sizes = generator.uniform(0.5, 30, (9, 2))
    boxes = torch.from_numpy(np.hstack([corners, corners + sizes])).float()
    places = torch.from_numpy(generator.integers(0, 3, 9))
    for binarize in (True, False):
        for given in ((boxes, places), (boxes.numpy(), places.numpy())):
            settings = dict(out_shape=(28, 28), device='cpu', binarize=binarize)
            sampled = [
                masks.crop_and_resize(given[0], inds=given[1], **settings)
                for masks in (ours, theirs)
            ]
            check_equal(*sampled)
    assert len(ours.crop_and_resize(boxes[:0], (28, 28), places[:0], 'cpu')) == 0
    check_equal(ours[np.array([2, 0])], theirs[np.array([2, 0])])
