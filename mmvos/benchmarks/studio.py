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

from .tables import print_head, print_row

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

        Args:
            method: of HTTP.
            path: of the studio, with the question.
            body: sent as JSON, unless None.

        Raises:
            DataError: the studio refuses it.
        """
        content = None
        if body is not None:
            content = json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, content, method=method)
        request.add_header('X-Mmvos-Token', self._token)
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except HTTPError as error:
            reason = error.read().decode()
            raise DataError(f'{method} {path}: {reason}') from error

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
        """Return the masks of object 1 in all frames, empty where it has none.

        Args:
            length: of the video in frames.
            size: (height, width).
        """
        answer = self.ask('GET', f'/api/masks?start=0&stop={length}')
        masks = []
        for t in range(length):
            entries = answer['frames'].get(str(t), {})
            if '1' in entries:
                masks.append(mask_of(entries['1']))
            else:
                masks.append(np.zeros(size, bool))
        return masks


def mask_of(entry: dict[str, Any]) -> Mask:
    """Return the mask (H, W) of an entry, whose run lengths go down the columns."""
    height, width = entry['mask']['size']
    lengths = entry['mask']['counts']
    # The first run is background; they alternate.
    is_object = np.arange(len(lengths)) % 2 == 1
    columns = np.repeat(is_object, lengths).reshape(width, height)
    return columns.T


@contextmanager
def serving(frames: Path, system: str, weights: str | None) -> Iterator[Page]:
    """Serve a studio of a video, in a project that is thrown away, with its model loaded.

    Args:
        frames: folder of the video.
        system: name of the model.
        weights: checkpoint of it, or None.

    Yields:
        Its page.

    Raises:
        DataError: it cannot be started.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        open_session(Place(Path(folder) / 'project', frames), system, weights) as session,
    ):
        told: list[str] = []
        is_ready = threading.Event()

        def ready(address: str) -> None:
            told.append(address)
            is_ready.set()

        # In a thread: the page that asks is this process, too.
        server = StudioServer(session, '127.0.0.1', None, ready)
        thread = threading.Thread(target=server.run_studio)
        thread.start()
        try:
            while not is_ready.wait(_PERIOD):
                if not thread.is_alive():
                    raise DataError('the studio of this benchmark cannot be started')
            # What a user does begins when the model is there.
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
    """Find where a user would click: in the middle of the largest wrong region.

    Args:
        found: (H, W).
        truth: (H, W).

    Returns:
        [x, y, 1 or 0], 1 where the region is missing, 0 where it is too much.
    """
    largest = 0
    point: list[float] = [0.5, 0.5, 0]
    for is_missing, wrong in ((1, truth & ~found), (0, found & ~truth)):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8))
        for part in range(1, count):
            area = int(stats[part, cv2.CC_STAT_AREA])
            if area <= largest:
                continue
            # The middle is the pixel furthest from what is not the region; so is the frame's edge.
            is_part = np.pad((labels == part).astype(np.uint8), 1)
            depth = cv2.distanceTransform(is_part, cv2.DIST_L2, 3)[1:-1, 1:-1]
            y, x = np.unravel_index(int(depth.argmax()), depth.shape)
            largest = area
            point = [float(x) + 0.5, float(y) + 0.5, is_missing]
    return point


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
    """Correct a frame by clicks, or else by painting it.

    Args:
        page: of a studio of the video.
        frame: that is corrected.
        truth: (H, W).
        wanted: J that the frame shall have.
        clicks: at most, before the mask is painted.
        outcome: counts the actions.
    """
    height, width = truth.shape
    found = page.masks(frame + 1, (height, width))[frame]

    # The prompt that this frame has already stays.
    prompts = page.ask('GET', '/api/prompts')['prompts']
    given = prompts.get(str(frame), {}).get('1', {})
    points = list(given.get('points', []))

    # Click where the mask is most wrong, until it is good.
    for _ in range(clicks):
        points.append(most_wrong(found, truth))
        found = page.put(frame, box=given.get('box'), mask=given.get('mask'), points=points)
        outcome.count('click')
        if jaccard(found, truth) >= wanted:
            return

    code = rle.encode(truth)
    page.put(frame, mask=mask_to_json(code['counts'], (height, width)))
    outcome.count('painted mask')


def score(page: Page, truth: list[Mask]) -> list[float]:
    """J of each frame."""
    masks = page.masks(len(truth), (truth[0].shape[0], truth[0].shape[1]))
    return [jaccard(found, wanted) for found, wanted in zip(masks, truth, strict=True)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add = parser.add_argument
    add('davis', type=Path, help='folder in the layout of DAVIS')
    add('--videos', nargs='+', required=True, metavar='NAME')
    add('--system', default='masktrack')
    add('--weights', help='checkpoint of the system')
    add('--wanted', type=float, default=0.9, help='J of every frame (default .9)')
    add('--clicks', type=int, default=4, help='at most in a frame (default 4)')
    add('--rounds', type=int, default=20, help='frames corrected at most')


def run(args: argparse.Namespace) -> None:
    """Annotate the videos and print a row for each.

    Args:
        args: the options of ``add_arguments``.

    Raises:
        DataError: a folder is not in the layout of DAVIS, or a studio refuses a request.
    """
    frames = find_videos_folder(args.davis, 'JPEGImages')
    labels = find_videos_folder(args.davis, 'Annotations')
    assumed = ', '.join(f'{name} {seconds:g} s' for name, seconds in USER_SECONDS.items())
    print(f'assumed of the user: {assumed}')
    columns = ['video', 'frames', 'box alone: J, frames below', 'J', 'frames below', 'actions']
    columns += ['machine, min', 'user, min']
    print_head(columns)

    # All ids of a sequence are one object.
    for name in args.videos:
        truth = []
        for path in list_files(labels / name, ('.png',)):
            all_objects = merge_objects(read_label_png(path))
            truth.append(all_objects > 0)
        with serving(frames / name, args.system, args.weights) as page:
            alone, outcome = annotate(page, truth, args.wanted, args.clicks, args.rounds)
        print_row(_cells(name, alone, outcome, args.wanted))


def _cells(name: str, alone: Outcome, outcome: Outcome, wanted: float) -> list[str]:
    """Return the cells of a line of the table.

    Args:
        name: of the video.
        alone: what one box gave.
        outcome: what there was in the end.
        wanted: J that every frame shall have.
    """
    actions = [f'{count} {action}' for action, count in outcome.actions.items()]
    return [
        name,
        str(len(outcome.scores)),
        f'{np.mean(alone.scores):.3f}, {_below(alone, wanted)}',
        f'{np.mean(outcome.scores):.3f}',
        str(_below(outcome, wanted)),
        ', '.join(actions),
        f'{outcome.seconds / 60:.1f}',
        f'{outcome.user_seconds / 60:.1f}',
    ]


def _below(outcome: Outcome, wanted: float) -> int:
    return sum(score < wanted for score in outcome.scores)
