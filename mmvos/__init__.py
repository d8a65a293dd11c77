"""mmvos: video object and instance segmentation as a plugin of mmdetection 3.x.

Importing the package registers its parts with mmdet's registries, so that ``custom_imports =
dict(imports=['mmvos'])`` is all that a config needs.
"""

from .version import __version__

try:
    from . import registry  # noqa: F401
except ImportError:
    # A broken stack (no mmcv, no mmdet) must not stop ``python -m mmvos.check_env``, which says
    # what is missing and the remedy.
    pass
else:
    from .io.mmengine_loaders import make_mmengine_safe

    make_mmengine_safe()

__all__ = ['__version__']
