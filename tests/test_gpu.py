"""On a GPU: the same numbers as on the CPU, and training and testing in half precision."""

import warnings

import count_waits
import numpy as np
import pytest
import torch
from tiny_masktrack import frame, tiny_model
from tiny_segmenter import HEIGHT, WIDTH, clip_sample, square_mask, tiny_segmenter
from tiny_segmenter import frame as prompted_frame

from mmvos.models import PyramidRoIExtractor
from mmvos.optimize import optimize
from mmvos.structures import Frame, Prompts

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device'),
]


def _on_gpu(index: int) -> Frame:
    """The test frame on the GPU."""
    item = frame(index)
    return Frame(item.image.cuda(), item.meta)


def test_roi_features_of_both_devices_agree():
    """mmcv's compiled op on the GPU, the sparse product on the CPU."""
    extractor = PyramidRoIExtractor(
        dict(type='RoIAlign', output_size=7, sampling_ratio=2), 8, [4, 8]
    )
    torch.manual_seed(0)
    features = [torch.rand(2, 8, 32, 48), torch.rand(2, 8, 16, 24)]
    rois = torch.tensor([[0, 3.0, 4, 60, 50], [1, 0, 0, 190, 120], [1, 100, 20, 230, 140]])
    expected = extractor(tuple(features), rois)
    found = extractor.cuda()(tuple(level.cuda() for level in features), rois.cuda())
    assert torch.allclose(found.cpu(), expected, atol=1e-4)


def test_a_video_gives_the_same_objects_on_both_devices():
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    model = tiny_model()
    expected = list(model.run(frame(t) for t in range(3)))
    model = model.cuda()
    found = list(model.run(_on_gpu(t) for t in range(3)))
    for one, other in zip(expected, found, strict=True):
        assert [item.id for item in one.objects] == [item.id for item in other.objects]
        assert np.allclose(
            [item.box for item in one.objects], [item.box for item in other.objects], atol=0.1
        )


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_accelerated_half_precision_is_finite(dtype):
    model = optimize(tiny_model().cuda(), dtype)
    for result in model.run(_on_gpu(t) for t in range(2)):
        assert all(
            np.isfinite(item.score) and np.isfinite(item.box).all() for item in result.objects
        )


@pytest.mark.parametrize('mode', ['crop', 'roi'])
@pytest.mark.parametrize('merge', ['soft', 'hard'])
def test_prompted_objects_are_the_same_on_both_devices(mode, merge):
    """Masks, boxes, late prompts and lost objects: everything that a state holds is on the model's
    device.
    """
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    prompts = {
        0: Prompts((2, 3), (square_mask(10, 10), None), (None, (50.0, 20.0, 80.0, 60.0))),
        2: Prompts((1,), (None,), ((5.0, 40.0, 30.0, 70.0),)),
    }
    model = tiny_segmenter(mode=mode, merge=merge)
    expected = list(model.run((prompted_frame(t) for t in range(4)), prompts))
    model = model.cuda()
    found = list(
        model.run(
            (Frame((item := prompted_frame(t)).image.cuda(), item.meta) for t in range(4)), prompts
        )
    )
    assert (
        np.mean(
            [(a.label_map() != b.label_map()).mean() for a, b in zip(expected, found, strict=True)]
        )
        < 0.01
    )


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_prompted_objects_in_half_precision(dtype):
    prompts = {0: Prompts((2, 3), (square_mask(10, 10), None), (None, (50.0, 20.0, 80.0, 60.0)))}
    for mode in ('crop', 'roi'):
        model = tiny_segmenter(mode=mode)
        expected = list(model.run((prompted_frame(t) for t in range(3)), prompts))
        model = optimize(model.cuda(), dtype)
        found = list(
            model.run(
                (Frame((item := prompted_frame(t)).image.cuda(), item.meta) for t in range(3)),
                prompts,
            )
        )
        assert (
            np.mean(
                [
                    (a.label_map() != b.label_map()).mean()
                    for a, b in zip(expected, found, strict=True)
                ]
            )
            < 0.05
        )


def test_a_prompted_segmenter_learns_on_a_gpu():
    model = tiny_segmenter().cuda().train()
    masks = np.stack([square_mask(20 + 4 * t, 20) for t in range(3)])[:, None]
    sample = clip_sample(
        masks, np.concatenate([masks[:1], masks[:2]]) * 2.0 - 1, np.array([[0], [1], [1]])
    )
    images = torch.randint(0, 256, (3, 3, HEIGHT, WIDTH), dtype=torch.uint8)
    packed = model.data_preprocessor(dict(inputs=[images] * 2, data_samples=[sample] * 2), True)
    sum(model(**packed, mode='loss').values()).backward()
    assert all(
        torch.isfinite(weight.grad).all()
        for weight in model.parameters()
        if weight.grad is not None
    )


@pytest.mark.parametrize('name', count_waits.SYSTEMS)
def test_a_frame_waits_three_times_at_most_and_gives_what_the_cpu_does(name):
    """CUDA's own count of what ``test_device_waits`` counts on a pretended device."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    make_model, make_frame = count_waits.SYSTEMS[name]
    model = make_model()
    prompts = count_waits.box_prompts(4)
    frames = [make_frame(model, t) for t in range(5)]
    expected = list(model.run(frames, prompts))
    model = model.cuda()
    on_device = [Frame(item.image.cuda(), item.meta) for item in frames]
    found = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            for t, result in enumerate(model.run(on_device, prompts)):
                found.append(result)
                if t == 2:
                    torch.cuda.set_sync_debug_mode('warn')
    finally:
        torch.cuda.set_sync_debug_mode('default')
    waits = [item for item in caught if 'synchronizing' in str(item.message)]
    assert len(waits) <= 2 * 3, [f'{item.filename}:{item.lineno}' for item in waits]
    different = count_waits.differences(expected, found)
    assert different['missing'] == 0
    assert different['least_iou'] > 0.95
