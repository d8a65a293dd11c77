"""MaskTrack and MaskTrack-Box: masks are propagated from frame to frame."""

from typing import TYPE_CHECKING

from mmvos.lazy_imports import lazy_attributes

if TYPE_CHECKING:
    from .guided_efficientnet import GuidedEfficientNetLite
    from .guided_resnet import GuidedResNet
    from .propagation_head import PropagationHead
    from .tracker import MaskPropagator

__all__ = ['GuidedEfficientNetLite', 'GuidedResNet', 'MaskPropagator', 'PropagationHead']

__getattr__ = lazy_attributes(
    __name__,
    {
        'guided_efficientnet': ['GuidedEfficientNetLite'],
        'guided_resnet': ['GuidedResNet'],
        'propagation_head': ['PropagationHead'],
        'tracker': ['MaskPropagator'],
    },
)
