"""On a GPU: the same numbers as on the CPU, and training and testing in half precision."""
import numpy as np
import pytest
import torch
from tiny_masktrack import frame, tiny_model

from mmvos.models.heads.roi_extractor import PyramidRoIExtractor
from mmvos.structures import Frame

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')]


def _on_gpu(index: int) -> Frame:
    """The test frame on the GPU."""
    item = frame(index)
    return Frame(item.image.cuda(), item.meta)


def test_roi_features_of_both_devices_agree():
    """mmcv's compiled op on the GPU, the sparse product on the CPU."""
    extractor = PyramidRoIExtractor(dict(type='RoIAlign', output_size=7, sampling_ratio=2), 8, [4, 8])
    torch.manual_seed(0)
    features = [torch.rand(2, 8, 32, 48), torch.rand(2, 8, 16, 24)]
    rois = torch.tensor([[0, 3., 4, 60, 50], [1, 0, 0, 190, 120], [1, 100, 20, 230, 140]])
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
        assert np.allclose([item.box for item in one.objects], [item.box for item in other.objects], atol=0.1)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_accelerated_half_precision_is_finite(dtype):
    model = tiny_model().cuda().accelerate(dtype)
    for result in model.run(_on_gpu(t) for t in range(2)):
        assert all(np.isfinite(item.score) and np.isfinite(item.box).all() for item in result.objects)
