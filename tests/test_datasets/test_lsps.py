"""Tests of LSPS's reader on valid and faulty files."""

from collections.abc import Callable

import pytest

from mmps.datasets import DatasetError, LSPSDataset


@pytest.mark.parametrize('shapes', [True, False])
def test_train_split(write_lsps: Callable, shapes: bool) -> None:
    dataset = LSPSDataset(write_lsps(shapes=shapes))
    assert len(dataset) == 2  # the third frame has no people
    info = dataset.get_data_info(0)
    assert info['frame_name'] == 'a_1_3_x.jpg'
    assert info['gt_bboxes'].tolist() == [[1, 2, 31, 82], [40, 10, 60, 70]]
    assert info['person_ids'].tolist() == [0, -1]
    assert info['camera_id'] == 3
    assert ('height' in info) == shapes
    if shapes:
        assert (info['height'], info['width']) == (100, 120)
    assert dataset.metainfo['raw_person_ids'] == (5, 9)


QUERIES = 'query_info.txt'


def test_test_split(write_lsps: Callable, load_pipeline: list) -> None:
    dataset = LSPSDataset(write_lsps(), split='test', pipeline=load_pipeline)
    truth = dataset.metainfo['search']
    assert truth.query_person_ids.tolist() == [1, 0]
    assert truth.query_frames.tolist() == [1, 0]
    assert truth.query_bboxes.tolist() == [[40, 5, 65, 65], [1, 2, 31, 82]]
    assert truth.camera_ids.tolist() == [3, 15]
    assert dataset[1]['data_samples'].query_instances.query_indices == 0


def test_lines_of_one_frame_add_up(write_lsps: Callable) -> None:
    root = write_lsps()
    coords = root / 'train_frame_coord.txt'
    ids = root / 'train_frame_id.txt'
    coords.write_text(coords.read_text() + 'a_2_4_x.jpg\t1\t1\t9\t9\t\r\n')
    ids.write_text(ids.read_text() + 'a_2_4_x.jpg\t77\r\n')
    dataset = LSPSDataset(root)
    assert dataset.metainfo['raw_person_ids'] == (5, 9, 77)
    assert len(dataset.get_data_info(1)['gt_bboxes']) == 2


@pytest.mark.parametrize(
    ('file', 'text', 'split', 'message'),
    [
        ('train_frame_coord.txt', 'a_2_4_x.jpg\t1\t2\t3\n', 'train', '3 val'),
        ('train_frame_coord.txt', 'zz_2_4_x\t1\t2\t3\t4\n', 'train', 'zz_2_4'),
        ('train_frame_id.txt', 'a_2_4_x.jpg\t9\t9\n', 'train', '1 boxes but'),
        ('train_frame_id.txt', 'a_2_4_x.jpg\tnine\n', 'train', 'integers'),
        ('train_shape.txt', 'a_2_4_x.jpg\t100\n', 'train', 'height, width'),
        (
            'train_shape.txt',
            'a_1_3_x.jpg\t9\t9\na_1_3_x.jpg\t8\t9\n',
            'train',
            'a_1_3_x.jpg is listed twice',
        ),
        ('query_info.txt', '21\tt_1_3_x.jpg\t1\t2\n', 'test', 'x1, y1, x2'),
        (
            'query_info.txt',
            '44\tt_1_3_x.jpg\t1\t2\t9\t9\n',
            'test',
            'unknown person id 44',
        ),
        (
            'query_info.txt',
            '21\tt_9_3_x.jpg\t1\t2\t9\t9\n',
            'test',
            'not in the test split',
        ),
    ],
)
def test_malformed_line(
    write_lsps: Callable, file: str, text: str, split: str, message: str
) -> None:
    root = write_lsps()
    (root / file).write_text(text)
    with pytest.raises(DatasetError, match=message):
        LSPSDataset(root, split=split)


def test_no_list_of_frames_and_no_image(write_lsps: Callable) -> None:
    root = write_lsps(shapes=False, images=False)
    with pytest.raises(DatasetError, match='no image in train/'):
        LSPSDataset(root)


def test_missing_files(write_lsps: Callable) -> None:
    root = write_lsps()
    (root / 'train_frame_coord.txt').unlink()
    (root / 'train_frame_id.txt').unlink()
    with pytest.raises(DatasetError, match='2 faults'):
        LSPSDataset(root)


@pytest.mark.parametrize(
    'name', ['street.jpg', 'a_1_\u00b2_x.jpg', f'a_1_{10**19}_x.jpg']
)
def test_name_without_camera(write_lsps: Callable, name: str) -> None:
    frames = {name: [(1, (1, 1, 9, 9))]}
    with pytest.raises(DatasetError, match='its name has no camera'):
        LSPSDataset(write_lsps(train=frames))


def test_binary_file(write_lsps: Callable) -> None:
    root = write_lsps()
    (root / 'train_frame_id.txt').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(DatasetError, match='is not text'):
        LSPSDataset(root)


@pytest.mark.parametrize(
    ('file', 'text', 'split', 'message'),
    [
        ('train_shape.txt', 'a_1_3_x.jpg\t0\t120\n', 'train', 'height, width'),
        ('train_shape.txt', 'a_1_3_x.jpg\t-5\t9\n', 'train', 'height, width'),
        ('train_shape.txt', f'a_1_3_x.jpg\t9\t{2**31}\n', 'train', 'height, '),
        ('train_frame_id.txt', f'a_1_3_x.jpg\t{2**53}\n', 'train', 'integers'),
        ('train_frame_id.txt', 'a_1_3_x.jpg\t1_0\n', 'train', 'integers'),
        (
            'train_frame_id.txt',
            f'a_1_3_x.jpg\t{"9" * 5000}\n',
            'train',
            'integers',
        ),
        (
            'train_frame_coord.txt',
            'a_1_3_x.jpg\t1\t2\t3\t1_0',
            'train',
            'four',
        ),
        (QUERIES, f'{10**30}\tt_1_3_x.jpg\t1\t2\t9\t9\n', 'test', 'is'),
        (QUERIES, '21\tt_1_3_x.jpg\t1\t2\tinf\t9\n', 'test', 'finite'),
        (QUERIES, '21\tt_1_3_x.jpg\t1\t2\t1e39\t9\n', 'test', 'finite'),
        (
            QUERIES,
            '21\tt_1_3_x.jpg\t1e9\t2\t1000000009\t9\n',
            'test',
            'in single precision',
        ),
    ],
)
def test_numbers_beyond_all(
    write_lsps: Callable, file: str, text: str, split: str, message: str
) -> None:
    root = write_lsps()
    (root / file).write_text(text)
    with pytest.raises(DatasetError, match=message):
        LSPSDataset(root, split=split)


def test_folder_in_the_place_of_a_file(write_lsps: Callable) -> None:
    root = write_lsps()
    (root / 'train_frame_id.txt').unlink()
    (root / 'train_frame_id.txt').mkdir()
    with pytest.raises(DatasetError, match='train_frame_id.txt: cannot be re'):
        LSPSDataset(root)
