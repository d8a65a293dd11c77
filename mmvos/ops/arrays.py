"""What the arithmetic on masks needs of torch and numpy alike.

The functions of ``crop``, ``masks`` and ``masktrack/state``, and the trackers that are made of
them, take tensors of torch or arrays of numpy: they ask `array_namespace` for the functions of the
one they are given (the Python array API standard). So a model in torch and one in ONNX go through
the same lines. This file holds what the standard lacks; it imports torch only where a tensor is
given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
from array_api_compat import array_namespace, device, is_numpy_array
from numpy.typing import NDArray
from PIL import Image

Array: TypeAlias = Any  # a tensor of torch or an array of numpy

__all__ = [
    'Array',
    'array_like',
    'array_namespace',
    'as_numpy',
    'device',
    'fetch',
    'is_on_host',
    'largest',
    'pad_maps',
    'resize',
    'select',
    'to_device',
]


def array_like(values: Any, like: Array) -> Array:
    """Make a float32 array of numbers, of the kind and on the device of another array."""
    xp = array_namespace(like)
    if is_numpy_array(values):
        # Torch takes no array that runs backwards in memory, as a flipped mask does.
        values = np.asarray(values, order='C')
    if is_on_host(like):
        return xp.asarray(values, dtype=xp.float32, device=device(like))
    # the host does not wait until they have arrived
    return xp.asarray(values, dtype=xp.float32).to(like.device, non_blocking=True)


def to_device(values: Any, like: Array, dtype: Any = None) -> Array:
    """Bring numbers of the host to the device of an array, without waiting for it.

    Args:
        values: numbers, an array, or a tensor of the host.
        like: the array.
        dtype: of the result; float32 by default.
    """
    if is_numpy_array(like):
        return np.asarray(values, dtype=dtype or np.float32)
    import torch

    if is_numpy_array(values):
        values = np.asarray(values, order='C')
    tensor = torch.as_tensor(values, dtype=dtype or torch.float32)
    return tensor.to(like.device, non_blocking=True)


def is_on_host(array: Array) -> bool:
    """Say whether an array is in the memory of the CPU, so that its numbers are there to read."""
    return is_numpy_array(array) or array.device.type == 'cpu'


def as_numpy(array: Array) -> NDArray[Any]:
    """Return an array in the memory of numpy."""
    if is_numpy_array(array):
        return np.asarray(array)
    return np.asarray(array.detach().cpu().numpy())


def pad_maps(maps: Array, size: tuple[int, ...]) -> Array:
    """Pad (K, h, w) maps with 0 on the right and at the bottom to ``size``, (H, W)."""
    count, height, width = maps.shape
    if (height, width) == tuple(size):
        return maps
    xp = array_namespace(maps)
    padded = xp.zeros((count, *size), dtype=maps.dtype, device=device(maps))
    padded[:, :height, :width] = maps
    return padded


def largest(values: Array, count: int) -> Array:
    """Return where the largest numbers of each row stand, the largest first.

    Args:
        values: (K, N).
        count: T, at most N.

    Returns:
        (K, T) int64.
    """
    if not is_numpy_array(values):
        return values.topk(count).indices
    order = np.argsort(-values, axis=1, kind='stable')
    return order[:, :count]


def select(rows: Array, numbers: Sequence[int]) -> Array:
    """Take rows by their numbers, which ascend; all of them are not copied."""
    if len(numbers) == len(rows):
        return rows
    return rows[list(numbers)]


def fetch(*arrays: Array) -> list[NDArray[Any]]:
    """Return arrays in the memory of numpy; those of a device come in one copy, for which the host
    waits once.
    """
    if is_on_host(arrays[0]):
        return [as_numpy(array) for array in arrays]
    import torch

    # all of them as bytes in one row
    rows = []
    for array in arrays:
        row = array.detach().flatten().clone(memory_format=torch.contiguous_format)
        rows.append(row.view(torch.uint8))
    content = as_numpy(torch.cat(rows))

    # and apart again
    fetched = []
    first = 0
    for array, row in zip(arrays, rows, strict=True):
        # a copy, because a part may begin where its type cannot
        part = content[first : first + len(row)].copy()
        first += len(row)
        kind = torch.zeros((), dtype=array.dtype).numpy().dtype
        fetched.append(part.view(kind).reshape(tuple(array.shape)))
    return fetched


def resize(maps: Array, height: int, width: int) -> Array:
    """Resize maps bilinearly with antialiasing; the edges of the frame stay its edges.

    torch's filter is made after Pillow's, so Pillow serves for numpy; where nothing is made smaller
    there is nothing to smooth, and OpenCV computes the same faster. They differ by rounding, 3e-5
    at most.

    Args:
        maps: (N, C, h, w) float32.
        height, width: of the result.

    Returns:
        (N, C, height, width) float32; the maps themselves where they have this size.
    """
    if tuple(maps.shape[2:]) == (height, width):
        return maps
    if is_numpy_array(maps):
        return _resize_numpy(maps, height, width)
    from torch.nn import functional as F

    return F.interpolate(
        maps, size=(height, width), mode='bilinear', align_corners=False, antialias=True
    )


def _resize_numpy(maps: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Resize as `resize` does, one channel at a time, with Pillow or OpenCV."""
    count, channels, old_height, old_width = maps.shape
    is_larger = height >= old_height and width >= old_width
    resized = np.empty((count, channels, height, width), dtype=np.float32)
    for n in range(count):
        for channel in range(channels):
            plane = np.ascontiguousarray(maps[n, channel], dtype=np.float32)
            if is_larger:
                place = resized[n, channel]
                cv2.resize(plane, (width, height), place, interpolation=cv2.INTER_LINEAR)
            else:
                image = Image.fromarray(plane)
                smooth = image.resize((width, height), Image.Resampling.BILINEAR)
                resized[n, channel] = np.asarray(smooth)
    return resized
