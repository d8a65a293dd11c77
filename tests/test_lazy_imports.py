"""Converters, checks and file readers import no torch, and the registries still hold every part."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mmvos
from mmvos import registry
from mmvos.cli.convert import CONVERTERS

PACKAGE = Path(mmvos.__file__).parent
HEAVY = ('torch', 'mmcv', 'mmdet', 'mmengine')


def modules_of(folder: str) -> list[str]:
    """Names of all modules in a folder of the package."""
    files = sorted((PACKAGE / folder).rglob('*.py'))
    names = ['.'.join(file.relative_to(PACKAGE.parent).with_suffix('').parts) for file in files]
    return [name.removesuffix('.__init__') for name in names]


def test_converters_checks_and_their_command_lines_import_no_torch() -> None:
    names = [*modules_of('convert'), *modules_of('cli/convert'), *modules_of('datasets/checks')]
    names.append('mmvos.cli.check')
    assert 'mmvos.convert.coco' in names and len(names) > 25
    code = (
        f'import sys, {", ".join(names)}\nprint([name for name in {HEAVY} if name in sys.modules])'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        env={'PYTHONPATH': str(PACKAGE.parent)},
        check=True,
    )
    assert done.stdout == '[]\n'


def registered_names(name: str) -> list[str]:
    """Classes that the package registers with `NAME.register_module()`, from its text."""
    found = []
    for file in sorted(PACKAGE.rglob('*.py')):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef):
                decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
                if any(text.startswith(f'{name}.register_module') for text in decorators):
                    found.append(node.name)
    return found


@pytest.mark.parametrize(
    ('name', 'fewest'), [('DATASETS', 9), ('TRANSFORMS', 10), ('DATA_SAMPLERS', 1), ('METRICS', 4)]
)
def test_registries_hold_what_packages_import_lazily(name: str, fewest: int) -> None:
    names = registered_names(name)
    assert len(names) >= fewest
    held = getattr(registry, name)
    assert [name for name in names if held.get(name) is None] == []


def test_a_package_without_such_a_name_says_so() -> None:
    with pytest.raises(ImportError, match="cannot import name 'NoDataset'"):
        from mmvos.datasets import NoDataset  # noqa: F401


def test_every_converter_is_listed() -> None:
    modules = (PACKAGE / 'cli/convert').glob('*_*.py')
    assert {module.stem for module in modules} - {'__init__', 'source_arguments'} == set(CONVERTERS)
