"""What the documents say is true: every command is understood by the tool that it calls, and run by
a test; Python runs; files, links and anchors exist.

Commands are run here in a folder with small stand-ins for the data that they name. Those that need
hours, a cluster or weights that nobody ships stand in ``ELSEWHERE`` with the test that does the
same with a small model; shell scripts are run with stand-ins for Python and srun, and what they
call is checked in the same way. A command that is in none of these fails.
"""

from __future__ import annotations

import argparse
import contextlib
import glob
import importlib.util
import inspect
import io
import os
import pkgutil
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import documents
import pytest
from documents import DOCUMENTS, ROOT, Command, commands
from mmengine.config import Config
from mmengine.runner import Runner
from stand_ins import make_stand_ins

from mmvos.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS

COMMANDS = [command for document in DOCUMENTS for command in commands(document)]
REGISTRIES = MODELS, DATASETS, METRICS, HOOKS, TRANSFORMS
WEIGHTS = ROOT / 'weights/masktrack_compact.safetensors'
# What readers put in for capitals.
GIVEN = {'CONFIG': 'config.py', 'CHECKPOINT': 'checkpoint.pth', 'S': '1', 'N': '1', 'GPUS': '2'}
TRAIN, TOLD = 'tests/cli/test_train.py::', 'tests/cli/test_test_prompted.py::'
# Pattern of a command -> the test that runs the same with a small model.
ELSEWHERE = {
    r'tools/train\.py .*--resume': TRAIN
    + 'test_a_killed_training_goes_on_as_if_nothing_had_happened',
    r'tools/train\.py ': TRAIN + 'test_a_training_logs_validates_and_keeps_the_best_checkpoint',
    r'tools/test_video\.py .*--eval davis': TOLD + 'test_davis_writes_its_layout_and_scores_it',
    r'tools/test_video\.py .*--eval youtube-vos': TOLD
    + 'test_youtube_vos_writes_the_frames_that_are_wanted',
    r'tools/test_video\.py .*--eval vot': (
        'tests/cli/test_test_supervised.py::test_a_run_writes_the_standard_files_and_scores_them'
    ),
    r'tools/test_video\.py ': TRAIN + 'test_the_results_file_and_the_scores',
    r'tools/segment_video\.py --list': (
        'tests/cli/test_segment_prompts.py::test_the_list_of_systems'
    ),
    r'tools/segment_video\.py .*--show': (
        'tests/cli/test_segment_prompts.py::test_mistakes_are_one_sentence'
    ),
    r'tools/segment_video\.py .*--system (?!masktrack)': (
        'tests/cli/test_segment_prompts.py::test_boxes_and_the_model_that_comes_with_the_project'
    ),
    r'tools/segment_video\.py (0|rtsp:)': (
        'tests/apis/test_live_sources.py::test_a_camera_drops_what_the_model_has_no_time_for'
    ),
    r'tools/tune_tracker\.py .*--davis': (
        'tests/cli/test_tune.py::test_the_best_setting_is_found_and_a_killed_search_goes_on'
    ),
    r'tools/tune_tracker\.py .*--vot': 'tests/cli/test_tune.py::test_vot',
    r'tools/benchmark\.py evaluation': (
        'tests/tools/test_benchmark_evaluation.py::test_all_parts_run'
    ),
    r'tools/benchmark\.py tracking': 'tests/tools/test_benchmark_tracking.py::'
    'test_it_prints_a_row_per_precision_and_number_of_objects',
    r'tools/benchmark\.py vis': (
        'tests/tools/test_benchmark_vis.py::test_memory_stays_flat_over_a_long_video'
    ),
    r'tools/benchmark\.py vos': (
        'tests/tools/test_benchmark_vos.py::test_it_prints_a_row_per_number_of_objects_and_the_memory'
    ),
    r'tools/convert_checkpoint\.py ': 'tests/cli/test_weights_convert.py::test_there_and_back',
    r'tools/join_checkpoints\.py ': (
        'tests/cli/test_weights_join.py::test_the_joined_file_fits_the_config_and_holds_both'
    ),
    r'python -m mmvos\.check_env': 'tests/test_check_env.py::test_a_good_installation_passes',
    r'python -m tests\.robustness\.fuzz': (
        'tests/robustness/test_fuzz.py::test_every_damaged_input_is_read_or_refused_in_a_sentence'
    ),
    r'python -m tests\.robustness\.kills': (
        'tests/robustness/test_kills.py::test_no_final_name_is_damaged_by_a_kill'
    ),
    r'bash tools/setup_env\.sh': 'tests/test_setup.py::test_a_second_set_up_does_nothing',
    r'git clone ': (
        'tests/test_setup.py::test_set_up_installs_torch_before_mmcv_and_never_the_desktop_opencv'
    ),
    r'\. \.venv/bin/activate': 'tests/test_setup.py::test_a_second_set_up_does_nothing',
}
# Tools that are run here; one that is neither here nor above fails test_every_command_is_run.
QUICK = {path.name for path in (ROOT / 'tools/dataset_converters').glob('*.py')} | {
    'check_data.py',
    'draw_prompts.py',
    'eval_imagenet.py',
    'evaluate.py',
    'make_animation.py',
    'publish_weights.py',
    'segment_video.py',
}
# What makes a run small.
SMALLER = {
    'make_sample_videos.py': [
        '--train-videos',
        '2',
        '--val-videos',
        '4',
        '--frames',
        '2',
        '--size',
        '64x48',
        '--processes',
        '1',
        '--overwrite',
    ],
    'compose_videos.py': [
        '--train-videos',
        '1',
        '--val-videos',
        '1',
        '--frames',
        '2',
        '--processes',
        '1',
        '--overwrite',
    ],
    'draw_prompts.py': ['--frames', '0', '2'],
    'evaluate.py': ['--processes', '1'],
    'segment_video.py': ['--device', 'cpu'],
}


def is_quick(command: Command) -> bool:
    """Whether it is run here; of Python those of QUICK."""
    return command.words[0] == 'bash' or (
        command.words[0] == 'python' and Path(command.words[1]).name in QUICK
    )


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def elsewhere(command: Command) -> str | None:
    return next(
        (test for pattern, test in ELSEWHERE.items() if re.search(pattern, command.text)), None
    )


def substituted(words: Sequence[str]) -> list[str]:
    """With something for the capitals, alone or after '='."""
    parts = [word.rpartition('=') for word in words]
    return [key + equals + GIVEN.get(value, value) for key, equals, value in parts]


# ---- every command is understood


@cache
def load(tool: str) -> ModuleType:
    path = ROOT / tool
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(f'documented_{path.stem}', path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Parsed(Exception):
    """Ends a tool after its command line was read."""


def parse(tool: str, arguments: Sequence[str]) -> argparse.Namespace:
    """What the tool's own parser makes of the arguments.

    Raises:
        ValueError: it does not take them.
    """
    module, said = load(tool), io.StringIO()
    reader = getattr(module, 'parse_arguments', None) or getattr(module, 'parse_args', None)
    original = argparse.ArgumentParser.parse_args

    def read_and_end(parser: argparse.ArgumentParser, *given: Any, **more: Any) -> None:
        raise Parsed(original(parser, *given, **more))

    try:
        with (
            mock.patch.object(sys, 'argv', [tool, *arguments]),
            contextlib.redirect_stderr(said),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            if reader is not None:
                return reader()
            with mock.patch.object(argparse.ArgumentParser, 'parse_args', read_and_end):
                if hasattr(module, 'main'):
                    module.main()
                else:
                    runpy.run_path(str(ROOT / tool), run_name='__main__')
    except Parsed as parsed:
        return parsed.args[0]
    except SystemExit as ended:
        if ended.code in (0, None):
            return argparse.Namespace()
        raise ValueError(said.getvalue().strip().splitlines()[-1]) from None
    raise ValueError('the tool reads no arguments')


def misunderstood(command: Command) -> str | None:
    """Why the command cannot be meant so; None where it can."""
    words = substituted(command.words)
    if words[0] in ('git', '.'):
        return None
    if words[:2] == ['python', '-m']:
        return None if importlib.util.find_spec(words[2]) else f'there is no module {words[2]}'
    if words[0] not in ('python', 'bash') or not re.match(r'tools/\S+\.(py|sh)$', words[1]):
        return 'is no command of this project'
    if not (ROOT / words[1]).is_file():
        return f'{words[1]} does not exist'
    gone = [
        word
        for word in words
        for part in [word.split('=')[-1]]
        if part.startswith(('configs/', 'weights/', 'tools/'))
        and not glob.glob(str(ROOT / part.replace('CONFIG', '*')))
    ]
    if gone:
        return f'{gone[0]} does not exist'
    if words[0] == 'bash':
        return None  # see test_scripts_call_tools_with_arguments_that_they_take
    try:
        arguments = parse(words[1], words[2:])
    except ValueError as error:
        return str(error)
    keys = unknown_keys(vars(arguments))
    return f'the config has no {keys[0]}' if keys else None


def unknown_keys(arguments: dict[str, Any]) -> list[str]:
    """Entries of --cfg-options and --grid that would be new in the config that the arguments
    name.
    """
    path = ROOT / str(arguments.get('config') or '')
    options = [
        *(entry.split('=')[0] for entry in arguments.get('cfg_options') or ()),
        *(entry.split('=')[0] for entry in arguments.get('grid') or ()),
    ]
    if not options or not path.is_file():
        return []
    config = Config.fromfile(path).to_dict()
    return [key for key in options if not has_key(config, key.split('.'))]


def has_key(node: Any, parts: list[str]) -> bool:
    """Whether a config has the entry, or the class (of the whole, mmengine's Runner) an argument of
    this name.
    """
    if not parts:
        return True
    if isinstance(node, (list, tuple)):
        return (
            parts[0].isdecimal()
            and int(parts[0]) < len(node)
            and has_key(node[int(parts[0])], parts[1:])
        )
    if isinstance(node, dict) and parts[0] in node:
        return has_key(node[parts[0]], parts[1:])
    name = node.get('type') if isinstance(node, dict) else None
    kind = (
        next((found for registry in REGISTRIES if (found := registry.get(str(name)))), None)
        if name
        else Runner
    )
    return (
        kind is not None
        and parts[0] in inspect.signature(kind).parameters
        and (len(parts) == 1 or kind is Runner)
    )


@pytest.mark.parametrize('document', [path for path in DOCUMENTS if commands(path)], ids=short)
def test_commands_are_understood(document: Path) -> None:
    wrong = [
        f'{command.place}: {command.text}\n  {why}'
        for command in commands(document)
        if (why := misunderstood(command))
    ]
    assert not wrong, '\n' + '\n'.join(wrong)


@pytest.mark.parametrize(
    'text, why',
    [
        (
            'python tools/segment_video.py clip.mp4 --boxes 1,2,3,4 --out DIR',
            'unrecognized arguments: --boxes',
        ),
        ('python tools/evaluate.py coco --gt a --results b', "invalid choice: 'coco'"),
        (
            'python tools/train.py configs/masktrack/gone.py',
            'configs/masktrack/gone.py does not exist',
        ),
        (
            'python tools/train.py configs/masktrack/masktrack_r18s16_sample.py --cfg-options '
            'model.trackr.size=1',
            'model.trackr.size',
        ),
        ('python tools/benchmark.py vos --part speed2', 'speed2'),
        ('python tools/gone.py', 'tools/gone.py does not exist'),
        ('pip install x', 'is no command of this project'),
    ],
)
def test_wrong_commands_are_seen(text: str, why: str) -> None:
    assert why in (misunderstood(Command('x:1', documents.split(text), 'x:1')) or '')


def test_commands_are_found_in_a_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, 'ROOT', tmp_path)
    (tmp_path / 'a.md').write_text("""Run `python tools/a.py X` or `a.py`.

    python tools/b.py "a b"   # indented

```bash
bash tools/c.sh \\
    {x,y}.z=1 ...
# a comment
git d e
```

```
an output
python tools/f.py
```

| There | here |
|---|---|
| `python tools/g.py` | `python tools/h.py` |
""")
    found = [
        (command.place, command.text, command.block) for command in commands(tmp_path / 'a.md')
    ]
    assert found == [
        ('a.md:3', "python tools/b.py 'a b'", 'a.md:3'),
        ('a.md:7', 'bash tools/c.sh x.z=1 y.z=1', 'a.md:6'),
        ('a.md:9', 'git d e', 'a.md:6'),
        ('a.md:14', 'python tools/f.py', 'a.md:13'),
        ('a.md:1', 'python tools/a.py X', 'a.md:1'),
        ('a.md:19', 'python tools/h.py', 'a.md:19'),
    ]


def test_names_and_anchors_are_found() -> None:
    text = '## YouTube-VIS, *own* `x`\n`tools/gone.py --a=configs/b/*.py` `CONFIG` [c](d.md#e)\n```\n[no](f.md)\n```\n`mmvos.A.b`'
    assert documents.names_of_files(text) == {'tools/gone.py', 'configs/b/*.py'}
    assert (
        documents.names_of_objects(text) == {'mmvos.A.b'}
        and not is_object('mmvos.A.b')
        and is_object('mmvos.CropPair')
    )
    assert documents.links(text) == ['d.md#e'] and documents.anchors(text) == {'youtube-vis-own-x'}


# ---- every command is run

RUN_HERE = [command for command in COMMANDS if elsewhere(command) is None and is_quick(command)]
SCRIPTS = {command.text: command for command in RUN_HERE if command.words[0] == 'bash'}


def blocks_to_run() -> dict[str, list[Command]]:
    """The Python commands of each block, which belong together; those in prose and those that take
    long once only.
    """
    found: dict[str, list[Command]] = {}
    seen: set[str] = set()
    for command in sorted(RUN_HERE, key=lambda command: command.inline):
        again = command.text in seen and (command.inline or 'segment_video' in command.text)
        if command.words[0] == 'python' and not again:
            found.setdefault(command.block, []).append(command)
            seen.add(command.text)
    return found


BLOCKS = blocks_to_run()


def test_every_command_is_run() -> None:
    used = {test for command in COMMANDS if (test := elsewhere(command))}
    for test in used:
        file, name = test.split('::')
        assert re.search(rf'^def {name}\(', (ROOT / file).read_text(), re.MULTILINE), test
    for command in COMMANDS:
        assert elsewhere(command) or is_quick(command), (
            f'{command.place}: no test runs {command.text}'
        )


@pytest.fixture(scope='module')
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tools, configs and weights of the project, and small stand-ins for what
    documents name.
    """
    folder = tmp_path_factory.mktemp('stage') / 'main'
    folder.mkdir()
    for name in ('tools', 'configs', 'weights'):
        (folder / name).symlink_to(ROOT / name)
    make_stand_ins(folder)
    return folder


@pytest.fixture
def stage(stand_ins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, as the current one: no command sees what another has written."""
    folder = tmp_path / 'stage'
    shutil.copytree(
        stand_ins.parent,
        folder,
        symlinks=True,
        copy_function=lambda source, target: (os.link if source.endswith('.pth') else shutil.copy)(
            source, target
        ),
    )
    monkeypatch.chdir(folder / 'main')
    return folder / 'main'


@pytest.mark.parametrize('place', list(BLOCKS))
def test_commands_run(
    place: str, stage: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in BLOCKS[place]:
        run_here(command, monkeypatch)
        print(f'{command.place}: done')
    assert capsys.readouterr().out.count(': done\n') == len(BLOCKS[place])


def run_here(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a tool of the project in this process, made small."""
    _, tool, *arguments = substituted(command.words)
    monkeypatch.syspath_prepend(str((ROOT / tool).parent))
    if 'dataset_converters' in tool:  # a glob for a shell; others are quoted
        arguments = [
            item
            for word in arguments
            for item in (sorted(glob.glob(word)) if '*' in word else [word])
        ]
    smaller = SMALLER.get(Path(tool).name, [])
    if 'segment_video' in tool and not any(word.endswith('config.py') for word in arguments):
        smaller = [*smaller, '--cfg-options', 'model.tracker.size=64']
    monkeypatch.setattr(sys, 'argv', [tool, *arguments, *smaller])
    try:
        runpy.run_path(str(ROOT / tool), run_name='__main__')
    except SystemExit as ended:
        assert ended.code in (0, None), f'{command.place}: {ended.code}'


# ---- shell scripts, with stand-ins for what they start

STUB = """#!{python} -IS
import os, pathlib, sys
words = sys.argv[1:]
with open({log!r}, 'a') as log:
    print(*words, sep='\\x1f', file=log)
tool = next((i for i, word in enumerate(words) if word.endswith('.py')), None)
def make(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('x')
if tool is not None:
    after = lambda name: pathlib.Path(words[words.index(name) + 1])
    if words[tool].endswith('/train.py') and '--work-dir' in words:
        make(after('--work-dir') / 'epoch_1.pth')
        checkpoint = str(after('--work-dir') / 'epoch_1.pth')
        (after('--work-dir') / 'last_checkpoint').write_text(checkpoint)
    elif words[tool].endswith('test_video.py'):
        for suffix in ('.json', '.zip'):
            make(after('--out').with_name(after('--out').name + suffix))
    elif words[tool].endswith('segment_video.py'):
        make(after('--out') / 'overlay.mp4')
    elif words[tool].endswith('make_sample_videos.py'):
        (pathlib.Path(words[tool + 1]) / 'valid/JPEGImages/a').mkdir(parents=True)
"""


@pytest.mark.parametrize('text', list(SCRIPTS), ids=[command.place for command in SCRIPTS.values()])
def test_scripts_call_tools_with_arguments_that_they_take(text: str, tmp_path: Path) -> None:
    checkout, log = tmp_path / 'a checkout', tmp_path / 'log'
    shutil.copytree(
        ROOT / 'tools', checkout / 'tools', ignore=shutil.ignore_patterns('__pycache__')
    )
    (checkout / 'tools/setup_env.sh').write_text('')  # has tests of its own
    (checkout / '.venv/bin').mkdir(parents=True)
    for stub in (checkout / '.venv/bin/python', tmp_path / 'bin/srun'):
        stub.parent.mkdir(exist_ok=True)
        stub.write_text(STUB.format(python=sys.executable, log=str(log)))
        stub.chmod(0o755)
    environment = {
        **os.environ,
        'PYTHON': str(checkout / '.venv/bin/python'),
        'PATH': f'{tmp_path / "bin"}:{os.environ["PATH"]}',
    }
    done = subprocess.run(
        substituted(SCRIPTS[text].words),
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    called = [line.split('\x1f') for line in log.read_text().splitlines()]
    assert called
    for words in called:
        tool = next((word for word in words if word.endswith('.py')), None)
        if tool is not None:
            place = words.index(tool)
            parse('tools/' + tool.split('tools/')[1], words[place + 1 :])
    if text.startswith('bash tools/quickstart.sh'):
        # test_video a second time for the table
        assert len(called) == 5 and 'quickstart: done' in done.stdout


# ---- Python, files, links

PYTHON = [
    (f'{path.relative_to(ROOT).as_posix()}:{block.line}', '\n'.join(block.lines))
    for path in DOCUMENTS
    for block in documents.blocks(path.read_text(encoding='utf-8'))
    if block.language == 'python'
]


@pytest.mark.skipif(
    not WEIGHTS.is_file(), reason='the weights that come with the project are not here'
)
@pytest.mark.parametrize('place, code', PYTHON, ids=[place for place, _ in PYTHON])
def test_python_runs(
    place: str, code: str, stage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(code, place, 'exec'), {'__name__': 'document'})
    if 'print(' in code:
        assert capsys.readouterr().out.strip()


@pytest.mark.parametrize('document', DOCUMENTS, ids=short)
def test_files_and_links_exist(document: Path) -> None:
    text = document.read_text(encoding='utf-8')
    wrong = [
        f'names {name}'
        for name in sorted(documents.names_of_files(text))
        if not glob.glob(str(ROOT / name))
    ]
    wrong += [
        f'names {name}' for name in sorted(documents.names_of_objects(text)) if not is_object(name)
    ]
    for link in documents.links(text):
        if re.match(r'[a-z]+:', link):
            continue
        path, _, anchor = link.partition('#')
        target = document.parent / path if path else document
        if not target.exists():
            wrong.append(f'links to {link}')
        elif anchor and anchor not in documents.anchors(target.read_text(encoding='utf-8')):
            wrong.append(f'links to {link}, but there is no such heading')
    assert not wrong, '\n' + '\n'.join(wrong)


def is_object(name: str) -> bool:
    """Whether mmvos.X is registered, or mmvos.a.b can be imported."""
    if any(registry.get(name.removeprefix('mmvos.')) for registry in REGISTRIES):
        return True
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def test_every_document_is_found_from_the_readme() -> None:
    seen, todo = set(), [ROOT / 'README.md']
    while todo:
        document = todo.pop()
        if document in seen or document.suffix != '.md':
            continue
        seen.add(document)
        todo += [
            (document.parent / link.partition('#')[0]).resolve()
            for link in documents.links(document.read_text())
            if not re.match(r'[a-z]+:', link) and link.partition('#')[0]
        ]
    assert not [path for path in DOCUMENTS if path.resolve() not in seen]
