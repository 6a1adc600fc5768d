"""Targets of fuzzing: files, their reader, and its errors."""

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MMLogger

from mmps.checkpoints.loaders import load_weights
from mmps.datasets import (
    BadImageError,
    CocoPersonSearchDataset,
    CUHKSYSUDataset,
    DatasetError,
    LSPSDataset,
    PRWDataset,
)
from mmps.datasets.coco_export import export_coco
from mmps.datasets.image_files import read_image_sizes
from mmps.datasets.transforms import LoadFrame
from mmps.models.memories import IdentityMemory
from mmps.structures import SearchPredictions
from mmps.testing import noisy_predictions, random_ground_truth
from mmps.utils.errors import UsageError

from .checks import (
    check_dataset,
    check_figures,
    check_predictions,
    digest,
    require,
)
from .galleries import read_gallery, write_gallery
from .options import read_options, write_options
from .web import RequestRefusedError, read_requests, write_requests
from small_sets import (
    CUHK_TEST,
    write_cuhk,
    write_lsps,
    write_protocol,
    write_prw,
)


@dataclass(frozen=True)
class Target:
    """Something that is read from files; child processes get a copy.

    Args:
        name: For the command line.
        write: Writes valid files into a folder.
        read: Reads a folder and uses what it got; returns its digest.
        errors: What may be raised.
    """

    name: str
    write: Callable[[Path], None]
    read: Callable[[Path], str]
    errors: tuple[type[Exception], ...]


def _dataset(
    name: str, write: Callable[[Path], None], kind: type, **options: str
) -> Target:
    read = partial(_read_dataset, kind, options)
    return Target(name, write, read, (DatasetError,))


def _read_dataset(kind: type, options: dict[str, str], folder: Path) -> str:
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    parts = []
    for split in ('train', 'test'):
        args = {k: v.format(split=split) for k, v in options.items()}
        if split == 'train':
            args.pop('query_file', None)
        dataset = kind(
            data_root=str(folder),
            split=split,
            check_images=False,
            filter_cfg=dict(filter_empty_gt=False),
            # Sharing them between processes collects garbage, slowly.
            serialize_data=False,
            **args,
        )
        parts.append(check_dataset(dataset))
    return digest(parts)


def _write_cuhk(folder: Path) -> None:
    root = write_cuhk(folder, images=False)
    path = root / 'annotation/test/subset/Occlusion.mat'
    write_protocol(path, 'Occlusion1', CUHK_TEST[:1])


def _write_coco(folder: Path) -> None:
    """CUHK-SYSU, for its galleries, with all that other sets have."""
    with tempfile.TemporaryDirectory() as place:
        root = write_cuhk(Path(place), images=False)
        for split in ('train', 'test'):
            dataset = CUHKSYSUDataset(root, split=split, check_images=False)
            table = dataset.load_table()
            num = len(table.frame_names)
            table.sizes = np.full((num, 2), 120)
            table.camera_ids = np.arange(num)
            table.timestamps = np.arange(num) + 0.5
            files = folder / f'{split}.json', folder / 'queries.json'
            export_coco(table, *files)


def _write_predictions(folder: Path) -> None:
    truth = _truth()
    noisy_predictions(truth, embed_dims=4).save(folder / 'preds.npz')


def _read_predictions(folder: Path) -> str:
    path = folder / 'preds.npz'
    try:
        preds = SearchPredictions.load(path)
    except (ValueError, OSError) as err:
        require(str(path) in str(err), f'the file is not named: {err}')
        raise
    values = check_predictions(preds)
    return digest([*values, *check_figures(_truth(), preds)])


def _truth() -> object:
    return random_ground_truth(num_frames=8, num_queries=5)


def _write_checkpoint(folder: Path) -> None:
    torch.manual_seed(0)
    model = _model()
    with torch.no_grad():
        model[1].update(torch.eye(4), torch.tensor([0, 1, -1, 2]))
    log = HistoryBuffer()
    log.update(0.5)
    content = dict(
        state_dict=model.state_dict(),
        meta=dict(epoch=1, cfg='model = dict()', dataset_meta=dict(a=(1, 2))),
        message_hub=dict(log_scalars={'loss': log}),
        optimizer=torch.optim.AdamW(model[:1].parameters()).state_dict(),
    )
    torch.save(content, folder / 'epoch_1.pth')


def _read_checkpoint(folder: Path) -> str:
    return load_weights(_model(), folder / 'epoch_1.pth')


def _model() -> torch.nn.Sequential:
    memory = IdentityMemory(3, 4, queue_size=2)
    return torch.nn.Sequential(torch.nn.Linear(4, 4), memory)


_IMAGES = ('jpg', 'png', 'webp', 'bmp', 'tif')


def _write_images(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    for suffix in _IMAGES:
        cv2.imwrite(str(folder / f'a.{suffix}'), cv2.blur(noise, (5, 5)))


def _read_images(folder: Path) -> str:
    values: list[object] = []
    names = [f'a.{suffix}' for suffix in _IMAGES]
    values.append(read_image_sizes(str(folder), names, None))
    for name in names:
        found = LoadFrame()(dict(img_path=str(folder / name)))['img']
        require(found.dtype == np.uint8 and found.ndim == 3, 'no image')
        require(found.shape[2] == 3 and found.size, f'shape {found.shape}')
        values.append(found)
    return digest(values)


TARGETS = {
    target.name: target
    for target in (
        _dataset('prw', partial(write_prw, images=False), PRWDataset),
        _dataset('cuhk', _write_cuhk, CUHKSYSUDataset),
        _dataset('lsps', partial(write_lsps, images=False), LSPSDataset),
        _dataset(
            'coco',
            _write_coco,
            CocoPersonSearchDataset,
            ann_file='{split}.json',
            query_file='queries.json',
        ),
        Target(
            'predictions',
            _write_predictions,
            _read_predictions,
            (ValueError, FileNotFoundError),
        ),
        Target('gallery', write_gallery, read_gallery, (UsageError,)),
        Target(
            'checkpoint',
            _write_checkpoint,
            _read_checkpoint,
            (UsageError, ValueError),
        ),
        Target('images', _write_images, _read_images, (BadImageError,)),
        Target('options', write_options, read_options, (UsageError,)),
        Target('web', write_requests, read_requests, (RequestRefusedError,)),
    )
}
