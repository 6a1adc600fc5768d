"""Tests of PRW's reader on valid and faulty files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from mmps.datasets import DatasetError, PRWDataset
from mmps.datasets.pipeline_check import bad_image_policy
from mmps.datasets.transforms import LoadFrame
from mmps.structures import SearchGroundTruth


def infos(dataset: PRWDataset) -> list[dict]:
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def test_train_split(write_prw: Callable) -> None:
    dataset = PRWDataset(write_prw(), split='train')
    # The frame without a box is left out, the all-unlabelled one is not.
    assert [i['frame_name'] for i in infos(dataset)] == [
        'c1s1_000001.jpg',
        'c2s1_000001.jpg',
        'c2s1_000002.jpg',
    ]
    assert dataset.metainfo['raw_person_ids'] == (3, 7, 932)
    assert dataset.metainfo['classes'] == ('person',)
    first, second, third = infos(dataset)
    np.testing.assert_array_equal(
        first['gt_bboxes'],
        np.array([[10.5, 20.25, 40.5, 80.25], [50, 10, 70, 55.5]], np.float32),
    )
    assert first['gt_bboxes'].dtype == np.float32
    assert first['person_ids'].tolist() == [1, -1]
    assert second['person_ids'].tolist() == [2, 0]
    assert third['person_ids'].tolist() == [-1]
    assert [i['camera_id'] for i in infos(dataset)] == [1, 2, 2]
    assert [i['img_id'] for i in infos(dataset)] == [0, 1, 2]
    assert 'query_bboxes' not in first
    assert 'search' not in dataset.metainfo
    assert first['raw_person_ids'].tolist() == [3, 7, 932]


def test_train_keeps_empty_frames_on_request(write_prw: Callable) -> None:
    keep = dict(filter_empty_gt=False)
    assert len(PRWDataset(write_prw(), filter_cfg=keep)) == 4


def test_test_split_and_query_order(write_prw: Callable) -> None:
    dataset = PRWDataset(write_prw(), split='test')
    assert len(dataset) == 4
    truth = dataset.metainfo['search']
    assert isinstance(truth, SearchGroundTruth)
    assert dataset.metainfo['raw_person_ids'] == (11, 12)
    # Rows are in the order of query_info.txt, not of the frames.
    assert truth.query_person_ids.tolist() == [1, 0, 0]
    assert truth.query_frames.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(
        truth.query_bboxes,
        [[-2.5, 5, 17.5, 55], [10, 20, 40, 80], [60, 20, 85, 90]],
    )
    found = infos(dataset)
    assert [i['query_indices'].tolist() for i in found] == [
        [1],
        [0, 2],
        [],
        [],
    ]
    assert found[2]['query_bboxes'].shape == (0, 4)
    np.testing.assert_array_equal(
        found[1]['query_bboxes'], truth.query_bboxes[[0, 2]]
    )
    assert truth.frame_splits.tolist() == [0, 2, 4, 5, 5]
    # Negative coordinates stay: the ground truth is not clipped.
    assert truth.bboxes[2].tolist() == [-2.5, 5, 17.5, 55]
    assert truth.person_ids.tolist() == [0, -1, 1, 0, 1]
    assert truth.camera_ids.tolist() == [1, 2, 6, 6]
    assert not truth.galleries


@pytest.mark.parametrize('newline', ['\n', '\r\n'])
@pytest.mark.parametrize('key', ['box_new', 'anno_file', 'anno_previous'])
def test_variants_of_the_archive(
    write_prw: Callable, newline: str, key: str
) -> None:
    root = write_prw(newline=newline, key=key)
    dataset = PRWDataset(root, split='test')
    assert dataset.metainfo['search'].num_queries == 3
    assert len(dataset.metainfo['search'].bboxes) == 5


def test_metainfo_shares_the_ground_truth(write_prw: Callable) -> None:
    dataset = PRWDataset(write_prw(), split='test')
    assert dataset.metainfo['search'] is dataset.metainfo['search']
    dataset.metainfo['classes'] = ('x',)
    assert dataset.metainfo['classes'] == ('person',)


def test_evaluation_needs_no_images(
    write_prw: Callable, load_pipeline: list
) -> None:
    root = write_prw(images=False)
    assert len(PRWDataset(root, split='test')) == 4
    with pytest.raises(DatasetError, match='c1s1_000010.jpg: no such file'):
        PRWDataset(root, split='test', pipeline=load_pipeline)
    with pytest.raises(DatasetError, match='4 faults'):
        PRWDataset(root, split='test', check_images=True)


def test_read_sizes(write_prw: Callable) -> None:
    dataset = PRWDataset(write_prw(), read_sizes=True)
    assert {(i['height'], i['width']) for i in infos(dataset)} == {(100, 120)}


def test_missing_root_names_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as error:
        PRWDataset(tmp_path / 'nowhere', split='test')
    text = str(error.value)
    for part in (
        'nowhere',
        'no such folder',
        'query_info.txt',
        'test_dataloader.dataset.data_root',
        'MMPS_DATA_ROOT',
    ):
        assert part in text


def test_data_root_variable(
    write_prw: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = write_prw()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('MMPS_DATA_ROOT', str(root.parent))
    assert PRWDataset().data_root == str(root)
    # Roots that do not start with data/ are taken as they are.
    assert PRWDataset('PRW').data_root == 'PRW'
    monkeypatch.setenv('MMPS_DATA_ROOT', '')
    with pytest.raises(DatasetError, match='data/PRW: no such folder'):
        PRWDataset()


def test_every_fault_is_listed(write_prw: Callable) -> None:
    root = write_prw(
        test={
            'c1s1_000010': [[11, 10, 20, 30, 60], [12, 5, 5, 0, 10]],
            'c1s1_000011': [[11, 10, 20, 30, 60]],
            'c1s1_000012': [[11, 10, 20, float('nan'), 60]],
            'c1s1_000013': [[11.5, 10, 20, 30, 60]],
            'x1_000013': [[11, 10, 20, 30, 60]],
        },
        queries=[
            (99, 10, 20, 30, 60, 'c1s1_000010'),
            (11, 10, 20, 30, 60, 'c9s9_000010'),
            (11, 10, 20, -30, 60, 'c1s1_000010'),
            (-2, 10, 20, 30, 60, 'c1s1_000010'),
            (11, 'ten', 20, 30, 60, 'c1s1_000010'),
        ],
    )
    (root / 'annotations/c1s1_000011.jpg.mat').write_bytes(b'junk')
    with pytest.raises(DatasetError) as error:
        PRWDataset(root, split='test')
    text = str(error.value)
    assert '10 faults' in text
    for part in (
        'c1s1_000010.jpg.mat, frame c1s1_000010.jpg, box 1: '
        '(x1, y1, x2, y2) is (5, 5, 5, 15)',
        'c1s1_000011.jpg.mat: cannot be read',
        'c1s1_000012.jpg.mat: values that are no numbers or ids',
        'c1s1_000013.jpg.mat: values that are no numbers or ids',
        "frame name 'x1_000013.jpg'",
        'query 0: unknown person id 99',
        'query 1: frame c9s9_000010.jpg is not in the test split',
        'query 2: (x1, y1, x2, y2) is (10, 20, -20, 80)',
        'query 3: unknown person id -2',
        "query_info.txt:5: is ['11', 'ten'",
    ):
        assert part in text, part


def test_fault_list_has_a_cap(write_prw: Callable) -> None:
    frames = {f'c5s9_{i:06d}': [[1, 1, 1, 0, 5]] for i in range(27)}
    with pytest.raises(DatasetError) as error:
        PRWDataset(write_prw(train=frames))
    assert '27 faults' in str(error.value)
    assert '... and 7 more' in str(error.value)
    assert len(str(error.value).splitlines()) == 22


def test_duplicate_frame(write_prw: Callable) -> None:
    root = write_prw()
    names = np.array([['c1s1_000001'], ['c1s1_000001']], dtype=object)
    savemat(root / 'frame_train.mat', {'img_index_train': names})
    with pytest.raises(DatasetError, match='c1s1_000001.jpg is listed twice'):
        PRWDataset(root)


@pytest.mark.parametrize(
    ('file', 'split', 'message'),
    [
        ('frame_train.mat', 'train', 'frame_train.mat: no such file'),
        ('query_info.txt', 'test', 'query_info.txt: no such file'),
        (
            'annotations/c2s1_000010.jpg.mat',
            'test',
            'c2s1_000010.jpg.mat: no such file',
        ),
    ],
)
def test_missing_file(
    write_prw: Callable, file: str, split: str, message: str
) -> None:
    root = write_prw()
    (root / file).unlink()
    with pytest.raises(DatasetError, match=message):
        PRWDataset(root, split=split)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({'other': np.zeros((1, 5))}, 'has no variable box_new or'),
        ({'box_new': np.zeros((2, 4))}, r'array of shape \(2, 4\)'),
        ({'box_new': np.array(['a'])}, 'array of shape'),
    ],
)
def test_malformed_annotation(
    write_prw: Callable, content: dict, message: str
) -> None:
    root = write_prw()
    savemat(root / 'annotations/c1s1_000001.jpg.mat', content)
    with pytest.raises(DatasetError, match=message):
        PRWDataset(root)


@pytest.mark.parametrize('size', [0, 60, 200])
def test_truncated_annotation(write_prw: Callable, size: int) -> None:
    root = write_prw()
    path = root / 'annotations/c1s1_000001.jpg.mat'
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DatasetError, match='c1s1_000001.jpg.mat: cannot be'):
        PRWDataset(root)


def test_malformed_frame_list(write_prw: Callable) -> None:
    root = write_prw()
    savemat(root / 'frame_train.mat', {'img_index_train': np.arange(3)})
    with pytest.raises(DatasetError, match='expected a string'):
        PRWDataset(root)


def test_empty_query_file(write_prw: Callable) -> None:
    with pytest.raises(DatasetError, match='holds no query'):
        PRWDataset(write_prw(queries=[]), split='test')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(split='val'), "split is 'val'"),
        (dict(filter_cfg=dict(min_size=3)), 'min_size'),
        (dict(split='test', indices=2), 'cannot be cut'),
    ],
)
def test_bad_options(write_prw: Callable, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PRWDataset(write_prw(), **options)


def test_training_subset(write_prw: Callable) -> None:
    assert len(PRWDataset(write_prw(), indices=2)) == 2


def test_no_training_frame_left(write_prw: Callable) -> None:
    with pytest.raises(ValueError, match='no training frame has a box'):
        PRWDataset(write_prw(train={'c1s1_000001': []}))


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        ([1e300, 1, 1, 9, 9], 'no numbers or ids'),
        ([2.0**53, 1, 1, 9, 9], 'no numbers or ids'),
        ([1, 1, 1, np.inf, 9], 'no numbers or ids'),
        ([1, 1e308, 1, 1e308, 9], r'\(1e\+308, 1, inf, 10\)'),
        # Finite and not empty, but not so in single precision.
        ([1, 1, 1, 1e39, 9], 'in single precision'),
        ([1, 1e9, 1, 10, 9], 'in single precision'),
    ],
)
def test_numbers_beyond_all(
    write_prw: Callable, row: list, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        PRWDataset(write_prw(train={'c1s1_000001': [row]}))


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('c99999999999s1_1', "frame name 'c99999999999s1_1.jpg'"),
        ('c\u0663s1_1', 'c<camera>s<sequence>'),
        ('c1s1\0_1', 'a file name'),
        ('c1s1_\ud800', 'a file name'),
    ],
)
def test_names_that_no_file_has(
    write_prw: Callable, name: str, message: str
) -> None:
    root = write_prw()
    with pytest.MonkeyPatch.context() as patch:
        # scipy would not store all of them.
        patch.setattr('mmps.datasets.prw.cell_strings', lambda _: [name])
        with pytest.raises(DatasetError, match=message):
            PRWDataset(root)


def test_queries_are_plain_numbers(write_prw: Callable) -> None:
    queries = [
        (10**30, 10, 20, 30, 60, 'c1s1_000010'),
        ('1_1', 10, 20, 30, 60, 'c1s1_000010'),
        ('\u0661\u0661', 10, 20, 30, 60, 'c1s1_000010'),
        (11, '1_0', 20, 30, 60, 'c1s1_000010'),
        (11, 'nan', 20, 30, 60, 'c1s1_000010'),
    ]
    with pytest.raises(DatasetError, match='5 faults'):
        PRWDataset(write_prw(queries=queries), split='test')


def test_class_of_every_box(write_prw: Callable) -> None:
    """For mmdet's wrappers that look at classes."""
    assert PRWDataset(write_prw()).get_cat_ids(0) == [0, 0]


@pytest.mark.parametrize(
    ('pipeline', 'policy'),
    [
        ([], None),
        ([dict(type='mmdet.LoadImageFromFile')], 'error'),
        ([dict(type='mmps.LoadFrame')], 'error'),
        ([dict(type=LoadFrame, on_bad_image='skip')], 'skip'),
        ([LoadFrame(on_bad_image='skip')], 'skip'),
    ],
)
def test_bad_image_policy(pipeline: list, policy: str | None) -> None:
    assert bad_image_policy(pipeline) == policy
