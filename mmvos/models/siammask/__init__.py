"""SiamMask and S2iamMask: objects are followed by comparing a search window with a template."""

from typing import TYPE_CHECKING

from mmvos.lazy_imports import lazy_attributes

if TYPE_CHECKING:
    from .crop_features import CropFeatures, SiameseResNet
    from .network import AdjustLayer, DepthwiseXCorr, MaskRefiner, SiameseHead
    from .pyramid_features import PyramidFeatures
    from .siamese_efficientnet import SiameseEfficientNet
    from .tracker import SiameseTracker
    from .voting import VotingMaskHead

__all__ = [
    'AdjustLayer',
    'CropFeatures',
    'DepthwiseXCorr',
    'MaskRefiner',
    'PyramidFeatures',
    'SiameseEfficientNet',
    'SiameseHead',
    'SiameseResNet',
    'SiameseTracker',
    'VotingMaskHead',
]

__getattr__ = lazy_attributes(
    __name__,
    {
        'crop_features': ['CropFeatures', 'SiameseResNet'],
        'network': ['AdjustLayer', 'DepthwiseXCorr', 'MaskRefiner', 'SiameseHead'],
        'pyramid_features': ['PyramidFeatures'],
        'siamese_efficientnet': ['SiameseEfficientNet'],
        'tracker': ['SiameseTracker'],
        'voting': ['VotingMaskHead'],
    },
)
