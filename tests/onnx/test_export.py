"""Exported graphs compute what the model computes; what cannot be exported is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from moving_squares import picture, red_mask
from safetensors.torch import save_file
from tiny_segmenter import clicked_segmenter, tiny_segmenter

from mmvos.cli import segment
from mmvos.io.atomic import OutputError
from mmvos.models.masktrack.propagation_head import LARGEST_DROP, attend_memory
from mmvos.onnx.graph_set import GraphSet
from mmvos.onnx.propagator import OnnxPropagator

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
@pytest.mark.parametrize('precision', ['float32', 'float16'])
@torch.no_grad()
def test_graphs_compute_what_the_model_computes(exported, precision):
    model, folder = exported
    tracker = model.tracker
    graphs = OnnxPropagator(GraphSet(folder / precision, threads=1))
    assert graphs.graphs.settings.precision == precision
    rng = np.random.default_rng(0)
    size = tracker.size
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
