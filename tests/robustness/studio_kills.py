"""Kills the server of `mmvos studio` at random moments, while a user paints, undoes and redoes.

After each kill a new server goes on with the project. All that was answered must be there, the
database whole; of the one request that was not answered either all or nothing. Strokes are painted
masks, so no model takes part.

    python -m tests.robustness.studio_kills --kills 100
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
from tqdm import tqdm

from mmvos.structures import rle
from mmvos.studio.opening import Place, StudioServer, open_session
from mmvos.studio.project import DATABASE
from mmvos.studio.records import mask_to_json
from mmvos.studio.worker import Worker
from tests.studio.small_video import FRAMES, HEIGHT, WIDTH, object_mask, write_frames

_OBJECTS = 2
_LONGEST_LIFE = 2.0  # seconds of a server after it is ready
_SECONDS = 60  # for a server to come up
Key = tuple[int, int]  # frame, object
Masks = dict[Key, list[int]]  # run lengths


@dataclass
class Expected:
    """What a user who was answered believes.

    Attributes:
        past, future: the strokes that undo and redo go over: where, mask before, mask after.
        masks: the masks that are there.
    """

    past: list[tuple[Key, list[int] | None, list[int]]] = field(default_factory=list)
    future: list[tuple[Key, list[int] | None, list[int]]] = field(default_factory=list)
    masks: Masks = field(default_factory=dict)

    def copy(self) -> Expected:
        """A copy that can be changed."""
        return Expected(list(self.past), list(self.future), dict(self.masks))

    def paint(self, key: Key, mask: list[int]) -> None:
        """A stroke."""
        before = self.masks.get(key)
        if before != mask:
            self.past.append((key, before, mask))
            self.future = []
        self.masks[key] = mask

    def undo(self) -> None:
        """Undo a stroke."""
        key, before, after = self.past.pop()
        self.future.append((key, before, after))
        if before is None:
            del self.masks[key]
        else:
            self.masks[key] = before

    def redo(self) -> None:
        """Do it again."""
        key, before, after = self.future.pop()
        self.past.append((key, before, after))
        self.masks[key] = after


def serve_until_killed(clip: str, project: str, port: int | None, ready: Connection) -> None:
    """The server: tells its address when it is ready."""
    Worker.load = lambda self, name: None  # type: ignore[assignment,return-value,method-assign]
    with open_session(Place(Path(project), Path(clip)), 'masktrack') as session:
        StudioServer(session, '127.0.0.1', port, ready.send).run_studio()


class Server:
    """A server in a process of its own, and a client that has its token.

    Args:
        clip, project: what it serves.
        port: by default any.
    """

    def __init__(self, clip: Path, project: Path, port: int | None = None) -> None:
        context = get_context('spawn')
        mine, theirs = context.Pipe(duplex=False)
        arguments = (str(clip), str(project), port, theirs)
        self.process = context.Process(target=serve_until_killed, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        if not mine.poll(_SECONDS):
            raise TimeoutError('the server does not come up')
        self.address = mine.recv()
        address, _, token = self.address.partition('/?token=')
        self.client = httpx.Client(
            base_url=address, headers={'x-mmvos-token': token}, timeout=_SECONDS
        )

    def kill(self) -> None:
        """kill -9"""
        if self.process.pid is not None:
            os.kill(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill it where it still runs."""
        self.kill()
        self.process.join()
        self.client.close()

    def masks(self) -> Masks:
        """All masks."""
        answer = self.client.get(f'/api/masks?start=0&stop={FRAMES}').json()
        found = {}
        for frame, entries in answer['frames'].items():
            for number, entry in entries.items():
                found[int(frame), int(number)] = entry['mask']['counts']
        return found


def act(rng: random.Random, server: Server, expected: Expected) -> Expected:
    """Send one request; what is there where it was done.

    Raises:
        httpx.HTTPError: the server was killed before it answered.
    """
    after = expected.copy()
    choice = rng.random()
    if choice < 0.2 and after.past:
        after.undo()
        send = ('POST', '/api/undo', None)
    elif choice < 0.3 and after.future:
        after.redo()
        send = ('POST', '/api/redo', None)
    else:
        key = (rng.randrange(FRAMES), rng.randint(1, _OBJECTS))
        mask = object_mask(rng.randrange(FRAMES), key[1])
        shown = mask_to_json(rle.encode(mask)['counts'], (HEIGHT, WIDTH))
        after.paint(key, shown['counts'])
        send = ('PUT', f'/api/frames/{key[0]}/objects/{key[1]}/prompt', {'mask': shown})
    _PENDING[0] = after
    method, path, body = send
    answer = server.client.request(method, path, json=body)
    if answer.status_code != 200:
        raise AssertionError(f'{method} {path}: {answer.status_code} {answer.text}')
    return after


_PENDING: list[Expected] = [Expected()]  # what is there where the last request was done


def kill_studio(kills: int, folder: Path, seed: int = 0) -> tuple[int, list[str]]:
    """Kill servers of one project.

    Args:
        kills: how often.
        folder: empty.
        seed: of what is painted and when it is killed.

    Returns:
        The number of requests that were answered, and what was wrong after a kill.
    """
    rng = random.Random(seed)
    clip, project = write_frames(folder / 'clip'), folder / 'project'
    expected = Expected()
    answered = 0
    server = Server(clip, project)
    try:
        for _ in range(_OBJECTS):
            server.client.post('/api/objects', json={})
        for kill in tqdm(range(kills), 'kills', delay=5, leave=False):
            _PENDING[0] = expected
            timer = threading.Timer(rng.uniform(0.0, _LONGEST_LIFE), server.kill)
            timer.start()
            while True:
                try:
                    expected = act(rng, server, expected)
                    answered += 1
                except httpx.HTTPError:
                    break
            timer.join()
            server.close()

            fault = check_database(project)
            if fault is not None:
                return answered, [f'kill {kill}: {fault}']
            server = Server(clip, project)
            there = server.masks()
            if there == _PENDING[0].masks and there != expected.masks:
                expected = _PENDING[0]
            elif there != expected.masks:
                return answered, [f'kill {kill}: {describe(expected.masks, there)}']
            elif _PENDING[0].masks == expected.masks:
                expected = told_by(server, expected)
    finally:
        server.close()
    return answered, []


def told_by(server: Server, expected: Expected) -> Expected:
    """What is expected where the masks do not tell whether the last request was done."""
    history: dict[str, Any] = server.client.get('/api/project').json()['history']
    pending = _PENDING[0]
    is_done = (history['redo'] is not None) == bool(pending.future)
    is_same = len(pending.past) == len(expected.past)
    return pending if is_done and not is_same else expected


def describe(expected: Masks, there: Masks) -> str:
    """How two states differ, in a sentence."""
    lost = [key for key in expected if key not in there]
    more = [key for key in there if key not in expected]
    other = [key for key in expected if key in there and there[key] != expected[key]]
    return f'lost {lost}, too many {more}, different {other}'


def check_database(project: Path) -> str | None:
    """What is wrong with a database that a killed server left, read as it is."""
    database = sqlite3.connect(project / DATABASE)
    try:
        found = database.execute('PRAGMA integrity_check').fetchone()[0]
    finally:
        database.close()
    return None if found == 'ok' else f'the database is damaged: {found}'


def main(argv: Sequence[str] | None = None) -> None:
    """Kill servers and print what was wrong."""
    parser = argparse.ArgumentParser(description='Kills the server of the studio.')
    parser.add_argument('--kills', type=int, default=100)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        answered, faults = kill_studio(args.kills, Path(folder), args.seed)
    print(f'{args.kills} kills, {answered} answered requests, {len(faults)} faults')
    for fault in faults:
        print(fault)
    raise SystemExit(bool(faults))


if __name__ == '__main__':
    main()
