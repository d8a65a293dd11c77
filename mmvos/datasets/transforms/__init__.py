"""Transforms that mmdet and mmcv do not have."""
from .load_frame import LoadFrame

__all__ = ['LoadFrame']
