"""mmvos: video object and instance segmentation as a plugin of mmdetection 3.x.

A config needs nothing but names such as ``mmvos.MaskTrackRCNN``: mmengine imports
``mmvos.registry`` when it meets one, and the registries import what they hold. The package itself
imports nothing, so that its converters, checks and ``python -m mmvos.check_env`` need no torch.
"""

from .version import __version__

__all__ = ['__version__']
