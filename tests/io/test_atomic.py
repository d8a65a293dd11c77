"""Files under their final names are whole: after errors, kills, full disks and wrong paths."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest
import torch

from mmvos.io.atomic import (
    OutputError,
    atomic_path,
    check_file,
    check_folder,
    open_atomic,
    partial_name,
    remove_leftovers,
    save_torch,
    write_bytes,
    write_json,
    write_text,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_content_stands_under_the_final_name_alone(tmp_path):
    write_text(tmp_path / 'new' / 'a.txt', 'wörter\n')
    write_json(tmp_path / 'new' / 'b.json', {'a': [1, 2.5]})
    write_bytes(tmp_path / 'new' / 'c', b'\0\1', durable=False)
    save_torch(tmp_path / 'new' / 'd.pth', {'w': torch.arange(3)})
    assert (tmp_path / 'new' / 'a.txt').read_bytes() == 'wörter\n'.encode()
    assert (tmp_path / 'new' / 'b.json').read_text() == '{"a":[1,2.5]}'
    assert (tmp_path / 'new' / 'c').read_bytes() == b'\0\1'
    assert torch.load(tmp_path / 'new' / 'd.pth', weights_only=True)['w'].tolist() == [0, 1, 2]
    assert names(tmp_path / 'new') == ['a.txt', 'b.json', 'c', 'd.pth']


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / 'a.txt'
    write_text(path, 'old')
    with pytest.raises(KeyError), open_atomic(path, 'w') as stream:
        stream.write('new')
        stream.flush()
        assert path.read_text() == 'old'
        raise KeyError
    assert path.read_text() == 'old' and names(tmp_path) == ['a.txt']


def test_numbers_that_are_not_finite_are_no_json(tmp_path):
    write_json(tmp_path / 'a.json', 1)
    with pytest.raises(ValueError, match='JSON compliant'):
        write_json(tmp_path / 'a.json', float('nan'))
    assert json.loads((tmp_path / 'a.json').read_text()) == 1


def test_mode_and_symbolic_link_stay(tmp_path):
    (tmp_path / 'real').write_text('old')
    (tmp_path / 'real').chmod(0o640)
    (tmp_path / 'link').symlink_to('real')
    write_text(tmp_path / 'link', 'new')
    assert (tmp_path / 'link').is_symlink()
    assert (tmp_path / 'real').read_text() == 'new'
    assert (tmp_path / 'real').stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    'place, reason',
    [
        ('folder', 'it is a folder'),
        ('file/a.txt', 'not a folder'),
        ('file/deep/a.txt', 'not a folder'),
        ('x' * 300, 'name is too long'),
        ('loop/a.txt', 'not a folder'),
    ],
)
def test_a_path_that_cannot_be_written_is_one_sentence(tmp_path, place, reason):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'file').write_text('kept')
    (tmp_path / 'loop').symlink_to('loop')
    before = names(tmp_path)
    with pytest.raises(OutputError, match=reason) as caught:
        write_text(tmp_path / place, 'x')
    assert str(tmp_path / 'folder')[:-6] in str(caught.value) and '\n' not in str(caught.value)
    assert (tmp_path / 'file').read_text() == 'kept' and names(tmp_path) == before


def test_a_full_device_is_one_sentence():
    with pytest.raises(OutputError, match=r'/dev/full .* disk is full'):
        write_text('/dev/full', 'x')


def test_a_stream_is_written_directly(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    reader = os.open(tmp_path / 'pipe', os.O_RDONLY | os.O_NONBLOCK)
    write_text(tmp_path / 'pipe', 'through')
    assert os.read(reader, 100) == b'through'
    os.close(reader)


def test_a_file_that_grows_too_large_leaves_the_old_one(tmp_path):
    """A limit of the file size does what a full disk does: a write in the middle fails."""
    write_text(tmp_path / 'a', 'old')
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match='larger than'):
            write_bytes(tmp_path / 'a', b'x' * 5000)
        with pytest.raises(OutputError, match='larger than'):
            save_torch(tmp_path / 'a', torch.zeros(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / 'a').read_text() == 'old' and names(tmp_path) == ['a']


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_no_permission_is_one_sentence(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match='no permission'):
        write_text(tmp_path / 'a', 'x')


def test_libraries_see_the_suffix(tmp_path):
    with atomic_path(tmp_path / 'a.png') as partial:
        assert partial.suffix == '.png' and partial.parent == tmp_path
        partial.write_bytes(b'x')
    assert names(tmp_path) == ['a.png']


def test_a_killed_writer_leaves_the_old_file_and_the_next_write_cleans_up(tmp_path):
    write_text(tmp_path / 'a', 'old')
    code = (
        'import sys, time; from mmvos.io.atomic import open_atomic\n'
        'with open_atomic(sys.argv[1]) as stream:\n'
        '    stream.write(b"half"); stream.flush(); print("ready", flush=True); time.sleep(60)'
    )
    with subprocess.Popen(
        [sys.executable, '-c', code, str(tmp_path / 'a')], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout.readline() == b'ready\n'
        during = names(tmp_path)
        remove_leftovers(tmp_path)  # the writer is alive: its file stays
        assert names(tmp_path) == during and len(during) == 2
        writer.kill()
    assert (tmp_path / 'a').read_text() == 'old'
    write_text(tmp_path / 'b', 'next')
    assert names(tmp_path) == ['a', 'b']


def test_two_writers_of_one_process_do_not_share_a_partial_file(tmp_path):
    assert partial_name(tmp_path / 'a') != partial_name(tmp_path / 'a')


def test_the_content_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, 'fsync', lambda fd: (order.append('fsync'), fsync(fd)))
    monkeypatch.setattr(os, 'replace', lambda a, b: (order.append('replace'), replace(a, b)))
    write_text(tmp_path / 'a', 'x')
    assert order == ['fsync', 'replace', 'fsync']  # the file, its name, the folder's names
    started = time.monotonic()
    order.clear()
    write_text(tmp_path / 'a', 'x', durable=False)
    assert order == ['replace'] and time.monotonic() - started < 1


def test_a_folder_that_cannot_be_made_is_said_before_the_work(tmp_path):
    (tmp_path / 'file').write_text('')
    check_folder(tmp_path / 'new' / 'deep')
    assert names(tmp_path) == ['file']
    for place in ('file', 'file/deep/er'):
        with pytest.raises(OutputError, match=f'{place} cannot be written'):
            check_folder(tmp_path / place)


def test_a_file_that_cannot_be_written_is_said_before_the_work(tmp_path):
    (tmp_path / 'file').write_text('mine')
    check_file(tmp_path / 'new/deep/a.json')
    check_file(tmp_path / 'file')
    for path, fault in ((tmp_path, 'it is a folder'), (tmp_path / 'file/a.json', 'not a folder')):
        with pytest.raises(OutputError, match=fault):
            check_file(path)
    assert names(tmp_path) == ['file'] and (tmp_path / 'file').read_text() == 'mine'
