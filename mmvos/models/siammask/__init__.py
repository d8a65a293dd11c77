"""SiamMask and S2iamMask: objects are followed by comparing a search window with a template."""

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
