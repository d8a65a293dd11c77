#!/usr/bin/env bash
# Makes or completes .venv in the checkout. Usage: bash tools/setup_env.sh [--tests]
# Installs only what is missing; a second run ends at once. With --tests also ruff, mypy, pytest, hypothesis and, where it can be, Ray.
# Environment: PYTHON (interpreter for a new .venv), PIP_FIND_LINKS (folders with wheels), MAX_JOBS (compile jobs),
# CUDA_VISIBLE_DEVICES= (empty: build the mmcv ops for the CPU only).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
REQ="$ROOT/requirements"
LOGS="$VENV/setup-logs"
STEP='' PROGRESS_PID='' DONE_ANY=0

stop_progress() {
    if [ -n "$PROGRESS_PID" ]; then
        kill "$PROGRESS_PID" 2>/dev/null || true
        wait "$PROGRESS_PID" 2>/dev/null || true
        PROGRESS_PID=''
    fi
}
trap stop_progress EXIT
trap 'echo; echo "set-up: interrupted${STEP:+ during: $STEP}; run the same command again to go on"; exit 130' INT TERM

fail() {  # fail MESSAGE REMEDY
    stop_progress
    printf '\nset-up: FAILED: %s\n        remedy: %s\n' "$1" "$2" >&2
    exit 1
}

# Elapsed time while a step runs, with the compiler's "[12/180]" where there is one: in place on a terminal, else every 30 s.
progress() {  # progress LOG
    local seconds=0 count
    while sleep 1 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
        seconds=$((seconds + 1))
        if [ -t 1 ]; then
            count=$(tail -c 20000 "$1" 2>/dev/null | grep -oE '\[[0-9]+/[0-9]+\]' | tail -n 1 || true)
            printf '\r  %s ... %d s %s ' "$STEP" "$seconds" "$count"
        elif [ $((seconds % 30)) -eq 0 ]; then
            count=$(tail -c 20000 "$1" 2>/dev/null | grep -oE '\[[0-9]+/[0-9]+\]' | tail -n 1 || true)
            printf '  ... %d s %s\n' "$seconds" "$count"
        fi
    done
}

step() {  # step NAME REMEDY COMMAND...: runs with output to a log; a failure shows the end of the log
    local name=$1 remedy=$2 log start=$SECONDS
    shift 2
    STEP=$name DONE_ANY=1
    log="$LOGS/$(echo "$name" | tr -cs 'A-Za-z0-9.\n' '-').log"
    [ -t 1 ] || echo "  $name"
    progress "$log" 9>&- &
    PROGRESS_PID=$!
    if "$@" >"$log" 2>&1 </dev/null; then
        stop_progress
        if [ -t 1 ]; then printf '\r\033[K  %s (%d s)\n' "$name" $((SECONDS - start)); else echo "  done in $((SECONDS - start)) s"; fi
        STEP=''
    else
        stop_progress
        printf '\n----- the end of %s\n' "$log" >&2
        tail -n 25 "$log" | cut -c1-400 >&2
        fail "step '$name'" "$remedy"
    fi
}

pip_install() { "$PY" -m pip install --progress-bar off "$@"; }

usable_python() {  # the interpreter is new enough
    "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 10))' >/dev/null 2>&1
}

make_venv() {
    local candidate new_enough='' chosen='' old=''
    for candidate in ${PYTHON:-python3 python python3.13 python3.12 python3.11 python3.10}; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        if ! usable_python "$candidate"; then
            old=$("$candidate" --version 2>&1 | head -n 1) || true
            continue
        fi
        new_enough=$candidate
        if "$candidate" -c 'import venv, ensurepip' >/dev/null 2>&1; then
            chosen=$candidate
            break
        fi
    done
    [ -n "$new_enough" ] || fail "Python >= 3.10 is needed${old:+, found $old}${PYTHON:+ (PYTHON=$PYTHON)}" \
        'install Python 3.10 or newer, or name it: PYTHON=python3.12 bash tools/quickstart.sh'
    [ -n "$chosen" ] || fail "$new_enough cannot make virtual environments (no ensurepip)" \
        'Debian and Ubuntu keep them apart: apt-get install python3-venv'
    step "virtual environment with $("$chosen" --version)" "remove $VENV and run again" "$chosen" -m venv "$VENV"
}

upstream_mm() { "$PY" -m pip list --format freeze 2>/dev/null | grep -qE '^(mmengine|mmdet)=='; }

torch_is_right() { "$PY" - <<'P'
import torch
raise SystemExit(tuple(map(int, torch.__version__.split('+')[0].split('.')[:2])) < (2, 4))
P
}

ops_load() { "$PY" -c 'import torch, mmcv._ext'; }

compiler_is_there() {
    local cxx=${CXX:-c++} header cuda
    command -v "${cxx%% *}" >/dev/null 2>&1 || command -v g++ >/dev/null 2>&1 ||
        fail 'no C++ compiler, needed to compile the mmcv ops' \
            'install one (Debian, Ubuntu: apt-get install g++), or name a folder with a built wheel in PIP_FIND_LINKS'
    header=$("$PY" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
    [ -f "$header" ] || fail "the Python headers are missing ($header), needed to compile the mmcv ops" \
        'install them (Debian, Ubuntu: apt-get install python3-dev)'
    cuda=$("$PY" -c 'import torch; print(torch.version.cuda if torch.cuda.is_available() else "")')
    if [ -n "$cuda" ] && [ -z "${CUDA_HOME:-}" ] && ! command -v nvcc >/dev/null 2>&1 && [ ! -x /usr/local/cuda/bin/nvcc ]; then
        fail "there is a GPU but no nvcc, needed to compile the mmcv ops for it" \
            "install the CUDA toolkit $cuda and set CUDA_HOME, or use the CPU only: export CUDA_VISIBLE_DEVICES="
    fi
}

install_mmcv() {
    local mmcv
    mmcv=$(grep '^onedl-mmcv' "$REQ/mm.txt")
    # A wheel from PIP_FIND_LINKS first. It is of use only where it was compiled for this torch, which importing shows.
    if { pip_install --no-deps --only-binary :all: "$mmcv" && ops_load; } >"$LOGS/mmcv-wheel.log" 2>&1; then
        echo '  mmcv from a ready wheel'
    else
        "$PY" -m pip uninstall -q -y onedl-mmcv mmcv >>"$LOGS/mmcv-wheel.log" 2>&1 || true
        compiler_is_there
        echo "  no ready wheel of mmcv for this Python and torch: compiling its ops, 5 to 20 minutes on a small machine"
        MAX_JOBS=${MAX_JOBS:-$(nproc)} CFLAGS="${CFLAGS:--g0}" MMCV_WITH_OPS=1 step 'compile the mmcv ops' \
            'read the first error in the log; with little memory (under 2 GB for each job) run again with MAX_JOBS=1' \
            pip_install -v --no-deps --no-build-isolation --no-binary onedl-mmcv "$mmcv"
        step 'load the compiled mmcv ops' 'see the log above; python -m mmvos.check_env tells more' ops_load
    fi
}

use_headless_opencv() {  # the other builds own the same folder cv2, and need libGL
    local other
    other=$("$PY" -m pip list --format freeze 2>/dev/null | grep -oE '^opencv-(contrib-)?python(-headless)?==' | tr -d '=' |
        grep -vx opencv-python-headless || true)
    if [ -n "$other" ]; then
        # shellcheck disable=SC2086
        step "remove $(echo $other)" 'remove .venv and run again' "$PY" -m pip uninstall -y $other
        step 'restore the headless OpenCV' "$NETWORK" pip_install --no-deps --force-reinstall \
            -c "$REQ/constraints.txt" opencv-python-headless
    fi
}

fingerprint() {  # of all that decides what is installed; the checkout's own path is in the editable install
    { cat "$REQ"/*.txt "$ROOT/setup.py" "$ROOT/mmvos/version.py" "$ROOT/tools/setup_env.sh"
        "$PY" --version; echo "$ROOT"; } 2>&1 | cksum
}

NETWORK='is the package index reachable? Set the proxy or PIP_INDEX_URL and run again'

install_runtime() {
    step 'pip, setuptools, ninja' "$NETWORK" pip_install -r "$REQ/build.txt"
    torch_is_right >/dev/null 2>&1 ||
        step "$(grep '^torch' "$REQ/torch.txt")" "$NETWORK; a full disk shows the same way" pip_install -r "$REQ/torch.txt"
    step 'numpy, scipy, OpenCV, PyAV and other libraries' "$NETWORK" pip_install \
        -c "$REQ/constraints.txt" -r "$REQ/runtime.txt" -r "$REQ/torch_needs.txt" -r "$REQ/onnx.txt" -r "$REQ/mm_needs.txt" \
        -r "$REQ/studio.txt"
    use_headless_opencv
    # shellcheck disable=SC2046
    upstream_mm || step 'mmengine and mmdet' "$NETWORK" pip_install --no-deps --no-build-isolation \
        $(grep -E '^(onedl-mmengine|onedl-mmdetection|imaug)=' "$REQ/mm.txt")
    ops_load >/dev/null 2>&1 || install_mmcv
    step 'mmvos itself, editable' 'see the log above' pip_install --no-deps --no-build-isolation -e "$ROOT"
    step 'check that the compiled ops compute the right numbers' 'the text above names it' "$PY" -m mmvos.check_env
}

main() {
    local tests=0 mark
    case "${1:-}" in
        --tests) tests=1 ;;
        '') ;;
        *) echo "usage: bash tools/setup_env.sh [--tests]" >&2; exit 2 ;;
    esac
    cd "$ROOT"
    mkdir -p "$VENV/tmp" "$LOGS"
    if command -v flock >/dev/null 2>&1; then
        exec 9>"$VENV/setup.lock"
        flock -n 9 || { echo 'set-up: waiting for another set-up of this checkout'; flock 9; }
    fi
    if [ -x "$PY" ] && ! usable_python "$PY"; then
        fail "the Python of $VENV does not run or is older than 3.10" "remove it (rm -rf $VENV) and run again"
    fi
    [ -f "$VENV/ready-runtime" ] || echo "set-up of $VENV (once; logs in $LOGS)"
    "$PY" -m pip --version >/dev/null 2>&1 || make_venv
    mark=$(fingerprint)
    if [ "$(cat "$VENV/ready-runtime" 2>/dev/null)" != "$mark" ]; then
        install_runtime
        echo "$mark" >"$VENV/ready-runtime"
    fi
    if [ $tests -eq 1 ] && [ "$(cat "$VENV/ready-tests" 2>/dev/null)" != "$mark" ]; then
        step 'ruff, mypy, pytest, hypothesis, httpx' "$NETWORK" pip_install -c "$REQ/constraints.txt" -r "$REQ/tests.txt"
        # Not for every Python; the tests of it skip where it is not there.
        if ! pip_install -r "$REQ/ray.txt" >"$LOGS/ray.log" 2>&1; then
            echo "  Ray cannot be installed here ($LOGS/ray.log); its tests are skipped"
        fi
        echo "$mark" >"$VENV/ready-tests"
    fi
    [ $DONE_ANY -eq 0 ] || echo 'set-up: done'
}

main "$@"
