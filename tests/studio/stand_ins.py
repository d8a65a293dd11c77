"""A model that follows colors, and a studio with it around the small video.

The model finds the colors that a prompt shows: what it gives is known without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from starlette.testclient import TestClient

from mmvos.io.images import Picture
from mmvos.models import VideoSteps
from mmvos.structures import (
    UNKNOWN_LABEL,
    Frame,
    FrameMeta,
    FrameResult,
    Prompts,
    TrackedObject,
    rle,
)
from mmvos.studio.opening import Place, open_session
from mmvos.studio.segmenter import Segmenter
from mmvos.studio.server import Studio
from mmvos.studio.session import Session
from mmvos.studio.worker import Worker

from .small_video import FRAMES, HEIGHT, WIDTH, object_mask, picture, write_frames

__all__ = [
    'FRAMES',
    'HEIGHT',
    'WIDTH',
    'object_mask',
    'picture',
    'write_frames',
]
PORT = 8123
Colors = frozenset[tuple[int, int, int]]


def box_of(frame: int, number: int) -> list[float]:
    """Left, top, right and bottom of an object."""
    return list(rle.bounding_box(rle.encode(object_mask(frame, number))))


def point_of(frame: int, number: int) -> list[float]:
    """x and y in the middle of an object."""
    x1, y1, x2, y2 = box_of(frame, number)
    return [(x1 + x2) / 2, (y1 + y2) / 2]


class ColorFollower(VideoSteps):
    """A model whose state is the colors of each object.

    A mask has its frequent colors, a box the one in its middle; points of a known object add and
    take away colors.
    """

    takes_prompts = True

    def __init__(self) -> None:
        self.steps = 0
        self.dataset_meta: dict[str, Any] = {'classes': (), 'category_ids': ()}

    def make_frame(self, batch: Any) -> Frame:
        image = batch['inputs']
        meta = FrameMeta(int(batch['index']), (HEIGHT, WIDTH), (HEIGHT, WIDTH), (1.0, 1.0))
        return Frame(image[None].float(), meta)

    def init_state(self) -> dict[int, Colors]:
        return {}

    def remove(self, state: dict[int, Colors], object_id: int) -> dict[int, Colors]:
        return {number: colors for number, colors in state.items() if number != object_id}

    def identity(self) -> list[Any]:
        return []

    def keep_memory(self, state: dict[int, Colors]) -> dict[int, Colors]:
        return state

    def recall(self, state: dict[int, Colors], prompted: Any) -> dict[int, Colors]:
        return state

    def step(
        self, frame: Frame, state: dict[int, Colors], prompts: Prompts | None = None
    ) -> tuple[dict[int, Colors], FrameResult]:
        self.steps += 1
        image = frame.image[0].permute(1, 2, 0).numpy().astype(int)  # (H, W, 3)
        state = dict(state)
        given: dict[int, NDArray[np.bool_]] = {}
        if prompts is not None:
            for k, object_id in enumerate(prompts.ids):
                mask, box = prompts.masks[k], prompts.boxes[k]
                if mask is not None:
                    given[object_id] = mask
                    shades, counts = np.unique(image[mask], axis=0, return_counts=True)
                    often = shades[counts > mask.sum() / 10].tolist()
                    state[object_id] = frozenset((b, g, r) for b, g, r in often)
                elif box is not None:
                    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
                    state[object_id] = frozenset({_color(image, x, y)})
                elif object_id not in state:
                    if not any(is_on for _, _, is_on in prompts.points[k]):
                        raise ValueError('none of the points is on the object')
                    state[object_id] = frozenset()
                for x, y, is_on in prompts.points[k]:
                    change = {_color(image, x, y)}
                    known = state[object_id]
                    state[object_id] = known | change if is_on else known - change
        objects = []
        for object_id, colors in sorted(state.items()):
            mask = np.zeros((HEIGHT, WIDTH), bool)
            for color in colors:
                mask |= (image == color).all(axis=2)
            mask = given.get(object_id, mask)
            code = rle.encode(mask)
            box = rle.bounding_box(code)
            objects.append(TrackedObject(object_id, UNKNOWN_LABEL, 0.9, box, code))
        return state, FrameResult(frame.meta.index, (HEIGHT, WIDTH), tuple(objects))


def _color(image: NDArray[np.int_], x: float, y: float) -> tuple[int, int, int]:
    pixel = image[min(int(y), HEIGHT - 1), min(int(x), WIDTH - 1)]
    return int(pixel[0]), int(pixel[1]), int(pixel[2])


def prepare(index: int, shown: Picture) -> dict[str, Any]:
    return {'inputs': torch.from_numpy(shown).permute(2, 0, 1), 'index': index}


def follow_colors(monkeypatch: Any) -> ColorFollower:
    """Let every studio of a test have the model that follows colors."""
    model = ColorFollower()
    segmenter: Any = Segmenter('masktrack', model, prepare)
    monkeypatch.setattr(Worker, 'load', lambda self, name: segmenter)
    return model


@dataclass
class OpenStudio:
    """A studio that runs, and a client that has its token."""

    session: Session
    studio: Studio
    client: TestClient
    token: str

    def stranger(self, **headers: str) -> TestClient:
        """A client without the token."""
        return TestClient(self.studio.app, base_url=f'http://127.0.0.1:{PORT}', headers=headers)

    def events(self, client: TestClient | None = None, **headers: str) -> Any:
        """A WebSocket of the events."""
        address = f'ws://127.0.0.1:{PORT}/api/events'
        return (client or self.client).websocket_connect(address, headers=headers)

    def wait(self) -> dict[str, Any]:
        """Wait until the run is over, and return it."""
        import time

        for _ in range(3000):
            run = self.client.get('/api/project').json()['run']
            if run is not None and run['state'] not in ('running', 'paused'):
                return dict(run)
            time.sleep(0.02)
        raise AssertionError('the run does not end')


@contextmanager
def open_studio(video: Path | None, project: Path, **options: Any) -> Iterator[OpenStudio]:
    """Open a studio whose requests are made in this process."""
    with open_session(Place(project, video), 'masktrack', **options) as session:
        token = session.project.meta('token')
        assert token
        studio = Studio(session, token, PORT, ('127.0.0.1', 'localhost'))
        headers = {'x-mmvos-token': token}
        address = f'http://127.0.0.1:{PORT}'
        with TestClient(studio.app, base_url=address, headers=headers) as client:
            yield OpenStudio(session, studio, client, token)


def mask_of(entry: dict[str, Any]) -> NDArray[np.bool_]:
    """(H, W) bool of an entry's mask, decoded as the page does."""
    height, width = entry['mask']['size']
    flat = np.zeros(height * width, bool)
    place, value = 0, False
    for count in entry['mask']['counts']:
        flat[place : place + count] = value
        place += count
        value = not value
    assert place == height * width
    return flat.reshape(width, height).T
