"""What the documents say is true.

Every command is understood by the parser that reads it, and run by a test; Python runs; files,
links and anchors exist.

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
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import documents
import pytest
from documents import DOCUMENTS, ROOT, Command, commands
from mmengine.config import Config
from mmengine.runner import Runner
from stand_ins import make_stand_ins

from mmvos.cli.convert import CONVERTERS
from mmvos.cli.main import COMMANDS, CommandGroup, find_command, main
from mmvos.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS

DOCUMENTED = [command for document in DOCUMENTS for command in commands(document)]
REGISTRIES = MODELS, DATASETS, METRICS, HOOKS, TRANSFORMS
WEIGHTS = ROOT / 'weights/masktrack_compact.safetensors'
# What readers put in for capitals.
GIVEN = {'CONFIG': 'config.py', 'CHECKPOINT': 'checkpoint.pth', 'S': '1', 'N': '1', 'GPUS': '2'}
TRAIN, TOLD = 'tests/cli/test_train.py::', 'tests/cli/test_test_prompted.py::'
SEGMENT = 'tests/cli/test_segment_prompts.py::'
EXPORT = 'tests/onnx/test_export.py::'
# The scripts that stay for the habits of mm projects, and the commands that they are.
THIN_SCRIPTS = {
    'tools/train.py': 'train',
    'tools/test_video.py': 'test',
    'tools/evaluate.py': 'evaluate',
    'tools/segment_video.py': 'segment',
}
# Pattern of a command -> the test that runs the same with a small model.
ELSEWHERE = {
    r'^mmvos train .*--resume': TRAIN + 'test_a_killed_training_goes_on_as_if_nothing_had_happened',
    r'^mmvos train ': TRAIN + 'test_a_training_logs_validates_and_keeps_the_best_checkpoint',
    r'^mmvos test .*--eval davis': TOLD + 'test_davis_writes_its_layout_and_scores_it',
    r'^mmvos test .*--eval youtube-vos': TOLD
    + 'test_youtube_vos_writes_the_frames_that_are_wanted',
    r'^mmvos test .*--eval vot': (
        'tests/cli/test_test_supervised.py::test_a_run_writes_the_standard_files_and_scores_them'
    ),
    r'^mmvos test ': TRAIN + 'test_the_results_file_and_the_scores',
    r'^mmvos propagate labelme': (
        'tests/annotate/test_propagate_labelme.py::test_all_frames_get_the_objects_of_two'
    ),
    r'^mmvos propagate cvat': (
        'tests/annotate/test_propagate_cvat.py::test_key_frames_are_followed_and_the_rest_is_kept'
    ),
    r'^mmvos propagate coco': (
        'tests/annotate/test_propagate_coco.py::test_frames_and_objects_are_added'
    ),
    r'^mmvos label-studio': ('tests/annotate/test_label_studio.py::test_masks_in_a_list_of_images'),
    r'^pip install .*run': ('tests/test_run_wheel.py::test_an_empty_environment_segments_a_clip'),
    r'^pip install .*cvat': (
        'tests/annotate/test_cvat_function.py::test_the_agents_worker_follows_shapes'
    ),
    r'^mmvos export ': EXPORT + 'test_graphs_compute_what_the_model_computes',
    r'^mmvos segment my_\w+(\.txt)? .*--launcher ray': (
        'tests/apis/batch/test_ray_cluster.py::test_a_node_is_killed_and_all_videos_are_finished'
    ),
    r'^mmvos segment my_(videos|list)': (
        'tests/cli/test_segment_many.py::test_processes_give_the_results_of_one'
    ),
    r'^mmvos segment .*--(graphs|engine)': EXPORT + 'test_an_exported_model_segments_a_clip',
    r'^mmvos benchmark busy': 'tests/benchmarks/test_busy.py::test_it_prints_a_row_for_each_way',
    r'^mmvos benchmark engines': (
        'tests/benchmarks/test_engines.py::test_it_prints_a_row_for_each_engine'
    ),
    r'^mmvos segment clip\.mp4 --out DIR$': (
        'tests/test_shipped_weights.py::'
        'test_the_light_masktrack_rcnn_finds_drawn_objects_and_keeps_their_ids'
    ),
    r'^mmvos segment --list': SEGMENT + 'test_the_list_of_systems',
    r'^mmvos segment .*--show': SEGMENT + 'test_mistakes_are_one_sentence',
    r'^mmvos segment .*--system (?!masktrack)': (
        SEGMENT + 'test_boxes_and_the_model_that_comes_with_the_project'
    ),
    r'^mmvos segment (0|rtsp:)': (
        'tests/apis/test_live_sources.py::test_a_camera_drops_what_the_model_has_no_time_for'
    ),
    r'^mmvos tune .*--davis': (
        'tests/cli/test_tune.py::test_the_best_setting_is_found_and_a_killed_search_goes_on'
    ),
    r'^mmvos tune .*--vot': 'tests/cli/test_tune.py::test_vot',
    r'^mmvos benchmark growth --rows training': (
        'tests/benchmarks/test_growth.py::test_a_training_is_read_as_it_goes_on'
    ),
    r'^mmvos benchmark growth': (
        'tests/benchmarks/test_growth.py::test_it_follows_and_replaces_objects'
    ),
    r'^mmvos benchmark worst_frames': 'tests/benchmarks/test_worst_frames.py::'
    'test_picture_has_a_row_per_sequence_and_a_column_per_results',
    r'^mmvos benchmark corrections': 'tests/benchmarks/test_corrections.py::'
    'test_the_worst_frame_is_corrected_until_all_are_right',
    r'^mmvos benchmark evaluation': 'tests/benchmarks/test_evaluation.py::test_all_parts_run',
    r'^mmvos benchmark start': (
        'tests/benchmarks/test_start.py::test_it_prints_a_row_for_each_system_and_engine'
    ),
    r'^mmvos benchmark studio': (
        'tests/benchmarks/test_studio.py::test_a_user_who_knows_the_truth_needs_few_actions'
    ),
    r'^mmvos benchmark tracking': 'tests/benchmarks/test_tracking.py::'
    'test_it_prints_a_row_per_precision_and_number_of_objects',
    r'^mmvos benchmark vis': (
        'tests/benchmarks/test_vis.py::test_memory_stays_flat_over_a_long_video'
    ),
    r'^mmvos benchmark vos': (
        'tests/benchmarks/test_vos.py::test_it_prints_a_row_per_number_of_objects_and_the_memory'
    ),
    r'^mmvos compose .*--merge': 'tests/convert/test_compose_videos.py::'
    'test_merged_classes_change_names_and_nothing_else',
    r'^mmvos compose-stills ': 'tests/convert/test_compose_stills.py::'
    'test_labels_lie_on_the_objects_and_the_same_seed_gives_the_same_files',
    r'^mmvos studio ': 'tests/studio/test_runs.py::test_forwards_to_the_end',
    r'^mmvos weights convert ': 'tests/cli/test_weights_convert.py::test_there_and_back',
    r'^mmvos weights join ': (
        'tests/cli/test_weights_join.py::test_the_joined_file_fits_the_config_and_holds_both'
    ),
    r'^mmvos( \w+)* --help$': 'tests/cli/test_main.py::test_every_command_explains_itself',
    r'^mmvos env|^python -m mmvos\.check_env': (
        'tests/test_check_env.py::test_a_good_installation_passes'
    ),
    r'^python -m tests\.robustness\.fuzz': (
        'tests/robustness/test_fuzz.py::test_every_damaged_input_is_read_or_refused_in_a_sentence'
    ),
    r'^python -m tests\.studio\.screenshots': (
        'tests/studio/test_page.py::test_the_pictures_of_the_documents_are_taken'
    ),
    r'^mmvos benchmark studio_times': (
        'tests/studio/test_memory.py::test_eight_times_the_frames_take_little_more'
    ),
    r'^python -m tests\.robustness\.studio_kills': (
        'tests/studio/test_kills.py::test_nothing_that_was_answered_is_lost'
    ),
    r'^python -m tests\.robustness\.kills': (
        'tests/robustness/test_kills.py::test_no_final_name_is_damaged_by_a_kill'
    ),
    r'^bash tools/setup_env\.sh': 'tests/test_setup.py::test_a_second_set_up_does_nothing',
    r'^bash tools/test_label_studio\.sh': (
        'tests/tools/test_label_studio_script.py::'
        'test_no_test_of_the_backend_skips_in_its_own_environment'
    ),
    r'^git clone ': (
        'tests/test_setup.py::test_set_up_installs_torch_before_mmcv_and_never_the_desktop_opencv'
    ),
    r'^\. \.venv/bin/activate': 'tests/test_setup.py::test_a_second_set_up_does_nothing',
}
# Commands that are run here; one that is neither here nor above fails test_every_command_is_run.
QUICK = {
    'mmvos check',
    'mmvos compose',
    *(f'mmvos convert {name}' for name in CONVERTERS),
    'mmvos evaluate',
    'mmvos prompts',
    'mmvos sample-videos',
    'mmvos segment',
    'mmvos weights imagenet',
    'mmvos weights list',
    'mmvos weights publish',
}
# What makes a run small.
SMALLER = {
    'mmvos sample-videos': '--train-videos 2 --val-videos 4 --frames 2 --size 64x48 --processes 1',
    'mmvos compose': '--train-videos 1 --val-videos 1 --frames 2 --processes 1',
    'mmvos prompts': '--frames 0 2',
    'mmvos evaluate': '--processes 1',
    'mmvos segment': '--device cpu',
}
# These refuse to write where something is.
OVERWRITING = ('mmvos sample-videos', 'mmvos compose')


def mmvos_words(words: Sequence[str]) -> list[str] | None:
    """What stands behind ``mmvos``, also where a script or a module of the same meaning is called;
    None for another program.
    """
    if words[0] == 'mmvos':
        return list(words[1:])
    if words[:3] == ['python', '-m', 'mmvos']:
        return list(words[3:])
    if words[0] == 'python' and words[1] in THIN_SCRIPTS:
        return [THIN_SCRIPTS[words[1]], *words[2:]]
    return None


def canonical(command: Command) -> str:
    """The command's text, scripts of tools written as commands."""
    words = mmvos_words(list(command.words))
    return command.text if words is None else shlex.join(['mmvos', *words])


def name_of(command: Command) -> str:
    """E.g. 'mmvos weights list'; '' for another program."""
    words = mmvos_words(list(command.words))
    if words is None or is_only_named(command):
        return ''
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return find_command(words)[0]
    except SystemExit:  # help, or no such command
        return ''


def is_only_named(command: Command) -> bool:
    """Whether a line of prose speaks of a command without calling it: `mmvos weights`,
    `mmvos train --resume`, `mmvos segment INPUT --out DIR`.
    """
    words = mmvos_words(list(command.words))
    if words is None or not command.inline:
        return False
    if any(re.fullmatch(r'[A-Z]+(\.\w+)?', word) and word not in GIVEN for word in words):
        return True
    chosen: Any = CommandGroup('', COMMANDS)
    rest = list(words)
    while rest and isinstance(chosen, CommandGroup):
        chosen = chosen.commands.get(rest.pop(0))
    if isinstance(chosen, CommandGroup) or (chosen is not None and not rest):
        return True
    try:
        parse(words)
    except ValueError as error:
        return re.search(r'are required|expected .*argument', str(error)) is not None
    return False


def is_quick(command: Command) -> bool:
    """Whether it is run here; of ours those of QUICK."""
    return command.words[0] == 'bash' or is_only_named(command) or name_of(command) in QUICK


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def elsewhere(command: Command) -> str | None:
    return next(
        (test for pattern, test in ELSEWHERE.items() if re.search(pattern, canonical(command))),
        None,
    )


def substituted(words: Sequence[str]) -> list[str]:
    """With something for the capitals, alone or after '='."""
    parts = [word.rpartition('=') for word in words]
    return [key + equals + GIVEN.get(value, value) for key, equals, value in parts]


# ---- every command is understood


class Parsed(Exception):
    """Ends a command when it reads its command line; carries the parser and what it found."""


def parse(words: Sequence[str]) -> argparse.Namespace:
    """What the command's own parser makes of the words behind ``mmvos``.

    Raises:
        ValueError: there is no such command, or it does not take them.
    """
    original = argparse.ArgumentParser.parse_args

    def read_and_end(parser: argparse.ArgumentParser, *given: Any, **more: Any) -> None:
        raise Parsed(parser, original(parser, *given, **more))

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            name, command, arguments = find_command(words)
            module = import_module(f'mmvos.cli.{command.module}')
            # It may refuse what argparse lets pass.
            if hasattr(module, 'parse_arguments'):
                return module.parse_arguments(arguments)
            with mock.patch.object(argparse.ArgumentParser, 'parse_args', read_and_end):
                module.main(arguments)
    except Parsed as parsed:
        return parsed.args[1]
    except SystemExit as ended:
        if ended.code in (0, None):
            return argparse.Namespace()
        raise ValueError(said.getvalue().strip().splitlines()[-1]) from None
    raise ValueError(f'{name} reads no arguments')


def options_of(words: Sequence[str]) -> set[str]:
    """The options that a command has, those of its parts included."""

    def end(parser: argparse.ArgumentParser, *given: Any, **more: Any) -> None:
        raise Parsed(parser)

    with mock.patch.object(argparse.ArgumentParser, 'parse_args', end):
        _, command, arguments = find_command(words)
        module = import_module(f'mmvos.cli.{command.module}')
        with pytest.raises(Parsed) as parsed:
            module.main(arguments)
    found = set()
    todo = [parsed.value.args[0]]
    while todo:
        for action in todo.pop()._actions:
            found |= set(action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                todo += action.choices.values()
    return found


def misunderstood(command: Command) -> str | None:
    """Why the command cannot be meant so; None where it can."""
    words = substituted(command.words)
    if words[0] in ('git', '.'):
        return None
    if words[:2] == ['pip', 'install'] and words[2].startswith('.['):
        extras = words[2][2:-1].split(',')
        gone = [extra for extra in extras if f"'{extra}': " not in (ROOT / 'setup.py').read_text()]
        return f'there is no extra {gone[0]}' if gone else None
    ours = mmvos_words(words)
    if ours is None:
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
    if ours is None:
        # see test_scripts_call_commands_with_arguments_that_they_take
        return None if words[0] == 'bash' else 'is no command of this project'
    if is_only_named(command):
        options = [word for word in ours if word.startswith('--')]
        unknown = sorted(set(options) - options_of(ours)) if options else []
        return f'there is no option {unknown[0]}' if unknown else None
    try:
        arguments = parse(ours)
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
        ('mmvos segment clip.mp4 --boxes 1,2,3,4 --out DIR', 'unrecognized arguments: --boxes'),
        ('mmvos evaluate coco --gt a --results b', "invalid choice: 'coco'"),
        ('mmvos train configs/masktrack/gone.py', 'configs/masktrack/gone.py does not exist'),
        (
            'mmvos train configs/masktrack/masktrack_r18s16_sample.py --cfg-options '
            'model.trackr.size=1',
            'model.trackr.size',
        ),
        ('mmvos benchmark vos --part speed2', 'speed2'),
        ('mmvos segmnt clip.mp4 --out DIR', "no command 'segmnt'"),
        ('mmvos weights lst', "no command 'lst'"),
        ('.venv/bin/mmvos prompts my.mp4 --page x', 'unrecognized arguments: --page'),
        ('python tools/segment_video.py clip.mp4 --boxes 1,2,3,4 --out DIR', '--boxes'),
        ('python -m mmvos weights lst', "no command 'lst'"),
        ('python tools/gone.py', 'tools/gone.py does not exist'),
        ('pip install x', 'is no command of this project'),
        ('pip install ".[run,x]"', 'there is no extra x'),
    ],
)
def test_wrong_commands_are_seen(text: str, why: str) -> None:
    assert why in (misunderstood(Command('x:1', documents.split(text), 'x:1')) or '')


def test_a_command_that_is_only_named_must_exist() -> None:
    named = Command('x:1', ('mmvos', 'weights', 'list'), 'x:1', inline=True)
    assert misunderstood(named) is None
    gone = Command('x:1', ('mmvos', 'weights', 'lst'), 'x:1', inline=True)
    assert "no command 'lst'" in (misunderstood(gone) or '')
    option = Command('x:1', ('mmvos', 'train', '--resume'), 'x:1', inline=True)
    assert misunderstood(option) is None
    gone = Command('x:1', ('mmvos', 'train', '--resumed'), 'x:1', inline=True)
    assert 'no option --resumed' in (misunderstood(gone) or '')
    called = Command('x:1', ('mmvos', 'evaluate'), 'x:1')
    assert 'required' in (misunderstood(called) or '')


def test_commands_are_found_in_a_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, 'ROOT', tmp_path)
    (tmp_path / 'a.md').write_text("""Run `python tools/a.py X`, `mmvos a X` or `a.py`.

    python tools/b.py "a b"   # indented
    .venv/bin/mmvos b

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
        ('a.md:4', 'mmvos b', 'a.md:4'),
        ('a.md:8', 'bash tools/c.sh x.z=1 y.z=1', 'a.md:7'),
        ('a.md:10', 'git d e', 'a.md:7'),
        ('a.md:15', 'python tools/f.py', 'a.md:14'),
        ('a.md:1', 'python tools/a.py X', 'a.md:1'),
        ('a.md:1', 'mmvos a X', 'a.md:1'),
        ('a.md:20', 'python tools/h.py', 'a.md:20'),
    ]


def test_names_and_anchors_are_found() -> None:
    text = (
        '## YouTube-VIS, *own* `x`\n`tools/gone.py --a=configs/b/*.py` `CONFIG` [c](d.md#e)\n'
        '```\n[no](f.md)\n```\n`mmvos.A.b`'
    )
    assert documents.names_of_files(text) == {'tools/gone.py', 'configs/b/*.py'}
    assert (
        documents.names_of_objects(text) == {'mmvos.A.b'}
        and not is_object('mmvos.A.b')
        and is_object('mmvos.CropPair')
    )
    assert documents.links(text) == ['d.md#e'] and documents.anchors(text) == {'youtube-vis-own-x'}


# ---- every command is run

RUN_HERE = [command for command in DOCUMENTED if elsewhere(command) is None and is_quick(command)]
SCRIPTS = {command.text: command for command in RUN_HERE if command.words[0] == 'bash'}


def blocks_to_run() -> dict[str, list[Command]]:
    """Our commands of each block, which belong together; those in prose and those that take long
    once only.
    """
    found: dict[str, list[Command]] = {}
    seen: set[str] = set()
    for command in sorted(RUN_HERE, key=lambda command: command.inline):
        name, text = name_of(command), canonical(command)
        is_done = text in seen and (command.inline or name == 'mmvos segment')
        if name and not is_done:
            found.setdefault(command.block, []).append(command)
            seen.add(text)
    return found


BLOCKS = blocks_to_run()


def test_every_command_is_run() -> None:
    used = {test for command in DOCUMENTED if (test := elsewhere(command))}
    for test in used:
        file, name = test.split('::')
        assert re.search(rf'^def {name}\(', (ROOT / file).read_text(), re.MULTILINE), test
    for command in DOCUMENTED:
        assert elsewhere(command) or is_quick(command), (
            f'{command.place}: no test runs {command.text}'
        )


@pytest.fixture(scope='module')
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the configs and weights of the project, and small stand-ins for what
    documents name.
    """
    folder = tmp_path_factory.mktemp('stage') / 'main'
    folder.mkdir()
    for name in ('configs', 'weights'):
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
    """Runs a command of ours in this process, made small."""
    name = name_of(command)
    arguments = mmvos_words(substituted(command.words)) or []
    if name.startswith('mmvos convert'):  # a glob for a shell; others are quoted
        arguments = [
            item
            for word in arguments
            for item in (sorted(glob.glob(word)) if '*' in word else [word])
        ]
    smaller = SMALLER.get(name, '').split()
    if name in OVERWRITING and '--overwrite' not in arguments:
        smaller.append('--overwrite')
    if name == 'mmvos segment' and not any(word.endswith('config.py') for word in arguments):
        smaller += ['--cfg-options', 'model.tracker.size=64']
    # a command replaces the words of the process
    monkeypatch.setattr(sys, 'argv', ['mmvos'])
    try:
        main([*arguments, *smaller])
    except SystemExit as ended:
        assert ended.code in (0, None), f'{command.place}: {ended.code}'


# ---- shell scripts, with stand-ins for what they start

STUB = """#!{python} -IS
import os, pathlib, sys
words = sys.argv[1:]
with open({log!r}, 'a') as log:
    print(*words, sep='\\x1f', file=log)
def make(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('x')
def after(name):
    return pathlib.Path(words[words.index(name) + 1])
command = words[2] if words[:2] == ['-m', 'mmvos'] else ''
if command == 'train' and '--work-dir' in words:
    make(after('--work-dir') / 'epoch_1.pth')
    (after('--work-dir') / 'last_checkpoint').write_text(str(after('--work-dir') / 'epoch_1.pth'))
elif command == 'test':
    for suffix in ('.json', '.zip'):
        make(after('--out').with_name(after('--out').name + suffix))
elif command == 'segment':
    make(after('--out') / 'overlay.mp4')
elif command == 'sample-videos':
    (after('sample-videos') / 'valid/JPEGImages/a').mkdir(parents=True)
"""


@pytest.mark.parametrize('text', list(SCRIPTS), ids=[command.place for command in SCRIPTS.values()])
def test_scripts_call_commands_with_arguments_that_they_take(text: str, tmp_path: Path) -> None:
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
        ours = words_in_call(words)
        if ours is not None:
            parse(ours)
    if text.startswith('bash tools/quickstart.sh'):
        # test_video a second time for the table
        assert len(called) == 5 and 'quickstart: done' in done.stdout


def words_in_call(words: list[str]) -> list[str] | None:
    """What a call of Python or srun says to ``mmvos``; None where it calls something else."""
    if '-m' in words and words[words.index('-m') + 1] == 'mmvos':
        return words[words.index('-m') + 2 :]
    for place, word in enumerate(words):
        if word.endswith('.py'):
            name = THIN_SCRIPTS['tools/' + word.split('tools/')[1]]
            return [name, *words[place + 1 :]]
    return None


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
