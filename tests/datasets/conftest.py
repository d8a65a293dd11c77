"""Fixtures of the tests of data sets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from mmengine.registry import DefaultScope, init_default_scope


@pytest.fixture
def mmdet_scope() -> Iterator[None]:
    """mmdet's transforms by their plain names, and the same random numbers for every test."""
    init_default_scope('mmdet')
    np.random.seed(0)
    yield
    DefaultScope._instance_dict.clear()
