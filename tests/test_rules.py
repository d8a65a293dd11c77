"""Holds the repository to the rules of docs/architecture.md, and each rule to a snippet that breaks
it.
"""

import subprocess
from pathlib import Path

import option_rules
import pytest
import rules
from rules import Source

ROOT = Path(__file__).resolve().parents[1]


def read_sources(*folders: str) -> list[Source]:
    """Returns the Python files below the folders, build products left out."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob('*.py'))]
    return [
        Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding='utf-8'))
        for path in paths
        if '.mim' not in path.parts
    ]


def repository_files() -> list[Path]:
    """Returns the files that git tracks or would track; where there is no git, the source folders'
    files.
    """
    listed = subprocess.run(
        ['git', 'ls-files', '--cached', '--others', '--exclude-standard'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        paths = [ROOT / line for line in listed.stdout.splitlines()]
    else:
        folders = ('mmvos', 'configs', 'tools', 'tests', 'docs')
        paths = [path for folder in folders for path in (ROOT / folder).rglob('*')]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


PACKAGE = read_sources('mmvos')
TOOLS = read_sources('tools')
CONFIGS = read_sources('configs')
TESTS = read_sources('tests')


def none_of(found: list[str]) -> None:
    """Fails with one violation a line."""
    assert not found, '\n' + '\n'.join(found)


def test_the_repository_is_seen() -> None:
    assert len(PACKAGE) > 10 and TOOLS and CONFIGS and TESTS
    rooms = {rules.room_of(source.parts) for source in PACKAGE}
    assert {'structures', 'ops', 'models', 'datasets', 'evaluation'} <= rooms


@pytest.mark.parametrize(
    'rule',
    [
        rules.import_directions,
        rules.forbidden_libraries,
        rules.command_line,
        rules.sizes,
        rules.described,
        rules.dense_files,
        rules.dense_functions,
        rules.joined_statements,
    ],
    ids=lambda rule: rule.__name__,
)
def test_package_keeps(rule) -> None:
    none_of([line for source in PACKAGE for line in rule(source)])


def test_tools_keep_their_size_and_have_headers() -> None:
    found = [line for source in TOOLS for line in rules.sizes(source)]
    found += [f'{s.path}: no header' for s in TOOLS if not rules.ast.get_docstring(s.tree)]
    none_of(found)


def test_names_say_what_is_in_a_file() -> None:
    none_of([line for source in PACKAGE + TOOLS for line in rules.vague_names(source.path)])


def test_nothing_changes_pythons_path() -> None:
    none_of([line for source in PACKAGE + TOOLS + TESTS for line in rules.path_changes(source)])


def test_tests_pin_no_whole_sentences() -> None:
    none_of([line for source in TESTS for line in rules.pinned_sentences(source)])


def test_lines_say_one_thing() -> None:
    none_of(rules.dense_package(PACKAGE))


def test_packages_say_what_their_steps_are() -> None:
    none_of(rules.few_comments(PACKAGE))


def test_no_circular_imports() -> None:
    none_of(rules.import_cycles(PACKAGE))


def test_inheritance_is_shallow() -> None:
    none_of(rules.inheritance(PACKAGE))


def test_configs_are_shallow() -> None:
    none_of(rules.config_depth(CONFIGS))


# Options that no shipped config varies, by the reason why each is one all the same.
OPTIONS_OF_USERS = {
    'which data of a user are read, and how': {
        'PasteObjects(data_prefix)',
        'PasteObjects(data_root)',
        'SurroundPair(data_prefix)',
        'SurroundPair(data_root)',
        'YouTubeVISDataset(check_images)',
        'YouTubeVISDataset(on_error)',
        'YouTubeVISPairs(frame_range)',
        'YouTubeVISPairs(min_area)',
    },
    'which part of a benchmark is scored, or own sequences, and where results go': {
        'DAVISMetric(resolution)',
        'DAVISMetric(split)',
        'DAVISMetric(task)',
        'VOTMetric(interval)',
        'YouTubeVISMetric(outfile_prefix)',
        'YouTubeVOSMetric(seen)',
    },
    'what mmvos tune searches, as good values change with weights and videos': {
        'InstanceMemory(match_weights)',
        'MaskPropagator(box_change)',
        'MaskPropagator(box_passes)',
        'MaskPropagator(context)',
        'MaskPropagator(min_area_ratio)',
        'MaskPropagator(search_growth)',
        'PartTracker(attention)',
        'PartTracker(context)',
        'PartTracker(min_score_ratio)',
        'PartTracker(motion_tolerance)',
        'SiameseTracker(search_size)',
        'VotingMaskHead(enlarge)',
        'VotingMaskHead(min_area)',
        'VotingMaskHead(top_k)',
    },
    'videos without an end, whose memory must not grow': {'InstanceMemory(max_idle)'},
    'weights of mmtracking and mmdet 3 need it': {'TrackHead(relu_after_last)'},
    'a shape that follows from another part of the config': {'TrackHead(roi_feat_size)'},
    'strengths of random changes, which go together with those that configs vary': {
        'ColorPair(blur)',
        'CropPair(template_scale)',
        'CropPair(template_shift)',
        'MaskPropagator(train_context)',
    },
    'given by a loop or by torch, not by a config': {
        'OrientationBatchSampler(drop_last)',
        'VideoSampler(seed)',
        'VideoSampler(skip_videos)',
        'VideoTestLoop(benchmark)',
        'VideoValLoop(benchmark)',
    },
}


def test_every_option_is_varied_by_a_config_or_for_users() -> None:
    reasons = set().union(*OPTIONS_OF_USERS.values())
    none_of(option_rules.unvaried_arguments(PACKAGE, CONFIGS, reasons))


def test_no_reason_is_left_over() -> None:
    """An option that a config varies today, or that is gone, needs no reason."""
    unvaried = option_rules.unvaried_arguments(PACKAGE, CONFIGS)
    found = {line.split('varies ')[1] for line in unvaried}
    none_of(sorted(set().union(*OPTIONS_OF_USERS.values()) - found))


def test_every_option_is_tested() -> None:
    """Some config or test gives it another value than its default."""
    given = {
        # by mmengine's runner, mmvos train and an evaluation
        'VideoSampler(seed)',
        'VideoValLoop(benchmark)',
        # in _base_/datasets/static_images.py by a variable, which this rule does not follow
        'PasteObjects(data_prefix)',
    }
    none_of(option_rules.unvaried_arguments(PACKAGE, CONFIGS + TESTS, given))


def test_no_place_of_one_machine_is_named() -> None:
    found = []
    for path in repository_files():
        try:
            text = path.read_text(encoding='utf-8')
        except UnicodeDecodeError:
            continue
        found += rules.machine_places(path.relative_to(ROOT).as_posix(), text)
    none_of(found)


# Each rule below is shown to fail where it must, and to let the neighboring right thing pass.


@pytest.mark.parametrize(
    ('path', 'text'),
    [
        ('mmvos/ops/crop.py', 'from mmvos.structures import Frame'),
        ('mmvos/ops/crop.py', 'from ..structures import Frame'),
        ('mmvos/io/rle.py', 'from mmvos.models import MaskTrackRCNN'),
        ('mmvos/models/siammask/a.py', 'from mmvos.datasets import x'),
        ('mmvos/models/masktrack_rcnn.py', 'def f():\n    import mmvos.datasets.youtube_vis'),
        ('mmvos/models/masktrack_rcnn.py', 'from mmvos import engine'),
        ('mmvos/datasets/a.py', 'from mmvos.models import x'),
        ('mmvos/evaluation/a.py', 'from mmvos.datasets import x'),
        ('mmvos/engine/a.py', 'from mmvos.apis import x'),
        ('mmvos/apis/a.py', 'from tools import train'),
        ('mmvos/convert/coco.py', 'from mmvos.models import x'),
    ],
)
def test_import_directions_fails_on(path: str, text: str) -> None:
    assert len(rules.import_directions(Source(path, text))) == 1


@pytest.mark.parametrize(
    ('path', 'text'),
    [
        ('mmvos/ops/crop.py', 'import torch'),
        ('mmvos/models/masktrack_rcnn.py', 'from .video_model import VideoModel'),
        (
            'mmvos/models/masktrack_rcnn.py',
            'from ..structures import Frame\nfrom mmvos.registry import MODELS',
        ),
        (
            'mmvos/models/__init__.py',
            'from .masktrack_rcnn import MaskTrackRCNN\nfrom .heads import TrackHead',
        ),
        ('mmvos/models/masktrack/a.py', 'from ..tracker import Tracker'),
        ('mmvos/evaluation/youtube_vis/a.py', 'from .tracks import x'),
        ('mmvos/apis/a.py', 'from mmvos.datasets import x\nfrom mmvos.engine import y'),
        ('mmvos/apis/inference.py', 'from .writers import x'),
        ('mmvos/structures/tracks.py', 'from .rle import RLE'),
        ('mmvos/datasets/a.py', 'from .mask_folders import x'),
        ('mmvos/datasets/mask_video.py', 'from .frame_files import x'),
    ],
)
def test_import_directions_passes(path: str, text: str) -> None:
    assert rules.import_directions(Source(path, text)) == []


def test_import_cycles() -> None:
    first = Source('mmvos/ops/a.py', 'from .b import x')
    second = Source('mmvos/ops/b.py', 'import torch')
    assert rules.import_cycles([first, second]) == []
    back = Source('mmvos/ops/b.py', 'def f():\n    from mmvos.ops.a import y')
    assert len(rules.import_cycles([first, back])) == 1


def test_forbidden_libraries_fails_on_mmdet_in_structures() -> None:
    text = 'import torch\nfrom mmdet.structures import DetDataSample'
    assert len(rules.forbidden_libraries(Source('mmvos/structures/a.py', text))) == 1
    assert rules.forbidden_libraries(Source('mmvos/models/a.py', text)) == []


@pytest.mark.parametrize(
    'text', ['import argparse', 'import sys\nprint(sys.argv)', 'from sys import argv']
)
def test_command_line_fails_outside_apis_and_tools(text: str) -> None:
    assert len(rules.command_line(Source('mmvos/engine/a.py', text))) == 1
    assert rules.command_line(Source('mmvos/apis/a.py', text)) == []
    assert rules.command_line(Source('mmvos/cli/a.py', text)) == []


@pytest.mark.parametrize(
    'text',
    ["import sys\nsys.path.insert(0, 'x')", 'import runpy', 'from sys import path'],
)
def test_path_changes_fails_on(text: str) -> None:
    assert len(rules.path_changes(Source('tests/a.py', text))) == 1
    assert rules.path_changes(Source('tests/a.py', 'import os.path\nos.path.join(x)')) == []


def test_pinned_sentences_fails_on_a_sentence() -> None:
    text = "with pytest.raises(ValueError, match='{}'): f()"
    long = text.format('this file cannot be read at all')
    short = text.format(r'a\\.txt cannot be read: .*line 3')
    assert len(rules.pinned_sentences(Source('tests/a.py', long))) == 1
    assert rules.pinned_sentences(Source('tests/a.py', short)) == []


def test_sizes_fails_one_line_above_the_limit() -> None:
    def function(lines: int) -> str:
        return 'def f():\n' + '    pass\n' * (lines - 1)

    assert rules.sizes(Source('a.py', function(120))) == []
    assert len(rules.sizes(Source('a.py', function(121)))) == 1
    assert rules.sizes(Source('a.py', 'x = 1\n' * 500)) == []
    assert len(rules.sizes(Source('a.py', 'x = 1\n' * 501))) == 1


def test_vague_names_fails_on_files_and_folders() -> None:
    assert len(rules.vague_names('mmvos/ops/utils.py')) == 1
    assert len(rules.vague_names('mmvos/common/crop.py')) == 1
    assert rules.vague_names('mmvos/ops/crop.py') == []


@pytest.mark.parametrize(
    'text',
    [
        'def f(a: int) -> int:\n    return a',
        '"""H."""\ndef f(a: int) -> int:\n    return a',
        '"""H."""\ndef f(a) -> int:\n    """D."""',
        '"""H."""\ndef f(a: int):\n    """D."""',
        '"""H."""\ndef f(*a) -> int:\n    """D."""',
        '"""H."""\nclass A:\n    """D."""\n    def __init__(self, a):\n        pass',
        '"""H."""\nclass A:\n    """D."""\n    @property\n    def a(self) -> int:\n        return '
        '1',
    ],
)
def test_described_fails_on(text: str) -> None:
    assert rules.described(Source('mmvos/a.py', text))


def test_described_passes_private_functions_and_empty_files() -> None:
    text = (
        '"""H."""\ndef _f(a): pass\nclass A:\n    def _g(self, a): pass\n    def __len__(self): ...'
    )
    assert rules.described(Source('mmvos/a.py', text)) == []
    assert rules.described(Source('mmvos/a/__init__.py', '')) == []


def test_inheritance_fails_on_the_third_step() -> None:
    text = 'class A(nn.Module): pass\nclass B(A): pass\nclass C(B): pass\n'
    assert rules.inheritance([Source('mmvos/a.py', text)]) == []
    below = Source('mmvos/b.py', 'class D(a.C): pass')
    assert len(rules.inheritance([Source('mmvos/a.py', text), below])) == 1


def test_config_depth_fails_on_the_third_step_and_on_a_missing_base() -> None:
    chain = [
        Source('configs/_base_/m.py', '_base_ = "mmdet::_base_/models/x.py"'),
        Source('configs/a/b.py', "_base_ = ['../_base_/m.py']"),
    ]
    assert rules.config_depth(chain) == []
    assert len(rules.config_depth([*chain, Source('configs/a/c.py', "_base_ = './b.py'")])) == 1
    assert rules.config_depth([Source('configs/a/c.py', "_base_ = './b.py'")]) == [
        'configs/a/c.py: _base_ ./b.py does not exist'
    ]


HEAD = """
@MODELS.register_module()
class A:
    def __init__(self, size, depth=2, *, relu=False, init_cfg=None): ...


@MODELS.register_module()
class B:
    def __init__(self, size, depth=2): ...
"""


@pytest.mark.parametrize(
    ('user', 'left'),
    [
        ('', ['A(depth)', 'A(relu)', 'B(depth)']),
        # given, but never another value than the default
        ('A(1, depth=2, relu=True)', ['A(depth)', 'B(depth)']),
        # B's argument of the same name says nothing about A's
        ("model = dict(type='mmvos.B', depth=3)", ['A(depth)', 'A(relu)']),
        ('B(1, 3)', ['A(depth)', 'A(relu)']),
        ("{'type': 'mmvos.A', 'depth': 3, 'relu': True}", ['B(depth)']),
        # a config that overrides its base
        (
            "x = dict(head=dict(type='mmvos.A'))\ny = dict(head=dict(depth=3))",
            ['A(relu)', 'B(depth)'],
        ),
        ('x = dict(head=dict(depth=3))', ['A(depth)', 'A(relu)', 'B(depth)']),
        # a test's own function that hands its options on
        ('def build(**o): return A(1, **o)\nbuild(depth=3)', ['A(relu)', 'B(depth)']),
        (
            "def build(**o): return dict(type='mmvos.A', **dict(relu=True) | o)\n"
            'def run(**o): build(**o)\nrun(depth=3)',
            ['A(relu)', 'B(depth)'],
        ),
        ('def build(**o): return A(1)\nbuild(depth=3)', ['A(depth)', 'A(relu)', 'B(depth)']),
        (
            "def build(**o): return dict(type='mmvos.A', relu=False) | {} | o\nbuild(depth=3)",
            ['A(relu)', 'B(depth)'],
        ),
        (
            "def build(**o): return dict(type='mmvos.A') | {}\nbuild(depth=3)",
            ['A(depth)', 'A(relu)', 'B(depth)'],
        ),
        # an entry of a config that is set later
        ("x = dict(head=dict(type='mmvos.A'))\nx.head.depth = 3", ['A(relu)', 'B(depth)']),
    ],
)
def test_unvaried_arguments(user: str, left: list[str]) -> None:
    users = [Source('tests/t.py', user)]
    found = option_rules.unvaried_arguments([Source('mmvos/a.py', HEAD)], users)
    assert [line.split('varies ')[1] for line in found] == left


@pytest.mark.parametrize(
    'text',
    [
        'data = "/%work/x"',
        'cd /%root/y',
        'see /%tmp/x',
        'https://pypi.%org/simple',
        '10.%1.2.3:8080',
        '~ is /%home/me',
    ],
)
def test_machine_places_fails_on(text: str) -> None:
    # a % is left out, so that this file names no such place itself
    assert len(rules.machine_places('a.txt', text.replace('%', ''))) == 1


@pytest.mark.parametrize(
    'text',
    [
        '127.0.0.1:29500',
        'data/work/x',
        'https://arxiv.org/abs/1905.04804',
        '$ROOT/tmp/x',
        '../work/a',
        '/path/to/data',
    ],
)
def test_machine_places_passes(text: str) -> None:
    assert rules.machine_places('a.txt', text) == []


# x = 1 is an assignment, a name, its context and a constant: 4 nodes.
PLAIN = 'def f():\n    """Say."""\n    x = 1\n    x = 2\n    x = 3\n'


def test_densities_are_nodes_over_lines() -> None:
    assert rules.densities(Source('mmvos/a.py', PLAIN)) == [4.0]
    # Blank lines and comments count, bodies of two lines do not.
    assert rules.densities(Source('mmvos/a.py', PLAIN.replace('x = 2', '# a step'))) == [8 / 3]
    assert rules.densities(Source('mmvos/a.py', PLAIN.replace('    x = 3\n', ''))) == []


def test_dense_files_are_named() -> None:
    calls = ' + '.join(['g(x)'] * 20)
    text = f'def f(x):\n    x = {calls}\n    x = {calls}\n    return {calls}\n'
    assert len(rules.dense_files(Source('mmvos/apis/a.py', text))) == 1
    assert len(rules.dense_functions(Source('mmvos/apis/a.py', text))) == 1
    assert rules.dense_files(Source('mmvos/models/a.py', PLAIN)) == []
    assert rules.dense_functions(Source('mmvos/models/a.py', PLAIN)) == []


def test_dense_packages_are_named() -> None:
    dense = Source('mmvos/apis/a.py', 'def f(x):\n' + '    g(x, x, x, x, x)\n' * 3)
    plain = Source('mmvos/models/a.py', PLAIN)
    # 14 nodes a line: too many for a package, and for all together where nothing is plainer.
    assert rules.densities(dense) == [14.0]
    assert len(rules.dense_package([dense])) == 2
    assert [line[:5] for line in rules.dense_package([dense, plain, plain])] == ['apis:']
    assert rules.dense_package([plain]) == []


def test_few_comments_are_told() -> None:
    lines = '    x = 1\n' * 99
    step = '    # what is found\n'
    bare = Source('mmvos/models/a.py', f'def f():\n{lines}    return x')
    told = Source('mmvos/models/b.py', f'def f():\n{lines}{step * 5}    return x')
    assert [line[:7] for line in rules.few_comments([bare])] == ['models:']
    assert rules.few_comments([told]) == []
    # Each package for itself, if it is large enough.
    other = Source('mmvos/io/a.py', bare.text)
    assert [line[:3] for line in rules.few_comments([told, other])] == ['io:']
    small = Source('mmvos/io/a.py', 'def f():\n' + '    x = 1\n' * 20)
    assert rules.few_comments([small]) == []


@pytest.mark.parametrize(
    'text', ['a, b = c, d', 'self.a, b = 1, 2', 'f(a if b else c)', 'f(x=a if b else c)']
)
def test_joined_statements_fails_on(text: str) -> None:
    assert len(rules.joined_statements(Source('mmvos/a.py', text))) == 1


@pytest.mark.parametrize('text', ['a, b = c', 'a = b, c', 'x = a if b else c', 'f(a or b)'])
def test_joined_statements_passes(text: str) -> None:
    assert rules.joined_statements(Source('mmvos/a.py', text)) == []
