"""Tests of stored predictions: round trip, order, errors that name the key."""

import dataclasses
import zipfile

import numpy as np
import pytest

from mmps.structures import SearchPredictions
from mmps.testing import noisy_predictions, random_ground_truth, reorder_frames

KEYS = [
    'frame_names',
    'frame_splits',
    'bboxes',
    'scores',
    'embeddings',
    'query_embeddings',
]


@pytest.fixture
def truth():
    return random_ground_truth(num_frames=8, num_queries=5)


@pytest.fixture
def preds(truth):
    return noisy_predictions(truth, embed_dims=6)


def assert_same(a, b):
    for field in dataclasses.fields(SearchPredictions):
        left, right = getattr(a, field.name), getattr(b, field.name)
        np.testing.assert_array_equal(left, right)
        assert np.asarray(left).dtype == np.asarray(right).dtype


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
def test_round_trip(truth, tmp_path, dtype):
    preds = noisy_predictions(truth, 6, dtype=dtype)
    path = tmp_path / 'new' / 'preds.npz'
    preds.save(path)
    assert_same(SearchPredictions.load(path), preds)
    assert [p.name for p in path.parent.iterdir()] == ['preds.npz']
    with np.load(path, allow_pickle=False) as data:
        assert sorted(data) == sorted(KEYS)


def test_round_trip_without_detections(truth, tmp_path):
    preds = noisy_predictions(truth, 6, found=0, false_per_frame=0)
    preds.save(tmp_path / 'none.npz')
    loaded = SearchPredictions.load(tmp_path / 'none.npz')
    assert loaded.embeddings.shape == (0, 6)
    assert_same(loaded, preds)


def test_interrupted_save_leaves_the_old_file(preds, tmp_path, monkeypatch):
    path = tmp_path / 'preds.npz'
    preds.save(path)
    before = path.read_bytes()

    def cut(file, **arrays):
        file.write(b'half')
        raise OSError('no space left')

    monkeypatch.setattr(np, 'savez', cut)
    with pytest.raises(OSError, match='no space left'):
        preds.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ['preds.npz']


def test_other_ending_is_refused(preds, tmp_path):
    with pytest.raises(ValueError, match='preds.pkl: .* written as .npz'):
        preds.save(tmp_path / 'preds.pkl')


def arrays_of(preds):
    return {key: np.asarray(getattr(preds, key)) for key in KEYS}


@pytest.mark.parametrize('key', KEYS)
def test_missing_key(preds, tmp_path, key):
    arrays = arrays_of(preds)
    del arrays[key]
    path = tmp_path / 'p.npz'
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=rf'p\.npz: no key {key}; needed'):
        SearchPredictions.load(path)


def change(array, index, value):
    array = array.copy()
    array[index] = value
    return array


@pytest.mark.parametrize(
    ('key', 'edit', 'message'),
    [
        ('frame_names', lambda a: a[:-1], r'frame_splits: expected shape'),
        ('frame_names', lambda a: change(a, 1, a[0]), 'occurs twice'),
        ('frame_names', lambda a: a.astype('S'), 'frame_names: expected a l'),
        ('frame_splits', lambda a: change(a, 2, 10**6), 'never fall'),
        ('frame_splits', lambda a: change(a, 0, 1), 'must start at 0'),
        ('frame_splits', lambda a: change(a, -1, 10**6), 'the last offset is'),
        ('frame_splits', lambda a: a + 0.5, 'frame_splits: expected integer'),
        ('bboxes', lambda a: a[:, :3], r'bboxes: expected shape \(\*, 4\)'),
        ('bboxes', lambda a: a[1:], 'frame_splits: the last offset'),
        ('bboxes', lambda a: change(a, (3, 0), np.inf), 'bboxes: 1 .* row 3'),
        ('scores', lambda a: a[:, None], 'scores: expected shape'),
        ('scores', lambda a: change(a, 0, np.nan), 'scores: 1 values are not'),
        ('embeddings', lambda a: a[1:], 'embeddings: expected shape'),
        ('embeddings', lambda a: a[:, 1:], 'query_embeddings: dimension 6'),
        ('embeddings', lambda a: change(a, 4, np.nan), 'embeddings: 6 values'),
        ('embeddings', lambda a: a.astype('U'), 'embeddings: expected number'),
        ('query_embeddings', lambda a: a[0], 'query_embeddings: expected sha'),
        ('scores', lambda a: a.astype(object), 'scores: Object arrays cannot'),
    ],
)
def test_malformed_file(preds, tmp_path, key, edit, message):
    arrays = arrays_of(preds)
    arrays[key] = edit(arrays[key])
    path = tmp_path / 'p.npz'
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=rf'p\.npz: .*{message}'):
        SearchPredictions.load(path)


def test_no_file_and_no_npz(preds, tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.npz: no such'):
        SearchPredictions.load(tmp_path / 'gone.npz')
    junk = tmp_path / 'junk.npz'
    junk.write_bytes(b'not a zip')
    with pytest.raises(ValueError, match='junk.npz: not an .npz'):
        SearchPredictions.load(junk)
    preds.save(junk)
    junk.write_bytes(junk.read_bytes()[:-200])
    with pytest.raises(ValueError, match='junk.npz: not an .npz'):
        SearchPredictions.load(junk)


def test_damaged_member(preds, tmp_path):
    path = tmp_path / 'p.npz'
    preds.save(path)
    with zipfile.ZipFile(path) as file:
        where = file.getinfo('embeddings.npy').header_offset
    data = bytearray(path.read_bytes())
    for i in range(where + 200, where + 260):
        data[i] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match='p.npz: .*embeddings'):
        SearchPredictions.load(path)


def test_select(preds):
    keep = preds.scores >= 0.6
    assert 0 < keep.sum() < len(keep)
    kept = preds.select(keep)
    for frame in range(len(preds.frame_names)):
        begin, end = preds.frame_splits[frame : frame + 2]
        rows = [i for i in range(begin, end) if keep[i]]
        part = slice(*kept.frame_splits[frame : frame + 2])
        for key in 'bboxes', 'scores', 'embeddings':
            np.testing.assert_array_equal(
                getattr(kept, key)[part], getattr(preds, key)[rows]
            )


def test_align_matches_by_name(truth, preds):
    order = np.random.default_rng(3).permutation(truth.num_frames)
    assert_same(reorder_frames(preds, order).align(truth), preds)
    assert preds.align(truth) is preds


def test_align_refuses_other_data_sets(truth, preds):
    preds.frame_names[2] = 'other.jpg'
    with pytest.raises(
        ValueError,
        match=r'1 frames of the data set are missing \(first: frame_000002.jpg'
        r'\); 1 frames are not in the data set \(first: other.jpg\)',
    ):
        preds.align(truth)


def test_align_refuses_another_number_of_queries(truth, preds):
    preds.query_embeddings = preds.query_embeddings[:-1]
    with pytest.raises(ValueError, match='query_embeddings: 4 rows, but .* 5'):
        preds.align(truth)
