"""Segments one video, a camera's or a stream's pictures.

    python tools/segment_video.py INPUT --mask first.png --out DIR                 the objects of a label image of the first frame
    python tools/segment_video.py INPUT --box 10,20,110,220 --box 5,5,80,90 --out DIR       objects 1 and 2, given by their boxes
    python tools/segment_video.py INPUT --prompts prompts.json --out DIR                         in any frames, by masks or boxes
    python tools/segment_video.py INPUT --system siammask --box 10,20,110,220 --out DIR     another system than MaskTrack; --list
    python tools/segment_video.py CONFIG CHECKPOINT INPUT --out DIR                          all objects of the model's classes

INPUT is a video file, a folder of frames with any names, a glob of frames (quoted, so that the
shell leaves it alone), the number of a camera, or a URL (http, rtsp, ...). Writes DIR/results.json
(YouTube-VIS schema), DIR/masks/*.png (pixel value = object id) and DIR/overlay.mp4. Without
--system, CONFIG and CHECKPOINT (or --config and --checkpoint) MaskTrack with the weights that come
with this project is used, which follows what it is given.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# a checkout works without being installed
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmengine.config import Config, DictAction

from mmvos.apis import SYSTEMS, VideoInferencer, VideoSource, init_model, open_source
from mmvos.apis.inference import (
    MASKS,
    OVERLAY,
    RESULTS_JSON,
    check_prompted_frames,
    load_config,
    shipped_weights,
)
from mmvos.apis.prompt_files import box_prompts, read_mask_prompts, read_prompts
from mmvos.apis.video_run import VideoRun, fingerprint_of
from mmvos.cli.arguments import frame_rate, join_negative_values
from mmvos.cli.guard import run_command
from mmvos.io.atomic import check_folder
from mmvos.models import VideoModel
from mmvos.optimize import optimize
from mmvos.structures import Prompts

_DEFAULT_SYSTEM = 'masktrack'
_HOW_TO_TELL = '--mask first.png, --box x1,y1,x2,y2 or --prompts prompts.json'


class ListSystems(argparse.Action):
    """Prints what the systems are told and which of them have weights here, and ends the
    program.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        print(list_systems())
        parser.exit()


def list_systems() -> str:
    """A paragraph for each system: its config, what it is told, and its weights or how to get
    them.
    """
    lines = []
    for name, system in SYSTEMS.items():
        told = (
            ' or '.join(system.accepted_prompts)
            if system.accepted_prompts
            else 'nothing, it finds the objects of its classes'
        )
        lines.append(f'{name} ({system.title}): {system.model}; is told {told}')
        try:
            lines.append(
                f'  weights: {Path(shipped_weights(load_config(name))).name}, comes with the '
                f'project'
            )
        except (FileNotFoundError, ValueError) as error:
            lines.append(f'  {error}')
    return '\n'.join(lines)


def parse_args() -> argparse.Namespace:
    """The command line; ``config`` and ``checkpoint`` are also those given by place, ``input`` is
    the video.
    """
    parser = argparse.ArgumentParser(
        description='Segments one video.',
        usage='%(prog)s [CONFIG CHECKPOINT] INPUT --out DIR [options]',
    )
    parser.add_argument(
        'places',
        nargs='+',
        metavar='INPUT',
        help='video file, folder of frames, glob in quotes, number of a camera, or URL; before it '
        'the config of '
        'a model and its weights',
    )
    parser.add_argument('--out', required=True, metavar='DIR', help='folder of the results')
    told = parser.add_mutually_exclusive_group()
    told.add_argument(
        '--mask',
        metavar='PNG',
        help='the objects in the first frame: a PNG of ids, or of 0 and 255',
    )
    told.add_argument(
        '--box',
        action='append',
        metavar='X1,Y1,X2,Y2',
        help='an object in the first frame, in pixels; again for object 2, 3, ...',
    )
    told.add_argument(
        '--prompts',
        metavar='JSON',
        help='list of {"frame": 0, "id": 1, "box": [x1, y1, x2, y2]} or with '
        '"mask": PNG, relative to the file',
    )
    parser.add_argument('--system', choices=SYSTEMS, help=f'default: {_DEFAULT_SYSTEM}')
    parser.add_argument(
        '--list',
        action=ListSystems,
        nargs=0,
        help='what the systems are told, and how to get their weights',
    )
    parser.add_argument('--config', help='name of a model, or config file, instead of a system')
    parser.add_argument(
        '--checkpoint',
        help='weights: a .pth or .safetensors file, or a URL; default: those that come with the '
        'system or config',
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        metavar='S',
        help='leave objects with a lower score in a frame out of masks and overlay (default 0.3, 0 '
        'for given '
        'objects); results.json has all',
    )
    parser.add_argument(
        '--fps',
        type=frame_rate,
        metavar='F',
        help="frame rate of the overlay, e.g. 30000/1001; default: the video's, or 25",
    )
    parser.add_argument('--device', help='e.g. cpu or cuda:0; default: a GPU where there is one')
    parser.add_argument(
        '--show', action='store_true', help='show the overlay in a window; q ends the video'
    )
    parser.add_argument(
        '--every-frame',
        action='store_true',
        help='of a camera or stream take every frame and fall behind, instead of the newest',
    )
    parser.add_argument('--no-video', action='store_true', help='write no overlay.mp4')
    parser.add_argument('--no-png', action='store_true', help='write no masks/*.png')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='override the config: key=value'
    )
    args = parser.parse_args(join_negative_values(sys.argv[1:], '--box'))
    if len(args.places) not in (1, 3):
        parser.error(
            f'give INPUT, or CONFIG CHECKPOINT INPUT; these are {len(args.places)} places: '
            f'{" ".join(args.places)}'
        )
    if len(args.places) == 3 and (args.config or args.checkpoint):
        parser.error('config and checkpoint are given twice')
    if len(args.places) == 3:
        args.config, args.checkpoint = args.places[:2]
    if args.system and args.config:
        parser.error('a system and a config are given; give one of them')
    args.input = args.places[-1]
    return args


def main() -> None:
    """Runs the command; what is wrong is said on stderr, with exit status 1."""
    args = parse_args()
    try:
        prompts = read_all_prompts(args)
        source = open_source(args.input)
        check_prompted_frames(prompts, source)
        check_folder(args.out)
        model = build_model(args, prompts)
        with begin_run(model, source, prompts, args) as run:
            if run.was_finished:
                print(
                    f'{args.out} holds the finished results of this command; to compute them again, '
                    f'give another --out'
                )
                count = run.frames
            else:
                count = segment(VideoInferencer(model), source, prompts, args, run)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'segment_video: {error}')
    out = Path(args.out)
    print(f'{count} frames of {source.name}')
    print(*(f'  {out / name}' for name in names_of_results(args)), sep='\n')


def names_of_results(args: argparse.Namespace) -> list[str]:
    """What is written in --out."""
    masks = [] if args.no_png else [MASKS]
    overlay = [] if args.no_video else [OVERLAY]
    return [RESULTS_JSON, *masks, *overlay]


def begin_run(
    model: VideoModel, source: VideoSource, prompts: Mapping[int, Prompts], args: argparse.Namespace
) -> VideoRun:
    """The run, which a later one with the same arguments goes on with."""
    can_be_read_again = not (source.live or source.timed)
    fingerprint = fingerprint_of(
        model,
        args.input if can_be_read_again else None,
        prompts,
        score_thr=args.score_thr,
        png=not args.no_png,
        video=not args.no_video,
        fps=args.fps,
    )
    made_by = {
        'config': str(args.config or args.system or _DEFAULT_SYSTEM),
        'weights': str(args.checkpoint or 'that come with it'),
        'data': str(args.input),
    }
    return VideoRun(args.out, fingerprint, names_of_results(args), made_by, can_be_read_again)


def read_all_prompts(args: argparse.Namespace) -> dict[int, Prompts]:
    """What is said about the video, by frame index; empty where nothing is."""
    if args.mask:
        return {0: read_mask_prompts(args.mask)}
    if args.box:
        return {0: box_prompts(args.box)}
    return read_prompts(args.prompts) if args.prompts else {}


def build_model(args: argparse.Namespace, prompts: Mapping[int, Prompts]) -> VideoModel:
    """The model of the system or config, with its weights, made faster.

    Raises:
        ValueError: only a checkpoint is given, or prompts and model do not fit each other.
        FileNotFoundError: the weights are missing; the message says how to get them.
    """
    if args.checkpoint and not (args.config or args.system):
        raise ValueError('--checkpoint needs the --config or the --system that it belongs to')
    if args.system or not args.config:
        # before the weights are looked for
        check_told(bool(SYSTEMS[args.system or _DEFAULT_SYSTEM].accepted_prompts), prompts)
    config = load_config(args.config or args.system or _DEFAULT_SYSTEM)
    model = optimize(
        init_model(config, choose_weights(args, config), args.device, args.cfg_options)
    )
    check_told(model.takes_prompts, prompts)
    return model


def choose_weights(args: argparse.Namespace, config: Config) -> str:
    """The checkpoint that is given, or the one that comes with the config; see
    ``shipped_weights``.
    """
    return args.checkpoint or shipped_weights(config)


def check_told(takes_prompts: bool, prompts: Mapping[int, Prompts]) -> None:
    """Raises ValueError where a model needs prompts and has none, or has some and takes none."""
    if takes_prompts and not prompts:
        raise ValueError(
            f'the model follows what it is given: say which objects to follow, with '
            f'{_HOW_TO_TELL}; or take one '
            f'that finds objects by itself, with --system masktrack-rcnn or its CONFIG and '
            f'CHECKPOINT'
        )
    if prompts and not takes_prompts:
        raise ValueError('the model finds objects by itself: leave --mask, --box and --prompts out')


def segment(
    inferencer: VideoInferencer,
    source: VideoSource,
    prompts: Mapping[int, Prompts],
    args: argparse.Namespace,
    run: VideoRun,
) -> int:
    """Segments the video, shows progress and returns the number of frames.

    Raises:
        KeyboardInterrupt: the video was stopped before its end; a camera is not, this is its end.
    """
    if run.set_aside is not None:
        print(f'The results of another command are kept in {run.set_aside}.')
    results = inferencer.infer(
        source,
        prompts,
        args.out,
        score_thr=args.score_thr,
        png=not args.no_png,
        video=not args.no_video,
        show=args.show,
        fps=args.fps,
        drop_frames=False if args.every_frame else None,
        run=run,
    )
    total = source.length or '?'
    rate = f'{float(source.fps):.3f} frames per second' if source.fps else 'frame rate unknown'
    print(f'{source.name}: {total} frames, {rate}', flush=True)
    begin = shown = time.monotonic()
    count = 0
    try:
        for count, result in enumerate(results, 1):
            now = time.monotonic()
            if count == 1 and run.frames > 1:
                print(f'going on after {run.frames} frames that were finished before', flush=True)
            if now - shown >= 2 or count == 1:
                shown = now
                print(
                    f'frame {count}/{total}: {len(result.objects)} objects, '
                    f'{count / (now - begin):.2f} frames/s',
                    flush=True,
                )
    except KeyboardInterrupt:  # the way to end a camera
        results.close()
        if not (source.live or source.timed):
            raise KeyboardInterrupt(
                f'the results of {run.frames} of {total} frames are in {args.out}; the same command '
                f'goes on with the next one'
            ) from None
    finally:
        results.close()
    print(
        f'done: {count / (time.monotonic() - begin):.2f} frames/s from reading to writing',
        flush=True,
    )
    return count


if __name__ == '__main__':
    run_command('segment_video', main)
