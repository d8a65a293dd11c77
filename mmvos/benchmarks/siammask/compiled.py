"""torch.compile on the network of a SiamMask: backbone, adjusting layer, search branches and heads.

The compiler packs the weights itself, so the model has its batch norms folded and channels-last
weights, and nothing else.
"""

from __future__ import annotations

import os
import shutil

import torch
import torch._inductor.config

from mmvos.models import PromptedSegmenter
from mmvos.optimize import fold_batch_norms


def compiled(model: PromptedSegmenter, dtype: torch.dtype) -> PromptedSegmenter:
    """The model, not yet optimized, brought into ``dtype`` with its network compiled; the first
    frames compile.

    Raises:
        RuntimeError: there is no C++ compiler, which torch.compile needs on a CPU.
    """
    compiler = os.environ.get('CXX') or 'g++'
    if next(model.parameters()).device.type == 'cpu' and shutil.which(compiler) is None:
        raise RuntimeError(
            f'torch.compile needs a C++ compiler on a CPU, and there is no {compiler!r}; install '
            'one or name it in CXX'
        )
    torch._inductor.config.freezing = True  # weights are constants, so they can be packed
    fold_batch_norms(model, dtype)

    # The parts whose shapes stay the same from frame to frame.
    tracker = model.tracker
    for module in (
        tracker.features.backbone,
        tracker.features.adjust,
        *tracker.neck.search.values(),
        tracker.head,
    ):
        module.compile(dynamic=False)
    return model
