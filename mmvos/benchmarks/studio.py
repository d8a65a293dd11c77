"""Annotating videos with mmvos studio, as a user who knows the truth would: how many actions and
minutes until every frame has J >= .9, beside what one box alone gives.

    mmvos benchmark studio DATA/DAVIS --videos rhino lucia car-turn

A server is started for each video, and everything goes through the page's own requests. The user
draws the box of the object in the first frame and runs forwards. Then, as long as a frame is below
the wanted J: go to the worst one, click where the mask is most wrong (in the middle of the largest
region that is missing or too much), up to --clicks times; where that is not enough, paint the mask;
run from there to the corrected frames on both sides. "Minutes" are those of the machine; those of
the user are actions times what is assumed of each, which the table says.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import cv2
import numpy as np
from numpy.typing import NDArray

from mmvos.io.davis_folder import find_videos_folder
from mmvos.io.errors import DataError
from mmvos.io.frame_names import list_files
from mmvos.io.label_png import merge_objects, read_label_png
from mmvos.structures import rle
from mmvos.studio.opening import Place, StudioServer, open_session
from mmvos.studio.records import mask_to_json

# Seconds that a user is assumed to need for each action, with looking at what it did.
USER_SECONDS = {'box': 5.0, 'click': 3.0, 'painted mask': 60.0, 'run': 2.0, 'frame looked up': 5.0}
_PERIOD = 0.1  # seconds between two looks at a run
Mask = NDArray[np.bool_]


@dataclass
class Outcome:
    """What an annotation took.

    Attributes:
        scores: J of each frame at its end.
        actions: how many of each kind.
        seconds: of the machine.
    """

    scores: list[float] = field(default_factory=list)
    actions: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def count(self, action: str) -> None:
        """Count an action."""
        self.actions[action] = self.actions.get(action, 0) + 1

    @property
    def user_seconds(self) -> float:
        """What the user is assumed to need."""
        return sum(USER_SECONDS[action] * count for action, count in self.actions.items())


class Page:
    """A page's requests to a studio.

    Args:
        address: as ``mmvos studio`` prints it.
    """

    def __init__(self, address: str) -> None:
        self._base, _, self._token = address.partition('/?token=')

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request and return what is answered.

        Raises:
            DataError: the studio refuses it.
        """
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, content, method=method)
        request.add_header('X-Mmvos-Token', self._token)
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise DataError(f'{method} {path}: {error.read().decode()}') from error

    def fetch(self, path: str) -> bytes:
        """Get what is no JSON, e.g. a frame."""
        request = urllib.request.Request(self._base + path)
        request.add_header('X-Mmvos-Token', self._token)
        with urllib.request.urlopen(request) as answer:
            return bytes(answer.read())

    def put(self, frame: int, **prompt: Any) -> Mask:
        """Give a prompt of object 1 and return its mask."""
        answer = self.ask('PUT', f'/api/frames/{frame}/objects/1/prompt', prompt)
        return mask_of(answer['entry'])

    def run(self, **request: Any) -> None:
        """Run to the end.

        Raises:
            DataError: it failed.
        """
        self.ask('POST', '/api/run', request)
        while True:
            run = self.ask('GET', '/api/project')['run']
            if run['state'] == 'finished':
                return
            if run['state'] != 'running':
                raise DataError(f'the run failed: {run["message"]}')
            time.sleep(_PERIOD)

    def masks(self, length: int, size: tuple[int, int]) -> list[Mask]:
        """The masks of object 1 in all frames."""
        answer = self.ask('GET', f'/api/masks?start=0&stop={length}')
        masks = []
        for t in range(length):
            entry = answer['frames'].get(str(t), {}).get('1')
            masks.append(np.zeros(size, bool) if entry is None else mask_of(entry))
        return masks


def mask_of(entry: dict[str, Any]) -> Mask:
    """(H, W) bool of an entry."""
    height, width = entry['mask']['size']
    runs = entry['mask']['counts']
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


@contextmanager
def serving(frames: Path, system: str, weights: str | None) -> Iterator[Page]:
    """A studio of a video, in a project that is thrown away, with its model loaded."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_session(Place(Path(folder) / 'project', frames), system, weights) as session,
    ):
        told: list[str] = []
        is_ready = threading.Event()

        def ready(address: str) -> None:
            told.append(address)
            is_ready.set()

        server = StudioServer(session, '127.0.0.1', None, ready)
        thread = threading.Thread(target=server.run_studio)
        thread.start()
        try:
            while not is_ready.wait(_PERIOD):
                if not thread.is_alive():
                    raise DataError('the studio of this benchmark cannot be started')
            page = Page(told[0])
            while page.ask('GET', '/api/project')['model']['state'] == 'loading':
                time.sleep(_PERIOD)
            yield page
        finally:
            server.should_exit = True
            thread.join()


def jaccard(one: Mask, two: Mask) -> float:
    """J of two masks; 1 where both are empty."""
    union = int((one | two).sum())
    return float((one & two).sum() / union) if union else 1.0


def most_wrong(found: Mask, truth: Mask) -> list[float]:
    """The point [x, y, 1 or 0] in the middle of the largest region that is missing (1) or too much
    (0).
    """
    best: tuple[int, list[float]] = (0, [0.5, 0.5, 0])
    for is_missing, wrong in ((1, truth & ~found), (0, found & ~truth)):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8))
        for part in range(1, count):
            area = int(stats[part, cv2.CC_STAT_AREA])
            if area <= best[0]:
                continue
            inside = np.pad((labels == part).astype(np.uint8), 1)
            depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
            y, x = np.unravel_index(int(depth.argmax()), depth.shape)
            best = (area, [float(x) + 0.5, float(y) + 0.5, is_missing])
    return best[1]


def annotate(
    page: Page, truth: list[Mask], wanted: float, clicks: int, rounds: int
) -> tuple[Outcome, Outcome]:
    """Annotate a video.

    Args:
        page: of a studio of the video.
        truth: L masks (H, W).
        wanted: J that every frame shall have.
        clicks: at most in a frame, before its mask is painted.
        rounds: at most, of correcting a frame.

    Returns:
        What one box gave, and what there was in the end.
    """
    outcome = Outcome()
    begin = time.monotonic()
    page.ask('POST', '/api/objects', {})
    page.put(0, box=list(rle.bounding_box(rle.encode(truth[0]))))
    outcome.count('box')
    page.run(direction='forward', start=0)
    outcome.count('run')
    outcome.scores = score(page, truth)
    outcome.seconds = time.monotonic() - begin
    alone = Outcome(list(outcome.scores), dict(outcome.actions), outcome.seconds)

    for _ in range(rounds):
        worst = int(np.argmin(outcome.scores))
        if outcome.scores[worst] >= wanted:
            break
        begin = time.monotonic()
        outcome.count('frame looked up')
        correct(page, worst, truth[worst], wanted, clicks, outcome)
        # To the corrected frames on both sides, where the masks are good.
        page.run(direction='both', start=worst, until_corrected=True)
        outcome.count('run')
        outcome.seconds += time.monotonic() - begin
        outcome.scores = score(page, truth)
    return alone, outcome


def correct(
    page: Page, frame: int, truth: Mask, wanted: float, clicks: int, outcome: Outcome
) -> None:
    """Correct a frame by clicks, or else by painting it."""
    found = page.masks(frame + 1, (truth.shape[0], truth.shape[1]))[frame]
    # What was said about this frame before stays.
    said = page.ask('GET', '/api/prompts')['prompts'].get(str(frame), {}).get('1', {})
    points = list(said.get('points', []))
    for _ in range(clicks):
        points.append(most_wrong(found, truth))
        found = page.put(frame, box=said.get('box'), mask=said.get('mask'), points=points)
        outcome.count('click')
        if jaccard(found, truth) >= wanted:
            return
    code = rle.encode(truth)
    page.put(frame, mask=mask_to_json(code['counts'], (truth.shape[0], truth.shape[1])))
    outcome.count('painted mask')


def score(page: Page, truth: list[Mask]) -> list[float]:
    """J of each frame."""
    masks = page.masks(len(truth), (truth[0].shape[0], truth[0].shape[1]))
    return [jaccard(found, wanted) for found, wanted in zip(masks, truth, strict=True)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument('davis', type=Path, help='folder in the layout of DAVIS')
    parser.add_argument('--videos', nargs='+', required=True, metavar='NAME')
    parser.add_argument('--system', default='masktrack')
    parser.add_argument('--weights', help='checkpoint of the system')
    parser.add_argument('--wanted', type=float, default=0.9, help='J of every frame (default .9)')
    parser.add_argument('--clicks', type=int, default=4, help='at most in a frame (default 4)')
    parser.add_argument('--rounds', type=int, default=20, help='frames corrected at most')


def run(args: argparse.Namespace) -> None:
    """Annotate the videos and print a row for each."""
    frames = find_videos_folder(args.davis, 'JPEGImages')
    labels = find_videos_folder(args.davis, 'Annotations')
    assumed = ', '.join(f'{name} {seconds:g} s' for name, seconds in USER_SECONDS.items())
    print(f'assumed of the user: {assumed}')
    heads = ['video', 'frames', 'box alone: J, frames below', 'J', 'frames below', 'actions']
    heads += ['machine, min', 'user, min']
    print(f'| {" | ".join(heads)} |')
    print('|---' * len(heads) + '|')
    for name in args.videos:
        truth = []
        for path in list_files(labels / name, ('.png',)):
            truth.append(merge_objects(read_label_png(path)) > 0)
        with serving(frames / name, args.system, args.weights) as page:
            alone, outcome = annotate(page, truth, args.wanted, args.clicks, args.rounds)
        print(_row(name, alone, outcome, args.wanted), flush=True)


def _row(name: str, alone: Outcome, outcome: Outcome, wanted: float) -> str:
    """A line of the table."""
    cells = [name, str(len(outcome.scores))]
    cells.append(f'{np.mean(alone.scores):.3f}, {_below(alone, wanted)}')
    cells.append(f'{np.mean(outcome.scores):.3f}')
    cells.append(str(_below(outcome, wanted)))
    cells.append(', '.join(f'{count} {action}' for action, count in outcome.actions.items()))
    cells.append(f'{outcome.seconds / 60:.1f}')
    cells.append(f'{outcome.user_seconds / 60:.1f}')
    return f'| {" | ".join(cells)} |'


def _below(outcome: Outcome, wanted: float) -> int:
    return sum(score < wanted for score in outcome.scores)
