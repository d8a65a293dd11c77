"""A few kills of the server; the long form is ``python -m tests.robustness.studio_kills``."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from robustness import studio_kills

from mmvos.studio.project import DATABASE, Project


def test_nothing_that_was_answered_is_lost(tmp_path: Path) -> None:
    answered, faults = studio_kills.kill_studio(4, tmp_path)
    assert not faults, faults[0]
    assert answered > 4


def test_a_server_that_stores_late_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a database that does not store what it was told, the kills find it."""

    def forget(self: Project) -> None:
        path = self.folder / DATABASE
        database = sqlite3.connect(path)
        database.execute('DELETE FROM results')
        database.commit()
        database.close()

    enter = Project.__enter__

    def lossy(self: Project) -> Project:
        if (self.folder / DATABASE).exists():
            forget(self)
        return enter(self)

    monkeypatch.setattr(Project, '__enter__', lossy)
    _, faults = studio_kills.kill_studio(3, tmp_path)
    assert any('lost' in fault for fault in faults)
