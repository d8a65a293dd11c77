#!/usr/bin/env bash
# Everything that wants a GPU, in one go: bash tools/gpu_report.sh OUT [SEEDS]
# Builds mmcv's CUDA ops where they are missing, runs the GPU tests and the benchmarks, trains MaskTrack R-CNN on the sample videos
# (and, where COMPOSED and WEIGHTS name data and a ResNet-50, ours and mmdet's on composed videos; where DAVIS and COCO are there too,
# the compact MaskTrack model, tested from masks, from boxes and with online fine-tuning), and leaves tables, logs and checkpoints in
# OUT. A step that fails is reported and the others go on.
# Environment: PYTHON (default: the checkout's .venv, else python3), COMPOSED (folder made by mmvos compose), WEIGHTS (a ResNet-50),
# DAVIS (root of DAVIS-2016), COCO (folder with instances.json and images).
set -uo pipefail
[ $# -ge 1 ] || { echo "usage: bash $0 OUT [SEEDS, default '0 1 2']" >&2; exit 2; }
mkdir -p "$1"
OUT=$(cd "$1" && pwd -P)
SEEDS=${2:-0 1 2}
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 MPLCONFIGDIR="$OUT/matplotlib"
FAILED=()

step() {  # step NAME COMMAND...: the output goes to OUT/NAME.log
    local name=$1 start=$SECONDS
    shift
    echo "== $name"
    if "$@" >"$OUT/$name.log" 2>&1; then
        echo "   done in $((SECONDS - start)) s"
    else
        echo "   FAILED, see $OUT/$name.log"
        tail -n 5 "$OUT/$name.log"
        FAILED+=("$name")
    fi
}

if ! "$PYTHON" -c 'import torch, mmcv.ops; assert torch.cuda.is_available(); mmcv.ops.nms' 2>/dev/null; then
    step build_mmcv env FORCE_CUDA=1 MAX_JOBS="${MAX_JOBS:-$(nproc)}" CFLAGS=-g0 \
        "$PYTHON" -m pip install --no-build-isolation --no-deps onedl-mmcv
fi
step check_env "$PYTHON" -m mmvos.check_env
step gpu_tests "$PYTHON" -m pytest -q -m gpu tests
step benchmark_vis "$PYTHON" -m mmvos benchmark vis
step benchmark_vos "$PYTHON" -m mmvos benchmark vos
step benchmark_tracking "$PYTHON" -m mmvos benchmark tracking --precisions float32 bfloat16 float16 --devices cuda --compile

CONFIG=configs/masktrack_rcnn/masktrack-rcnn_r18_fpn_sample.py
for seed in $SEEDS; do
    data=$OUT/data/sample$seed
    [ -d "$data/valid" ] || step "data_sample$seed" "$PYTHON" -m mmvos sample-videos "$data" --seed "$seed"
    options=(randomness.seed="$seed" {train,val,test}_dataloader.dataset.data_root="$data/"
        {val,test}_evaluator.ann_file="$data/valid/instances.json")
    step "train_sample$seed" "$PYTHON" -m mmvos train "$CONFIG" --work-dir "$OUT/sample$seed" --cfg-options "${options[@]}"
    step "test_sample$seed" "$PYTHON" -m mmvos test "$CONFIG" "$(cat "$OUT/sample$seed/last_checkpoint" 2>/dev/null)" \
        --out "$OUT/sample$seed/results" --eval segm --cfg-options "${options[@]}"
done

if [ -n "${COMPOSED:-}" ] && [ -n "${WEIGHTS:-}" ]; then
    for seed in $SEEDS; do
        for config in configs/masktrack_rcnn/masktrack-rcnn_r50_fpn_composed.py \
            configs/masktrack_rcnn/mmdet-masktrack_r50_fpn_composed.py; do
            name=$(basename "$config" .py)-$seed
            options=(randomness.seed="$seed" load_from="$WEIGHTS" {train,val,test}_dataloader.dataset.data_root="$COMPOSED/"
                {val,test}_evaluator.ann_file="$COMPOSED/valid/instances.json")
            step "train_$name" "$PYTHON" -m mmvos train "$config" --work-dir "$OUT/$name" --cfg-options "${options[@]}"
            step "test_$name" "$PYTHON" -m mmvos test "$config" "$(cat "$OUT/$name/last_checkpoint" 2>/dev/null)" \
                --out "$OUT/$name/results" --eval segm --cfg-options "${options[@]}"
        done
    done
fi

if [ -n "${COMPOSED:-}" ] && [ -n "${WEIGHTS:-}" ] && [ -n "${DAVIS:-}" ] && [ -n "${COCO:-}" ]; then
    davis=({val,test}_dataloader.dataset.data_root="$DAVIS" {val,test}_evaluator.ground_truth="$DAVIS")
    sets=train_dataloader.dataset.datasets
    step train_masktrack "$PYTHON" -m mmvos train configs/masktrack/masktrack_r50s16_mixed.py --work-dir "$OUT/masktrack" \
        --cfg-options load_from="$WEIGHTS" "$sets.0.data_root=$DAVIS" "$sets.1.data_root=$COMPOSED/train" "$sets.2.data_root=$COCO" \
        train_dataloader.num_workers=8 "${davis[@]}"
    for config in masktrack_r50s16_compact masktrack-box_r50s16_compact masktrack_r50s16_online; do
        step "test_$config" "$PYTHON" -m mmvos test "configs/masktrack/$config.py" \
            "$(cat "$OUT/masktrack/last_checkpoint" 2>/dev/null)" --out "$OUT/masktrack/$config" --eval davis --cfg-options "${davis[@]}"
    done
fi

{
    echo "device: $(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null || echo none)"
    for log in "$OUT"/benchmark_*.log; do printf '\n%s\n' "$(basename "$log" .log)"; cat "$log"; done
    for log in "$OUT"/test_*.log; do printf '\n%s\n' "$(basename "$log" .log)"; grep -E '^(AP|AR|J|F)' "$log"; done
} >"$OUT/report.txt" 2>/dev/null
echo "report: $OUT/report.txt${FAILED[*]:+; failed: ${FAILED[*]}}"
[ ${#FAILED[@]} -eq 0 ]
