# Sourced by setup_env.sh, quickstart.sh and run_tests.sh: where the checkout is, and caches that stay inside it.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV="$ROOT/.venv"
PY="$VENV/bin/python"

# Settings of an active environment or of the user's pip that would lead installs or imports elsewhere.
unset PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV
export PYTHONNOUSERSITE=1

export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
export XDG_CACHE_HOME="$VENV/cache" MPLCONFIGDIR="$VENV/cache/matplotlib" TORCH_HOME="$VENV/cache/torch"
export TRITON_CACHE_DIR="$VENV/cache/triton" CUDA_CACHE_PATH="$VENV/cache/cuda"
# Sockets of the data loader's workers lie in TMPDIR and their paths have at most 107 characters, 33 of them the worker's.
if [ ${#VENV} -le 68 ]; then
    export TMPDIR="$VENV/tmp"
fi
