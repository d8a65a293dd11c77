"""Checkpoints are read as tensors and plain values; what is none is named with the remedy."""

from __future__ import annotations

import gzip
import http.server
import os
import pickle
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import OneCycleLR
from torch import nn

from mmvos.io.checkpoint_file import (
    CheckpointError,
    CheckpointNotFoundError,
    load_checkpoint_file,
)

MARKER = 'made_by_checkpoint'


class MakesFolder:
    """What an attacker puts into a pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (MARKER,)


def _weights() -> dict[str, torch.Tensor]:
    return {'conv.weight': torch.ones(2000), 'conv.count': torch.tensor(3)}


def _saved(path: Path, content: Any) -> bytes:
    torch.save(content, path)
    return path.read_bytes()


def test_whole_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / 'a.pth'
    for zipped in (True, False):
        torch.save({'state_dict': _weights()}, path, _use_new_zipfile_serialization=zipped)
        content = load_checkpoint_file(path)
        assert torch.equal(content['state_dict']['conv.weight'], torch.ones(2000))


def test_what_mmengine_saves_for_a_resume_is_read(tmp_path: Path) -> None:
    net = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    scheduler = OneCycleLR(optimizer, eta_max=0.1, total_steps=10)
    history = HistoryBuffer([1.0, 3.0], [1, 1])
    content = {
        'meta': {'epoch': 1, 'iter': 2, 'best': np.float32(0.5), 'seed': 3},
        'state_dict': net.state_dict(),
        'optimizer': optimizer.state_dict(),
        'param_schedulers': [scheduler.state_dict()],
        'message_hub': {'log_scalars': {'loss': history}, 'runtime_info': {'iter': 2}},
    }
    torch.save(content, tmp_path / 'a.pth')
    read = load_checkpoint_file(tmp_path / 'a.pth')
    assert read['message_hub']['log_scalars']['loss'].mean() == 2
    assert read['optimizer']['state'][0]['step'] == 1
    scheduler.load_state_dict(read['param_schedulers'][0])
    assert scheduler.anneal_func(1.0, 0.0, 0.5) == pytest.approx(0.5)


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors', '.pkl', ''])
@pytest.mark.parametrize('writer', ['torch', 'old torch', 'pickle'])
def test_code_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, writer: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f'evil{suffix}'
    content = {'state_dict': _weights(), 'meta': {'hook': MakesFolder()}}
    if writer == 'pickle':
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=writer == 'torch')
    with pytest.raises(CheckpointError, match='evil'):
        load_checkpoint_file(path)
    assert not Path(MARKER).exists()


def test_a_config_that_a_resume_would_run_is_left_out(tmp_path: Path) -> None:
    torch.save(
        {'state_dict': _weights(), 'meta': {'config': 'import os', 'epoch': 1}}, tmp_path / 'a'
    )
    assert load_checkpoint_file(tmp_path / 'a')['meta'] == {'epoch': 1}


def _no_checkpoints(folder: Path) -> dict[str, tuple[bytes, str]]:
    whole = _saved(folder / 'whole', _weights())
    archive = folder / 'archive'
    with zipfile.ZipFile(archive, 'w') as packed:
        packed.writestr('model.pth', whole)
    bomb = folder / 'bomb'
    with zipfile.ZipFile(bomb, 'w', zipfile.ZIP_DEFLATED) as packed:
        packed.writestr('archive/data.pkl', bytes(1 << 20))
    bad = {'a.weight': torch.tensor([1.0, float('nan')]), 'b': torch.tensor(float('inf'))}
    return {
        'empty': (b'', 'empty file'),
        'web page': (b'\n<!DOCTYPE html><html>404</html>', 'web page'),
        'xml': (b'<?xml version="1.0"?><Error>AccessDenied</Error>', 'web page'),
        'pointer': (b'version https://git-lfs.github.com/spec/v1\noid sha256:1', 'git lfs pull'),
        'gzip': (gzip.compress(whole), 'unpack it'),
        'zip': (archive.read_bytes(), 'unpack it'),
        'bomb': (bomb.read_bytes(), 'many times its size'),
        'cut': (whole[:-500], 'cut off'),
        'cut early': (whole[:100], 'cut off'),
        'text': (b'hello', 'damaged'),
        'json': (b'{"state_dict": {}}', 'damaged'),
        'list': (_saved(folder / 'list', [1, 2]), 'holds a list'),
        'not finite': (
            _saved(folder / 'bad', bad),
            r'2 weights that are not finite \(a.weight, b\)',
        ),
        'not finite state': (_saved(folder / 'bad', {'state_dict': bad}), 'not finite'),
    }


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_what_is_no_checkpoint_is_named(tmp_path: Path, suffix: str) -> None:
    for kind, (data, reason) in _no_checkpoints(tmp_path).items():
        path = tmp_path / f'model{suffix}'
        path.write_bytes(data)
        if suffix == '.safetensors' and ('list' in reason or 'finite' in reason):
            reason = 'damaged'
        with pytest.raises(CheckpointError, match=reason) as caught:
            load_checkpoint_file(path)
        assert str(path) in str(caught.value), kind
        assert '()' not in str(caught.value)
        assert str(caught.value).isprintable(), kind


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves what stands in the table."""

    files: dict[str, bytes]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        data = self.files.get(self.path.split('?')[0])
        self.send_response(200 if data is not None else 404)
        self.end_headers()
        self.wfile.write(data or b'')

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, type[_Handler]]]:
    handler = type('Handler', (_Handler,), {'files': {}, 'asked': []})
    running = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / 'hub'))
    yield f'http://127.0.0.1:{running.server_port}', handler
    torch.hub.set_dir(before)
    running.shutdown()
    running.server_close()


def test_a_bad_download_is_removed_and_fetched_again(
    tmp_path: Path, server: tuple[str, type[_Handler]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url, handler = server
    whole = _saved(tmp_path / 'whole', _weights())
    evil = _saved(tmp_path / 'evil', {'state_dict': _weights(), 'a': MakesFolder()})
    cached = tmp_path / 'hub/checkpoints/model.pth'
    for data, reason in (
        (b'<html>login</html>', 'web page'),
        (whole[:-500], 'cut off'),
        (evil, 'objects other than weights'),
    ):
        handler.files['/a/model.pth'] = data
        with pytest.raises(CheckpointError, match=reason) as caught:
            load_checkpoint_file(f'{url}/a/model.pth?download=1')
        assert f'{url}/a/model.pth' in str(caught.value)
        assert not cached.exists()
    assert not Path(MARKER).exists()
    handler.files['/a/model.pth'] = whole
    for _ in range(2):  # the second time from the cache
        content = load_checkpoint_file(f'{url}/a/model.pth?download=1')
        assert torch.equal(content['conv.weight'], torch.ones(2000))
    assert len(handler.asked) == 4


def test_downloads_of_one_name_are_not_mixed(
    server: tuple[str, type[_Handler]], tmp_path: Path
) -> None:
    url, handler = server
    for place, number in (('/a/model.pth', 1.0), ('/b/model.pth', 2.0)):
        weights = {'conv.weight': torch.full((2000,), number)}
        handler.files[place] = _saved(tmp_path / f'{number}', weights)
    sources = ['/a/model.pth?signed=1', '/b/model.pth', '/a/model.pth?signed=2', '/b/model.pth']
    read = [float(load_checkpoint_file(url + source)['conv.weight'][0]) for source in sources]
    assert read == [1.0, 2.0, 1.0, 2.0]
    assert len(handler.asked) == 2
    # What lies in the cache and does not say where it comes from is taken, as torch does.
    (tmp_path / 'hub/checkpoints/own.pth').write_bytes(handler.files['/b/model.pth'])
    assert float(load_checkpoint_file(f'{url}/gone/own.pth')['conv.weight'][0]) == 2.0


def test_a_url_without_a_file_is_named(server: tuple[str, type[_Handler]]) -> None:
    url, _ = server
    for path in ('/none.pth', '/', '/..', '/a%00b.pth'):
        with pytest.raises(
            (CheckpointError, CheckpointNotFoundError, ValueError), match='checkpoint'
        ):
            load_checkpoint_file(url + path)


def test_a_missing_file_is_a_file_not_found_error() -> None:
    with pytest.raises(FileNotFoundError, match=r'no/such\.pth does not exist'):
        load_checkpoint_file('no/such.pth')
