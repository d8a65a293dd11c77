"""Fixtures of the tests of apis."""

import pytest

from mmvos.apis import init_model
from mmvos.models import VideoModel

from .bright_spots import bright_spots_config


@pytest.fixture
def model() -> VideoModel:
    return init_model(bright_spots_config(), device='cpu')
