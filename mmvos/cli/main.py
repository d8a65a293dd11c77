"""The command ``mmvos``: ``mmvos COMMAND ...`` calls the `main` of the command's own module.

Only the module of the command that is called is imported, and it imports torch and mmdet when it
starts to work, so ``--help`` answers at once.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib import import_module

from mmvos.cli.convert import CONVERTERS
from mmvos.cli.guard import how_to_install, is_left_out, run_command
from mmvos.cli.propagate import TOOLS
from mmvos.version import __version__

_SUMMARY = 'Video object and instance segmentation on mmdetection 3.x.'
_NOT_UNDERSTOOD = 2  # exit status of a command line that cannot be meant so


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        summary: what it does, for the list of commands.
        module: holds ``main(argv)``, and may hold ``EXPECTED_ERRORS`` (errors of users beside
            `DataError` and `OSError`) and ``KEPT_WHEN_STOPPED`` (see `run_command`).
    """

    summary: str
    module: str


@dataclass(frozen=True)
class CommandGroup:
    """Commands with a first name in common, e.g. ``mmvos weights list``.

    Attributes:
        summary: what they do.
        commands: by their next words.
    """

    summary: str
    commands: Mapping[str, Command | CommandGroup]


COMMANDS: Mapping[str, Command | CommandGroup] = {
    'segment': Command('follow objects in a video, or find all of known classes', 'segment'),
    'train': Command('train a model', 'train'),
    'test': Command('test a model on a data set of videos', 'test'),
    'evaluate': Command('score results of any model', 'evaluate'),
    'check': Command('say what is wrong in a data set', 'check'),
    'studio': Command('segment a video in the browser, look, correct, export', 'studio'),
    'prompts': Command('make a page on which boxes are drawn around objects', 'prompts'),
    'propagate': CommandGroup(
        'Turn annotations of some frames of a video into annotations of all frames.',
        {name: Command(summary, f'propagate.{name}') for name, summary in TOOLS.items()},
    ),
    'label-studio': Command('start a backend that annotates for Label Studio', 'label_studio'),
    'convert': CommandGroup(
        'Convert annotations and results between formats.',
        {name: Command(summary, f'convert.{name}') for name, summary in CONVERTERS.items()},
    ),
    'weights': CommandGroup(
        'List systems and their weights; convert, join, publish and score checkpoints.',
        {
            'list': Command('the systems, and how to get their weights', 'weights.list_systems'),
            'convert': Command('make published weights fit a config', 'weights.convert'),
            'join': Command('join the checkpoints of several models in one', 'weights.join'),
            'publish': Command('make a checkpoint fit to be given away', 'weights.publish'),
            'imagenet': Command("top-1 and top-5 of a backbone's weights", 'weights.imagenet'),
        },
    ),
    'export': Command('write a model as ONNX graphs', 'export'),
    'tune': Command("search a tracker's settings that do best on a data set", 'tune'),
    'benchmark': Command('measure speed and memory beside baselines', 'benchmark'),
    'sample-videos': Command('make a small data set from nothing but a seed', 'sample_videos'),
    'compose': Command("make videos of several objects out of a DAVIS folder's", 'compose'),
    'compose-stills': Command('make short videos out of still images with masks', 'compose_stills'),
    'curves': Command('draw the curves of a training', 'curves'),
    'env': Command('say whether this machine can run mmvos', 'env'),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command that the words name, and end the process as its result says.

    Args:
        argv: words of the command line after ``mmvos``; those of the process by default.

    Raises:
        SystemExit: the command has ended, or there is no such command.
    """
    if argv is None:
        argv = sys.argv[1:]
    words = list(argv)
    name, command, arguments = find_command(words)
    fault = find_fault(name, arguments)
    if fault is not None:
        print(f'{name}: {fault}', file=sys.stderr)
        sys.exit(_NOT_UNDERSTOOD)
    let_threads_sleep()
    # argparse, and the records of runs, name a command by the process's first word.
    sys.argv = [name, *arguments]
    try:
        module = import_module(f'mmvos.cli.{command.module}')
    except ModuleNotFoundError as error:
        if not is_left_out(error):
            raise
        sys.exit(f'{name}: {how_to_install(error)}')
    run_command(
        name,
        partial(module.main, arguments),
        *getattr(module, 'EXPECTED_ERRORS', ()),
        kept=getattr(module, 'KEPT_WHEN_STOPPED', 'what was finished stays'),
    )


def let_threads_sleep() -> None:
    """Let OpenMP's threads sleep while they wait for each other, unless the environment says what
    they should do.

    By default they spin, and take the time of other programs and, beside these, their own
    (``mmvos benchmark busy``). It has to be said before torch is imported.
    """
    if 'GOMP_SPINCOUNT' not in os.environ:
        os.environ.setdefault('OMP_WAIT_POLICY', 'passive')
    os.environ.setdefault('KMP_BLOCKTIME', '0')


def find_command(words: Sequence[str]) -> tuple[str, Command, list[str]]:
    """Find the command that the first words name.

    Args:
        words: of the command line after ``mmvos``.

    Returns:
        The command's whole name, e.g. 'mmvos weights list', the command, and its own words.

    Raises:
        SystemExit: help or the version was asked for, or there is no such command.
    """
    name = 'mmvos'
    chosen: Command | CommandGroup = CommandGroup(_SUMMARY, COMMANDS)
    rest = list(words)

    # Down from group to group, to a command.
    while isinstance(chosen, CommandGroup):
        first = rest.pop(0) if rest else '--help'
        if first in ('-h', '--help'):
            print(_help_of(name, chosen))
            sys.exit(0)
        if first == '--version':
            print(f'mmvos {__version__}')
            sys.exit(0)
        if first not in chosen.commands:
            close = get_close_matches(first, chosen.commands, n=3)
            meant = f'did you mean {" or ".join(close)}?' if close else f'{name} --help lists them'
            print(f'{name}: there is no command {first!r}; {meant}', file=sys.stderr)
            sys.exit(_NOT_UNDERSTOOD)
        name = f'{name} {first}'
        chosen = chosen.commands[first]
    return name, chosen, rest


def find_fault(name: str, arguments: Sequence[str]) -> str | None:
    """Say what cannot be meant, whatever the command: an argument that is empty, as that of a
    shell's variable which is not set (``--out ""`` would be the working directory); a file that is
    converted into itself.
    """
    if '' in arguments:
        before = list(arguments[: arguments.index('')])
        place = f'that after {before[-1]}' if before else 'the first one'
        return f'an argument is empty, {place}; is a variable of the shell not set?'

    # Only converters read some of their words and write others.
    if name.split()[1:2] not in (['convert'], ['weights']):
        return None
    seen = set()
    for word in arguments:
        if not os.path.isfile(word):
            continue
        status = os.stat(word)
        # The same file, however its path is written.
        file = (status.st_dev, status.st_ino)
        if file in seen:
            return f'{word} is given twice, it would be overwritten by what is made of it'
        seen.add(file)
    return None


def _help_of(name: str, group: CommandGroup) -> str:
    """List the commands of a group, and what their first arguments can be."""
    lines = [f'usage: {name} COMMAND ...', '', group.summary, '', 'commands:']
    width = max(map(len, group.commands))
    for word, command in group.commands.items():
        lines.append(f'  {word:<{width}}  {command.summary}')
    if group.commands is COMMANDS:
        lines.append('')
        for title, names in _names_by_title().items():
            lines += textwrap.wrap(
                ', '.join(names), 98, initial_indent=f'{title}: ', subsequent_indent='  '
            )
    lines += ['', f'{name} COMMAND --help lists the options of a command.']
    return '\n'.join(lines)


def _names_by_title() -> dict[str, list[str]]:
    """Names that commands take, for the help of ``mmvos``."""
    from mmvos.apis.systems import SYSTEMS
    from mmvos.evaluation.benchmarks import BENCHMARKS

    return {
        'systems (segment --system)': list(SYSTEMS),
        'protocols (evaluate)': list(BENCHMARKS),
        'converters (convert)': list(CONVERTERS),
    }
