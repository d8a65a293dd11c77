"""results.json: the tracks of one video in the YouTube-VIS results schema, written without holding
the video in memory.

A track's line in the file is complete only when the video is over, so the masks wait in a temporary
database on the disk beside the file, ordered by (object, frame), and are streamed from there at the
end. Schema: YouTube-VIS submission, a list of {video_id, category_id, score, segmentations: one
compressed RLE or null per frame}.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mmvos.io.atomic import OutputError, explain_os_error, make_folder, open_atomic
from mmvos.structures import FrameResult

_TABLE = """
    CREATE TABLE masks (
        id INTEGER, frame INTEGER, label INTEGER, score REAL, rle TEXT, PRIMARY KEY (id, frame)
    ) WITHOUT ROWID
"""
_CACHE_KIB = 2048


class ResultsJson:
    """Collects the results of one video; a context manager, the file is there when it is left, also
    after an error.

    The class and the score of a track are those of ``VideoTracks``: the most frequent class, the
    mean score.

    Args:
        path: the JSON file.
        category_ids: label -> category id; label + 1 where it is empty. A class-agnostic model
            (label -1) gives category 1.
        video_id: the video's id in the file.
    """

    def __init__(self, path: str | Path, category_ids: Sequence[int], video_id: int = 1) -> None:
        self.path = Path(path)
        self.category_ids = tuple(category_ids)
        self.video_id = video_id
        self.length = 0  # frames so far
        self._shard = self.path.with_name(self.path.name + '.partial')
        self._masks: sqlite3.Connection

    def __enter__(self) -> ResultsJson:
        make_folder(self.path.parent)
        self._shard.unlink(missing_ok=True)
        # The shard is never read after a crash, so it needs no journal. Writing may happen in
        # another thread.
        settings = ('journal_mode = OFF', 'synchronous = OFF', f'cache_size = -{_CACHE_KIB}')
        with _output_errors(self._shard):
            self._masks = sqlite3.connect(
                self._shard, isolation_level=None, check_same_thread=False
            )
            for setting in settings:
                self._masks.execute(f'PRAGMA {setting}')
            self._masks.execute(_TABLE)
        return self

    def __exit__(self, *error: object) -> None:
        try:
            with open_atomic(self.path, 'w') as stream:
                self._assemble(stream)
        finally:
            self._masks.close()
            self._shard.unlink()

    def write(
        self,
        name: str,
        image: NDArray[np.uint8],
        result: FrameResult,
        time: Fraction | None = None,
    ) -> None:
        """Take the result of the next frame.

        Args:
            name, image, time: not used.
            result: the objects; a track has one entry per call, in the order of the calls.

        Raises:
            ValueError: a label has no category.
            OutputError: the frame cannot be kept on the disk.
        """
        frame = self.length
        rows = []
        for item in result.objects:
            if self.category_ids and item.label >= len(self.category_ids):
                raise ValueError(
                    f'{self.path}: object {item.id} has label {item.label}, but there are '
                    f'{len(self.category_ids)} categories'
                )
            mask = json.dumps(item.mask, separators=(',', ':'))
            rows.append((item.id, frame, item.label, item.score, mask))

        # They wait on the disk, since a track is written when all of it is known.
        with _output_errors(self._shard):
            self._masks.execute('BEGIN')
            self._masks.executemany('INSERT INTO masks VALUES (?, ?, ?, ?, ?)', rows)
            self._masks.execute('COMMIT')
        self.length += 1

    def _assemble(self, stream: IO[str]) -> None:
        ids = [row[0] for row in self._masks.execute('SELECT DISTINCT id FROM masks ORDER BY id')]
        stream.write('[')
        for position, object_id in enumerate(ids):
            stream.write(',' * (position > 0))
            self._write_track(stream, object_id)
        stream.write(']')

    def _write_track(self, stream: IO[str], object_id: int) -> None:
        """Write one object: its class and score over all frames, and its masks."""
        own = (object_id,)

        # The class that most of its masks have, of equally frequent ones the first; the mean score.
        counts = self._masks.execute(
            'SELECT COUNT(*), label FROM masks WHERE id = ? GROUP BY label', own
        )
        votes = counts.fetchall()
        _, label = min(votes, key=lambda vote: (-vote[0], vote[1]))
        scores = self._masks.execute('SELECT score FROM masks WHERE id = ? ORDER BY frame', own)
        score = sum(row[0] for row in scores) / sum(count for count, _ in votes)
        category_id = self._category_of(label)
        stream.write(
            f'{{"video_id":{self.video_id},"category_id":{category_id},"score":{json.dumps(score)},'
            f'"segmentations":['
        )

        # An entry for each frame, null where it has no mask.
        following = 0  # the frame whose entry comes next
        masks = self._masks.execute('SELECT frame, rle FROM masks WHERE id = ? ORDER BY frame', own)
        for frame, rle in masks:
            stream.write('null,' * (frame - following))
            stream.write(rle)
            if frame + 1 < self.length:
                stream.write(',')
            following = frame + 1
        rest = ['null'] * (self.length - following)
        stream.write(','.join(rest))
        stream.write(']}')

    def _category_of(self, label: int) -> int:
        """Return the category id of a label; 1 where the model knows no classes."""
        if label < 0:
            return 1
        if self.category_ids:
            return self.category_ids[label]
        return label + 1


@contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    """Turn faults of a database into an `OutputError`, which names a full disk as other files do.

    Raises:
        OutputError: the block raised such a fault.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        # SQLite says it in words of its own, and passes no error number on.
        if 'full' in str(error):
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise OutputError(explain_os_error(path, full)) from full
        raise OutputError(f'{path} cannot be written: {error}') from error
