"""Exported graphs compute what the model computes; what cannot be exported is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from moving_squares import picture, red_mask
from safetensors.torch import save_file
from tiny_parts import tiny_parts
from tiny_segmenter import clicked_segmenter, tiny_segmenter
from tiny_siamese import frame as siamese_frame
from tiny_siamese import tiny_siamese, tiny_variant

from mmvos.cli import segment
from mmvos.io.atomic import OutputError
from mmvos.models.masktrack.propagation_head import LARGEST_DROP, attend_memory
from mmvos.models.siammask.network import depthwise_correlation
from mmvos.onnx.graph_set import GraphSet
from mmvos.onnx.propagator import OnnxPropagator
from mmvos.onnx.siamese import OnnxSiamese
from mmvos.structures import Frame

PIPELINE = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='mmvos.LoadFrame'),
            dict(type='Resize', scale=(2000, 480), keep_ratio=True),
        ],
    ),
    dict(type='PackTrackInputs'),
]

OWN_SIZE = [
    dict(type='mmvos.LoadFrame'),
    dict(type='Resize', scale_factor=1.0, keep_ratio=True),
    dict(type='PackTrackInputs'),
]


def with_config(model, pipeline=PIPELINE):
    model.cfg = Config(dict(test_dataloader=dict(dataset=dict(pipeline=pipeline))))
    return model


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """A small model, and the folders of its graphs by precision."""
    pytest.importorskip('onnxscript')
    from mmvos.onnx.export import export_model

    folder = tmp_path_factory.mktemp('exported')
    model = with_config(clicked_segmenter())
    # weights that float16 holds, as those of a checkpoint that is shipped
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(value.half().float())
    checkpoint = folder / 'weights.pth'
    halves = {
        name: value.half().contiguous()
        for name, value in model.state_dict().items()
        if value.is_floating_point()
    }
    save_file(halves, folder / 'half.safetensors')
    torch.save(model.state_dict(), checkpoint)
    export_model(model, checkpoint, folder / 'float32', 'float32')
    export_model(model, folder / 'half.safetensors', folder / 'float16', 'float16')
    return model, folder


@pytest.mark.slow
@pytest.mark.parametrize('size', [48, 64, 96])
@pytest.mark.parametrize('precision', ['float32', 'float16'])
@torch.no_grad()
def test_graphs_compute_what_the_model_computes(exported, precision, size):
    """Also in squares of other sizes than its own, 64 pixels."""
    model, folder = exported
    tracker = model.tracker
    graphs = OnnxPropagator(GraphSet(folder / precision, threads=1))
    assert graphs.graphs.settings.precision == precision
    rng = np.random.default_rng(0)
    images = rng.standard_normal((3, 3, size, size), dtype=np.float32)
    guides = rng.standard_normal((3, 2, size, size), dtype=np.float32)
    masks = rng.random((3, 1, size, size), dtype=np.float32)
    weights = np.float32([[1, 1, 0], [1, 1, 1], [1, 1, 1]])

    def tensor(array):
        return torch.from_numpy(array)

    levels = tracker._levels(tensor(images), tensor(guides))
    memory = tracker._encode_memory(levels[-1], tensor(masks))
    without = tracker._probabilities(levels, tensor(guides), [], None)
    answer = tracker._probabilities(levels, tensor(guides), [memory] * 3, tensor(weights))

    found_levels = graphs._levels(images, guides)
    found_memory = graphs._encode_memory(found_levels[-1], masks)
    found_without = graphs._probabilities(found_levels, guides, [], None)
    found = graphs._probabilities(found_levels, guides, [found_memory] * 3, weights)
    expected = (*levels, *memory, without, answer)
    for one, other in zip(expected, (*found_levels, *found_memory, found_without, found)):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-3, atol=2e-4)
    assert np.abs(found - found_without).max() > 1e-4  # the memory is read


@pytest.mark.slow
def test_float16_stores_the_checkpoint_as_it_is(exported):
    _, folder = exported
    stored = folder / 'float16' / 'weights.safetensors'
    assert stored.read_bytes() == (folder / 'half.safetensors').read_bytes()
    assert all(path.stat().st_size < 200_000 for path in (folder / 'float16').glob('*.onnx'))


@pytest.mark.slow
def test_an_exported_model_segments_a_clip(exported, tmp_path):
    _, folder = exported
    clip = tmp_path / 'clip'
    clip.mkdir()
    for index in range(2):
        cv2.imwrite(str(clip / f'{index}.png'), picture(index))
    cv2.imwrite(str(tmp_path / 'first.png'), red_mask() * np.uint8(255))
    words = [str(clip), '--graphs', str(folder / 'float32'), '--mask', str(tmp_path / 'first.png')]
    segment.main([*words, '--out', str(tmp_path / 'out')])
    assert len(list((tmp_path / 'out' / 'masks').glob('*.png'))) == 2
    with pytest.raises(ValueError, match='--graphs'):
        segment.main([*words, '--device', 'cpu', '--out', str(tmp_path / 'other')])


@pytest.fixture(scope='module')
def exported_siamese(tmp_path_factory):
    """A small SiamMask, and the folders of its graphs by precision."""
    pytest.importorskip('onnxscript')
    from mmvos.onnx.export import export_model

    folder = tmp_path_factory.mktemp('siamese')
    model = with_config(tiny_siamese(lost_score=0.1), OWN_SIZE)
    for value in model.state_dict().values():
        if value.is_floating_point():
            value.copy_(value.half().float())
    checkpoint = folder / 'weights.pth'
    torch.save(model.state_dict(), checkpoint)
    for precision in ('float32', 'float16'):
        export_model(model, checkpoint, folder / precision, precision)
    return model, folder


@pytest.mark.slow
@pytest.mark.parametrize('precision', ['float32', 'float16'])
@torch.no_grad()
def test_graphs_of_siammask_compute_what_the_model_computes(exported_siamese, precision):
    """Also at the border of the search window, where masks reach outside it."""
    model, folder = exported_siamese
    tracker = model.tracker
    graphs = GraphSet(folder / precision, threads=1)
    found = OnnxSiamese(graphs)
    assert (found.lost_score, found.voting, graphs.settings.short_side) == (0.1, None, None)
    picture_of = siamese_frame(0)
    array_frame = Frame(picture_of.image.numpy(), picture_of.meta)
    windows = [(10, 5, 40), (-9, 30, 31)]
    color = tracker.border_color(picture_of)
    assert found.border_color(array_frame) == color

    kernels = tracker.encode_templates(picture_of, windows, color)
    found_kernels = found.encode_templates(array_frame, windows, color)
    np.testing.assert_allclose(found_kernels, kernels.numpy(), rtol=1e-3, atol=1e-4)
    wide = [(-20, -25, 90), (40, 30, 66)]
    *expected, features = tracker._compare(picture_of, wide, [color] * 2, kernels)
    *answers, found_features = found._compare(array_frame, wide, [color] * 2, found_kernels)
    for one, other in zip(expected, answers, strict=True):
        np.testing.assert_allclose(other, one.numpy(), rtol=1e-3, atol=2e-4)
    cells = np.array([[0, 0, 24], [1, 12, 7], [0, 24, 24]])
    masks = tracker._cell_masks(features, torch.from_numpy(cells))
    found_masks = found._cell_masks(found_features, cells)
    np.testing.assert_allclose(found_masks, masks.numpy(), rtol=1e-3, atol=2e-4)
    # cells differ, so that one in the place of another would be seen
    assert np.abs(found_masks[0] - found_masks[2]).max() > 1e-3


def test_correlation_by_columns_is_that_of_the_network():
    """Numbers of a convolution: 3 objects, 2 channels, kernels of 3 x 3 over 6 x 6."""
    pytest.importorskip('onnxscript')
    from mmvos.onnx.traced_siammask import correlate_by_columns

    features = torch.rand(3, 2, 6, 6)
    kernels = torch.rand(3, 2, 3, 3)
    found = correlate_by_columns(features, kernels)
    torch.testing.assert_close(found, depthwise_correlation(features, kernels))


def test_other_siamese_models_are_refused(tmp_path):
    pytest.importorskip('onnxscript')
    from mmvos.onnx.export import ExportError, export_model

    (tmp_path / 'x.pth').touch()
    for name, reason in (('base', 'refined'), ('pyramid', 'CropFeatures'), ('vote', 'refined')):
        model = with_config(tiny_variant(name), OWN_SIZE)
        with pytest.raises(ExportError, match=reason):
            export_model(model, tmp_path / 'x.pth', tmp_path / 'out')
    model = with_config(tiny_parts(), OWN_SIZE)
    with pytest.raises(ExportError, match='SiamMask'):
        export_model(model, tmp_path / 'x.pth', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_other_models_are_refused(tmp_path):
    pytest.importorskip('onnxscript')
    from mmvos.onnx.export import ExportError, export_model

    checkpoint = tmp_path / 'x.pth'
    checkpoint.touch()
    with pytest.raises(ExportError, match="'crop'"):
        export_model(with_config(tiny_segmenter(mode='roi')), checkpoint, tmp_path / 'out')
    flipped = [*PIPELINE[:-1], dict(type='RandomFlip'), PIPELINE[-1]]
    with pytest.raises(ExportError, match='RandomFlip'):
        export_model(with_config(tiny_segmenter(), flipped), checkpoint, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_no_weight_of_the_memory_is_a_denormal_number():
    """A product with denormal numbers takes ten times as long; the answer is the same without."""
    query = torch.zeros(1, 4, 2)
    keys = torch.zeros(1, 4, 3)
    keys[..., 1] = 10.0  # a score of -200
    values = torch.eye(3)[None]
    weights = attend_memory(query, keys, values)
    expected = torch.tensor([0.5, 0.0, 0.5])
    assert torch.equal(weights[0, :, 0].round(decimals=6), expected)
    assert float(weights.min()) > torch.finfo(torch.float32).tiny
    assert LARGEST_DROP > 20  # what is cut off is lost in the rounding of what stays


def test_where_it_is_written_is_looked_at_first(tmp_path):
    from mmvos.cli import export

    (tmp_path / 'file').touch()
    with pytest.raises(OutputError, match='file'):
        export.main(['masktrack', '--out', str(tmp_path / 'file' / 'x')])
