"""Part tracking: small squares of an object are followed and say where its mask goes."""

from .tracker import PartTracker

__all__ = ['PartTracker']
