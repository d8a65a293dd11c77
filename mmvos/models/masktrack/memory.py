"""Attention to a memory of earlier frames (Oh et al., Video Object Segmentation using Space-Time
Memory Networks, ICCV 2019, section 3.2), with the affinity by distance of Cheng et al., STCN,
NeurIPS 2021, section 3.2.

K objects; n query positions, N remembered ones; A, V the lengths of keys and values.
"""

from __future__ import annotations

from torch import Tensor


def attend_memory(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Average the values, each weighted by how near its key is to the query's.

    Args:
        query: (K, A, n).
        keys: (K, A, N).
        values: (K, V, N).

    Returns:
        (K, V, n).
    """
    # (K, N, n): -|k - q|^2 without |q|^2, which the softmax over the keys does not see
    products = keys.transpose(1, 2) @ query
    squared = keys.square().sum(dim=1)
    affinity = 2 * products - squared[:, :, None]
    # the softmax over the remembered positions, in float32 whatever autocast says
    temperature = keys.shape[1] ** 0.5
    weights = (affinity.float() / temperature).softmax(dim=1)
    attended: Tensor = values @ weights.to(values.dtype)
    return attended
