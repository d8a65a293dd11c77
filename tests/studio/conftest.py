"""A studio on ten frames of two colored objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip('starlette', reason='mmvos[studio] is not installed')

from .stand_ins import OpenStudio, follow_colors, open_studio, write_frames


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenStudio]:
    """A studio that runs on the stand-ins."""
    follow_colors(monkeypatch)
    with open_studio(write_frames(tmp_path / 'clip'), tmp_path / 'project') as studio:
        yield studio
