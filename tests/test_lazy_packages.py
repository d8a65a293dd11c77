"""What inference does not need is not imported, and the packages are whole afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import pytest
from command import ROOT
from stand_ins import clip_frame

from mmvos import lazy_packages as lazy

# What comes with mmdet's transforms and models, and with torch's distributed optimizers.
HEAVY = ['imgaug', 'matplotlib', 'scipy', 'sympy', 'torch.distributed.optim']

SEGMENT = f"""
import sys
from mmvos.cli.main import main
try:
    main()
finally:
    print([name for name in {HEAVY} if name in sys.modules])
"""

# The same model, once by its classes and once by the registries.
COMPARE = f"""
import json, sys
import cv2, numpy as np, torch
from mmvos.apis import VideoInferencer
from mmvos.apis.engine_choice import load_model

def results(model):
    found = []
    frames = [cv2.imread(path) for path in sys.argv[2:]]
    prompts = [[20, 40, 100, 120]] if model.takes_prompts else None
    for result in VideoInferencer(model).infer(frames, prompts=prompts):
        for item in result.objects:
            found.append([str(item.mask), item.score, list(item.box)])
    return found

lean = load_model(sys.argv[1], None, None, 'torch')
first = results(lean)
heavy = [name for name in {HEAVY} if name in sys.modules]

# The registries have everything.
import mmengine.registry
from mmdet.registry import MODELS
detector = MODELS.get('FasterRCNN')

from mmvos.apis import array_pipeline, model_loading
model_loading.build_lean = array_pipeline.build_lean = lambda *_: None
general = load_model(sys.argv[1], None, None, 'torch')
second = results(general)
weights = all(torch.equal(a, b) for a, b in zip(
    lean.state_dict().values(), general.state_dict().values(), strict=True))

# So have the packages, each class once.
import mmdet.models, mmengine.model
held = [detector, mmdet.models.utils.misc,
        mmengine.registry.MODEL_WRAPPERS.get('MMDistributedDataParallel')]
print(json.dumps(dict(
    count=len(first), equal=first == second, weights=weights, heavy=heavy,
    general=[name for name in {HEAVY} if name in sys.modules],
    missing=sum(value is None for value in held),
    once=type(lean.data_preprocessor) is mmdet.models.TrackDataPreprocessor
    and all(type(a) is type(b) for a, b in zip(lean.modules(), general.modules(), strict=True)),
)))
"""


@pytest.fixture
def pictures(tmp_path) -> list[Path]:
    folder = tmp_path / 'clip'
    folder.mkdir()
    paths = []
    for index in range(3):
        paths.append(folder / f'{index}.png')
        cv2.imwrite(str(paths[-1]), clip_frame(index)[0])
    return paths


def python(*words: object) -> str:
    """What Python prints last."""
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert 'OneDL' not in done.stdout
    return done.stdout.splitlines()[-1]


def test_a_clip_is_segmented_without_what_inference_does_not_need(pictures, tmp_path) -> None:
    words = ['--box', '20,40,100,120', '--engine', 'torch', '--out', tmp_path / 'out']
    assert python('-c', SEGMENT, 'segment', pictures[0].parent, *words) == '[]'
    assert len(list((tmp_path / 'out/masks').iterdir())) == 3


@pytest.mark.parametrize('system', ['masktrack', 'siammask', 'masktrack-rcnn'])
def test_results_and_packages_are_the_same(system, pictures) -> None:
    found = json.loads(python('-c', COMPARE, system, *pictures))
    assert found.pop('count') >= 3
    assert found == {
        'equal': True,
        'weights': True,
        'heavy': [],
        'general': HEAVY,
        'missing': 0,
        'once': True,
    }


@pytest.fixture
def package(tmp_path, monkeypatch) -> str:
    """A package that counts how often its file runs, with two modules."""
    name = 'lazily_imported_package'
    folder = tmp_path / name
    folder.mkdir()
    lines = ['import builtins', 'builtins.runs_of_it = 1 + getattr(builtins, "runs_of_it", 0)']
    lines += ['from .a import A as First', 'from .b import *', '__version__ = "1"']
    (folder / '__init__.py').write_text('\n'.join(lines))
    (folder / 'a.py').write_text('class A: pass')
    (folder / 'b.py').write_text('class B: pass')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(lazy, 'PACKAGES', (name,))
    monkeypatch.setattr('builtins.runs_of_it', 0, raising=False)
    yield name
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]
    lazy._FINDER.waiting.pop(name, None)


def test_a_name_imports_its_module_only(package) -> None:
    import builtins

    with lazy.lazy_packages():
        from lazily_imported_package import First

        assert f'{package}.b' not in sys.modules and builtins.runs_of_it == 0
    assert package not in sys.modules

    # Whoever imports it runs its file, and gets the same class.
    import lazily_imported_package as whole

    assert builtins.runs_of_it == 1 and whole.First is First and whole.B.__name__ == 'B'
    assert whole.a.A is First and whole.__version__ == '1'


def test_a_name_that_its_file_does_not_tell_runs_it(package) -> None:
    import builtins

    with lazy.lazy_packages():
        from lazily_imported_package import B, a

        with pytest.raises(ImportError, match='Nothing'):
            from lazily_imported_package import Nothing  # noqa: F401
    import lazily_imported_package as whole

    assert builtins.runs_of_it == 1 and whole.B is B and whole.a is a


def test_what_waits_goes_on_to_wait(package) -> None:
    import builtins

    with lazy.lazy_packages():
        from lazily_imported_package import First
    with lazy.lazy_packages():
        with lazy.lazy_packages():
            from lazily_imported_package import First as Again
        from lazily_imported_package import a
    assert builtins.runs_of_it == 0 and a.A is First is Again


def test_another_thread_that_leaves_does_not_end_it(package) -> None:
    import builtins

    def come_and_go() -> None:
        with lazy.lazy_packages():
            pass

    with lazy.lazy_packages():
        import lazily_imported_package as waiting

        other = threading.Thread(target=come_and_go)
        other.start()
        other.join()
        assert sys.modules[package] is waiting
        assert waiting.First.__name__ == 'A' and builtins.runs_of_it == 0
    assert package not in sys.modules


def test_a_part_that_names_its_scope_is_left_to_the_registries() -> None:
    from mmvos.apis.lean_build import TRANSFORMS, build_lean

    built = []
    step = {'type': 'Resize', 'scale': (64, 48)}
    assert build_lean([{**step, '_scope_': 'mmcv'}], TRANSFORMS, built.append) is None
    assert built == []
    build_lean([step], TRANSFORMS, built.append)
    assert built[0][0]['type'].__module__ == 'mmdet.datasets.transforms.transforms'
