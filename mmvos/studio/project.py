"""Project: the folder in which all that a user made of a video is kept, in a SQLite database.

Each action of the user is one transaction with its entry in the history, by which it is undone and
redone: the rows before and after it. Results of runs are stored as they come and are no action.
The database is open in one process at a time (``OutputLock``); its threads share it.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mmvos.io.atomic import OutputError, check_folder, make_folder
from mmvos.io.errors import DataError
from mmvos.io.output_lock import OutputLock

from .records import CORRECTED, Entry, StoredPrompt, StudioObject

FORMAT = 1  # of the database; a newer one is refused
DATABASE = 'project.sqlite'
_LOCK = '.studio.lock'
_APPLICATION = 0x6D6D7673  # 'mmvs': SQLite's mark of whose database this is
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE objects (id INTEGER PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE prompts (
    frame INTEGER, object INTEGER, value TEXT NOT NULL, PRIMARY KEY (frame, object)
) WITHOUT ROWID;
CREATE TABLE results (
    frame INTEGER, object INTEGER, counts TEXT NOT NULL, score REAL NOT NULL,
    source TEXT NOT NULL, area INTEGER NOT NULL, box TEXT NOT NULL, near INTEGER,
    PRIMARY KEY (frame, object)
) WITHOUT ROWID;
CREATE INDEX results_of_object ON results (object, frame, area, score, source, near);
CREATE TABLE history (
    id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT NOT NULL, changes TEXT NOT NULL,
    done INTEGER NOT NULL, part_of TEXT
);
"""
_ENTRY_COLUMNS = 'frame, object, counts, score, source, area, box, near'
Key = tuple[int, int]  # frame, object


class ProjectError(DataError):
    """A project that cannot be opened or used as it is asked."""


class Action:
    """The changes of one action, while its transaction is open."""

    def __init__(self, project: Project) -> None:
        self.changes: list[list[Any]] = []
        self._project = project

    def put_object(self, item: StudioObject) -> None:
        """Add or replace an object."""
        self._change('objects', [item.id], asdict(item))

    def put_prompt(self, frame: int, object_id: int, prompt: StoredPrompt | None) -> None:
        """Set what is said about an object in a frame; None: nothing."""
        value = None if prompt is None else asdict(prompt)
        self._change('prompts', [frame, object_id], value)

    def put_entry(self, frame: int, object_id: int, entry: Entry | None) -> None:
        """Set the mask of an object in a frame; None: there is none."""
        value = None if entry is None else asdict(entry)
        self._change('results', [frame, object_id], value)

    def _change(self, table: str, key: list[int], after: dict[str, Any] | None) -> None:
        before = self._project._row(table, key)
        # As JSON gives it back: tuples are lists.
        after = json.loads(json.dumps(after))
        if before != after:
            self.changes.append([table, key, before, after])
            self._project._put(table, key, after)


class Project:
    """A project that is open; a context manager.

    Args:
        folder: of the project; it is made where it is missing.
        video: what is known of the video: ``path``, ``size`` (bytes) and so on, texts and numbers.
            None: as it was when the project was made.

    Raises:
        ProjectError: it is of another video, of a newer version, or damaged.
        OutputError: another process has it open, or the folder cannot be written.
    """

    def __init__(self, folder: Path, video: Mapping[str, Any] | None) -> None:
        self.folder = folder
        self._given = video
        self._stack = ExitStack()
        self._lock = threading.RLock()
        self._database: sqlite3.Connection

    def __enter__(self) -> Project:
        check_folder(self.folder)
        make_folder(self.folder)
        with ExitStack() as stack:
            stack.enter_context(OutputLock(self.folder / _LOCK, self.folder))
            self._database = self._open()
            stack.callback(self._database.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._stack.close()

    # ---- the database

    def _open(self) -> sqlite3.Connection:
        """Open the database, or make it."""
        path = self.folder / DATABASE
        is_new = not path.exists()
        if is_new:
            if self._given is None:
                raise ProjectError(
                    f'{self.folder} is no project of mmvos studio: it holds no {DATABASE}'
                )
            # The token inside opens the page, so nobody else reads the file.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            database = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=10
            )
        except sqlite3.Error as error:
            raise OutputError(f'{path} cannot be opened: {error}') from error
        try:
            database.execute('PRAGMA journal_mode = WAL')
            database.execute('PRAGMA synchronous = FULL')
            # A process that was killed right after it had made the file left it empty.
            if database.execute('PRAGMA application_id').fetchone()[0] == 0:
                self._make(database)
            self._check(database)
        except sqlite3.Error as error:
            database.close()
            raise ProjectError(f'{path} is damaged, or no project of mmvos: {error}') from error
        except BaseException:
            database.close()
            raise
        return database

    def _make(self, database: sqlite3.Connection) -> None:
        """Fill an empty database."""
        if database.execute('SELECT COUNT(*) FROM sqlite_master').fetchone()[0]:
            raise ProjectError(f'{self.folder / DATABASE} is the database of another program')
        if self._given is None:
            raise ProjectError(f'{self.folder} is an empty project; open it with its video')

        # All of it or nothing: a kill leaves an empty database.
        database.execute('BEGIN IMMEDIATE')
        for statement in _SCHEMA.split(';'):
            if statement.strip():
                database.execute(statement)
        rows = [
            ('video', json.dumps(dict(self._given))),
            ('token', secrets.token_urlsafe(24)),
            ('next_id', '1'),
        ]
        database.executemany('INSERT INTO meta VALUES (?, ?)', rows)
        # By these a later version knows what it has before it.
        database.execute(f'PRAGMA application_id = {_APPLICATION}')
        database.execute(f'PRAGMA user_version = {FORMAT}')
        database.execute('COMMIT')

    def _check(self, database: sqlite3.Connection) -> None:
        """Refuse what is no project of this version and video."""
        path = self.folder / DATABASE
        if database.execute('PRAGMA application_id').fetchone()[0] != _APPLICATION:
            raise ProjectError(f'{path} is the database of another program')
        version = database.execute('PRAGMA user_version').fetchone()[0]
        if version > FORMAT:
            raise ProjectError(
                f'{self.folder} was made by a newer mmvos (format {version}, this one knows '
                f'{FORMAT}); install the newer one'
            )
        if version != FORMAT:
            raise ProjectError(f'{self.folder} has the unknown format {version}')

        # A video is known by its size and the time of its file.
        row = database.execute("SELECT value FROM meta WHERE key = 'video'").fetchone()
        known = json.loads(row[0])
        if self._given is not None and known.get('size') != self._given.get('size'):
            raise ProjectError(
                f'{self.folder} belongs to another video, {known.get("path")}, or that has '
                f'changed; give another folder with --project'
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """A transaction; nothing of it stays where the block raises."""
        with self._lock:
            try:
                self._database.execute('BEGIN IMMEDIATE')
                try:
                    yield
                except BaseException:
                    self._database.execute('ROLLBACK')
                    raise
                self._database.execute('COMMIT')
            except sqlite3.OperationalError as error:
                if self._database.in_transaction:
                    self._database.execute('ROLLBACK')
                raise OutputError(f'{self.folder} cannot be written: {error}') from error

    def _read(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(query, values).fetchall()

    def _row(self, table: str, key: Sequence[int]) -> dict[str, Any] | None:
        """The row of a key as JSON has it."""
        if table == 'objects':
            rows = self._read('SELECT value FROM objects WHERE id = ?', key)
        elif table == 'prompts':
            rows = self._read('SELECT value FROM prompts WHERE frame = ? AND object = ?', key)
        else:
            query = f'SELECT {_ENTRY_COLUMNS} FROM results WHERE frame = ? AND object = ?'
            rows = self._read(query, key)
            if rows:
                return json_of_entry(entry_of(rows[0]))
        if not rows:
            return None
        value: dict[str, Any] = json.loads(rows[0][0])
        return value

    def _put(self, table: str, key: Sequence[int], value: dict[str, Any] | None) -> None:
        """Write or delete the row of a key; a transaction is open."""
        if value is None:
            condition = 'id = ?' if table == 'objects' else 'frame = ? AND object = ?'
            self._database.execute(f'DELETE FROM {table} WHERE {condition}', key)
        elif table == 'results':
            frame, object_id = key
            box = tuple(value['box'])
            entry = Entry(**{**value, 'box': box})
            self._put_entries([(frame, object_id, entry)])
        else:
            row = (*key, json.dumps(value))
            marks = ', '.join('?' * len(row))
            self._database.execute(f'INSERT OR REPLACE INTO {table} VALUES ({marks})', row)

    def _put_entries(self, entries: Iterable[tuple[int, int, Entry]]) -> None:
        """Write or replace the masks of frames; a transaction is open."""
        rows = []
        for frame, object_id, entry in entries:
            box = json.dumps(entry.box)
            mask = (entry.counts, entry.score, entry.source, entry.area, box, entry.near)
            rows.append((frame, object_id, *mask))
        self._database.executemany('INSERT OR REPLACE INTO results VALUES (?,?,?,?,?,?,?,?)', rows)

    # ---- what is read

    def meta(self, key: str) -> str | None:
        """A setting, or None."""
        rows = self._read('SELECT value FROM meta WHERE key = ?', (key,))
        return rows[0][0] if rows else None

    def set_meta(self, key: str, value: str) -> None:
        """Keep a setting."""
        with self._transaction():
            self._database.execute('INSERT OR REPLACE INTO meta VALUES (?, ?)', (key, value))

    @property
    def video(self) -> dict[str, Any]:
        """What was known of the video when the project was made."""
        known: dict[str, Any] = json.loads(self.meta('video') or '{}')
        return known

    def objects(self, with_deleted: bool = False) -> list[StudioObject]:
        """The objects in the order of their ids."""
        found = []
        for (value,) in self._read('SELECT value FROM objects ORDER BY id'):
            item = StudioObject(**json.loads(value))
            if with_deleted or not item.deleted:
                found.append(item)
        return found

    def find_object(self, object_id: int) -> StudioObject | None:
        """An object by id, None where there is none or it was removed."""
        row = self._row('objects', [object_id])
        if row is None:
            return None
        item = StudioObject(**row)
        return None if item.deleted else item

    def prompt(self, frame: int, object_id: int) -> StoredPrompt | None:
        """What is said about an object in a frame."""
        row = self._row('prompts', [frame, object_id])
        return None if row is None else prompt_of(row)

    def prompts(self, objects: Iterable[int] | None = None) -> dict[Key, StoredPrompt]:
        """All prompts of objects that are there, by (frame, object), in the order of frames."""
        wanted = {item.id for item in self.objects()}
        if objects is not None:
            wanted &= set(objects)
        found = {}
        for frame, object_id, value in self._read(
            'SELECT frame, object, value FROM prompts ORDER BY frame, object'
        ):
            if object_id in wanted:
                found[frame, object_id] = prompt_of(json.loads(value))
        return found

    def entry(self, frame: int, object_id: int) -> Entry | None:
        """The mask of an object in a frame."""
        row = self._row('results', [frame, object_id])
        return None if row is None else Entry(**{**row, 'box': tuple(row['box'])})

    def entries(self, start: int, stop: int) -> dict[int, dict[int, Entry]]:
        """The masks of frames ``start`` to ``stop`` - 1: frame -> object id -> entry; of objects
        that are there.
        """
        there = {item.id for item in self.objects()}
        rows = self._read(
            f'SELECT {_ENTRY_COLUMNS} FROM results WHERE frame >= ? AND frame < ? ORDER BY frame, '
            'object',
            (start, stop),
        )
        found: dict[int, dict[int, Entry]] = {}
        for row in rows:
            if row[1] in there:
                found.setdefault(row[0], {})[row[1]] = entry_of(row)
        return found

    def summary(self, object_id: int) -> Iterator[tuple[int, int, float, str, int | None]]:
        """Frame, area, score, source and near object of each mask of an object, by frame."""
        rows = self._read(
            'SELECT frame, area, score, source, near FROM results WHERE object = ? ORDER BY frame',
            (object_id,),
        )
        yield from rows

    def has_results(self, object_id: int) -> bool:
        """Whether an object has a mask in any frame."""
        return bool(self._read('SELECT 1 FROM results WHERE object = ? LIMIT 1', (object_id,)))

    # ---- what is changed

    def free_id(self) -> int:
        """Take an id that no object has or had."""
        with self._transaction():
            taken = int(self.meta('next_id') or 1)
            self._database.execute(
                "UPDATE meta SET value = ? WHERE key = 'next_id'", (str(taken + 1),)
            )
        return taken

    @contextmanager
    def action(self, label: str, part_of: str | None = None) -> Iterator[Action]:
        """One action of the user: all its changes are stored, or none.

        Args:
            label: what undo calls it.
            part_of: actions in a row with the same text are undone together.
        """
        with self._transaction():
            action = Action(self)
            yield action
            if not action.changes:
                return

            # What was undone cannot be done again after a new action.
            self._database.execute('DELETE FROM history WHERE done = 0')
            last = self._read('SELECT id, changes, part_of FROM history ORDER BY id DESC LIMIT 1')
            if part_of is not None and last:
                last_id, last_changes, last_part_of = last[0]
                if last_part_of == part_of:
                    # It goes on with the last action.
                    joined = json.loads(last_changes) + action.changes
                    self._database.execute(
                        'UPDATE history SET changes = ? WHERE id = ?',
                        (json.dumps(joined, separators=(',', ':')), last_id),
                    )
                    return
            self._database.execute(
                'INSERT INTO history (label, changes, done, part_of) VALUES (?, ?, 1, ?)',
                (label, json.dumps(action.changes, separators=(',', ':')), part_of),
            )

    def set_visible(self, object_id: int, visible: bool) -> None:
        """Show or hide an object; no action, so undo leaves it."""
        item = self.find_object(object_id)
        if item is not None:
            with self._transaction():
                self._put('objects', [object_id], asdict(replace(item, visible=visible)))

    def store_results(self, entries: Iterable[tuple[int, int, Entry]]) -> None:
        """Store what a run found; what the user corrected stays as it is.

        Args:
            entries: frame, object id and entry.
        """
        with self._transaction():
            kept = []
            for frame, object_id, entry in entries:
                rows = self._read(
                    'SELECT source FROM results WHERE frame = ? AND object = ?', (frame, object_id)
                )
                if not rows or rows[0][0] != CORRECTED:
                    kept.append((frame, object_id, entry))
            self._put_entries(kept)

    def labels(self) -> dict[str, str | None]:
        """What undo and redo would do next, in words."""
        last_done = 'SELECT label FROM history WHERE done = 1 ORDER BY id DESC LIMIT 1'
        first_undone = 'SELECT label FROM history WHERE done = 0 ORDER BY id LIMIT 1'
        labels: dict[str, str | None] = {}
        for key, question in (('undo', last_done), ('redo', first_undone)):
            rows = self._read(question)
            labels[key] = rows[0][0] if rows else None
        return labels

    def undo(self) -> tuple[str, list[list[Any]]] | None:
        """Undo the last action.

        Returns:
            Its label, and the rows that changed (table, key, before, after); None where there is
            nothing to undo.
        """
        return self._go('SELECT id, label, changes FROM history WHERE done = 1 ORDER BY id DESC', 0)

    def redo(self) -> tuple[str, list[list[Any]]] | None:
        """Do again what was undone last; see ``undo``."""
        return self._go('SELECT id, label, changes FROM history WHERE done = 0 ORDER BY id', 1)

    def _go(self, query: str, done: int) -> tuple[str, list[list[Any]]] | None:
        """Go one action back (``done`` 0) or forth (1)."""
        with self._transaction():
            rows = self._read(query + ' LIMIT 1')
            if not rows:
                return None
            number, label, text = rows[0]
            changes = json.loads(text)
            for table, key, before, after in changes if done else reversed(changes):
                wanted = after if done else before
                if table == 'objects' and wanted is not None:
                    wanted = self._with_visibility(key, wanted)
                self._put(table, key, wanted)
            self._database.execute('UPDATE history SET done = ? WHERE id = ?', (done, number))
        return label, changes

    def _with_visibility(self, key: list[int], wanted: dict[str, Any]) -> dict[str, Any]:
        """An object's row with the visibility that it has now."""
        row = self._row('objects', key)
        return wanted if row is None else {**wanted, 'visible': row['visible']}


def entry_of(row: Sequence[Any]) -> Entry:
    """The entry of a row of the results."""
    _, _, counts, score, source, area, box_text, near = row
    x1, y1, x2, y2 = json.loads(box_text)
    box = (x1, y1, x2, y2)
    return Entry(
        counts,
        score,
        source,
        area,
        box,
        near,
    )


def json_of_entry(entry: Entry) -> dict[str, Any]:
    """An entry as the history has it."""
    return {**asdict(entry), 'box': list(entry.box)}


def prompt_of(row: Mapping[str, Any]) -> StoredPrompt:
    """The prompt of a row's JSON."""
    box = None
    if row['box'] is not None:
        x1, y1, x2, y2 = row['box']
        box = (x1, y1, x2, y2)
    points = []
    for x, y, is_on in row['points']:
        points.append((x, y, bool(is_on)))
    return StoredPrompt(box, tuple(points), row['mask'], row['base'])
