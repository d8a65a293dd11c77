#!/usr/bin/env bash
# Sets up what is missing and runs ruff, mypy and pytest. Usage: bash tools/run_tests.sh [pytest arguments]
# Ends with pytest's closing line; the exit status is that of the first check that failed.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
bash "$ROOT/tools/setup_env.sh" --tests
cd "$ROOT"

timed() {  # timed NAME COMMAND...
    local name=$1 start=$SECONDS status=0
    shift
    echo "== $name"
    "$@" || status=$?
    echo "== $name: $((SECONDS - start)) s, $([ $status -eq 0 ] && echo passed || echo "FAILED ($status)")"
    return $status
}

status=0
timed ruff "$PY" -m ruff check . || status=$?
timed mypy "$PY" -m mypy || status=$?
echo "== pytest"
# Small inputs: a process per core, at most four, of one thread each; the tests of a file stay together, as they share models.
tests=0
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} "$PY" -m pytest -n auto --maxprocesses 4 --dist loadfile --basetemp "$VENV/tmp/pytest" \
    --durations=25 --durations-min=1 "$@" || tests=$?
[ $status -eq 0 ] || echo "run_tests: ruff or mypy FAILED, see above" >&2
[ $status -ne 0 ] || status=$tests
exit $status
