"""Names of a package that are imported when somebody asks for them (PEP 562).

Converters, checks and file readers need neither torch nor mmdet, whose import takes seconds. So a
package imports what needs them lazily, and `import mmvos.convert.coco` is a matter of tenths.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_attributes(package: str, names: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Make the `__getattr__` of a package.

    Args:
        package: its `__name__`.
        names: module in the package -> the names that it defines.
    """
    module_of = {name: module for module, defined in names.items() for name in defined}

    def get_attribute(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        module = import_module(f'{package}.{module_of[name]}')
        # From now on the package has it.
        value = getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    return get_attribute
