"""Tests of CUHK-SYSU's reader on valid and faulty files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from mmps.datasets import CUHKSYSUDataset, DatasetError, cuhk_sysu

from small_sets import CUHK_TEST

TEST_DIR = 'annotation/test'


def test_train_split(write_cuhk: Callable) -> None:
    dataset = CUHKSYSUDataset(write_cuhk())
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    # All images but the pool, sorted by name.
    names = [info['frame_name'] for info in infos]
    assert names == ['s1.jpg', 's10.jpg', 's2.jpg']
    assert dataset.metainfo['raw_person_ids'] == (7, 20)
    assert [i['person_ids'].tolist() for i in infos] == [[-1, 1], [0], [1]]
    assert infos[0]['gt_bboxes'].tolist() == [
        [10, 10, 30, 60],
        [40, 10, 60, 60],
    ]
    assert {info['camera_id'] for info in infos} == {-1}


def test_test_split(write_cuhk: Callable) -> None:
    # The test split reads without Train.mat and without images.
    dataset = CUHKSYSUDataset(
        write_cuhk(train=None, images=False), split='test'
    )
    truth = dataset.metainfo['search']
    assert truth.frame_names == ['s3.jpg', 's5.jpg', 's4.jpg']
    assert dataset.metainfo['raw_person_ids'] == (30, 31)
    assert truth.query_person_ids.tolist() == [1, 0]
    assert truth.query_frames.tolist() == [0, 2]
    assert truth.query_bboxes.tolist() == [[5, 5, 35, 65], [7, 7, 28, 62]]
    # s3: query of 31, unlabelled; s5: 30, 31; s4: 30.
    assert truth.person_ids.tolist() == [1, -1, 0, 1, 0]


def test_galleries(write_cuhk: Callable) -> None:
    root = write_cuhk()
    truth = CUHKSYSUDataset(root, split='test').metainfo['search']
    assert list(truth.galleries) == ['2', '50', 'all']
    for name, gallery in truth.galleries.items():
        assert gallery.rest_of_frames == (name == 'all')
        assert gallery.queries.tolist() == [0, 1]
        assert gallery.splits.tolist() == [0, 2, 4]
        # The own image of the second query stays an entry.
        assert gallery.frames.tolist() == [1, 2, 1, 2]
        np.testing.assert_array_equal(
            gallery.bboxes,
            [[10, 30, 25, 70], [np.nan] * 4, [70, 10, 90, 60], [7, 7, 28, 62]],
        )
    chosen = CUHKSYSUDataset(root, split='test', galleries=['50'])
    assert list(chosen.metainfo['search'].galleries) == ['50']
    with pytest.raises(DatasetError, match="no protocol for gallery '100'"):
        CUHKSYSUDataset(root, split='test', galleries=['100'])


def test_large_boxes_do_not_overflow(write_cuhk: Callable) -> None:
    box = (40000, 40000, 30000, 30000)
    root = write_cuhk(
        boxes={'s1.jpg': [box]},
        pool=['s1.jpg'],
        tests={'TestG50': [('p1', ('s1.jpg', box), [('s1.jpg', box)])]},
    )
    truth = CUHKSYSUDataset(root, split='test').metainfo['search']
    expected = [[40000, 40000, 70000, 70000]]
    assert truth.bboxes.tolist() == expected
    assert truth.query_bboxes.tolist() == expected
    assert truth.galleries['50'].bboxes.tolist() == expected


def test_repeated_entries_stay(write_cuhk: Callable) -> None:
    entries = [('s5.jpg', (10, 30, 15, 40)), ('s5.jpg', (10, 30, 15, 40))]
    test = [('p31', ('s3.jpg', (5, 5, 30, 60)), entries)]
    root = write_cuhk(tests={'TestG2': test})
    truth = CUHKSYSUDataset(root, split='test').metainfo['search']
    assert truth.galleries['2'].frames.tolist() == [1, 1]
    assert 'all' not in truth.galleries


def test_subsets(write_cuhk: Callable, write_subset: Callable) -> None:
    root = write_cuhk()
    subset = [('p30', ('s4.jpg', (7, 7, 21, 55)), [('s3.jpg', None)])]
    write_subset(
        root / TEST_DIR / 'subset/Occlusion.mat', 'Occlusion1', subset
    )
    write_subset(
        root / TEST_DIR / 'subset/Resolution.mat', 'Test_Size', subset
    )
    truth = CUHKSYSUDataset(root, split='test').metainfo['search']
    assert list(truth.galleries)[-2:] == ['occlusion', 'resolution']
    assert truth.galleries['occlusion'].queries.tolist() == [1]
    assert truth.galleries['occlusion'].frames.tolist() == [0]


def test_odd_subset_is_left_out_unless_asked_for(
    write_cuhk: Callable, write_subset: Callable
) -> None:
    root = write_cuhk()
    subset = [('p30', ('s4.jpg', (1, 1, 21, 55)), [('s3.jpg', None)])]
    write_subset(root / TEST_DIR / 'subset/Resolution.mat', 'Other', subset)
    write_subset(
        root / TEST_DIR / 'subset/Occlusion.mat', 'Occlusion1', subset
    )
    truth = CUHKSYSUDataset(root, split='test').metainfo['search']
    assert list(truth.galleries) == ['2', '50', 'all']
    with pytest.raises(DatasetError, match='no variable Test_Size'):
        CUHKSYSUDataset(root, split='test', galleries=['resolution'])
    with pytest.raises(DatasetError, match='is no query of the other'):
        CUHKSYSUDataset(root, split='test', galleries=['occlusion'])


def test_ids_without_idname(write_cuhk: Callable) -> None:
    test = [('someone', ('s3.jpg', (5, 5, 30, 60)), [('s5.jpg', None)])]
    root = write_cuhk(tests={'TestG50': test})
    dataset = CUHKSYSUDataset(root, split='test')
    assert dataset.metainfo['raw_person_ids'] == (1,)


def test_boxes_without_area_are_left_out(write_cuhk: Callable) -> None:
    boxes = {
        's1.jpg': [(10, 10, 20, 50), (1, 1, 0, 9)],
        's2.jpg': [(3, 3, 0, 0)],
    }
    dataset = CUHKSYSUDataset(
        write_cuhk(boxes=boxes, pool=[], train=[('p1', [])])
    )
    assert len(dataset) == 1
    assert len(dataset.get_data_info(0)['gt_bboxes']) == 1


def test_labelled_box_that_matches_no_box(write_cuhk: Callable) -> None:
    test = [
        (
            'p31',
            ('s3.jpg', (5, 5, 30, 61)),
            [('s5.jpg', (10, 30, 15, 40)), ('s4.jpg', None)],
        )
    ]
    root = write_cuhk(tests={'TestG50': test})
    truth = CUHKSYSUDataset(root, split='test').metainfo['search']
    assert truth.person_ids.tolist() == [-1, -1, -1, 0, -1]
    assert truth.query_bboxes.tolist() == [[5, 5, 35, 66]]


@pytest.mark.parametrize(
    ('file', 'split'),
    [
        ('annotation/Images.mat', 'train'),
        ('annotation/pool.mat', 'test'),
        (f'{TEST_DIR}/train_test/Train.mat', 'train'),
    ],
)
@pytest.mark.parametrize('damage', ['missing', 'junk', 'other'])
def test_damaged_file(
    write_cuhk: Callable, file: str, split: str, damage: str
) -> None:
    root = write_cuhk()
    path = root / file
    path.unlink()
    if damage == 'junk':
        path.write_bytes(bytes(range(256)) * 4)
    elif damage == 'other':
        savemat(path, {'Img': 3.0, 'pool': 3.0, 'Train': 3.0})
    with pytest.raises(DatasetError, match=Path(file).name):
        CUHKSYSUDataset(root, split=split)


def test_no_protocol(write_cuhk: Callable) -> None:
    with pytest.raises(DatasetError, match='no protocol file'):
        CUHKSYSUDataset(write_cuhk(tests={}), split='test')


def test_protocol_of_another_form(write_cuhk: Callable) -> None:
    root = write_cuhk()
    path = root / TEST_DIR / 'train_test/TestG50.mat'
    savemat(path, {'TestG50': np.ones(3)})
    with pytest.raises(DatasetError, match='TestG50 has another form'):
        CUHKSYSUDataset(root, split='test')


def test_unknown_images(write_cuhk: Callable) -> None:
    test = [('p31', ('s3.jpg', (5, 5, 30, 60)), [('s1.jpg', None)])]
    root = write_cuhk(
        tests={'TestG50': test}, train=[('p1', [('s99.jpg', (1, 2, 3, 4))])]
    )
    with pytest.raises(DatasetError, match=r'TestG50.mat: names image s1.jpg'):
        CUHKSYSUDataset(root, split='test')
    with pytest.raises(DatasetError, match=r'Train.mat: names image s99.jpg'):
        CUHKSYSUDataset(root)


def test_pool_names_no_image(write_cuhk: Callable) -> None:
    root = write_cuhk(pool=['s3.jpg', 's77.jpg'])
    with pytest.raises(DatasetError, match='pool.mat: names image s77.jpg'):
        CUHKSYSUDataset(root, split='test')


def test_duplicate_in_pool(write_cuhk: Callable) -> None:
    root = write_cuhk(pool=['s3.jpg', 's5.jpg', 's4.jpg', 's3.jpg'])
    with pytest.raises(DatasetError, match='s3.jpg is listed twice'):
        CUHKSYSUDataset(root, split='test')


def test_missing_images(write_cuhk: Callable, load_pipeline: list) -> None:
    root = write_cuhk()
    (root / 'Image/SSM/s5.jpg').unlink()
    with pytest.raises(DatasetError, match='s5.jpg: no such file'):
        CUHKSYSUDataset(root, split='test', pipeline=load_pipeline)
    with pytest.raises(DatasetError, match='s5.jpg: cannot be read'):
        CUHKSYSUDataset(root, split='test', read_sizes=True)


def test_one_idname_of_another_form(write_cuhk: Callable) -> None:
    """A made-up number would make two people one."""
    test = [
        ('p1', ('s3.jpg', (5, 5, 30, 60)), [('s5.jpg', None)]),
        ('q31', ('s4.jpg', (7, 7, 21, 55)), [('s5.jpg', None)]),
    ]
    root = write_cuhk(
        tests={'TestG50': test},
        train=[
            ('p20', [('s2.jpg', (10, 10, 20, 50))]),
            ('p' + '9' * 30, [('s10.jpg', (1, 2, 30, 40))]),
        ],
    )
    with pytest.raises(DatasetError, match=r"TestG50.mat: idname 1 is 'q31'"):
        CUHKSYSUDataset(root, split='test')
    with pytest.raises(DatasetError, match=r'Train.mat: idname 1 is'):
        CUHKSYSUDataset(root)


@pytest.mark.parametrize(
    ('box', 'message'),
    [
        (np.array([[1 + 1j, 1, 5, 5]]), 'four numbers, got 4 complex128'),
        (np.array([[True, True, True, True]]), None),
        (np.array([['10', '10', '20', '50']]), 'four numbers'),
        (np.array([[10.0, 10, 20]]), 'four numbers, got 3'),
        (np.array([[np.nan, 10, 20, 50]]), r'\(nan, 10, nan, 60\)'),
        (np.array([[10, 10, np.nan, 50]]), r'\(10, 10, nan, 60\)'),
        (np.array([[10, 10, 1e39, 50]]), 'in single precision'),
    ],
)
def test_boxes_are_four_numbers(
    write_cuhk: Callable, box: np.ndarray, message: str | None
) -> None:
    root = write_cuhk(pool=['s3.jpg'], train=[])
    image = np.empty((1, 1), [(n, object) for n in ('imname', 'n', 'box')])
    person = np.empty((1, 1), [(n, object) for n in ('idlocate', 'ishard')])
    person[0, 0] = box, np.array([[0]])
    image[0, 0] = 's1.jpg', np.array([[1]]), person
    savemat(root / 'annotation/Images.mat', {'Img': image})
    savemat(root / 'annotation/pool.mat', {'pool': np.zeros((0, 0))})
    savemat(root / TEST_DIR / 'train_test/Train.mat', {'Train': image[:0]})
    if message is None:  # MATLAB's logical numbers are numbers
        assert len(CUHKSYSUDataset(root)) == 1
        return
    with pytest.raises(DatasetError, match=message):
        CUHKSYSUDataset(root)


def test_gallery_box_that_is_none(write_cuhk: Callable) -> None:
    root = write_cuhk()
    path = root / TEST_DIR / 'train_test/TestG50.mat'
    data = loadmat(path)
    entry = data['TestG50']['Gallery'][0, 0][0, 0]
    entry['idlocate'] = np.array([[5.0, np.nan, 30, 60]])
    savemat(path, {'TestG50': data['TestG50']})
    with pytest.raises(DatasetError, match=r'TestG50.mat: bboxes: row 0 is'):
        CUHKSYSUDataset(root, split='test')


def test_query_twice_in_a_protocol(write_cuhk: Callable) -> None:
    root = write_cuhk(
        tests={'TestG2': CUHK_TEST, 'TestG50': CUHK_TEST + CUHK_TEST[:1]}
    )
    with pytest.raises(DatasetError, match=r'TestG50.mat: lists a query twi'):
        CUHKSYSUDataset(root, split='test')


def test_image_twice(write_cuhk: Callable) -> None:
    root = write_cuhk()
    path = root / 'annotation/Images.mat'
    images = loadmat(path)['Img']
    savemat(path, {'Img': np.hstack([images, images[:, :1]])})
    with pytest.raises(DatasetError, match=r'Images.mat: image s1.jpg twice'):
        CUHKSYSUDataset(root)


def test_oddities_of_the_training_list(
    write_cuhk: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scenes of the pool are told; a box has the later of two ids."""
    warned: list[str] = []
    monkeypatch.setattr(cuhk_sysu, '_warn', warned.append)
    root = write_cuhk(
        train=[
            ('p4', [('s3.jpg', (5, 5, 30, 60)), ('s2.jpg', (10, 10, 20, 50))]),
            ('p5', [('s2.jpg', (10, 10, 20, 50))]),
        ]
    )
    dataset = CUHKSYSUDataset(root)
    assert dataset.metainfo['raw_person_ids'] == (4, 5)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    (ids,) = (
        info['person_ids'].tolist()
        for info in infos
        if info['frame_name'] == 's2.jpg'
    )
    assert ids == [1]
    assert '1 scenes are in the pool' in warned[0]
    assert warned[1].startswith('1 boxes have two ids')
