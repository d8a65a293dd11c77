"""Child registries of mmdet's, scope ``mmvos``.

A config keeps ``default_scope = 'mmdet'`` and writes each of our types as ``mmvos.X``; parts that
are not found here are looked up in mmdet and mmengine.
"""

from mmdet.registry import DATA_SAMPLERS as MMDET_DATA_SAMPLERS
from mmdet.registry import DATASETS as MMDET_DATASETS
from mmdet.registry import HOOKS as MMDET_HOOKS
from mmdet.registry import LOOPS as MMDET_LOOPS
from mmdet.registry import METRICS as MMDET_METRICS
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.registry import OPTIM_WRAPPERS as MMDET_OPTIM_WRAPPERS
from mmdet.registry import TASK_UTILS as MMDET_TASK_UTILS
from mmdet.registry import TRANSFORMS as MMDET_TRANSFORMS
from mmdet.registry import WEIGHT_INITIALIZERS as MMDET_WEIGHT_INITIALIZERS
from mmengine.registry import Registry

from mmvos.io.mmengine_loaders import make_mmengine_safe
from mmvos.quiet_import import import_without

# Whatever mmengine loads from here on, no file runs code.
make_mmengine_safe()


def import_mmdet_datasets() -> None:
    """Import mmdet's data sets without what mmdet prints, once for them and once for their
    transforms; lazily within ``lazy_packages``.
    """
    import_without('mmdet.datasets', ['Could not import OneDL. Skipping OneDL datasets.'])


import_mmdet_datasets()


def _child(name: str, parent: Registry, *locations: str) -> Registry:
    return Registry(name, parent=parent, scope='mmvos', locations=list(locations))


MODELS = _child('model', MMDET_MODELS, 'mmvos.models.registered')
WEIGHT_INITIALIZERS = _child(
    'weight initializer', MMDET_WEIGHT_INITIALIZERS, 'mmvos.models.registered'
)
# Packages that import their modules lazily are listed module by module.
DATASETS = _child(
    'dataset',
    MMDET_DATASETS,
    'mmvos.datasets.image_clips',
    'mmvos.datasets.mask_clips',
    'mmvos.datasets.mask_pairs',
    'mmvos.datasets.mask_video',
    'mmvos.datasets.pair_sources',
    'mmvos.datasets.youtube_vis',
    'mmvos.evaluation.vot.dataset',
)
TRANSFORMS = _child('transform', MMDET_TRANSFORMS, 'mmvos.datasets.transforms')
DATA_SAMPLERS = _child('data sampler', MMDET_DATA_SAMPLERS, 'mmvos.datasets.samplers')
METRICS = _child('metric', MMDET_METRICS, 'mmvos.evaluation.metrics')
LOOPS = _child('loop', MMDET_LOOPS, 'mmvos.engine')
TASK_UTILS = _child('task util', MMDET_TASK_UTILS, 'mmvos.engine', 'mmvos.models.registered')
HOOKS = _child('hook', MMDET_HOOKS, 'mmvos.engine')
OPTIM_WRAPPERS = _child('optimizer wrapper', MMDET_OPTIM_WRAPPERS, 'mmvos.engine')
