"""The rule that an option is varied by somebody: what nobody varies is a constant.

It looks at each registered class for itself: that another class has an argument of the same name,
which is set somewhere, says nothing.
"""

import ast
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rules import Source, last_name

# Arguments that a class takes only to hand them to its mmengine or mmdet base class.
HANDED_ON = {
    'init_cfg',
    'metainfo',
    'lazy_init',
    'collect_device',
    'data_preprocessor',
    'prefix',
}


@dataclass(frozen=True)
class RegisteredClass:
    """A registered class and the arguments of its constructor.

    Attributes:
        name: of the class.
        place: file and line of the class.
        positional: names of the arguments in their order, without self.
        defaults: name of each optional argument -> ast dump of its default.
    """

    name: str
    place: str
    positional: tuple[str, ...]
    defaults: dict[str, str]


def registered_classes(sources: Iterable[Source]) -> Iterator[RegisteredClass]:
    """Yields the registered classes that have a constructor of their own."""
    for source in sources:
        for node in source.tree.body:
            if not isinstance(node, ast.ClassDef):
                continue
            decorators = [last_name(decorator) for decorator in node.decorator_list]
            if 'register_module' not in decorators:
                continue
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and item.name == '__init__':
                    yield _registered_class(node, item, source.path)


def _registered_class(
    node: ast.ClassDef, constructor: ast.FunctionDef, path: str
) -> RegisteredClass:
    arguments = constructor.args
    positional = [argument.arg for argument in arguments.posonlyargs + arguments.args]
    defaults: dict[str, str] = {}
    # Defaults belong to the last of the positional arguments.
    for name, default in zip(reversed(positional), reversed(arguments.defaults), strict=False):
        defaults[name] = ast.dump(default)
    for argument, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if value is not None:
            defaults[argument.arg] = ast.dump(value)
    place = f'{path}:{node.lineno}'
    return RegisteredClass(node.name, place, tuple(positional[1:]), defaults)


def dict_items(node: ast.AST) -> dict[str, ast.expr] | None:
    """Returns the entries of `dict(a=...)` and `{'a': ...}` by their keys, None for anything
    else.
    """
    if isinstance(node, ast.Call) and last_name(node.func) == 'dict':
        return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    if isinstance(node, ast.Dict):
        items = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                items[key.value] = value
        return items
    return None


def type_of(items: dict[str, ast.expr] | None) -> str:
    """Returns 'X' for the entries of dict(type='mmvos.X', ...), '' where no type stands there."""
    value = items.get('type') if items else None
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value.split('.')[-1]
    return ''


def named_dicts(tree: ast.AST) -> Iterator[tuple[str, dict[str, ast.expr]]]:
    """Yields (name, entries) of dicts that stand under a key, a keyword or an assigned name."""
    for node in ast.walk(tree):
        pairs: list[tuple[str, ast.expr]] = []
        if isinstance(node, ast.keyword) and node.arg:
            pairs.append((node.arg, node.value))
        elif isinstance(node, ast.Assign):
            pairs += [(last_target(target), node.value) for target in node.targets]
        elif isinstance(node, ast.Dict):
            pairs += (dict_items(node) or {}).items()
        for name, value in pairs:
            items = dict_items(value)
            if items is not None:
                yield name, items


def last_target(node: ast.expr) -> str:
    """Returns 'x' for the targets a.x and a['x'], and for the name x."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return last_name(node)


def forwarding_functions(users: Iterable[Source]) -> dict[str, set[str]]:
    """Returns for functions `def f(**options)` the names of what f gives `**options` to.

    `X(**options)` is X, and so are `dict(type='mmvos.X', **options)` and
    `dict(type='mmvos.X') | options`.
    """
    targets: dict[str, set[str]] = {}
    for source in users:
        for function in ast.walk(source.tree):
            if not isinstance(function, ast.FunctionDef) or function.args.kwarg is None:
                continue
            options = function.args.kwarg.arg
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and _spreads(node, options):
                    name = type_of(dict_items(node)) or last_name(node.func)
                    targets.setdefault(function.name, set()).add(name)
                for name in _joined_types(node, options):
                    targets.setdefault(function.name, set()).add(name)
    return targets


def _joined_types(node: ast.AST, options: str) -> list[str]:
    """Returns ['X'] for `dict(type='mmvos.X', ...) | ... | options`, [] for anything else."""
    parts: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        parts.append(node.right)
        node = node.left
    if isinstance(node, ast.expr):
        parts.append(node)
    if not any(isinstance(part, ast.Name) and part.id == options for part in parts):
        return []
    return [type_of(dict_items(part)) for part in parts if type_of(dict_items(part))]


def _spreads(call: ast.Call, options: str) -> bool:
    """Whether `**options` (or `**{... | options}`) is given to a call."""
    for keyword in call.keywords:
        if keyword.arg is None:
            names = [node.id for node in ast.walk(keyword.value) if isinstance(node, ast.Name)]
            if options in names:
                return True
    return False


def given_values(
    users: Sequence[Source], classes: dict[str, RegisteredClass]
) -> dict[tuple[str, str], set[str]]:
    """Returns for each class and argument the values that it is given, as ast dumps.

    A class is given what stands in `X(...)`, in `dict(type='mmvos.X', ...)`, in a call of a
    function that hands its `**options` on to X, in a dict without a type under a name that
    elsewhere holds an X (a config that overrides its base), and in an assignment to an entry of
    such a name (`config.model.tracker.size = 64`).
    """
    forwards = forwarding_functions(users)
    given: dict[tuple[str, str], set[str]] = {}

    def give(names: Iterable[str], items: dict[str, ast.expr]) -> None:
        for name in names:
            for argument, value in items.items():
                given.setdefault((name, argument), set()).add(ast.dump(value))

    def built_by(function: str, seen: tuple[str, ...] = ()) -> set[str]:
        if function in classes:
            return {function}
        found: set[str] = set()
        for target in forwards.get(function, set()) - {*seen, function}:
            found |= built_by(target, (*seen, function))
        return found

    held: dict[str, set[str]] = {}
    for source in users:
        for name, items in named_dicts(source.tree):
            held.setdefault(name, set()).add(type_of(items))
    for source in users:
        for name, items in named_dicts(source.tree):
            if not type_of(items):
                give(held[name] - {''}, items)
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Attribute):
                        owner = last_name(target.value)
                        give(held.get(owner, set()) - {''}, {target.attr: node.value})
            items_here = dict_items(node)
            if items_here is not None:
                give([type_of(items_here)], items_here)
            elif isinstance(node, ast.Call):
                function = last_name(node.func)
                keywords = {item.arg: item.value for item in node.keywords if item.arg}
                give(built_by(function), keywords)
                if function in classes:
                    give([function], dict(zip(classes[function].positional, node.args)))
    return given


def unvaried_arguments(
    sources: Iterable[Source], users: Sequence[Source], exceptions: Container[str] = ()
) -> list[str]:
    """Optional arguments of registered classes get another value than the default somewhere.

    Args:
        sources: where the classes are.
        users: configs and tests.
        exceptions: 'Class(argument)' of those that may do without.
    """
    classes = {found.name: found for found in registered_classes(sources)}
    given = given_values(users, classes)
    lines = []
    for found in classes.values():
        for argument, default in found.defaults.items():
            title = f'{found.name}({argument})'
            if argument in HANDED_ON or title in exceptions:
                continue
            if not given.get((found.name, argument), set()) - {default}:
                lines.append(f'{found.place}: no config or test varies {title}')
    return lines
