"""Names of the version before, accepted for one version with a warning.

A config that a user wrote may name a class or an option as it was called before, and a program may
import one. The class still builds, and a ``FutureWarning``, which Python shows by default, says
what to write instead.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from mmengine.registry import Registry

Class = TypeVar('Class', bound=type)


def register_old_name(registry: Registry, old_name: str, cls: type) -> None:
    """Let configs name a registered class as it was called before.

    Args:
        registry: the registry of the class.
        old_name: what the class was called.
        cls: the class, registered under its name of today.
    """

    def build_renamed(*args: Any, **kwargs: Any) -> Any:
        _warn(f'mmvos.{old_name} is now called mmvos.{cls.__name__}; write that in the config')
        return cls(*args, **kwargs)

    registry.register_module(name=old_name, module=build_renamed)


def accept_old_options(
    renamed: dict[str, str] | None = None, removed: tuple[str, ...] = ()
) -> Callable[[Class], Class]:
    """Make a class decorator that accepts the options of the version before.

    Where a config gives an option under both names, the old one counts: the shipped configs have
    only new names, so the old one is what the user wrote.

    Args:
        renamed: old name -> name of today.
        removed: options that are constants today; a value that is given is ignored.
    """
    new_names = renamed or {}

    def decorate(cls: Class) -> Class:
        init = cls.__init__  # type: ignore[misc]

        @functools.wraps(init)
        def init_with_old_options(self: Any, *args: Any, **kwargs: Any) -> None:
            # What the user wrote goes on under its new name.
            for old_name, new_name in new_names.items():
                if old_name in kwargs:
                    _warn(f'{cls.__name__}: the option {old_name} is now called {new_name}')
                    kwargs[new_name] = kwargs.pop(old_name)
            # A constant stays what it is.
            for old_name in removed:
                if old_name in kwargs:
                    _warn(f'{cls.__name__}: the option {old_name} is a constant now and ignored')
                    kwargs.pop(old_name)
            init(self, *args, **kwargs)

        cls.__init__ = init_with_old_options  # type: ignore[misc]
        return cls

    return decorate


def accept_old_attributes(renamed: Mapping[str, str]) -> Callable[[Class], Class]:
    """Make a class decorator that lets attributes be read by the names of the version before.

    Args:
        renamed: old name -> name of today.
    """

    def decorate(cls: Class) -> Class:
        for old_name, new_name in renamed.items():
            setattr(cls, old_name, _old_attribute(cls.__name__, old_name, new_name))
        return cls

    return decorate


def _old_attribute(class_name: str, old_name: str, new_name: str) -> property:
    """A property that says its new name and reads that."""

    def read(self: Any) -> Any:
        _warn(f'{class_name}.{old_name} is now called {new_name}')
        return getattr(self, new_name)

    return property(read)


def accept_old_names(
    module: str, renamed: Mapping[str, str], others: Callable[[str], Any] | None = None
) -> Callable[[str], Any]:
    """Make the `__getattr__` of a module whose names have changed.

    Args:
        module: its `__name__`.
        renamed: old name -> name of today, in the same module.
        others: asked for names that are not old; see `lazy_attributes`.
    """

    def get_attribute(name: str) -> Any:
        if name in renamed:
            _warn(f'{module}.{name} is now called {renamed[name]}')
            return getattr(sys.modules[module], renamed[name])
        if others is not None:
            return others(name)
        raise AttributeError(f'module {module!r} has no attribute {name!r}')

    return get_attribute


def _warn(message: str) -> None:
    warnings.warn(message, FutureWarning, stacklevel=3)
