"""Tests of the package metadata, and of the set-up scripts with a stand-in for Python."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = [*sorted(ROOT.glob('tools/**/*.sh')), ROOT / '.ci' / 'run']
NO_TREE = {
    '.venv',
    '.git',
    'work_dirs',
    'data',
    '__pycache__',
    '.mim',
    'build',
    '.mypy_cache',
    '.ruff_cache',
    '.pytest_cache',
    '.hypothesis',
}

# Answers as Python and pip would, and writes down what it was asked. STUB_FAIL: arguments that make
# it fail.
STUB = r"""#!/usr/bin/env bash
echo "$*" >>"$STUB_LOG"
[ -n "${STUB_FAIL:-}" ] && [[ "$*" == *$STUB_FAIL* ]] && { echo "ERROR: the stub fails here" >&2; exit 1; }
case "$*" in
    --version) echo "Python 3.11.0" ;;
    *'-m venv '*) mkdir -p "${@: -1}/bin" && cp "$0" "${@: -1}/bin/python" ;;
    *'torch.version.cuda'*) echo "${STUB_CUDA:-}" ;;
    *'get_path("include")'*) echo "$STUB_INCLUDE" ;;
    *'mmcv._ext'*) [ -f "$STUB_OPS" ] ;;
    *'--only-binary'*) [ -z "${STUB_WHEEL:-}" ] && exit 1; touch "$STUB_OPS" ;;
    *'--no-binary onedl-mmcv'*) touch "$STUB_OPS"; echo "CFLAGS=$CFLAGS jobs=$MAX_JOBS" >>"$STUB_LOG" ;;
    -) exit 1 ;;
esac
"""


class Checkout:
    """A copy of what the set-up needs, with the stub as the only Python."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / 'a checkout'
        for name in ('tools', 'requirements', '.ci'):
            shutil.copytree(ROOT / name, self.root / name)
        (self.root / 'mmvos').mkdir()
        shutil.copy(ROOT / 'mmvos' / 'version.py', self.root / 'mmvos')
        shutil.copy(ROOT / 'setup.py', self.root)
        self.log = folder / 'calls'
        stub = folder / 'stub'
        stub.write_text(STUB)
        stub.chmod(0o755)
        (folder / 'Python.h').touch()
        self.environment = {
            **os.environ,
            'PYTHON': str(stub),
            'STUB_LOG': str(self.log),
            'STUB_OPS': str(folder / 'ops'),
            'STUB_INCLUDE': str(folder),
            'STUB_WHEEL': '1',
        }

    def set_up(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs the set-up from another folder; the calls of earlier runs are forgotten."""
        self.log.write_text('')
        command = ['bash', str(self.root / 'tools' / 'setup_env.sh'), *arguments]
        return subprocess.run(
            command,
            cwd='/',
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def installs(self) -> list[str]:
        """Returns the pip install calls of the last run."""
        return [line for line in self.log.read_text().splitlines() if '-m pip install' in line]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_valid_bash(script: Path) -> None:
    assert subprocess.run(['bash', '-n', str(script)], check=False).returncode == 0


def test_set_up_installs_torch_before_mmcv_and_never_the_desktop_opencv(checkout: Checkout) -> None:
    done = checkout.set_up('--tests')
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith('set-up: done\n')
    calls = checkout.installs()
    order = [
        next(i for i, call in enumerate(calls) if name in call)
        for name in (
            'build.txt',
            'torch.txt',
            'runtime.txt',
            'onedl-mmdetection',
            'onedl-mmcv',
            '-e ',
            'tests.txt',
        )
    ]
    assert order == sorted(order)
    for call in calls:
        if 'onedl' in call:
            assert '--no-deps' in call  # their dependencies bring opencv-python
    requirements = ''.join(path.read_text() for path in (ROOT / 'requirements').glob('*.txt'))
    lines = [line for line in requirements.splitlines() if not line.startswith('#')]
    assert any(line.startswith('opencv-python-headless') for line in lines)
    unwanted = ('opencv-python=', 'opencv-python>', 'opencv-contrib', 'torchvision')
    assert not any(line.startswith(unwanted) for line in lines)


def test_a_second_set_up_does_nothing(checkout: Checkout) -> None:
    assert checkout.set_up('--tests').returncode == 0
    for arguments in (['--tests'], []):
        again = checkout.set_up(*arguments)
        assert (again.returncode, again.stdout, checkout.installs()) == (0, '', [])


def test_a_changed_requirement_is_installed(checkout: Checkout) -> None:
    assert checkout.set_up().returncode == 0
    with (checkout.root / 'requirements' / 'runtime.txt').open('a') as file:
        file.write('tqdm\n')
    assert checkout.set_up().returncode == 0
    assert any('runtime.txt' in call for call in checkout.installs())


def test_the_tests_are_added_to_a_finished_set_up(checkout: Checkout) -> None:
    assert checkout.set_up().returncode == 0
    assert not any('tests.txt' in call for call in checkout.installs())
    assert checkout.set_up('--tests').returncode == 0
    assert len(checkout.installs()) == 2
    assert 'tests.txt' in checkout.installs()[0] and 'ray.txt' in checkout.installs()[1]


def test_a_machine_without_ray_is_set_up_all_the_same(checkout: Checkout) -> None:
    done = checkout.set_up('--tests', STUB_FAIL='ray.txt')
    assert done.returncode == 0 and 'Ray cannot be installed here' in done.stdout
    assert checkout.set_up('--tests').stdout == ''


def test_a_failing_step_is_named_with_its_log_and_remedy_and_is_taken_up_again(
    checkout: Checkout,
) -> None:
    failed = checkout.set_up(STUB_FAIL='torch.txt')
    assert failed.returncode == 1
    for text in ("step 'torch==", 'the stub fails here', 'remedy: is the package index reachable'):
        assert text in failed.stderr
    assert checkout.set_up().returncode == 0


def test_mmcv_is_compiled_where_no_wheel_fits(checkout: Checkout) -> None:
    done = checkout.set_up(STUB_WHEEL='', MAX_JOBS='3')
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'compiling its ops' in done.stdout
    calls = [call for call in checkout.installs() if 'onedl-mmcv==' in call]
    assert '--no-build-isolation' in calls[-1] and '--only-binary' not in calls[-1]
    assert 'CFLAGS=-g0 jobs=3' in checkout.log.read_text()


def test_what_a_compile_needs_is_checked_only_for_a_compile(
    checkout: Checkout, tmp_path: Path
) -> None:
    programs = tmp_path / 'bin'
    programs.mkdir()
    for name in (
        'bash',
        'cat',
        'cksum',
        'cp',
        'cut',
        'dirname',
        'flock',
        'grep',
        'head',
        'mkdir',
        'nproc',
        'sleep',
        'tail',
        'touch',
        'tr',
    ):
        found = shutil.which(name)
        if found:
            (programs / name).symlink_to(found)
    missing = {'PATH': str(programs), 'CXX': 'no-such-compiler'}
    failed = checkout.set_up(STUB_WHEEL='', **missing)
    assert failed.returncode == 1
    assert 'no C++ compiler' in failed.stderr and 'apt-get install g++' in failed.stderr
    failed = checkout.set_up(STUB_WHEEL='', CXX='bash', STUB_INCLUDE='nowhere', PATH=str(programs))
    assert 'Python headers are missing' in failed.stderr and 'python3-dev' in failed.stderr
    failed = checkout.set_up(
        STUB_WHEEL='', CXX='bash', STUB_CUDA='13.0', PATH=str(programs), CUDA_HOME=''
    )
    if not Path('/usr/local/cuda/bin/nvcc').exists():
        assert 'no nvcc' in failed.stderr and 'CUDA_VISIBLE_DEVICES=' in failed.stderr
    assert checkout.set_up(**missing).returncode == 0


@pytest.mark.parametrize(
    ('fails', 'said'),
    [
        ('sys.version_info < (3, 10)', 'Python >= 3.10 is needed, found Python 3.11.0'),
        ('import venv, ensurepip', 'apt-get install python3-venv'),
    ],
)
def test_an_unusable_python_is_named(checkout: Checkout, fails: str, said: str) -> None:
    failed = checkout.set_up(STUB_FAIL=fails)
    assert failed.returncode == 1
    assert said in failed.stderr


def test_settings_of_an_active_environment_are_kept_out(checkout: Checkout) -> None:
    stub = checkout.root.parent / 'stub'
    seen = '$PYTHONPATH|$PIP_TARGET|$PIP_USER|$TMPDIR|$XDG_CACHE_HOME'
    stub.write_text(f'{STUB}echo "{seen}" >"$STUB_LOG.env"\n')
    assert checkout.set_up(PYTHONPATH='x', PIP_TARGET='y', PIP_USER='1').returncode == 0
    *outer, temporary, cache = Path(f'{checkout.log}.env').read_text().strip().split('|')
    assert outer == ['', '', '']
    venv = str(checkout.root / '.venv')
    assert cache.startswith(venv)
    assert temporary.startswith(venv) or len(venv) > 68


def test_ci_adds_the_folder_of_wheels_to_those_of_the_machine(tmp_path: Path) -> None:
    checkout = tmp_path / 'main'
    (checkout / 'tools').mkdir(parents=True)
    (checkout / '.ci').mkdir()
    shutil.copy(ROOT / '.ci' / 'run', checkout / '.ci')
    (checkout / 'tools' / 'run_tests.sh').write_text('echo "$PIP_FIND_LINKS"')

    def find_links(before: str) -> str:
        environment = {**os.environ, 'PIP_FIND_LINKS': before}
        done = subprocess.run(
            ['bash', str(checkout / '.ci' / 'run')],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    assert find_links('wheels-of-the-machine') == 'wheels-of-the-machine'
    wheels = tmp_path / 'shared' / 'wheels'
    wheels.mkdir(parents=True)
    assert find_links('wheels-of-the-machine') == f'wheels-of-the-machine {wheels}'
    assert find_links('') == str(wheels)


@pytest.mark.parametrize('arguments', [['--sed', '1'], ['--seed'], ['--seed', 'x']])
def test_quickstart_refuses_what_it_does_not_know(arguments: list[str], checkout: Checkout) -> None:
    done = subprocess.run(
        ['bash', str(checkout.root / 'tools' / 'quickstart.sh'), *arguments],
        text=True,
        capture_output=True,
        check=False,
        env=checkout.environment,
    )
    assert done.returncode == 2
    assert done.stderr.startswith('usage:')


@pytest.fixture(scope='module')
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Returns a function that builds 'wheel', 'editable' or 'sdist' from a copy of the tree,
    offline.
    """
    pytest.importorskip('setuptools')
    folder = tmp_path_factory.mktemp('package')
    tree = folder / 'tree'
    shutil.copytree(ROOT, tree, ignore=lambda _, names: NO_TREE & set(names))

    def build_one(kind: str) -> Path:
        out = folder / kind
        out.mkdir(exist_ok=True)
        code = f'from setuptools.build_meta import *; build_{kind}({str(out)!r})'
        subprocess.run([sys.executable, '-c', code], cwd=tree, check=True, capture_output=True)
        return next(out.iterdir())

    return build_one


def test_wheel_has_the_files_of_mim_and_no_fixed_mm_distribution(
    build: Callable[[str], Path],
) -> None:
    with zipfile.ZipFile(build('wheel')) as wheel:
        names = set(wheel.namelist())
        metadata = next(wheel.read(name).decode() for name in names if name.endswith('METADATA'))
    for folder in ('configs', 'tools'):
        ours = {
            f'mmvos/.mim/{path.relative_to(ROOT).as_posix()}'
            for path in (ROOT / folder).rglob('*')
            if path.is_file() and '__pycache__' not in path.parts
        }
        assert ours and ours <= names
    assert 'mmvos/.mim/model-index.yml' in names or not (ROOT / 'model-index.yml').exists()
    assert not any(name.startswith(('tests', 'tools', 'configs')) for name in names)
    needed = [
        line.split(': ')[1] for line in metadata.splitlines() if line.startswith('Requires-Dist')
    ]
    always = [line for line in needed if 'extra ==' not in line]
    assert 'numpy>=1.26' in always and 'Requires-Python: >=3.10' in metadata
    # a user of the shipped model needs no torch
    unwanted = ('mm', 'onedl', 'torch', 'scipy', 'opencv-python>')
    assert not any(line.startswith(unwanted) for line in always)
    assert 'onnxruntime>=1.18; extra == "run"' in needed
    assert 'torch>=2.4; extra == "torch"' in needed and 'torch>=2.4; extra == "mm"' in needed
    assert any(line.startswith('onedl-mmcv>=2.3.6') for line in needed)
    assert any(line.startswith('mmcv>=') for line in needed)


def test_editable_install_links_to_the_files_of_mim(build: Callable[[str], Path]) -> None:
    tree = build('editable').parents[1] / 'tree'
    for name in ('configs', 'tools'):
        link = tree / 'mmvos' / '.mim' / name
        assert link.is_symlink() and link.resolve() == (tree / name).resolve()
    build('editable')  # a second time over the links


def test_sdist_has_what_building_a_wheel_reads(build: Callable[[str], Path]) -> None:
    with tarfile.open(build('sdist')) as archive:
        names = {name.split('/', 1)[1] for name in archive.getnames() if '/' in name}
    files = {
        'setup.py',
        'pyproject.toml',
        'LICENSE',
        'requirements/runtime.txt',
        'tools/setup_env.sh',
    }
    assert files <= names
    assert any(name.startswith('configs/masktrack_rcnn/') for name in names)


def test_model_index_names_configs_that_exist() -> None:
    yaml = pytest.importorskip('yaml')
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    metafiles = sorted(
        path.relative_to(ROOT).as_posix() for path in ROOT.glob('configs/*/metafile.yml')
    )
    assert sorted(index['Import']) == metafiles
    for name in metafiles:
        content = yaml.safe_load((ROOT / name).read_text())
        collections = {collection['Name'] for collection in content['Collections']}
        assert content['Models']
        for model in content['Models']:
            assert (ROOT / model['Config']).stem == model['Name']
            assert (ROOT / model['Config']).is_file() and model['In Collection'] in collections
