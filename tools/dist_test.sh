#!/usr/bin/env bash
# Tests in several processes: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS --out OUT [arguments of mmvos test]
# Each process takes whole videos; the results are byte for byte those of one process (on CPUs: with as
# many threads, OMP_NUM_THREADS, because sums of another number of threads differ in their last bits). Environment as in dist_train.sh.
set -euo pipefail
[ $# -ge 3 ] || { echo "usage: bash $0 CONFIG CHECKPOINT GPUS --out OUT [arguments of mmvos test]" >&2; exit 2; }
config=$1 checkpoint=$2 gpus=$3
shift 3
exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" --nproc_per_node="$gpus" \
    "$(dirname "${BASH_SOURCE[0]}")/test_video.py" "$config" "$checkpoint" --launcher pytorch "$@"
