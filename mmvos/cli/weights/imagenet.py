"""Top-1 and top-5 of a backbone's ImageNet weights on a validation folder:

    mmvos weights imagenet CONFIG FOLDER --weights W [--torchvision] [--out result.json]
    mmvos weights imagenet FOLDER --weights W --backbone type=ResNet depth=50
    mmvos weights imagenet CONFIG FOLDER --weights W --labels val.txt

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
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmvos.cli.config_options import read_config_options
from mmvos.io.config_file import read_config_file

if TYPE_CHECKING:
    from mmvos.apis.image_classifier import Classifier
    from mmvos.datasets.labeled_images import LabeledImages

EXPECTED_ERRORS = (ValueError,)
_MEAN = (123.68, 116.78, 103.94)
_STD = (1.0, 1.0, 1.0)
_TORCHVISION_MEAN = (123.675, 116.28, 103.53)
_TORCHVISION_STD = (58.395, 57.12, 57.375)
_TOP = 5


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Top-1 and top-5 of a backbone's ImageNet weights on a validation folder."
    )
    parser.add_argument('config', nargs='?', help='config with the backbone; or give --backbone')
    parser.add_argument('folder', type=Path, help='validation images')
    parser.add_argument('--weights', required=True, help='checkpoint with backbone and classifier')
    parser.add_argument(
        '--backbone', nargs='+', metavar='KEY=VALUE', help="the backbone in place of a config's"
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
    _add_input_options(parser)
    parser.add_argument('--batch-size', type=int, default=64)
    parser.add_argument(
        '--workers', type=int, default=2, help='processes that read images (default 2)'
    )
    parser.add_argument('--device', help='e.g. cpu or cuda:0; default: a GPU where there is one')
    parser.add_argument('--dtype', choices=('float32', 'bfloat16'), default='float32')
    parser.add_argument('--out', type=Path, help='also write the result as JSON')
    arguments = parser.parse_args(argv)
    if (arguments.config is None) == (arguments.backbone is None):
        parser.error('give either CONFIG or --backbone')
    if arguments.torchvision:
        arguments.mean = _TORCHVISION_MEAN
        arguments.std = _TORCHVISION_STD
    return arguments


def _add_input_options(parser: argparse.ArgumentParser) -> None:
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


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate, print and write the result.

    Raises:
        DataError, OSError, ValueError: weights, config and images do not fit together.
    """
    arguments = parse_arguments(argv)

    from mmvos.io.atomic import write_json

    result = evaluate(arguments)
    print(
        f'top-1 {100 * result["top1"]:.2f} %, top-5 {100 * result["top5"]:.2f} % of '
        f'{result["images"]} images ({result["seconds"]} s, {arguments.dtype}, {result["device"]})'
    )
    if arguments.out:
        write_json(arguments.out, result, indent=1)


def evaluate(arguments: argparse.Namespace) -> dict[str, Any]:
    """Classify all images.

    Returns:
        Shares of hits, and the settings they were found with.

    Raises:
        ValueError: weights, config and images do not fit together.
    """
    import torch

    from mmvos.apis.checkpoint import read_checkpoint
    from mmvos.apis.image_classifier import build_classifier

    backbone = backbone_of(arguments)
    model = build_classifier(backbone, read_checkpoint(arguments.weights))
    images = open_images(arguments, model.fc.out_features)
    # On a GPU, if there is one and no device is named.
    device = arguments.device or ('cuda' if torch.cuda.is_available() else 'cpu')

    begin = time.perf_counter()
    first, among = count_hits(model, images, arguments, torch.device(device))
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
        'device': device,
    }


def backbone_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the config of the backbone that the arguments name.

    Raises:
        ValueError: they name none.
    """
    if not arguments.config:
        backbone = read_config_options(arguments.backbone)
        if 'type' not in backbone:
            raise ValueError('--backbone needs a type, such as type=ResNet depth=50')
        return backbone

    from mmengine.utils import import_modules_from_strings

    from mmvos.apis.image_classifier import find_backbone

    # A config's own modules may register its backbone.
    config = read_config_file(arguments.config)
    if config.get('custom_imports'):
        import_modules_from_strings(**config.custom_imports)
    return find_backbone(config.get('model') or {}, arguments.config)


def open_images(arguments: argparse.Namespace, outputs: int) -> LabeledImages:
    """Open the validation set; its labels become outputs of the classifier.

    Args:
        arguments: of the command line.
        outputs: of the classifier.

    Raises:
        ValueError: data and classifier have another number of classes.
    """
    from mmvos.datasets.labeled_images import LabeledImages, class_folders, flat_folder

    offset = arguments.label_offset
    if arguments.labels:
        images = flat_folder(arguments.folder, arguments.labels)
    else:
        images, number = class_folders(arguments.folder, arguments.classes)
        # Folders are numbered in their order, so one missing shifts the others.
        if number + offset != outputs:
            is_one_short = number + offset + 1 == outputs
            remedy = 'add --label-offset 1' if is_one_short else 'list all classes with --classes'
            raise ValueError(
                f'{arguments.folder} has {number} class folders, but the weights have {outputs} '
                f'classes; {remedy}'
            )

    # Labels as outputs of the classifier, some of which begin with "background".
    labeled = []
    for path, label in images:
        if not 0 <= label + offset < outputs:
            raise ValueError(
                f'{path} has the label {label}, but the weights have {outputs} classes '
                f'(and --label-offset is {offset})'
            )
        labeled.append((path, label + offset))
    return LabeledImages(labeled, arguments.resize, arguments.crop)


def count_hits(
    model: Classifier, images: LabeledImages, arguments: argparse.Namespace, device: Any
) -> tuple[int, int]:
    """Count the images whose label is the first, and among the first five classes.

    Args:
        model: the backbone with its classifier.
        images: with their labels.
        arguments: of the command line.
        device: a ``torch.device``.

    Raises:
        ValueError: an image cannot be read.
    """
    import torch
    from torch.utils.data import DataLoader

    from mmvos.io.progress_bar import with_bar
    from mmvos.ops.precision import warn_of_slow_bfloat16

    model = model.to(device)
    warn_of_slow_bfloat16(getattr(torch, arguments.dtype), device)
    mean = torch.tensor(arguments.mean, device=device).view(1, 3, 1, 1)
    std = torch.tensor(arguments.std, device=device).view(1, 3, 1, 1)
    loader = DataLoader(images, arguments.batch_size, num_workers=arguments.workers)
    is_reduced = arguments.dtype == 'bfloat16'

    first = 0
    among = 0
    for pixels, labels, faults in with_bar(loader, 'classifying', unit=' batches'):
        for fault in filter(None, faults):
            raise ValueError(fault)
        # (B, 3, S, S): as the network was trained to see them
        batch = (pixels.to(device).float() - mean) / std
        if arguments.bgr:
            batch = batch.flip(1)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, is_reduced):
            logits = model(batch)  # (B, K)
        best = logits.float().topk(min(_TOP, logits.shape[1])).indices.cpu()  # (B, 5)
        hits = best == labels[:, None]
        first += int(hits[:, 0].sum())
        among += int(hits.any(dim=1).sum())
    return first, among
