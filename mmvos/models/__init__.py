"""Video models and their parts; ``registered`` lists them.

They are imported when somebody asks for one: what goes through a video (``video_steps``,
``prompted_tracking``, ``masktrack.propagation``) is also used without torch, by ``mmvos.onnx``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .registered import *  # noqa: F403


def __getattr__(name: str) -> Any:
    if not name.startswith('_') and name != 'registered':
        registered = import_module(f'{__name__}.registered')
        if name in registered.__all__:
            return getattr(registered, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
