#!/usr/bin/env bash
# Trains in several processes: bash tools/dist_train.sh CONFIG GPUS [arguments of mmvos train]
# Over several machines: NNODES, NODE_RANK, MASTER_ADDR and PORT in the environment. Without a GPU the processes share the CPU.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: bash $0 CONFIG GPUS [arguments of mmvos train]" >&2; exit 2; }
config=$1 gpus=$2
shift 2
exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" --nproc_per_node="$gpus" \
    "$(dirname "${BASH_SOURCE[0]}")/train.py" "$config" --launcher pytorch "$@"
