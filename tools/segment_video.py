"""Segments one video.

    python tools/segment_video.py INPUT --mask first.png --out DIR                 the objects of a label image of the first frame
    python tools/segment_video.py INPUT --box 10,20,110,220 --box 5,5,80,90 --out DIR       objects 1 and 2, given by their boxes
    python tools/segment_video.py INPUT --prompts prompts.json --out DIR                         in any frames, by masks or boxes
    python tools/segment_video.py CONFIG CHECKPOINT INPUT --out DIR                          all objects of the model's classes

INPUT is a video file, a folder of frames with any names, or a glob of frames (quoted, so that the shell leaves it alone). Writes
DIR/results.json (YouTube-VIS schema), DIR/masks/*.png (pixel value = object id) and DIR/overlay.mp4. Without CONFIG and
CHECKPOINT (or --config and --checkpoint) the model that comes with this project is used, which follows what it is given.
"""
from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout works without being installed

from mmengine.config import DictAction

from mmvos.apis import VideoInferencer, VideoSource, init_model, open_source
from mmvos.apis.inference import MASKS, OVERLAY, RESULTS_JSON
from mmvos.apis.prompt_files import box_prompts, read_mask_prompts, read_prompts
from mmvos.models import PromptedSegmenter, VideoModel
from mmvos.structures import Prompts

ROOT = Path(__file__).resolve().parents[1]
OWN_CONFIG = ROOT / 'configs/masktrack/masktrack_r50s16_compact.py'
OWN_WEIGHTS = ROOT / 'weights/masktrack_compact.safetensors'
_HOW_TO_TELL = '--mask first.png, --box x1,y1,x2,y2 or --prompts prompts.json'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Segments one video.',
                                     usage='%(prog)s [CONFIG CHECKPOINT] INPUT --out DIR [options]')
    parser.add_argument('places', nargs='+', metavar='INPUT',
                        help='video file, folder of frames, or glob in quotes; before it the config of a model and its weights')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder of the results')
    told = parser.add_mutually_exclusive_group()
    told.add_argument('--mask', metavar='PNG', help='the objects in the first frame: a PNG of ids, or of 0 and 255')
    told.add_argument('--box', action='append', metavar='X1,Y1,X2,Y2',
                      help='an object in the first frame, in pixels; again for object 2, 3, ...')
    told.add_argument('--prompts', metavar='JSON', help='list of {"frame": 0, "id": 1, "box": [x1, y1, x2, y2]} or with '
                                                        '"mask": PNG, relative to the file')
    parser.add_argument('--config', help='config file of the model; default: the one that comes with this project')
    parser.add_argument('--checkpoint', help='its weights: a .pth or .safetensors file, or a URL')
    parser.add_argument('--score-thr', type=float, metavar='S',
                        help='leave objects with a lower score in a frame out of masks and overlay (default 0.3, 0 for given '
                             'objects); results.json has all')
    parser.add_argument('--fps', type=Fraction, metavar='F',
                        help="frame rate of the overlay, e.g. 30000/1001; default: the video's, or 25")
    parser.add_argument('--device', help="e.g. cpu or cuda:0; default: a GPU where there is one")
    parser.add_argument('--no-video', action='store_true', help='write no overlay.mp4')
    parser.add_argument('--no-png', action='store_true', help='write no masks/*.png')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='override the config: key=value')
    args = parser.parse_args()
    if len(args.places) not in (1, 3):
        parser.error(f'give INPUT, or CONFIG CHECKPOINT INPUT; these are {len(args.places)} places: {" ".join(args.places)}')
    if len(args.places) == 3 and (args.config or args.checkpoint):
        parser.error('config and checkpoint are given twice')
    if len(args.places) == 3:
        args.config, args.checkpoint = args.places[:2]
    args.input = args.places[-1]
    return args


def main() -> None:
    args = parse_args()
    try:
        source = open_source(args.input)
        prompts = read_all_prompts(args)
        config, checkpoint = choose_model(args, bool(prompts))
        model = init_model(config, checkpoint, args.device, args.cfg_options).accelerate()
        check_told(model, prompts)
        count = segment(VideoInferencer(model), source, prompts, args)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'segment_video: {error}')
    out = Path(args.out)
    print(f'{count} frames of {source.name}')
    names = [RESULTS_JSON, *([] if args.no_png else [MASKS]), *([] if args.no_video else [OVERLAY])]
    print(*(f'  {out / name}' for name in names), sep='\n')


def read_all_prompts(args: argparse.Namespace) -> dict[int, Prompts]:
    """What is said about the video, by frame index; empty where nothing is."""
    if args.mask:
        return {0: read_mask_prompts(args.mask)}
    if args.box:
        return {0: box_prompts(args.box)}
    return read_prompts(args.prompts) if args.prompts else {}


def choose_model(args: argparse.Namespace, told: bool) -> tuple[str, str]:
    """Config and checkpoint: those that are given, or those of this project.

    Raises:
        ValueError: only one is given, or nothing is said about the objects that the project's model is to follow.
        FileNotFoundError: the project's model is not there.
    """
    if bool(args.config) != bool(args.checkpoint):
        raise ValueError('--config and --checkpoint belong together; give both, or none for the model that comes with mmvos')
    if args.config:
        return args.config, args.checkpoint
    if not told:
        raise ValueError(f'say which objects to follow, with {_HOW_TO_TELL}; or give CONFIG and CHECKPOINT of a model that finds '
                         f'objects by itself')
    for path in (OWN_CONFIG, OWN_WEIGHTS):
        if not path.is_file():
            raise FileNotFoundError(f'{path}, a part of the model that comes with mmvos, is missing; restore it with git '
                                    f'checkout, or give another model with --config and --checkpoint')
    return str(OWN_CONFIG), str(OWN_WEIGHTS)


def check_told(model: VideoModel, prompts: Mapping[int, Prompts]) -> None:
    """Raises ValueError where a model needs prompts and has none, or has some and takes none."""
    needs = isinstance(model, PromptedSegmenter)
    if needs and not prompts:
        raise ValueError(f'the model of the config follows what it is given: say which objects, with {_HOW_TO_TELL}')
    if prompts and not needs:
        raise ValueError('the model of the config finds objects by itself: leave --mask, --box and --prompts out')


def segment(inferencer: VideoInferencer, source: VideoSource, prompts: Mapping[int, Prompts], args: argparse.Namespace) -> int:
    """Segments the video, shows progress and returns the number of frames."""
    results = inferencer.infer(source, prompts, args.out, score_thr=args.score_thr, png=not args.no_png,
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
