"""A real browser on a studio that runs on the stand-ins: Playwright with the Chromium that is
installed on this machine; nothing is downloaded.
"""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from mmvos.studio.opening import Place, open_session
from mmvos.studio.server import Studio
from mmvos.studio.session import Session

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
_PATIENCE = 60  # seconds


def find_chromium() -> str | None:
    """Path of an installed Chromium."""
    found = (shutil.which(name) for name in NAMES)
    return next((path for path in found if path), None)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


class ServedStudio:
    """A studio behind a real server, in a thread of this process."""

    def __init__(self, session: Session, port: int) -> None:
        token = session.project.meta('token')
        assert token
        self.session = session
        self.port = port
        self.address = f'http://127.0.0.1:{port}/?token={token}'
        studio = Studio(session, token, port, ('127.0.0.1', 'localhost'))
        config = uvicorn.Config(studio.app, port=port, log_level='warning')
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def start(self) -> None:
        """Serve, and wait until requests are answered."""
        self._thread.start()
        deadline = time.monotonic() + _PATIENCE
        while not self._server.started:
            assert time.monotonic() < deadline, 'the server does not start'
            time.sleep(0.02)

    def stop(self) -> None:
        """Serve no more."""
        self._server.should_exit = True
        self._thread.join(_PATIENCE)


@contextmanager
def serve_studio(
    video: Path | None, project: Path, port: int | None = None, **options: Any
) -> Iterator[ServedStudio]:
    """Serve a studio for as long as the context lasts."""
    with open_session(Place(project, video), 'masktrack', **options) as session:
        served = ServedStudio(session, port or free_port())
        served.start()
        try:
            yield served
        finally:
            served.stop()
