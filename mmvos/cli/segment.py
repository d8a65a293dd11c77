"""Segments one video, a camera's or a stream's pictures; or many videos.

    mmvos segment INPUT --out DIR                   persons, animals, vehicles and other things
    mmvos segment INPUT --mask first.png --out DIR  the objects of a label image of frame 0
    mmvos segment INPUT --box 10,20,110,220 --box 5,5,80,90 --out DIR  objects 1 and 2, by boxes
    mmvos segment INPUT --point 60,80 --negative 10,90 --out DIR  object 1, by points on and off it
    mmvos segment INPUT --prompts prompts.json --out DIR   in any frames, by masks, boxes or points
    mmvos segment INPUT --prompts prompts.json --direction both --out DIR  also before the prompts
    mmvos segment INPUT --system siammask --box 10,20,110,220 --out DIR       another system; --list
    mmvos segment CONFIG CHECKPOINT INPUT --out DIR            all objects of the model's classes
    mmvos segment LIST_OR_FOLDER --prompts FOLDER --out DIR    many videos, see docs/many_videos.md

INPUT is a video file, a folder of frames with any names, a glob of frames (quoted, so that the
shell leaves it alone), the number of a camera, or a URL (http, rtsp, ...). Writes DIR/results.json
(YouTube-VIS schema), DIR/masks/*.png (pixel value = object id) and DIR/overlay.mp4. Without
--system, CONFIG and CHECKPOINT (or --config and --checkpoint) MaskTrack with the weights that come
with this project is used, which follows what it is given; where nothing is given, MaskTrack R-CNN
with its weights, which finds persons, animals, vehicles and other things.

Many videos are those of a text file with a path in each line, or those in a folder. Each has a
folder of results in DIR, and prompts of its name in the folder that --prompts names; without
--prompts it is the system that finds objects.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmvos.apis.batch.launchers import LAUNCHERS
from mmvos.apis.engine_choice import ALL_ENGINES
from mmvos.apis.systems import SYSTEMS
from mmvos.cli.arguments import frame_rate, join_negative_values, positive_number, score
from mmvos.cli.config_options import add_config_options
from mmvos.cli.segment_model import (
    DEFAULT_SYSTEM,
    build_model,
    choose_default_system,
    describe_model,
)
from mmvos.io.errors import DataError

if TYPE_CHECKING:
    from mmvos.apis import VideoInferencer, VideoSource
    from mmvos.apis.video_run import VideoRun
    from mmvos.models.video_steps import VideoSteps
    from mmvos.structures import Prompts

EXPECTED_ERRORS = (ValueError,)


class ListSystems(argparse.Action):
    """Prints the systems and their weights, and ends the program."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        from mmvos.cli.weights.list_systems import list_systems

        print(list_systems())
        parser.exit()


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Returns:
        The options; ``config`` and ``checkpoint`` are also those given by place, ``input`` is the
        video.
    """
    parser = argparse.ArgumentParser(
        description='Segments one video, or many.',
        usage='%(prog)s [CONFIG CHECKPOINT] INPUT --out DIR [options]',
        epilog=f'systems: {", ".join(SYSTEMS)}',
    )
    parser.add_argument(
        'places',
        nargs='+',
        metavar='INPUT',
        help='video file, folder of frames, glob in quotes, number of a camera, or URL; or many '
        'videos: a text file of paths, or a folder of videos; before it the config of a model and '
        'its weights',
    )
    parser.add_argument('--out', required=True, metavar='DIR', help='folder of the results')
    _add_prompt_options(parser)
    _add_model_options(parser)
    _add_output_options(parser)
    _add_launch_options(parser)

    words = sys.argv[1:] if argv is None else argv
    for option in ('--box', '--point', '--negative'):
        words = join_negative_values(words, option)
    args = parser.parse_args(words)
    if (args.point or args.negative) and (args.mask or args.prompts):
        parser.error('--point and --negative go alone or with one --box')
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
    args.words = [*words]
    return args


def _add_prompt_options(parser: argparse.ArgumentParser) -> None:
    prompts = parser.add_mutually_exclusive_group()
    prompts.add_argument(
        '--mask',
        metavar='PNG',
        help='the objects in the first frame: a PNG of ids, or of 0 and 255',
    )
    prompts.add_argument(
        '--box',
        action='append',
        metavar='X1,Y1,X2,Y2',
        help='an object in the first frame, in pixels; again for object 2, 3, ...',
    )
    prompts.add_argument(
        '--prompts',
        metavar='JSON',
        help='list of {"frame": 0, "id": 1, "box": [x1, y1, x2, y2]} or with '
        '"mask": PNG, relative to the file, or "points": [[x, y, 1], [x, y, 0]]; of many videos '
        'the folder of such files, label images or labelme files, named after the videos',
    )
    parser.add_argument(
        '--point',
        action='append',
        default=[],
        metavar='X,Y',
        help='a point on object 1 in the first frame, in pixels; again for more points on it',
    )
    parser.add_argument(
        '--negative',
        action='append',
        default=[],
        metavar='X,Y',
        help='a point that is not on object 1',
    )

    parser.add_argument(
        '--direction',
        choices=('forward', 'backward', 'both'),
        default='forward',
        help='follow prompted objects to the end of the video (default), to its beginning, or both '
        'ways, which uses all prompts for the frames between them; not of cameras and streams',
    )


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--system', choices=SYSTEMS, help=f'default: {DEFAULT_SYSTEM}')
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
    parser.add_argument('--device', help='e.g. cpu or cuda:0; default: a GPU where there is one')
    parser.add_argument(
        '--engine',
        choices=ALL_ENGINES,
        help='what computes the network; default: the first that is installed of openvino (where '
        'there is no GPU), torch, onnxruntime',
    )
    parser.add_argument(
        '--compile',
        action='store_true',
        help='torch.compile for the networks of SiamMask, S2iamMask and MaskTrack, on a GPU as '
        'CUDA graphs; the first frames take minutes, so it is for long videos',
    )
    parser.add_argument(
        '--graphs', metavar='DIR', help='a model that mmvos export has written, instead of a system'
    )
    add_config_options(parser)


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--score-thr',
        type=score,
        metavar='S',
        help='leave objects with a lower score in a frame out of masks and overlay (default 0.3, 0 '
        'for given objects); results.json has all',
    )
    parser.add_argument(
        '--fps',
        type=frame_rate,
        metavar='F',
        help="frame rate of the overlay, e.g. 30000/1001; default: the video's, or 25",
    )
    parser.add_argument(
        '--show', action='store_true', help='show the overlay in a window; q ends the video'
    )
    parser.add_argument(
        '--every-frame',
        action='store_true',
        help='of a camera or stream take every frame and fall behind, instead of the newest',
    )
    parser.add_argument(
        '--soft',
        type=int,
        choices=(8, 16),
        help='also write soft/ID/*.png: the probabilities of each object, in 8 or 16 bits',
    )
    parser.add_argument(
        '--cutout',
        action='store_true',
        help='also write cutout/*.png: all but the objects is transparent, with soft edges',
    )
    parser.add_argument('--no-video', action='store_true', help='write no overlay.mp4')
    parser.add_argument('--no-png', action='store_true', help='write no masks/*.png')


def _add_launch_options(parser: argparse.ArgumentParser) -> None:
    options = parser.add_argument_group('many videos')
    options.add_argument(
        '--processes',
        type=positive_number,
        default=1,
        metavar='N',
        help='on this machine, each with a model of its own (default 1)',
    )
    options.add_argument(
        '--threads',
        type=positive_number,
        metavar='K',
        help='CPU cores for each model; default: OMP_NUM_THREADS, else the cores that there are '
        'for each process, on a Ray cluster 1',
    )
    options.add_argument(
        '--launcher',
        choices=LAUNCHERS,
        default='none',
        help='who has started the processes: torchrun (pytorch) or srun (slurm); or ray: a Ray '
        'cluster',
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Segment the video and say where the results are.

    Raises:
        DataError, OSError, ValueError: what a user can mend.
    """
    args = parse_arguments(argv)

    from mmvos.apis.batch.videos import holds_many

    if holds_many(args.input):
        from mmvos.cli.segment_many import segment_many

        segment_many(args)
        return
    check_one_video(args)
    choose_default_system(args)

    from mmvos.apis import VideoInferencer, open_source
    from mmvos.apis.inference import check_direction, check_prompted_frames
    from mmvos.apis.outputs import names_of_results
    from mmvos.io.atomic import check_folder

    prompts = read_all_prompts(args)
    source = open_source(args.input)
    check_prompted_frames(prompts, source)
    check_folder(args.out)
    # What can be refused is refused before the weights are looked for.
    known = args.system or (None if args.config else DEFAULT_SYSTEM)
    takes_prompts = known is None or bool(SYSTEMS[known].accepted_prompts)
    check_direction(args.direction, source, takes_prompts)
    model = build_model(args, bool(prompts))
    model.keeps_soft_masks = bool(args.soft or args.cutout) and model.takes_prompts
    check_direction(args.direction, source, model.takes_prompts)
    with begin_run(model, source, prompts, args) as run:
        if run.was_finished:
            print(
                f'{args.out} holds the finished results of this command; to compute them again, '
                f'give another --out'
            )
            count = run.frames
        else:
            count = segment(VideoInferencer(model), source, prompts, args, run)

    print(f'{count} frames of {source.name}')
    for name in names_of_results(not args.no_png, not args.no_video, args.soft, args.cutout):
        print(f'  {Path(args.out, name)}')


def check_one_video(args: argparse.Namespace) -> None:
    """Refuse what is meant for many videos where the input is one.

    Raises:
        DataError: there is such an option.
    """
    if args.prompts and Path(args.prompts).is_dir():
        raise DataError(
            f'--prompts {args.prompts} is a folder, as for many videos, but {args.input} is one; '
            f'give the file of its prompts'
        )
    if args.launcher != 'none' or args.processes > 1:
        raise DataError(
            f'--launcher and --processes divide many videos, but {args.input} is one, which is '
            f'never cut; give a text file of paths, or a folder of videos'
        )
    if args.threads:
        os.environ['OMP_NUM_THREADS'] = str(args.threads)


def begin_run(
    model: VideoSteps, source: VideoSource, prompts: Mapping[int, Prompts], args: argparse.Namespace
) -> VideoRun:
    """Begin the run, which a later one with the same arguments goes on with."""
    from mmvos.apis.outputs import names_of_results
    from mmvos.apis.video_run import VideoRun, fingerprint_of

    can_be_read_again = not (source.live or source.timed)
    # Runs of versions without directions go on.
    more = {} if args.direction == 'forward' else {'direction': args.direction}
    if model.keeps_soft_masks:
        more |= {'soft': args.soft, 'cutout': args.cutout}
    known_source = args.input if can_be_read_again else None
    fingerprint = fingerprint_of(
        model,
        known_source,
        prompts,
        score_thr=args.score_thr,
        png=not args.no_png,
        video=not args.no_video,
        fps=args.fps,
        **more,
    )
    names = names_of_results(not args.no_png, not args.no_video, args.soft, args.cutout)
    made_by = {**describe_model(args), 'data': str(args.input)}
    return VideoRun(args.out, fingerprint, names, made_by, can_be_read_again)


def read_all_prompts(args: argparse.Namespace) -> dict[int, Prompts]:
    """Read what is said about the video, by frame index; empty where nothing is."""
    from mmvos.apis.prompt_files import (
        box_prompts,
        point_prompts,
        read_mask_prompts,
        read_prompts,
    )

    # Points may come with a box, so they are looked for first.
    if args.point or args.negative:
        return {0: point_prompts(args.point, args.negative, args.box or ())}
    if args.mask:
        return {0: read_mask_prompts(args.mask)}
    if args.box:
        return {0: box_prompts(args.box)}
    if args.prompts:
        return read_prompts(args.prompts)
    return {}


def segment(
    inferencer: VideoInferencer,
    source: VideoSource,
    prompts: Mapping[int, Prompts],
    args: argparse.Namespace,
    run: VideoRun,
) -> int:
    """Segment the video, show progress and return the number of frames.

    Args:
        inferencer: with the model.
        source: of the frames.
        prompts: by frame index.
        args: of the command line.
        run: keeps what is finished, so that the same command goes on.

    Raises:
        KeyboardInterrupt: the video was stopped before its end; a camera is not, this is its end.
    """
    from mmvos.cli.progress import Progress

    if run.set_aside is not None:
        print(f'The results of another command are kept in {run.set_aside}.')
    is_forward = args.direction == 'forward'
    with ExitStack() as stack:
        # Results come frame by frame and are written on the way; of a camera only the newest.
        drop_frames = False if args.every_frame else None
        results: Any = inferencer.infer(
            source,
            prompts,
            args.out,
            score_thr=args.score_thr,
            png=not args.no_png,
            video=not args.no_video,
            show=args.show,
            fps=args.fps,
            drop_frames=drop_frames,
            run=run,
            direction=args.direction,
            progress=show_passes(stack),
            soft=args.soft,
            cutout=args.cutout,
        )
        total = source.length or '?'
        rate = 'frame rate unknown'
        if source.fps:
            rate = f'{float(source.fps):.3f} frames per second'
        print(f'{source.name}: {total} frames, {rate}', flush=True)

        # Each result that is taken is one frame further.
        progress = stack.enter_context(Progress('frame', source.length))
        try:
            for result in results:
                if is_forward and progress.count == 0 and run.frames > 1:
                    progress.say(f'going on after {run.frames} frames that were finished before')
                progress.advance(f'{len(result.objects)} objects')
        except KeyboardInterrupt:  # the way to end a camera
            results.close()
            if not (source.live or source.timed):
                # A file is not over: what is there is kept, and the same command goes on.
                done = f'{run.frames} of {total} frames'
                if not is_forward:
                    done = f'{run.frames} frames of the passes'
                raise KeyboardInterrupt(
                    f'the results of {done} are in {args.out}; the same command goes on with the '
                    f'next one'
                ) from None
        finally:
            results.close()
    print(f'done: {progress.rate:.2f} frames/s from reading to writing', flush=True)
    return progress.count


def show_passes(stack: ExitStack) -> Callable[[int, int], None]:
    """Make what shows how far passes backwards or both ways have come.

    Args:
        stack: closes it.
    """
    from mmvos.cli.progress import Progress

    shown: list[Progress] = []

    def show(done: int, total: int) -> None:
        if not shown:
            bar = Progress('step', total - done + 1)
            shown.append(stack.enter_context(bar))
            if done > 1:
                bar.say(f'going on after {done - 1} steps that were finished before')
        shown[0].advance()

    return show
