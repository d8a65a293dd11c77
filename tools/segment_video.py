"""Segments one video: python tools/segment_video.py CONFIG CHECKPOINT INPUT --out DIR

INPUT is a video file, a folder of frames with any names, or a glob of frames (quoted, so that the shell
leaves it alone). Writes DIR/results.json (YouTube-VIS schema), DIR/masks/*.png (pixel value = object id) and
DIR/overlay.mp4.
"""
from __future__ import annotations

import argparse
import sys
import time
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout works without being installed

from mmengine.config import DictAction

from mmvos.apis import VideoInferencer, VideoSource, init_model, open_source
from mmvos.apis.inference import MASKS, OVERLAY, RESULTS_JSON


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Segments one video.')
    parser.add_argument('config', help='config file of the model')
    parser.add_argument('checkpoint', help='its weights: a .pth file or a URL')
    parser.add_argument('input', help='video file, folder of frames, or glob in quotes')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder of the results')
    parser.add_argument('--score-thr', type=float, default=0.3, metavar='S',
                        help='leave objects with a lower score in a frame out of masks and overlay '
                             '(default 0.3); results.json has all')
    parser.add_argument('--fps', type=Fraction, metavar='F',
                        help="frame rate of the overlay, e.g. 30000/1001; default: the video's, or 25")
    parser.add_argument('--device', help="e.g. cpu or cuda:0; default: a GPU where there is one")
    parser.add_argument('--no-video', action='store_true', help='write no overlay.mp4')
    parser.add_argument('--no-png', action='store_true', help='write no masks/*.png')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='override the config: key=value')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        source = open_source(args.input)
        model = init_model(args.config, args.checkpoint, args.device, args.cfg_options).accelerate()
        count = segment(VideoInferencer(model), source, args)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'segment_video: {error}')
    out = Path(args.out)
    print(f'{count} frames of {source.name}')
    names = [RESULTS_JSON, *([] if args.no_png else [MASKS]), *([] if args.no_video else [OVERLAY])]
    print(*(f'  {out / name}' for name in names), sep='\n')


def segment(inferencer: VideoInferencer, source: VideoSource, args: argparse.Namespace) -> int:
    """Segments the video, shows progress and returns the number of frames."""
    results = inferencer.infer(source, out_dir=args.out, score_thr=args.score_thr, png=not args.no_png,
                               video=not args.no_video, fps=args.fps)
    total = source.length or '?'
    rate = f'{float(source.fps):.3f} frames per second' if source.fps else 'frame rate unknown'
    print(f'{source.name}: {total} frames, {rate}', flush=True)
    begin = shown = time.monotonic()
    count = 0
    for count, result in enumerate(results, 1):
        now = time.monotonic()
        if now - shown >= 2 or count == 1:
            shown = now
            print(f'frame {count}/{total}: {len(result.objects)} objects, '
                  f'{count / (now - begin):.2f} frames/s', flush=True)
    print(f'done: {count / (time.monotonic() - begin):.2f} frames/s from reading to writing', flush=True)
    return count


if __name__ == '__main__':
    main()
