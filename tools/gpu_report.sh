#!/usr/bin/env bash
# Everything that wants a GPU, in one go: bash tools/gpu_report.sh OUT [SEEDS]
# Builds mmcv's CUDA ops where they are missing, runs the GPU tests and the benchmarks, trains MaskTrack R-CNN on the sample videos
# (and, where COMPOSED and WEIGHTS name data and a ResNet-50, ours and mmdet's on composed videos; where DAVIS and COCO are there too,
# the compact MaskTrack model, tested from masks, from boxes and with online fine-tuning), and leaves tables, logs and checkpoints in
# OUT. A step that fails is reported and the others go on.
# Environment: PYTHON (default: the checkout's .venv, else python3), COMPOSED (folder made by mmvos compose), WEIGHTS (a ResNet-50),
# DAVIS (root of DAVIS-2016), COCO (folder with instances.json and images).
# On a GPU that is lent for some minutes, without a network: BUDGET (seconds for all; the steps come in the order of their worth, each
# gets what is left, and what does not begin in time is left out) and WHEELS (folder with what pip is to install, made before by
# tools/gpu_wheels.sh). BUDGET=720 is tests, the tables of all systems, and one short training.
set -uo pipefail
[ $# -ge 1 ] || { echo "usage: bash $0 OUT [SEEDS, default '0 1 2']" >&2; exit 2; }
mkdir -p "$1"
OUT=$(cd "$1" && pwd -P)
SEEDS=${2:-0 1 2}
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 MPLCONFIGDIR="$OUT/matplotlib"
BUDGET=${BUDGET:-0}
FAILED=()
LEFT_OUT=()

step() {  # step NAME COMMAND...: the output goes to OUT/NAME.log
    local name=$1 start=$SECONDS limit=()
    shift
    if [ "$BUDGET" -gt 0 ]; then
        local left=$((BUDGET - SECONDS))
        if [ "$left" -lt 20 ]; then
            LEFT_OUT+=("$name")
            return
        fi
        limit=(timeout --kill-after 5 "$left")
    fi
    echo "== $name"
    if "${limit[@]}" "$@" >"$OUT/$name.log" 2>&1; then
        echo "   done in $((SECONDS - start)) s"
    else
        echo "   FAILED, see $OUT/$name.log"
        tail -n 5 "$OUT/$name.log"
        FAILED+=("$name")
    fi
}

if [ -n "${WHEELS:-}" ]; then
    # in a folder of its own: where the interpreter belongs to somebody else nothing of it is changed
    site=$OUT/site
    step install "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --target "$site" "$WHEELS"/*.whl
    export PYTHONPATH="$PYTHONPATH:$site"
fi
if ! "$PYTHON" -c 'import torch, mmcv.ops; assert torch.cuda.is_available(); mmcv.ops.nms' 2>/dev/null; then
    # only for the GPU that is here, which is a third of the time
    arch=$("$PYTHON" -c 'import torch; print("%d.%d" % torch.cuda.get_device_capability())' 2>/dev/null)
    source=(onedl-mmcv)
    [ -z "${WHEELS:-}" ] || source=(--no-index --target "$site" "$WHEELS"/onedl*mmcv*.tar.gz)
    step build_mmcv env FORCE_CUDA=1 MMCV_WITH_OPS=1 TORCH_CUDA_ARCH_LIST="$arch" MAX_JOBS="${MAX_JOBS:-$(nproc)}" CFLAGS=-g0 \
        "$PYTHON" -m pip install --no-build-isolation --no-deps "${source[@]}"
fi
step check_env "$PYTHON" -m mmvos.check_env
step gpu_tests "$PYTHON" -m pytest -q -m gpu tests
if [ "$BUDGET" -gt 0 ]; then
    SEEDS=${SEEDS%% *}
    few=(--precisions float32 bfloat16 --devices cuda --seconds 25)
    step benchmark_vos "$PYTHON" -m mmvos benchmark vos --parts speed --objects 1 8 "${few[@]}"
    step benchmark_tracking "$PYTHON" -m mmvos benchmark tracking --objects 1 4 16 "${few[@]}"
    step benchmark_vis "$PYTHON" -m mmvos benchmark vis --parts inference training --device cuda --seconds 30
else
    step benchmark_vis "$PYTHON" -m mmvos benchmark vis
    step benchmark_vos "$PYTHON" -m mmvos benchmark vos
    step benchmark_tracking "$PYTHON" -m mmvos benchmark tracking --precisions float32 bfloat16 float16 --devices cuda --compile
fi

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
[ ${#LEFT_OUT[@]} -eq 0 ] || echo "left out, as the time was over: ${LEFT_OUT[*]}" | tee -a "$OUT/report.txt"
echo "report: $OUT/report.txt${FAILED[*]:+; failed: ${FAILED[*]}}"
[ ${#FAILED[@]} -eq 0 ]
