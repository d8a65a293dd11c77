"""The command ``mmvos``: finds the command that is meant, imports nothing else, ends as it does."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from tiny_videos import write_tiny_videos

from mmvos.apis.overlay_video import OverlayVideo
from mmvos.cli.main import (
    COMMANDS,
    Command,
    CommandGroup,
    find_command,
    let_threads_sleep,
    main,
)
from mmvos.structures import FrameResult


def command_lines(group: CommandGroup) -> list[list[str]]:
    """The words of every command."""
    found = []
    for word, command in group.commands.items():
        if isinstance(command, CommandGroup):
            found += [[word, *words] for words in command_lines(command)]
        else:
            found.append([word])
    return found


LINES = command_lines(CommandGroup('', COMMANDS))


@pytest.fixture(autouse=True)
def own_argv(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command replaces the words of the process."""
    monkeypatch.setattr(sys, 'argv', ['mmvos'])


def test_a_command_is_found_with_its_own_words() -> None:
    name, command, words = find_command(['weights', 'list', '--help'])
    assert (name, words) == ('mmvos weights list', ['--help'])
    assert isinstance(command, Command) and command.module == 'weights.list_systems'


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (['segmnt', 'x'], "mmvos: there is no command 'segmnt'; did you mean segment?"),
        (['weights', 'lst'], "mmvos weights: there is no command 'lst'; did you mean list?"),
        (['--box'], "mmvos: there is no command '--box'; mmvos --help lists them"),
    ],
)
def test_a_wrong_word_is_one_sentence(words, said, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f'{said}\n'


@pytest.mark.parametrize('words', [[], ['--help'], ['-h'], ['weights'], ['convert', '--help']])
def test_help_lists_the_commands(words, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    group = COMMANDS
    for word in words:
        if word in COMMANDS:
            group = COMMANDS[word].commands
    for name in group:
        assert f'\n  {name} ' in printed


def test_help_lists_systems_and_protocols(capsys) -> None:
    with pytest.raises(SystemExit):
        main(['--help'])
    printed = ' '.join(capsys.readouterr().out.split())
    assert 'masktrack-rcnn, masktrack, masktrack-box, siammask, s2iammask, parts' in printed
    assert 'youtube-vis, davis, youtube-vos, vot' in printed
    assert 'coco_to_youtube_vis, cvat_to_youtube_vis' in printed


@pytest.mark.parametrize('words', LINES, ids=' '.join)
def test_every_command_explains_itself(words, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, '--help'])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f'usage: mmvos {" ".join(words)} ')


def cpu_seconds(*words: object, limit: float) -> float:
    """CPU time of a command in a process of its own: the least of three runs, as what else the
    machine does makes a run longer; the first that is below the limit will do.
    """
    found = []
    while len(found) < 3 and min(found, default=limit) >= limit:
        found.append(cpu_seconds_once(*map(str, words)))
    return min(found)


def cpu_seconds_once(*words: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, '-m', 'mmvos', *words], capture_output=True, text=True, check=False
    )
    assert 'Traceback' not in done.stderr, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_takes_no_time() -> None:
    """Measured: 0.06 to 0.2 s; torch alone takes 2."""
    for words in ([], *LINES):
        assert cpu_seconds(*words, '--help', limit=0.3) < 0.3, words


def test_a_check_and_a_page_of_prompts_take_little_time(tmp_path) -> None:
    """Measured: 0.3 and 0.4 s."""
    data = write_tiny_videos(tmp_path / 'data')
    assert cpu_seconds('check', data, limit=1.5) < 1.5
    write_clip(tmp_path / 'clip.mp4')
    page = tmp_path / 'prompts.html'
    assert cpu_seconds('prompts', tmp_path / 'clip.mp4', '--out', page, limit=1.5) < 1.5
    assert page.is_file()


def write_clip(path: Path) -> None:
    """A video of five frames."""
    with OverlayVideo(path, Fraction(25), ()) as video:
        for index in range(5):
            image = np.full((48, 64, 3), 50 * index, np.uint8)
            video.write(str(index), image, FrameResult(index, (48, 64), ()))


def test_the_first_mask_takes_little_time(tmp_path) -> None:
    """From the command to all files of five frames, measured: 0.9 CPU seconds with onnxruntime, of
    which imports are half; with torch 4.5, of which torch, mmengine and mmdet are 3.5.
    """
    pytest.importorskip('onnxruntime')
    write_clip(tmp_path / 'clip.mp4')
    words = ['segment', tmp_path / 'clip.mp4', '--box', '8,8,40,40', '--engine', 'onnxruntime']
    assert cpu_seconds(*words, '--out', tmp_path / 'out', limit=3) < 3


def test_threads_sleep_while_they_wait_unless_the_environment_says_otherwise(monkeypatch) -> None:
    for name in ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME'):
        monkeypatch.delenv(name, raising=False)
    let_threads_sleep()
    assert os.environ['OMP_WAIT_POLICY'] == 'passive'
    monkeypatch.setenv('OMP_WAIT_POLICY', 'active')
    let_threads_sleep()
    assert os.environ['OMP_WAIT_POLICY'] == 'active'


@pytest.mark.parametrize(
    'words',
    [
        ['segment', 'frames', '--box', '1,2,3,4', '--out', ''],
        ['segment', '', '--out', 'out'],
        ['weights', 'publish', 'a.pth', 'b.safetensors', '--license', ''],
    ],
)
def test_an_empty_argument_is_a_variable_that_is_not_set(words, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert 'an argument is empty' in capsys.readouterr().err


@pytest.mark.parametrize('words', [['weights', 'publish'], ['convert', 'coco_to_youtube_vis']])
def test_a_file_is_not_converted_into_itself(tmp_path, words, capsys) -> None:
    source = tmp_path / 'a.safetensors'
    source.write_text('mine')
    link = tmp_path / 'b.safetensors'
    link.symlink_to(source)
    for other in (source, link):
        with pytest.raises(SystemExit) as ended:
            main([*words, str(source), str(other)])
        assert ended.value.code == 2
        assert 'is given twice' in capsys.readouterr().err
    assert source.read_text() == 'mine'


def test_version(capsys) -> None:
    with pytest.raises(SystemExit):
        main(['--version'])
    assert capsys.readouterr().out.startswith('mmvos 0.')
