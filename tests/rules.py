"""The rules of how mmvos is built, as functions over source text: each returns its violations as
lines.

`test_rules.py` applies them to the repository, and each of them to a snippet that breaks it.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePosixPath
from statistics import median

FILE_LINES = 500
FUNCTION_LINES = 120
INHERITANCE_STEPS = 2
CONFIG_STEPS = 2
# Syntax nodes for each line of a function's body. Much above 10, a line says more than one thing.
# The codebases of the field have 6 to 8; what is reached here stands in docs/architecture.md.
MEDIAN_NODES = 9.8
PACKAGE_NODES = 11.5
FILE_NODES = 14.0
MODEL_FILE_NODES = 12.0
FUNCTION_NODES = 20.0
MEASURED_LINES = 3  # a shorter body says nothing
# Lines of their own, of 100 lines in functions that carry a method.
COMMENTS = 4.0
METHOD_LINES = 10
COMPARED_LINES = 100  # of a package; a smaller one says nothing
PINNED_WORDS = 5

ROOT_MODULES = ('registry', 'version')
EARLY = {'structures', 'ops', 'io', 'root'}
DATA = {'datasets', 'evaluation', 'convert'}
# Which layers a file of a layer may import beside its own; see docs/architecture.md.
MAY_IMPORT: dict[str, set[str]] = {
    'structures': {'root'},
    'ops': {'root'},
    'io': {'structures', 'ops', 'root'},
    'root': {'io'},
    'models': EARLY,
    'optimize': EARLY | {'models'},
    'onnx': EARLY | {'models'},
    'datasets': EARLY,
    'evaluation': EARLY,
    'convert': EARLY | {'datasets', 'evaluation'},
    'engine': EARLY | DATA | {'models', 'optimize'},
    'apis': EARLY | DATA | {'models', 'optimize', 'onnx', 'engine'},
    'annotate': EARLY | DATA | {'models', 'optimize', 'onnx', 'engine', 'apis'},
    'studio': EARLY | DATA | {'models', 'optimize', 'onnx', 'engine', 'apis', 'annotate'},
    'benchmarks': EARLY | DATA | {'models', 'optimize', 'onnx', 'engine', 'apis', 'studio'},
    'cli': EARLY
    | DATA
    | {'models', 'optimize', 'onnx', 'engine', 'apis', 'annotate', 'studio', 'benchmarks'}
    | {'check_env'},
    'check_env': {'root'},
    '__main__': {'cli'},
}
FORBIDDEN_LIBRARIES = {'structures': ('mmdet',), 'ops': ('mmdet',)}
VAGUE_NAMES = {'utils', 'util', 'misc', 'common', 'helpers'}


@dataclass(frozen=True)
class Source:
    """A Python file: path relative to the repository with forward slashes, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def parts(self) -> tuple[str, ...]:
        """Dotted name of the module in parts; a package's `__init__` bears the package's name."""
        parts = PurePosixPath(self.path).with_suffix('').parts
        return parts[:-1] if parts[-1] == '__init__' else parts

    @property
    def is_package(self) -> bool:
        return self.path.endswith('__init__.py')


def room_of(parts: tuple[str, ...]) -> str:
    """Room of a dotted name: mmvos.models.masktrack.x -> models, mmvos.registry -> root, torch ->
    ''
    """
    if parts[:1] == ('tools',):
        return 'tools'
    if parts[:1] != ('mmvos',):
        return ''
    inner = parts[1:]
    if not inner or inner[0] in ROOT_MODULES or inner[0] not in MAY_IMPORT:
        return 'root'
    return inner[0]


def imported_names(source: Source) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yields (line, parts of the name) of every import, relative ones resolved; from a import b is
    a.b
    """
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, tuple(alias.name.split('.'))
        elif isinstance(node, ast.ImportFrom):
            base: tuple[str, ...] = ()
            if node.level:
                up = node.level - 1 if source.is_package else node.level
                base = source.parts[: len(source.parts) - up]
            base += tuple(node.module.split('.')) if node.module else ()
            for alias in node.names:
                yield node.lineno, (*base, alias.name)


def import_directions(source: Source) -> list[str]:
    """A layer imports only itself and the layers before it."""
    here = room_of(source.parts)
    if here not in MAY_IMPORT or source.parts == ('mmvos',):
        return []
    found = []
    for line, target in imported_names(source):
        there = room_of(target)
        if there in ('', here) or there in MAY_IMPORT[here]:
            continue
        found.append(f'{source.path}:{line}: {here} must not import {".".join(target)} ({there})')
    return found


def import_cycles(sources: Iterable[Source]) -> list[str]:
    """Imports between the modules of the package have no cycle; a package is its `__init__`."""
    modules = {source.parts: source for source in sources}
    graph: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for parts, source in modules.items():
        graph[parts] = set()
        for _, target in imported_names(source):
            # `from a.b import c` is the module a.b.c where there is one, else the module a.b.
            module = target if target in modules else target[:-1]
            if module in modules and module != parts:
                graph[parts].add(module)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return ['imports in a circle: ' + ' -> '.join('.'.join(parts) for parts in error.args[1])]
    return []


def forbidden_libraries(source: Source) -> list[str]:
    """Structures and ops know no mmdet."""
    forbidden = FORBIDDEN_LIBRARIES.get(room_of(source.parts), ())
    return [
        f'{source.path}:{line}: {room_of(source.parts)} must not import {target[0]}'
        for line, target in imported_names(source)
        if target[0] in forbidden
    ]


def command_line(source: Source) -> list[str]:
    """Only apis, cli, tools and check_env read the command line."""
    if room_of(source.parts) in ('apis', 'benchmarks', 'cli', 'tools', 'check_env'):
        return []
    found = [
        f'{source.path}:{line}: imports {target[0]}'
        for line, target in imported_names(source)
        if target[0] in ('argparse', 'click', 'optparse') or target == ('sys', 'argv')
    ]
    found += [
        f'{source.path}:{node.lineno}: reads sys.argv'
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute)
        and node.attr == 'argv'
        and isinstance(node.value, ast.Name)
        and node.value.id == 'sys'
    ]
    return found


def path_changes(source: Source) -> list[str]:
    """Nothing changes Python's path or runs a file as a script: tests import the package."""
    if 'runpy' not in source.text and 'sys' not in source.text:
        return []  # most files; their trees need not be made
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == 'sys.path':
            found.append(f'{source.path}:{node.lineno}: sys.path')
    for line, target in imported_names(source):
        if target[0] == 'runpy' or target == ('sys', 'path'):
            found.append(f'{source.path}:{line}: imports {".".join(target)}')
    return found


def pinned_sentences(source: Source) -> list[str]:
    """A test looks for what a message is about (file, kind of fault), not for its sentence: the
    pattern of a ``match=`` has at most `PINNED_WORDS` words in a row.
    """
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.keyword) and node.arg == 'match':
            for part in ast.walk(node.value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    runs = re.findall(r'[a-z]+(?: [a-z]+)+', part.value)
                    longest = max((len(run.split()) for run in runs), default=0)
                    if longest > PINNED_WORDS:
                        found.append(f'{source.path}:{part.lineno}: match={part.value!r}')
    return found


def sizes(source: Source) -> list[str]:
    """A file has at most `FILE_LINES` lines, a function at most `FUNCTION_LINES`."""
    lines = len(source.text.splitlines())
    found = [f'{source.path}: {lines} lines, at most {FILE_LINES}'] if lines > FILE_LINES else []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                place = f'{source.path}:{node.lineno}: {node.name}'
                found.append(f'{place} has {length} lines, at most {FUNCTION_LINES}')
    return found


def bodies(source: Source) -> Iterator[list[ast.stmt]]:
    """Yields the statements of every function, without its docstring."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            body = node.body[1:] if has_docstring else node.body
            if body:
                yield body


def line_range(body: list[ast.stmt]) -> range:
    """Returns the numbers of a body's lines."""
    last = body[-1]
    return range(body[0].lineno, (last.end_lineno or last.lineno) + 1)


def measured(source: Source) -> Iterator[tuple[int, float]]:
    """Yields (first line, syntax nodes for each line) of the functions that have at least
    `MEASURED_LINES`.
    """
    for body in bodies(source):
        lines = line_range(body)
        if len(lines) >= MEASURED_LINES:
            nodes = sum(1 for statement in body for _ in ast.walk(statement))
            yield lines[0], nodes / len(lines)


def densities(source: Source) -> list[float]:
    """Returns the syntax nodes for each line of each function that is measured."""
    return [density for _, density in measured(source)]


def dense_functions(source: Source) -> list[str]:
    """No function has more than `FUNCTION_NODES` nodes a line."""
    return [
        f'{source.path}:{line}: {density:.1f} syntax nodes a line, at most {FUNCTION_NODES}'
        for line, density in measured(source)
        if density > FUNCTION_NODES
    ]


def dense_files(source: Source) -> list[str]:
    """Functions of a file have a median of at most `FILE_NODES` nodes a line, `MODEL_FILE_NODES` in
    models.
    """
    found = densities(source)
    limit = MODEL_FILE_NODES if room_of(source.parts) == 'models' else FILE_NODES
    if not found or median(found) <= limit:
        return []
    return [f'{source.path}: {median(found):.1f} syntax nodes a line, at most {limit}']


def dense_package(sources: Iterable[Source]) -> list[str]:
    """All functions have a median of at most `MEDIAN_NODES` nodes a line, those of each package one
    of at most `PACKAGE_NODES`.
    """
    everything: list[float] = []
    by_room: dict[str, list[float]] = {}
    for source in sources:
        values = densities(source)
        everything += values
        by_room.setdefault(room_of(source.parts), []).extend(values)
    found = []
    if median(everything) > MEDIAN_NODES:
        found.append(f'{median(everything):.1f} syntax nodes a line, at most {MEDIAN_NODES}')
    for room, values in by_room.items():
        if values and median(values) > PACKAGE_NODES:
            found.append(f'{room}: {median(values):.1f} nodes a line, at most {PACKAGE_NODES}')
    return found


def option_lines(body: list[ast.stmt]) -> int:
    """Returns how many lines of a body say what the options of a command line are."""
    count = 0
    for statement in body:
        is_call = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
        if is_call and last_name(statement.value) == 'add_argument':
            count += len(line_range([statement]))
    return count


def few_comments(sources: Iterable[Source]) -> list[str]:
    """In the functions of a package that have at least `METHOD_LINES` lines, `COMMENTS` of 100
    lines are comments; packages with fewer than `COMPARED_LINES` are not looked at.

    Options of a command line are not counted, as their help says what they are.
    """
    lines: Counter[str] = Counter()
    comments: Counter[str] = Counter()
    for source in sources:
        room = room_of(source.parts)
        text = source.text.splitlines()
        for body in bodies(source):
            numbers = line_range(body)
            if len(numbers) >= METHOD_LINES:
                lines[room] += len(numbers) - option_lines(body)
                for number in numbers:
                    comments[room] += text[number - 1].lstrip().startswith('#')
    found = []
    for room, count in lines.items():
        share = 100 * comments[room] / count
        if count >= COMPARED_LINES and share < COMMENTS:
            found.append(f'{room}: {share:.1f} comments in 100 lines, at least {COMMENTS}')
    return found


def joined_statements(source: Source) -> list[str]:
    """One statement does one thing: no `a, b = x, y`, and no condition inside a call."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            if isinstance(node.targets[0], ast.Tuple):
                found.append(f'{source.path}:{node.lineno}: two assignments in one')
        elif isinstance(node, ast.Call):
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            if any(isinstance(value, ast.IfExp) for value in given):
                found.append(f'{source.path}:{node.lineno}: a condition inside a call')
    return found


def vague_names(path: str) -> list[str]:
    """No file or folder is called utils, misc, common or helpers."""
    vague = VAGUE_NAMES & set(PurePosixPath(path).with_suffix('').parts)
    return [f'{path}: "{name}" says nothing about what is in it' for name in sorted(vague)]


def public_functions(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef, bool]]:
    """Yields (function, is a method) of the public functions, and of public classes' public
    methods.
    """
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith('_'):
            yield node, False
        elif isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and re.match('[^_]|__init__$', item.name):
                    yield item, True


def missing_annotations(function: ast.FunctionDef, is_method: bool) -> list[str]:
    """Returns the names of the arguments without annotation, and 'return'."""
    arguments = function.args.posonlyargs + function.args.args
    static = any(
        isinstance(d, ast.Name) and d.id == 'staticmethod' for d in function.decorator_list
    )
    if is_method and not static:
        arguments = arguments[1:]
    arguments = arguments + function.args.kwonlyargs
    arguments += [a for a in (function.args.vararg, function.args.kwarg) if a]
    missing = [a.arg for a in arguments if a.annotation is None]
    return missing + (
        ['return'] if function.returns is None and function.name != '__init__' else []
    )


def described(source: Source) -> list[str]:
    """Files have a header, public functions a docstring (for __init__ the class has it) and
    annotations.
    """
    found = []
    if (
        source.tree.body
        and source.path != 'mmvos/version.py'
        and not ast.get_docstring(source.tree)
    ):
        found.append(f'{source.path}: no header paragraph')
    for function, is_method in public_functions(source.tree):
        if function.name != '__init__' and not ast.get_docstring(function):
            found.append(f'{source.path}:{function.lineno}: {function.name} has no docstring')
        missing = missing_annotations(function, is_method)
        if missing:
            place = f'{source.path}:{function.lineno}: {function.name}'
            found.append(f'{place} does not annotate {", ".join(missing)}')
    return found


def last_name(node: ast.expr) -> str:
    """Returns 'c' for a.b.c, a.b.c(...) and a.b.c[...]."""
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, 'id', '')


def inheritance(sources: Iterable[Source]) -> list[str]:
    """A class is at most `INHERITANCE_STEPS` steps below its furthest ancestor in the
    repository.
    """
    bases = {
        node.name: ([last_name(base) for base in node.bases], f'{source.path}:{node.lineno}')
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
    }

    def steps(name: str, seen: tuple[str, ...] = ()) -> int:
        ours = [base for base in bases[name][0] if base in bases and base not in (*seen, name)]
        return max((1 + steps(base, (*seen, name)) for base in ours), default=0)

    return [
        f'{place}: {name} is {steps(name)} steps below its base, at most {INHERITANCE_STEPS}'
        for name, (_, place) in bases.items()
        if steps(name) > INHERITANCE_STEPS
    ]


def config_bases(source: Source) -> list[str]:
    """Returns the `_base_` entries of a config, as written."""
    for node in source.tree.body:
        if isinstance(node, ast.Assign) and any(last_name(t) == '_base_' for t in node.targets):
            value = ast.literal_eval(node.value)
            return [value] if isinstance(value, str) else list(value)
    return []


def config_depth(configs: Iterable[Source]) -> list[str]:
    """A config has at most `CONFIG_STEPS` steps of `_base_`; `mmdet::` counts one; a base must
    exist.
    """
    by_path = {source.path: source for source in configs}
    found = []

    def steps(path: str) -> int:
        deepest = 0
        for base in config_bases(by_path[path]):
            if '::' in base:
                deepest = max(deepest, 1)
                continue
            target = normal_path(PurePosixPath(path).parent / base)
            if target not in by_path:
                found.append(f'{path}: _base_ {base} does not exist')
                continue
            deepest = max(deepest, 1 + steps(target))
        return deepest

    deep = {path: steps(path) for path in by_path}
    found += [
        f'{path}: {n} steps of _base_, at most {CONFIG_STEPS}'
        for path, n in deep.items()
        if n > CONFIG_STEPS
    ]
    return sorted(set(found))


def normal_path(path: PurePosixPath) -> str:
    """Returns the path with 'a/..' taken out."""
    parts: list[str] = []
    for part in path.parts:
        if part == '..' and parts:
            parts.pop()
        else:
            parts.append(part)
    return '/'.join(parts)


# Written in pieces, so that this file does not break its own rule.
MACHINE_PLACES = [
    r'/wo' r'rk/',
    r'/tm' r'p/',
    r'/ro' r'ot/',
    r'/ho' r'me/\w',
    r'/op' r't/\w',
    r'/mn' r't/\w',
    r'/Us' r'ers/\w',
]
HOSTS = [
    r'py' r'pi\.org',
    r'python' r'hosted',
    r'deb' r'ian\.org',
    r'regis' r'try\.npm',
    r'local' r'domain',
    r'\.inter' r'nal\b',
    r'\b(?!127\.0\.0\.1\b|0\.0\.0\.0\b)(?:\d{1,3}\.){3}\d{1,3}:\d',
]


def machine_places(path: str, text: str) -> list[str]:
    """No file names a folder of one machine, a package registry or a host by its number."""
    pattern = re.compile('|'.join([rf'(?<![\w.>}})/]){place}' for place in MACHINE_PLACES] + HOSTS))
    return [
        f'{path}:{number}: names a place that only one machine has: {line.strip()[:120]}'
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
