"""Events: what the server tells all open pages, over WebSockets.

Any thread publishes; each page has a queue of its own. A page that does not keep up loses its queue
and gets ``resync`` instead, so memory stays bounded.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from typing import Any

_MOST_WAITING = 500  # events of one page
_MOST_BYTES = 32 << 20


class Listener:
    """The queue of one page; used in the server's event loop only."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiting: list[str] = []
        self._bytes = 0
        self._is_there = asyncio.Event()

    def put(self, text: str, resync: str) -> None:
        """Add an event; where too many wait, they are replaced by ``resync``."""
        if len(self._waiting) >= _MOST_WAITING or self._bytes + len(text) > _MOST_BYTES:
            self._waiting = [resync]
            self._bytes = len(resync)
        else:
            self._waiting.append(text)
            self._bytes += len(text)
        self._is_there.set()

    async def get(self) -> list[str]:
        """Wait for events and take all of them."""
        await self._is_there.wait()
        self._is_there.clear()
        taken = self._waiting
        self._waiting = []
        self._bytes = 0
        return taken


class Hub:
    """Hands events to all listeners."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._lock = threading.Lock()
        self._count = itertools.count(1)
        self._last = 0

    @property
    def last(self) -> int:
        """Number of the last event."""
        return self._last

    def listen(self) -> Listener:
        """Begin to listen; called in the event loop."""
        listener = Listener(asyncio.get_running_loop())
        with self._lock:
            self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Listen no more."""
        with self._lock:
            self._listeners.discard(listener)

    def publish(self, kind: str, **members: Any) -> None:
        """Tell all pages something.

        Args:
            kind: the ``type`` of the event.
            members: what JSON takes.
        """
        with self._lock:
            self._last = next(self._count)
            text = json.dumps({'type': kind, 'seq': self._last, **members}, separators=(',', ':'))
            resync = json.dumps({'type': 'resync', 'seq': self._last})
            for listener in self._listeners:
                # A loop that has been closed takes nothing any more.
                if not listener.loop.is_closed():
                    listener.loop.call_soon_threadsafe(listener.put, text, resync)
