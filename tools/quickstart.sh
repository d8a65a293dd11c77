#!/usr/bin/env bash
# From a bare machine to a scored results file and a video to look at, in one command:
#   bash tools/quickstart.sh [--seed N] [--work-dir DIR]
# Sets up, makes sample videos, trains MaskTrack R-CNN on them, tests it on videos held back, and draws an overlay.
# Does only what is missing: an interrupted training goes on, a second run prints the numbers within seconds.
set -euo pipefail
CALLER=$PWD
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

usage() { echo 'usage: bash tools/quickstart.sh [--seed N] [--work-dir DIR]' >&2; exit 2; }

SEED=${SEED:-0} WORK=''
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case "$1" in
        --seed) SEED=$2 ;;
        --work-dir) case "$2" in /*) WORK=$2 ;; *) WORK=$CALLER/$2 ;; esac ;;
        *) usage ;;
    esac
    shift 2
done
case "$SEED" in '' | *[!0-9]*) usage ;; esac

bash "$ROOT/tools/setup_env.sh"
cd "$ROOT"

suffix=$([ "$SEED" -eq 0 ] || echo "-seed$SEED")
DATA=data/sample$suffix
WORK=${WORK:-$ROOT/work_dirs/quickstart$suffix}
CONFIG=configs/masktrack_rcnn/masktrack-rcnn_r18_fpn_sample.py
OPTIONS=(randomness.seed="$SEED"
    {train,val,test}_dataloader.dataset.data_root="$DATA/" {val,test}_evaluator.ann_file="$DATA/valid/instances.json")
mkdir -p "$WORK"
NUMBER=0
# Out of mmengine's log, whose start lists the config, the hooks and the machine.
PROGRESS='Epoch\((train|val|test)\)|Error:|mmengine - ERROR'

run_step() {  # run_step NAME LOG PATTERN COMMAND...: keeps the output, shows its lines with the pattern
    local name=$1 log=$2 pattern=$3 start=$SECONDS
    shift 3
    NUMBER=$((NUMBER + 1))
    printf '\n== %d/4 %s\n' "$NUMBER" "$name"
    if ! "$@" 2>&1 | tee "$log" | { grep --line-buffered -E "$pattern" || true; } | sed -u 's/^.* - mmengine - [A-Z]* - //'; then
        tail -n 20 "$log" >&2
        printf '\nquickstart: FAILED: %s\n        the whole output is in %s; run the same command again to go on\n' \
            "$name" "$log" >&2
        exit 1
    fi
    echo "== $name: $((SECONDS - start)) s"
}

if [ ! -e "$DATA/made" ]; then
    run_step "make sample videos in $DATA (seed $SEED)" "$WORK/data.log" . \
        "$PY" -m mmvos sample-videos "$DATA" --seed "$SEED" --overwrite
    touch "$DATA/made"
fi

NUMBER=1
if [ ! -s "$WORK/trained" ]; then
    rm -rf "$WORK"/results.* "$WORK/ap.txt" "$WORK/overlay"
    run_step 'train MaskTrack R-CNN (about ten minutes on two cores)' "$WORK/train.log" "$PROGRESS" \
        "$PY" -m mmvos train "$CONFIG" --work-dir "$WORK" --resume --cfg-options "${OPTIONS[@]}"
    basename "$(cat "$WORK/last_checkpoint")" >"$WORK/trained"
fi
CHECKPOINT=$WORK/$(cat "$WORK/trained")
if [ ! -f "$CHECKPOINT" ]; then
    echo "quickstart: FAILED: the trained weights $CHECKPOINT are gone; remove $WORK and run again" >&2
    exit 1
fi

NUMBER=2
TEST=("$PY" -m mmvos test "$CONFIG" "$CHECKPOINT" --out "$WORK/results" --eval segm)
if [ ! -s "$WORK/results.json" ] || [ ! -s "$WORK/results.zip" ] || [ ! -s "$WORK/ap.txt" ]; then
    run_step 'test on the videos held back' "$WORK/test.log" "$PROGRESS" \
        "${TEST[@]}" --cfg-options "${OPTIONS[@]}"
    "${TEST[@]}" --load-result --cfg-options "${OPTIONS[@]}" >"$WORK/ap.tmp" 2>"$WORK/ap.log" ||
        { cat "$WORK/ap.log" >&2; exit 1; }
    mv "$WORK/ap.tmp" "$WORK/ap.txt"
fi

NUMBER=3
if [ ! -s "$WORK/overlay/overlay.mp4" ]; then
    video=$(find "$DATA/valid/JPEGImages" -mindepth 1 -maxdepth 1 -type d | sort | head -n 1)
    run_step "segment the video $video" "$WORK/overlay.log" . \
        "$PY" -m mmvos segment "$CONFIG" "$CHECKPOINT" "$video" --out "$WORK/overlay"
fi

echo
cat "$WORK/ap.txt"
cat <<END

quickstart: done
  weights     $CHECKPOINT
  results     $WORK/results.json
  submission  $WORK/results.zip
  overlay     $WORK/overlay/overlay.mp4
END
