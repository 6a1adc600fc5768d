"""Tests of the data sets' base configs, and of finding a set in a config."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmps.datasets import CocoPersonSearchDataset, PRWDataset
from mmps.datasets.coco_export import export_coco
from mmps.datasets.from_config import build_dataset, dataset_config

FOLDER = Path(__file__).parents[2] / 'configs/_base_/datasets'


@pytest.mark.parametrize('kind', ['prw', 'cuhk_sysu', 'lsps'])
def test_base_config_loads_batches(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    writer = request.getfixturevalue(f'write_{kind.partition("_")[0]}')
    monkeypatch.setenv('MMPS_DATA_ROOT', str(writer().parent))
    check_config(kind)


def test_coco_base_config_loads_batches(
    write_prw: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    native = write_prw()
    root = tmp_path / 'person_search'
    for split in ('train', 'test'):
        export_coco(
            PRWDataset(native, split=split).load_table(),
            root / f'annotations/{split}.json',
            root / 'annotations/query.json',
        )
    (root / 'images').symlink_to(native / 'frames')
    monkeypatch.setenv('MMPS_DATA_ROOT', str(tmp_path))
    check_config('coco_person_search')


def check_config(kind: str) -> None:
    """Load one batch of each split, without worker processes."""
    cfg = Config.fromfile(FOLDER / f'{kind}.py')
    assert cfg.val_evaluator.type == 'mmps.PersonSearchMetric'
    for split, num in (('train', 2), ('test', 1)):
        loader = cfg[f'{split}_dataloader']
        assert loader.batch_size == (4 if split == 'train' else 1)
        loader.update(batch_size=num, num_workers=0, persistent_workers=False)
        batch = next(iter(Runner.build_dataloader(loader, seed=0)))
        assert len(batch['inputs']) == num
        for image, sample in zip(batch['inputs'], batch['data_samples']):
            assert sample.img_shape == image.shape[1:]
            # 120 x 100 becomes 960 x 800, within 1333 x 800.
            assert sample.img_shape == (800, 960)
            assert ('query_instances' in sample) == (split == 'test')
            people = sample.gt_instances
            assert len(people.person_ids) == len(sample.raw_person_ids)


def test_wrappers_are_unwrapped(write_prw: Callable) -> None:
    inner = dict(type='mmps.PRWDataset', data_root=str(write_prw()))
    outer = dict(type='RepeatDataset', times=3, dataset=inner)
    cfg = Config(dict(train_dataloader=dict(dataset=outer)))
    assert dataset_config(cfg, 'train', wrapped=True).type == 'RepeatDataset'
    dataset = build_dataset(dataset_config(cfg, 'train'), read_sizes=True)
    assert isinstance(dataset, PRWDataset)
    assert dataset.get_data_info(0)['height'] == 100
    assert 'read_sizes' not in cfg.train_dataloader.dataset.dataset


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (dict(), 'no train_dataloader.dataset'),
        (dict(train_dataloader=None), 'no train_dataloader.dataset'),
        (
            dict(
                train_dataloader=dict(
                    dataset=dict(type='ConcatDataset', datasets=[1, 2])
                )
            ),
            'joins 2 data sets',
        ),
    ],
)
def test_config_without_a_data_set(content: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataset_config(Config(content), 'train')


def test_other_data_set_is_refused() -> None:
    node = dict(type='mmdet.CocoDataset', lazy_init=True)
    with pytest.raises(ValueError, match='no person-search data set'):
        build_dataset(node)


def test_repeated_and_mixed_training(write_prw: Callable) -> None:
    """Wrappers of mmdet work around the data sets."""
    from mmps.registry import DATASETS

    load = [
        dict(type='mmps.LoadFrame'),
        dict(type='mmps.LoadPersonAnnotations'),
    ]
    mosaic = dict(type='mmdet.Mosaic', img_scale=(120, 100))
    mixed = DATASETS.build(
        dict(
            type='mmdet.MultiImageMixDataset',
            dataset=dict(
                type='mmps.PRWDataset',
                data_root=str(write_prw()),
                pipeline=load,
            ),
            pipeline=[
                dict(type='mmps.KeepPersonIds', transform=mosaic),
                dict(type='mmps.PackPersonSearchInputs'),
            ],
        )
    )
    sample = mixed[0]['data_samples']
    assert len(sample.gt_instances.person_ids) == len(sample.raw_person_ids)
    assert mixed.metainfo['raw_person_ids'] == (3, 7, 932)


def test_coco_needs_no_root(tmp_path: Path, write_prw: Callable) -> None:
    """Absolute file names work without a data_root."""
    table = PRWDataset(write_prw()).load_table()
    export_coco(table, tmp_path / 'a.json', tmp_path / 'q.json')
    dataset = CocoPersonSearchDataset(ann_file=str(tmp_path / 'a.json'))
    assert len(dataset) == 3
