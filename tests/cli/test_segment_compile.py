"""``mmvos segment --compile`` asks torch for a compiled model."""

from __future__ import annotations

from argparse import Namespace
from types import SimpleNamespace

import pytest

from mmvos.apis import model_loading
from mmvos.cli.segment_model import build_model


@pytest.mark.parametrize('compiles', [False, True])
def test_the_model_is_compiled_where_it_is_asked_for(monkeypatch, compiles):
    asked = []

    def load(name, checkpoint, device, options, compiles):
        asked.append((name, compiles))
        return SimpleNamespace(takes_prompts=True)

    monkeypatch.setattr(model_loading, 'load_optimized', load)
    nothing = dict.fromkeys(('config', 'checkpoint', 'graphs', 'device'))
    # without --compile the engine has to be named, else graphs may be taken
    engine = None if compiles else 'torch'
    args = Namespace(**nothing, system='siammask', cfg_options=[], engine=engine, compile=compiles)
    build_model(args, has_prompts=True)
    assert asked == [('siammask', compiles)]


def test_graphs_are_not_compiled():
    args = Namespace(
        graphs='DIR', config=None, system=None, checkpoint=None, device=None, compile=True
    )
    args.cfg_options = []
    args.engine = None
    with pytest.raises(ValueError, match='--compile'):
        build_model(args, has_prompts=True)
