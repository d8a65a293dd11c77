"""Top-1 and top-5 of a backbone's ImageNet weights on a validation folder:

    python tools/eval_imagenet.py CONFIG FOLDER --weights W [--torchvision] [--out result.json]
    python tools/eval_imagenet.py FOLDER --weights W --backbone type=ResNet depth=50
    python tools/eval_imagenet.py CONFIG FOLDER --weights W --labels val.txt

FOLDER has a folder of images per class, whose labels are 0, 1, ... in the order of their names, or
is flat, with ``--labels``: a text of "NAME LABEL" lines, or of one label per image in the order of
their names. The backbone is that of any config of mmdet or mmvos, the classifier is taken from the
weights (``fc``, ``head.fc``, ...). Images: shorter side to 256, the middle 224 x 224 pixels, RGB
minus (123.68, 116.78, 103.94) without a division, as the checkpoints of TensorFlow's ResNet v2 want
it; ``--torchvision`` for torchvision's mean and deviation. Weights of 1001 classes count the
background as class 0: ``--label-offset 1``.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
# a checkout works without being installed
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from image_classes.classifier import Classifier, build_classifier, find_backbone
from image_classes.labeled_images import LabeledImages, class_folders, flat_folder
from mmengine.config import DictAction
from mmengine.utils import import_modules_from_strings
from torch.utils.data import DataLoader
from tqdm import tqdm

from mmvos.apis.checkpoint import read_checkpoint
from mmvos.cli.guard import run_command
from mmvos.io.atomic import write_json
from mmvos.io.config_file import read_config_file
from mmvos.ops.precision import warn_of_slow_bfloat16

_MEAN, _STD = (123.68, 116.78, 103.94), (1.0, 1.0, 1.0)
_TORCHVISION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_TOP = 5


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Top-1 and top-5 of a backbone's ImageNet weights on a validation folder."
    )
    parser.add_argument('config', nargs='?', help='config with the backbone; or give --backbone')
    parser.add_argument('folder', type=Path, help='validation images')
    parser.add_argument('--weights', required=True, help='checkpoint with backbone and classifier')
    parser.add_argument(
        '--backbone',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help="the backbone in place of a config's",
    )
    parser.add_argument('--labels', type=Path, help='labels of a flat folder')
    parser.add_argument(
        '--classes',
        type=Path,
        help='names of the class folders in the order of the labels (default: sorted)',
    )
    parser.add_argument(
        '--label-offset',
        type=int,
        default=0,
        help='added to the labels; 1 for weights of 1001 classes',
    )
    parser.add_argument(
        '--mean',
        type=float,
        nargs=3,
        default=_MEAN,
        help='subtracted from RGB (default 123.68 116.78 103.94)',
    )
    parser.add_argument(
        '--std', type=float, nargs=3, default=_STD, help='divides RGB after that (default 1 1 1)'
    )
    parser.add_argument('--torchvision', action='store_true', help='mean and std of torchvision')
    parser.add_argument(
        '--bgr',
        action='store_true',
        help='the network takes BGR; mean and std stay in the order of RGB',
    )
    parser.add_argument('--resize', type=int, default=256, help='shorter side (default 256)')
    parser.add_argument('--crop', type=int, default=224, help='side of the crop (default 224)')
    parser.add_argument('--batch-size', type=int, default=64)
    parser.add_argument(
        '--workers', type=int, default=2, help='processes that read images (default 2)'
    )
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--dtype', choices=('float32', 'bfloat16'), default='float32')
    parser.add_argument('--out', type=Path, help='also write the result as JSON')
    arguments = parser.parse_args()
    if (arguments.config is None) == (arguments.backbone is None):
        parser.error('give either CONFIG or --backbone')
    if arguments.torchvision:
        arguments.mean, arguments.std = _TORCHVISION
    return arguments


def open_images(arguments: argparse.Namespace, outputs: int) -> LabeledImages:
    """The validation set; its labels are outputs of the classifier.

    Raises:
        ValueError: data and classifier have another number of classes.
    """
    offset = arguments.label_offset
    if arguments.labels:
        images = flat_folder(arguments.folder, arguments.labels)
    else:
        images, number = class_folders(arguments.folder, arguments.classes)
        if number + offset != outputs:
            hint = (
                '; add --label-offset 1'
                if number + offset + 1 == outputs
                else '; list all classes with --classes'
            )
            raise ValueError(
                f'{arguments.folder} has {number} class folders, but the weights have {outputs} '
                f'classes{hint}'
            )
    wrong = [(path, label) for path, label in images if not 0 <= label + offset < outputs]
    if wrong:
        raise ValueError(
            f'{wrong[0][0]} has the label {wrong[0][1]}, but the weights have {outputs} classes '
            f'(and --label-offset '
            f'is {offset})'
        )
    return LabeledImages(
        [(path, label + offset) for path, label in images], arguments.resize, arguments.crop
    )


@torch.inference_mode()
def count_hits(
    model: Classifier, images: LabeledImages, arguments: argparse.Namespace
) -> tuple[int, int]:
    """Numbers of images whose label is the first, and among the first five classes.

    Raises:
        ValueError: an image cannot be read.
    """
    device = torch.device(arguments.device)
    model = model.to(device)
    warn_of_slow_bfloat16(getattr(torch, arguments.dtype), device)
    mean, std = (
        torch.tensor(values, device=device).view(1, 3, 1, 1)
        for values in (arguments.mean, arguments.std)
    )
    loader = DataLoader(images, arguments.batch_size, num_workers=arguments.workers)
    first = among = 0
    for pixels, labels, faults in tqdm(loader, 'classifying', delay=2, leave=False):
        for fault in filter(None, faults):
            raise ValueError(fault)
        batch = (pixels.to(device).float() - mean) / std  # (B, 3, S, S)
        with torch.autocast(device.type, torch.bfloat16, enabled=arguments.dtype == 'bfloat16'):
            logits = model(batch.flip(1) if arguments.bgr else batch)  # (B, K)
        best = logits.float().topk(min(_TOP, logits.shape[1])).indices.cpu()  # (B, 5)
        hits = best == labels[:, None]
        first += int(hits[:, 0].sum())
        among += int(hits.any(dim=1).sum())
    return first, among


def evaluate(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the check; returns the result with its settings."""
    if arguments.config:
        config = read_config_file(arguments.config)
        if config.get('custom_imports'):
            import_modules_from_strings(**config.custom_imports)
        backbone = find_backbone(config.get('model') or {}, arguments.config)
    else:
        backbone = dict(arguments.backbone)
        if 'type' not in backbone:
            raise ValueError('--backbone needs a type, such as type=ResNet depth=50')
    model = build_classifier(backbone, read_checkpoint(arguments.weights))
    images = open_images(arguments, model.fc.out_features)
    begin = time.perf_counter()
    first, among = count_hits(model, images, arguments)
    return {
        'images': len(images),
        'top1': first / len(images),
        'top5': among / len(images),
        'seconds': round(time.perf_counter() - begin, 1),
        'classes': model.fc.out_features,
        'weights': str(arguments.weights),
        'backbone': str(backbone['type']),
        'mean': list(arguments.mean),
        'std': list(arguments.std),
        'bgr': arguments.bgr,
        'resize': arguments.resize,
        'crop': arguments.crop,
        'dtype': arguments.dtype,
    }


def main() -> None:
    """Evaluates, prints and writes the result."""
    arguments = parse_arguments()
    try:
        result = evaluate(arguments)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'eval_imagenet: {error}')
    print(
        f'top-1 {100 * result["top1"]:.2f} %, top-5 {100 * result["top5"]:.2f} % of '
        f'{result["images"]} images '
        f'({result["seconds"]} s, {arguments.dtype}, {arguments.device})'
    )
    if arguments.out:
        write_json(arguments.out, result, indent=1)


if __name__ == '__main__':
    run_command('eval_imagenet', main)
