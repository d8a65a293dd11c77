"""MaskTrack and MaskTrack-Box: masks are propagated from frame to frame."""

from .guided_efficientnet import GuidedEfficientNetLite
from .guided_resnet import GuidedResNet
from .propagation_head import PropagationHead
from .tracker import MaskPropagator

__all__ = ['GuidedEfficientNetLite', 'GuidedResNet', 'MaskPropagator', 'PropagationHead']
