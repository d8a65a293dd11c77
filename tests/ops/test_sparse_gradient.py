"""A convolution with gradients at some cells has the gradients of torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mmvos.ops import sparse_gradient
from mmvos.ops.sparse_gradient import can_convolve, convolve


def gradients_of(layer: nn.Conv2d, x: Tensor, gradient: Tensor, is_sparse: bool) -> list[Tensor]:
    """The result, and the gradients of input and parameters, for a gradient of the result."""
    layer.zero_grad()
    x = x.clone().requires_grad_()
    result = convolve(layer, x) if is_sparse else layer(x)
    result.backward(gradient.to(result.dtype))
    found = [result.detach(), x.grad]
    found += [parameter.grad.clone() for parameter in layer.parameters()]
    return found


def gradient_at(cells: list[tuple[int, int, int]], shape: tuple[int, ...]) -> Tensor:
    gradient = torch.zeros(shape)
    for image, row, column in cells:
        gradient[image, :, row, column] = torch.randn(shape[1])
    return gradient


CORNERS = [(0, 0, 0), (0, 0, 8), (1, 6, 0), (1, 6, 8)]
CELLS = {
    'none': [],
    'corners': CORNERS,
    'neighbors': [(1, 3, 4), (1, 3, 5), (1, 4, 4), (0, 0, 3)],
    'all': [(i, r, c) for i in range(2) for r in range(7) for c in range(9)],
}


@pytest.mark.parametrize('cells', CELLS.values(), ids=CELLS.keys())
@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('order', [torch.contiguous_format, torch.channels_last])
def test_gradients_are_those_of_torch(cells, bias, order, monkeypatch) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(5, 4, 3, padding=1, bias=bias)
    x = torch.randn(2, 5, 7, 9).contiguous(memory_format=order)
    gradient = gradient_at(cells, (2, 4, 7, 9)).contiguous(memory_format=order)
    everywhere = []
    ordinary = sparse_gradient._everywhere
    monkeypatch.setattr(
        sparse_gradient, '_everywhere', lambda *args: everywhere.append(1) or ordinary(*args)
    )
    expected = gradients_of(layer, x, gradient, is_sparse=False)
    found = gradients_of(layer, x, gradient, is_sparse=True)
    assert torch.equal(found[0], expected[0])
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert bool(everywhere) == (len(cells) > 0.25 * 2 * 7 * 9)


def test_what_is_not_a_number_goes_on() -> None:
    layer = nn.Conv2d(3, 2, 3, padding=1)
    gradient = torch.zeros(1, 2, 6, 6)
    gradient[0, 1, 2, 2] = torch.nan
    _, for_x, for_weight, for_bias = gradients_of(
        layer, torch.randn(1, 3, 6, 6), gradient, is_sparse=True
    )
    assert for_x[0, :, 1:4, 1:4].isnan().all() and for_x[0, :, 5].isfinite().all()
    assert for_weight[1].isnan().all() and for_bias[1].isnan()


def test_autocast_computes_in_bfloat16_as_torch_does() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 4, 3, padding=1)
    x = torch.randn(1, 8, 12, 12)
    gradient = gradient_at([(0, 2, 3), (0, 11, 11)], (1, 4, 12, 12))
    with torch.autocast('cpu', torch.bfloat16):
        expected = gradients_of(layer, x, gradient, is_sparse=False)
        found = gradients_of(layer, x, gradient, is_sparse=True)
    assert found[0].dtype == torch.bfloat16 and found[1].dtype == torch.float32
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=3e-2, rtol=3e-2)


def test_other_layers_are_left_alone() -> None:
    x = torch.randn(1, 4, 5, 5)
    assert can_convolve(nn.Conv2d(4, 4, 3, padding=1), x)
    others = [
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 3, padding=1, stride=2),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode='reflect'),
        nn.Identity(),
    ]
    for layer in others:
        assert not can_convolve(layer, x)
    with torch.no_grad():
        assert not can_convolve(nn.Conv2d(4, 4, 3, padding=1), x)
