"""The project on the disk: versions, other videos, two servers, damage; and opening from the command
line."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path

import pytest

from mmvos.cli.studio import main, parse_arguments
from mmvos.io.atomic import OutputError
from mmvos.io.errors import DataError
from mmvos.studio.opening import Place, find_place, open_socket, warning_of
from mmvos.studio.project import DATABASE, Project, ProjectError
from mmvos.studio.records import CORRECTED, MODEL, Entry, StoredPrompt, StudioObject

from .stand_ins import follow_colors, open_studio, write_frames

VIDEO = {'path': '/clip.mp4', 'relative': '../clip.mp4', 'size': 7}
SEEN = Entry('11', 0.5, MODEL, 3, (0.0, 0.0, 3.0, 1.0))
GIVEN = Entry('22', 1.0, CORRECTED, 4, (0.0, 0.0, 4.0, 1.0), near=2)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    with Project(tmp_path / 'p', VIDEO):
        pass
    database = sqlite3.connect(tmp_path / 'p' / DATABASE)
    database.execute('PRAGMA user_version = 99')
    database.close()
    with pytest.raises(ProjectError, match='newer'), Project(tmp_path / 'p', VIDEO):
        pass


def test_another_video_is_refused(tmp_path: Path) -> None:
    with Project(tmp_path / 'p', VIDEO):
        pass
    with pytest.raises(ProjectError, match='another video'), Project(tmp_path / 'p', {'size': 8}):
        pass


@pytest.mark.parametrize('content', [b'', b'hello', b'SQLite format 3\x00' + b'\xff' * 4096])
def test_damage_and_other_databases_are_sentences(tmp_path: Path, content: bytes) -> None:
    (tmp_path / DATABASE).write_bytes(content)
    if not content:
        with Project(tmp_path, VIDEO):  # a process that was killed early
            return
    with pytest.raises(ProjectError), Project(tmp_path, VIDEO):
        pass
    assert (tmp_path / DATABASE).read_bytes() == content


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / DATABASE)
    database.execute('CREATE TABLE theirs (a)')
    database.commit()
    database.close()
    with pytest.raises(ProjectError, match='another program'), Project(tmp_path, VIDEO):
        pass


def test_a_second_server_is_refused(tmp_path: Path) -> None:
    with (
        Project(tmp_path, VIDEO),
        pytest.raises(OutputError, match='is being written'),
        Project(tmp_path, VIDEO),
    ):
        pass
    with Project(tmp_path, VIDEO):
        pass


def test_the_database_is_read_by_its_owner_only(tmp_path: Path) -> None:
    with Project(tmp_path, VIDEO) as project:
        assert (tmp_path / DATABASE).stat().st_mode & 0o77 == 0
        assert len(project.meta('token') or '') >= 24


def test_an_action_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    with Project(tmp_path, VIDEO) as project:
        with project.action('one') as action:
            action.put_object(StudioObject(1, 'one', '#000000'))
        with pytest.raises(RuntimeError), project.action('two') as action:
            action.put_prompt(3, 1, StoredPrompt(points=((1.0, 2.0, True),)))
            raise RuntimeError
        assert project.prompts() == {}
        assert project.labels() == {'undo': 'one', 'redo': None}


def test_rows_come_back_as_they_went_in(tmp_path: Path) -> None:
    prompt = StoredPrompt((1.0, 2.0, 3.0, 4.0), ((1.0, 2.0, True),), None, '33')
    with Project(tmp_path, VIDEO) as project:
        with project.action('one') as action:
            action.put_object(StudioObject(1, 'one', '#000000'))
            action.put_prompt(3, 1, prompt)
            action.put_entry(3, 1, GIVEN)
        project.store_results([(3, 1, SEEN), (4, 1, SEEN)])
    with Project(tmp_path, None) as project:
        assert project.prompts() == {(3, 1): prompt}
        assert project.entries(0, 9) == {3: {1: GIVEN}, 4: {1: SEEN}}
        project.undo()
        assert project.objects() == []
        assert project.entries(0, 9) == {}
        project.redo()
        assert project.entries(0, 9) == {3: {1: GIVEN}, 4: {1: SEEN}}


def test_a_new_action_forgets_what_was_undone(tmp_path: Path) -> None:
    with Project(tmp_path, VIDEO) as project:
        for name in ('a', 'b'):
            with project.action(name) as action:
                action.put_object(StudioObject(1, name, '#000000'))
        project.undo()
        with project.action('c') as action:
            action.put_object(StudioObject(1, 'c', '#000000'))
        assert project.redo() is None
        assert project.labels() == {'undo': 'c', 'redo': None}
        project.undo()
        assert [item.name for item in project.objects()] == ['a']


# ---- the command line


def test_where_the_project_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'a.mp4').touch()
    (tmp_path / 'frames').mkdir()
    assert find_place(str(tmp_path / 'a.mp4'), None).folder == tmp_path / 'a.mmvos'
    assert find_place(str(tmp_path / 'frames'), None).folder == tmp_path / 'frames.mmvos'
    assert find_place(str(tmp_path / 'a.mp4'), 'p').folder == Path('p')
    with pytest.raises(DataError, match='does not exist'):
        find_place(str(tmp_path / 'b.mp4'), None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match='0 projects'):
        find_place(None, None)
    with Project(tmp_path / 'a.mmvos', VIDEO):
        pass
    assert find_place(None, None) == Place(Path('a.mmvos'), None)
    assert find_place('a.mmvos', None) == Place(Path('a.mmvos'), None)


def test_a_project_finds_its_video_where_both_were_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_colors(monkeypatch)
    (tmp_path / 'here').mkdir()
    clip = write_frames(tmp_path / 'here' / 'clip', 3)
    with open_studio(clip, tmp_path / 'here' / 'clip.mmvos') as studio:
        studio.client.post('/api/objects', json={})
    (tmp_path / 'here').rename(tmp_path / 'there')
    with open_studio(None, tmp_path / 'there' / 'clip.mmvos') as studio:
        project = studio.client.get('/api/project').json()
        assert project['video']['frames'] == 3
        assert len(project['objects']) == 1
    (tmp_path / 'there' / 'clip').rename(tmp_path / 'gone')
    with (
        pytest.raises(ProjectError, match='not there any more'),
        open_studio(None, tmp_path / 'there' / 'clip.mmvos'),
    ):
        pass


def test_mistakes_on_the_command_line_are_sentences(tmp_path: Path) -> None:
    (tmp_path / 'a.mp4').write_bytes(b'no video')
    with pytest.raises(DataError, match=r'a\.mp4'):
        main([str(tmp_path / 'a.mp4'), '--no-browser'])
    assert not (tmp_path / 'a.mmvos').exists()
    for words in (['--port', '0'], ['--port', 'x'], ['--system', 'masktrack-rcnn']):
        with pytest.raises(SystemExit):
            parse_arguments(['a.mp4', *words])


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        with pytest.raises(OutputError, match='--port'):
            open_socket('127.0.0.1', other.getsockname()[1])
    with open_socket('127.0.0.1', None) as opened, open_socket('127.0.0.1', None) as next_one:
        assert opened.getsockname()[0] == '127.0.0.1'
        assert opened.getsockname()[1] != next_one.getsockname()[1]


def test_other_hosts_are_warned_of() -> None:
    assert warning_of('127.0.0.1') == ''
    assert 'not encrypted' in warning_of('0.0.0.0')
