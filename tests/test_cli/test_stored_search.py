"""Tests of the test set that the analysis tools take from a config."""

import pytest
from mmengine.config import Config

from mmps.cli.stored_search import load_test_set


def test_config_without_a_test_set():
    with pytest.raises(ValueError, match='no test_dataloader.dataset'):
        load_test_set(Config({}))


def test_training_split_has_no_queries(tmp_path):
    (tmp_path / 'a.json').write_text(
        '{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": '
        '[{"image_id": 1, "bbox": [1, 2, 3, 4], "person_id": 5}]}'
    )
    dataset = dict(
        type='mmps.CocoPersonSearchDataset',
        split='train',
        ann_file='a.json',
        data_root=str(tmp_path),
    )
    cfg = Config({'test_dataloader': {'dataset': dataset}})
    with pytest.raises(ValueError, match="expected split='test'"):
        load_test_set(cfg)
