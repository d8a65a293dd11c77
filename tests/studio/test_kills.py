"""A few kills of the server; the long form is ``python -m tests.robustness.studio_kills``."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from robustness import studio_kills

from mmvos.studio.project import DATABASE


def test_nothing_that_was_answered_is_lost(tmp_path: Path) -> None:
    answered, faults = studio_kills.kill_studio(3, tmp_path)
    assert not faults, faults[0]
    assert answered >= 1


def test_a_loss_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks that are lost with a kill are told."""

    def lose(project: Path) -> None:
        database = sqlite3.connect(project / DATABASE)
        database.execute('DELETE FROM results')
        database.commit()
        database.close()

    monkeypatch.setattr(studio_kills, 'check_database', lose)
    _, faults = studio_kills.kill_studio(4, tmp_path)
    assert any('lost' in fault for fault in faults)
