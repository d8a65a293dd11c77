#!/usr/bin/env bash
# Everything that tools/gpu_report.sh needs on a machine that has torch for its GPU, numpy, OpenCV, SciPy, Pillow, pytest and a
# compiler, but no network: bash tools/gpu_wheels.sh FOLDER [PYTHON_VERSION, default 3.12]
# Leaves wheels and the source of mmcv in FOLDER (8 MB), which travels there beside the checkout: WHEELS=FOLDER bash
# tools/gpu_report.sh OUT. PyAV is not among them: frames are read from folders.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: bash $0 FOLDER [PYTHON_VERSION]" >&2; exit 2; }
FOLDER=$1
VERSION=${2:-3.12}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
mkdir -p "$FOLDER"
PLATFORMS=(--platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64)
"$PYTHON" -m pip download -q --no-deps --only-binary=:all: --python-version "$VERSION" --implementation cp "${PLATFORMS[@]}" -d "$FOLDER" \
    -c requirements/constraints.txt -c requirements/mm.txt \
    onedl-mmengine imaug array-api-compat pycocotools safetensors addict imageio shapely termcolor terminaltables yapf platformdirs
# mmdet is there as source alone, which is Python only
"$PYTHON" -m pip wheel -q --no-deps --no-build-isolation -w "$FOLDER" -c requirements/mm.txt onedl-mmdetection
"$PYTHON" -m pip download -q --no-deps --no-binary=:all: --no-build-isolation -d "$FOLDER" -c requirements/mm.txt onedl-mmcv
du -sh "$FOLDER"
