"""What the documents show: shell commands, Python blocks, names of files, links. Reads Markdown
only; test_documents.py judges.

A command is a line of a code block: in blocks marked bash every line, in unmarked and indented ones
each line that begins with a program's name. A backslash at the end joins lines, what follows ``#``
is a comment. In a line of prose, code that begins with ``mmvos``, ``python`` or ``bash`` is a
command, too. Documents write capitals for what the reader puts in (CONFIG, DIR).
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'weights/README.md')
]
DOCUMENTS += [*sorted(ROOT.glob('docs/*.md')), *sorted(ROOT.glob('configs/*/README.md'))]
_PROGRAM = re.compile(r'((\.venv/bin/)?(mmvos|python)|bash|git|pip|mim|source|\.) \S')
_INLINE_PROGRAM = re.compile(r'((\.venv/bin/)?(mmvos|python)|bash) \S')
_SAME_PROGRAM = {'.venv/bin/python': 'python', 'python3': 'python', '.venv/bin/mmvos': 'mmvos'}
TOP_FOLDERS = ('configs', 'docs', 'mmvos', 'requirements', 'tests', 'tools', 'weights')


@dataclass(frozen=True)
class Command:
    """A command of a document.

    Attributes:
        place: PATH:LINE.
        words: with braces expanded.
        block: PATH:LINE of the first line of its block, or of the line of prose.
        inline: it stands in a line of prose.
    """

    place: str
    words: tuple[str, ...]
    block: str
    inline: bool = False

    @property
    def text(self) -> str:
        """For a shell."""
        return shlex.join(self.words)


@dataclass(frozen=True)
class Block:
    """A code block: language as marked, first line's number, lines."""

    language: str
    line: int
    lines: tuple[str, ...]


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks, and the indented ones outside of lists with the language ''."""
    fence: tuple[str, int, list[str]] | None = None
    before = ''
    for number, line in enumerate(text.splitlines(), 1):
        mark = re.match(r'```(\w*)\s*$', line)
        if mark and fence is None:
            fence = mark[1], number + 1, []
        elif mark and fence:
            yield Block(fence[0], fence[1], tuple(fence[2]))
            fence = None
        elif fence:
            fence[2].append(line)
        elif line.startswith('    ') and not before.lstrip().startswith(('*', '-', '1')):
            yield Block('', number, (line.strip(),))
        before = line if line.strip() else before
    assert fence is None, f'the block of line {fence[1]} has no end'


def prose(text: str) -> str:
    """The text without its fenced blocks, with as many lines."""
    return re.sub(
        r'^```.*?^```',
        lambda block: '\n' * block[0].count('\n'),
        text,
        flags=re.DOTALL | re.MULTILINE,
    )


def commands(path: Path) -> list[Command]:
    """All commands of a document."""
    text, name = path.read_text(encoding='utf-8'), path.relative_to(ROOT).as_posix()
    found = []
    for block in blocks(text):
        if block.language not in ('', 'bash'):
            continue
        joined = ''
        for number, line in enumerate(block.lines, block.line):
            wanted = joined or block.language == 'bash' or _PROGRAM.match(line)
            if not wanted:
                continue
            joined += line.strip()
            if joined.endswith('\\'):
                joined = joined[:-1] + ' '
                continue
            words = split(joined)
            joined = ''
            if words:
                found.append(Command(f'{name}:{number}', words, f'{name}:{block.line}'))
    for number, line in enumerate(ours(prose(text)).splitlines(), 1):
        place = f'{name}:{number}'
        found += [
            Command(place, split(span), place, True)
            for span in spans(line)
            if _INLINE_PROGRAM.match(span)
        ]
    return found


def ours(text: str) -> str:
    """Without the cells of tables that show other projects: first columns under a head that begins
    with 'There'.
    """
    lines, other = [], False
    for line in text.splitlines():
        other = line.startswith('|') and (other or line.startswith('| There'))
        lines.append(re.sub(r'^\|[^|]*\|', '|', line) if other else line)
    return '\n'.join(lines)


def spans(line: str) -> list[str]:
    """Code in a line of prose."""
    return re.findall(r'`([^`]+)`', line)


def split(line: str) -> tuple[str, ...]:
    """Words of a command, braces expanded as a shell does, 'and so on' left out."""
    words = shlex.split(line, comments=True)
    words = [_SAME_PROGRAM.get(word, word) for word in words if word != '...']
    return tuple(itertools.chain.from_iterable(expand(word) for word in words))


def expand(word: str) -> list[str]:
    """'{a,b}_x' -> ['a_x', 'b_x']."""
    inner = re.search(r'\{([^{}]*,[^{}]*)\}', word)
    if not inner:
        return [word]
    return [
        out
        for item in inner[1].split(',')
        for out in expand(word[: inner.start()] + item + word[inner.end() :])
    ]


def names_of_files(text: str) -> set[str]:
    """Paths in the repository that the prose names."""
    found = set()
    for span in itertools.chain.from_iterable(map(spans, ours(prose(text)).splitlines())):
        for word in re.split(r'[\s=\'"(),]+', span):
            if re.match(rf'({"|".join(TOP_FOLDERS)})/[\w./*-]+$', word) and not re.search(
                r'/[A-Z]+(\.|/|$)|\.\.\.', word
            ):
                found.add(word.rstrip('.'))
    return found


def names_of_objects(text: str) -> set[str]:
    """Dotted names below mmvos that the prose has in code."""
    found = itertools.chain.from_iterable(map(spans, prose(text).splitlines()))
    return {
        name for span in found for name in re.findall(r'(?<![\w./])mmvos(?:\.[A-Za-z_]\w*)+', span)
    }


def links(text: str) -> list[str]:
    """Targets of links and pictures."""
    return re.findall(r'\]\(([^)\s]+)\)', prose(text))


def anchors(text: str) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r'^#+ (.*)$', prose(text), re.MULTILINE):
        plain = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading)
        found.add(re.sub(r'[^\w\- ]', '', plain.lower()).strip().replace(' ', '-'))
    return found
