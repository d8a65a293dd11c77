"""Packages of the OpenMMLab stack whose modules are imported when a name of them is asked for.

``from mmdet.models.backbones import ResNet`` runs the files that gather all of mmdet's models, and
with them scipy, matplotlib, imgaug and the distributed optimizers of torch: more CPU time than the
first frames of a video take. Within `lazy_packages` such a line imports the one module that
defines the name. It is found in the package's own ``__init__.py``; where it is not, that file runs
as it always does. Afterwards the packages are as if nobody had imported them: whoever imports one
runs its file, and gets the modules that are already there, so no class exists twice.
"""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import InspectLoader, Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import Any

# Those whose files import much that inference does not need; mmcv itself is none of them, because
# its functions of images are called by the package's name.
PACKAGES = (
    'mmcv.cnn',
    'mmcv.ops',
    'mmdet.datasets',
    'mmdet.datasets.transforms',
    'mmdet.models',
    'mmdet.models.backbones',
    'mmdet.models.data_preprocessors',
    'mmdet.models.dense_heads',
    'mmdet.models.detectors',
    'mmdet.models.layers',
    'mmdet.models.losses',
    'mmdet.models.mot',
    'mmdet.models.necks',
    'mmdet.models.roi_heads',
    'mmdet.models.roi_heads.bbox_heads',
    'mmdet.models.roi_heads.mask_heads',
    'mmdet.models.roi_heads.roi_extractors',
    'mmdet.models.task_modules',
    'mmdet.models.task_modules.assigners',
    'mmdet.models.task_modules.coders',
    'mmdet.models.task_modules.samplers',
    'mmdet.models.utils',
    'mmdet.structures',
    'mmdet.structures.bbox',
    'mmdet.structures.mask',
    'mmdet.utils',
    'mmengine.dataset',
    'mmengine.hooks',
    'mmengine.model',
    'mmengine.model.base_model',
    'mmengine.model.wrappers',
    'mmengine.optim',
    'mmengine.optim.optimizer',
    'mmengine.runner',
    'mmengine.utils.dl_utils',
    'mmengine.visualization',
)


@contextmanager
def lazy_packages() -> Iterator[None]:
    """Import `PACKAGES` lazily within; those that are imported already stay as they are.

    It may be entered again, also by other threads: the last one that leaves ends it.
    """
    _FINDER.begin()
    try:
        yield
    finally:
        _FINDER.end()


class _LazyFinder(MetaPathFinder):
    """Finds `PACKAGES` while it is active, and later those that it has found."""

    def __init__(self) -> None:
        # how often it was entered and not left yet
        self.depth = 0
        self.lock = threading.Lock()
        # those whose files have not run
        self.waiting: dict[str, ModuleType] = {}

    def begin(self) -> None:
        """Give the packages without running their files, from now on."""
        with self.lock:
            self.depth += 1
            if self.depth > 1:
                return
            if self not in sys.meta_path:
                sys.meta_path.insert(0, self)
            sys.modules.update(self.waiting)

    def end(self) -> None:
        """Let whoever imports one of them run its file, once all have left."""
        with self.lock:
            self.depth -= 1
            if self.depth > 0:
                return
            for name in self.waiting:
                sys.modules.pop(name, None)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find one of the packages; see importlib."""
        is_new = self.depth > 0 and name in PACKAGES
        if not is_new and name not in self.waiting:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, InspectLoader):
            spec.loader = _LazyLoader(spec.loader, self)
        return spec


class _LazyLoader(Loader):
    """Makes a package of which no line has run, or runs its file.

    Args:
        loader: Python's own.
        finder: knows which packages wait.
    """

    def __init__(self, loader: InspectLoader, finder: _LazyFinder) -> None:
        self.loader = loader
        self.finder = finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Take the package that waits, which has its modules as attributes; else a new one."""
        return self.finder.waiting.get(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Run the file of a package that waits; let a new one wait."""
        waiting = self.finder.waiting
        if module.__name__ in waiting:
            del waiting[module.__name__]
            del module.__dict__['__getattr__']
            self.loader.exec_module(module)
            return
        waiting[module.__name__] = module
        source = self.loader.get_source(module.__name__) or ''
        module.__dict__['__getattr__'] = _getter(module, _defining_modules(source))


def _defining_modules(source: str) -> dict[str, tuple[str, str]]:
    """Read which names a package takes from which of its modules.

    Args:
        source: of its ``__init__.py``.

    Returns:
        Name -> the module, relative to the package, and the name there.
    """
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
            for alias in node.names:
                found[alias.asname or alias.name] = (node.module, alias.name)
    return found


def _getter(module: ModuleType, defining: dict[str, tuple[str, str]]) -> Any:
    """Make the ``__getattr__`` of a package that waits."""
    package = module.__name__

    def get_attribute(name: str) -> Any:
        """Import what defines a name, and return it; see `module.__getattr__` of PEP 562."""
        # A name of one of its modules, or one of these.
        if name in defining:
            submodule, original = defining[name]
            value = getattr(import_module(f'{package}.{submodule}'), original)
            setattr(module, name, value)
            return value
        is_special = name.startswith('__') and name != '__all__'
        if is_special:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        if name != '__all__' and find_spec(f'{package}.{name}') is not None:
            return import_module(f'{package}.{name}')

        # Else its file says what it is.
        sys.modules.pop(package, None)
        import_module(package)
        return getattr(module, name)

    return get_attribute


_FINDER = _LazyFinder()
