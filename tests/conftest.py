"""What all tests need."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Let Ctrl-C reach the tests' processes also where the run was started in the background.

    A shell without job control starts those with SIGINT ignored, which children inherit.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
