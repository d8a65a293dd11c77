#!/usr/bin/env bash
# Runs the tests of the backend for Label Studio with the real label-studio-ml, whose pins (Flask 1.1.2, Jinja2 3.0.3 and others of that
# time) would set back packages of .venv. So it has an environment of its own, .venv/label-studio, made once and again where requirements
# change. Usage: bash tools/test_label_studio.sh [pytest arguments]
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
OWN="$VENV/label-studio"
LOG="$VENV/label-studio.log"

base=${PYTHON:-$PY}
command -v "$base" >/dev/null 2>&1 || base=python3
mkdir -p "$VENV"
engine=$(grep '^onnxruntime' "$ROOT/requirements/onnx.txt")
runner=$(grep '^pytest==' "$ROOT/requirements/tests.txt")
mark=$({ "$base" --version; cat "$ROOT/requirements/label_studio.txt" "$ROOT/requirements/runtime.txt"; echo "$engine $runner"; } 2>&1 | cksum)

# 1. The environment, with what the extra "label-studio" installs, and pytest.
if [ "$(cat "$OWN/ready" 2>/dev/null)" != "$mark" ]; then
    echo "label-studio: set-up of $OWN (log: $LOG)"
    rm -rf "$OWN"
    if ! { "$base" -m venv "$OWN" &&
        "$OWN/bin/python" -m pip install --progress-bar off -r "$ROOT/requirements/label_studio.txt" \
            -r "$ROOT/requirements/runtime.txt" "$engine" "$runner"; } >"$LOG" 2>&1 </dev/null; then
        tail -n 8 "$LOG" >&2
        echo 'label-studio: FAILED: label-studio-ml cannot be installed, see above; is the package index reachable?' >&2
        exit 3
    fi
    echo "$mark" >"$OWN/ready"
fi

# 2. Its tests; none of them may skip here.
cd "$ROOT"
exec env OMP_NUM_THREADS=1 "$OWN/bin/python" -m pytest -p no:cacheprovider tests/annotate/test_label_studio.py "$@"
