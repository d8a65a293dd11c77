"""Package metadata of mmvos, and the `.mim` folder by which `mim` finds configs, tools and
model-index.yml.

A wheel carries copies of them under `mmvos/.mim`; an editable install gets links in the source
tree, as in other mm projects.
"""

import os
import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM_FILES = ('configs', 'tools', 'model-index.yml')


def read_requirements(name: str) -> list[str]:
    """Returns the requirement lines of requirements/`name`.txt, comments left out."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


class BuildWithMim(build_py):
    """Adds `.mim` to the package: links for an editable install, copies for a wheel."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            self.link_mim(ROOT / 'mmvos' / '.mim')
        else:
            self.copy_mim(Path(self.build_lib) / 'mmvos' / '.mim')

    @staticmethod
    def link_mim(folder: Path) -> None:
        """Links what mim needs into a folder."""
        folder.mkdir(exist_ok=True)
        for name in MIM_FILES:
            link = folder / name
            if link.is_symlink():
                link.unlink()
            if (ROOT / name).exists():
                link.symlink_to(os.path.join('..', '..', name))

    @staticmethod
    def copy_mim(folder: Path) -> None:
        """Copies what mim needs into a folder, which is made anew."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in MIM_FILES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns('__pycache__'))
            elif source.exists():
                shutil.copy2(source, folder / name)


def read_readme() -> str:
    """Returns README.md, or '' where a source archive lacks it."""
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.exists() else ''


TORCH = ['torch>=2.4', *read_requirements('torch_needs')]
ENGINE = [line for line in read_requirements('onnx') if line.startswith('onnxruntime')]

setup(
    name='mmvos',
    version=runpy.run_path(str(ROOT / 'mmvos' / 'version.py'))['__version__'],
    description='Video instance segmentation and video object segmentation on the OpenMMLab 2.x '
    'stack',
    long_description=read_readme(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    python_requires='>=3.10',
    packages=find_packages(include=['mmvos', 'mmvos.*']),
    package_data={
        'mmvos': [
            'cli/prompts_page/*',
            'studio/static/*',
            'studio/static/*/*',
            'onnx/masktrack/*',
            'onnx/siammask/*',
        ]
    },
    entry_points={'console_scripts': ['mmvos = mmvos.cli.main:main']},
    install_requires=read_requirements('runtime'),
    extras_require={
        # the shipped models without torch
        'run': ENGINE,
        'torch': TORCH,
        'mm': TORCH
        + [
            line.replace('==', '>=')
            for line in read_requirements('mm')
            if line.startswith('onedl-')
        ],
        'upstream': [*TORCH, 'mmengine>=0.10.4', 'mmcv>=2.0.0', 'mmdet>=3.3.0'],
        'studio': read_requirements('studio'),
        'export': read_requirements('onnx'),
        'openvino': ['openvino>=2024.0'],
        # the function for CVAT's agents, and the program that runs them
        'cvat': [*ENGINE, *read_requirements('cvat')],
        # an environment of its own: it asks for old versions of Flask and others
        'label-studio': [*ENGINE, *read_requirements('label_studio')],
        # many videos on a cluster
        'ray': read_requirements('ray'),
        'tests': read_requirements('tests'),
    },
    cmdclass={'build_py': BuildWithMim},
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'License :: OSI Approved :: Apache Software License',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    zip_safe=False,
)
