#!/usr/bin/env bash
# Segments many videos on a Slurm cluster: [TASKS=8] [TASKS_PER_NODE=8] [GPUS_PER_NODE=] [CPUS_PER_TASK=4] [SRUN_ARGS=...] \
#     bash tools/slurm_segment.sh PARTITION JOB_NAME LIST_OR_FOLDER OUT [arguments of mmvos segment]
# A task has a model of its own, on CPUS_PER_TASK cores, or on a GPU where GPUS_PER_NODE says how many a machine gives. A task
# that dies does not stop the others (docs/many_videos.md).
set -euo pipefail
[ $# -ge 4 ] || { echo "usage: bash $0 PARTITION JOB_NAME LIST_OR_FOLDER OUT [arguments of mmvos segment]" >&2; exit 2; }
partition=$1 job=$2 videos=$3 out=$4
shift 4
tasks=${TASKS:-8}
per_node=${TASKS_PER_NODE:-8}
[ "$per_node" -le "$tasks" ] || per_node=$tasks
# shellcheck disable=SC2086  # SRUN_ARGS is a list of arguments
exec srun -p "$partition" --job-name="$job" ${GPUS_PER_NODE:+--gres=gpu:"$GPUS_PER_NODE"} --ntasks="$tasks" \
    --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-4}" --kill-on-bad-exit=0 ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$(dirname "${BASH_SOURCE[0]}")/segment_video.py" "$videos" --out "$out" --launcher slurm "$@"
