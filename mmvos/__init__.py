"""mmvos: video object and instance segmentation as a plugin of mmdetection 3.x.

Importing the package registers its parts with mmdet's registries, so that ``custom_imports =
dict(imports=['mmvos'])`` is all that a config needs.
"""

from contextlib import suppress

from .version import __version__

# A broken stack (no mmcv, no mmdet) must not stop ``python -m mmvos.check_env``, which says what is
# missing and the remedy.
with suppress(ImportError):
    from . import registry  # noqa: F401

__all__ = ['__version__']
