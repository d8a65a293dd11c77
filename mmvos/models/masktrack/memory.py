"""Reading a memory of earlier frames by likeness of features (Oh et al., Video Object Segmentation
using Space-Time Memory Networks, ICCV 2019, section 3.2; likeness by distance: Cheng et al., STCN,
NeurIPS 2021, section 3.2).

K objects; n query positions, N remembered ones; A, V the lengths of keys and values.
"""

from __future__ import annotations

from torch import Tensor


def read_memory(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Mean of the values, each weighted by how near its key is to the query's.

    Args:
        query: (K, A, n).
        keys: (K, A, N).
        values: (K, V, N).

    Returns:
        (K, V, n).
    """
    # -|k - q|^2 without |q|^2, which the softmax over k does not see.
    likeness = 2 * keys.transpose(1, 2) @ query - keys.square().sum(dim=1)[:, :, None]  # (K, N, n)
    weights = (likeness.float() / keys.shape[1] ** 0.5).softmax(dim=1)
    read: Tensor = values @ weights.to(values.dtype)
    return read
