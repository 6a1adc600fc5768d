"""Tests of trees on disk: bytes, PRW's and CUHK-SYSU's forms, old folders."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat

from mmps import scenes
from mmps.scenes import ScenesConfig, build, make_scenes

from .conftest import SMALL

TINY = dict(
    train_frames=20,
    test_frames=24,
    train_ids=4,
    test_ids=5,
    cameras=2,
    size=(96, 64),
)


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


@pytest.mark.parametrize('layout', ['prw', 'cuhk'])
def test_same_bytes_for_any_number_of_workers(tmp_path, layout):
    config = ScenesConfig(**{**TINY, 'test_frames': 52}, layout=layout)
    trees = []
    for workers in (1, 1, 3):
        root = tmp_path / f'{layout}{len(trees)}'
        assert not make_scenes(root, config, workers).reused
        trees.append(contents(root))
    assert trees[0] == trees[1] == trees[2]
    assert len(trees[0]) > 72


@pytest.mark.slow
def test_same_bytes_in_another_process(tmp_path):
    """Nothing depends on the order of sets, which differs by process."""
    # Without the package's parents, whose import takes seconds.
    (tmp_path / 'scenes').symlink_to(Path(scenes.__file__).parent)
    code = (
        'import scenes, sys;'
        f'c = scenes.ScenesConfig(**{TINY!r}, accessory_rate=1.0);'
        'scenes.make_scenes(sys.argv[1], c, workers=1)'
    )
    trees = []
    for number in ('1', '2'):
        root = tmp_path / number
        subprocess.run(
            [sys.executable, '-c', code, str(root)],
            check=True,
            cwd=tmp_path,
            env={**os.environ, 'PYTHONHASHSEED': number},
        )
        trees.append(contents(root))
    assert trees[0] == trees[1]


def read_prw(root: Path, split: str):
    """Return {frame: rows} as PRW's loaders read it."""
    index = loadmat(root / f'frame_{split}.mat')[f'img_index_{split}']
    assert index.shape[1] == 1
    rows = {}
    for (name,) in index:
        stem = str(name[0])
        assert (root / 'frames' / f'{stem}.jpg').is_file()
        rows[stem] = loadmat(root / 'annotations' / f'{stem}.jpg.mat')[
            'box_new'
        ]
        assert rows[stem].shape[1] == 5
    return rows


def test_prw_form(prw_tree):
    root = prw_tree.root
    ids = {}
    for split, key in (('train', 'ID_train'), ('test', 'ID_test2')):
        rows = read_prw(root, split)
        assert len(rows) == SMALL[f'{split}_frames']
        everyone = np.concatenate(list(rows.values()))[:, 0]
        ids[split] = set(everyone[everyone != -2].tolist())
        assert set(loadmat(root / f'{key}.mat')[key].ravel()) == ids[split]
        assert len(everyone) == prw_tree.counts[f'{split}_boxes']
        assert (everyone == -2).sum() == prw_tree.counts[f'{split}_unlabelled']
    assert ids['train'].isdisjoint(ids['test'])
    assert len(ids['train']) == 8
    stems = {path.stem for path in (root / 'frames').iterdir()}
    assert len(stems) == 80
    image = cv2.imread(str(root / 'frames' / f'{min(stems)}.jpg'))
    assert image.shape == (72, 128, 3)


def test_prw_queries(prw_tree):
    rows = read_prw(prw_tree.root, 'test')
    where = defaultdict(list)
    for frame, boxes in rows.items():
        for person, *box in boxes:
            where[int(person)].append((frame, box))
    lines = (prw_tree.root / 'query_info.txt').read_bytes().split(b'\r\n')
    assert lines.pop() == b''
    assert len(lines) == prw_tree.counts['queries'] >= 15
    asked = set()
    for line in lines:
        person, *box, frame = line.decode().split(' ')
        camera = frame[:2]
        assert (person, camera) not in asked
        asked.add((person, camera))
        seen = where[int(person)]
        assert any(
            f == frame and np.allclose(b, np.array(box, float), atol=0.006)
            for f, b in seen
        )
        assert len({f[:2] for f, _ in seen}) >= 2
    # Every camera that saw a queried person has a query.
    people = {person for person, _ in asked}
    for person in people:
        cameras = {f[:2] for f, _ in where[int(person)]}
        assert cameras == {c for p, c in asked if p == person}


def test_single_camera_queries_have_another_frame(tmp_path):
    config = ScenesConfig(**{**TINY, 'test_cameras': (2,)})
    tree = make_scenes(tmp_path / 'one', config, workers=1)
    assert tree.counts['queries'] >= 4
    frames = defaultdict(set)
    for frame, boxes in read_prw(tree.root, 'test').items():
        assert frame.startswith('c2s1_')
        for person in boxes[:, 0]:
            frames[int(person)].add(frame)
    for line in (tree.root / 'query_info.txt').read_text().splitlines():
        assert len(frames[int(line.split()[0])]) >= 2


def test_cuhk_form(cuhk_tree):
    annotation = cuhk_tree.root / 'annotation'
    images = loadmat(annotation / 'Images.mat')['Img'].squeeze()
    boxes = {}
    for name, count, people in images:
        found = np.array([p[0].squeeze() for p in people[0]])
        assert found.shape == (count.item(), 4)
        assert (found[:, 2:] > 0).all()
        assert (found[:, :2] + found[:, 2:] <= (128, 72)).all()
        boxes[str(name[0])] = found.tolist()
        path = cuhk_tree.root / 'Image' / 'SSM' / str(name[0])
        assert path.is_file()
    assert len(boxes) == 80
    pool = {str(n[0]) for n in loadmat(annotation / 'pool.mat')['pool'][:, 0]}
    assert len(pool) == 60
    assert pool < set(boxes)

    train = annotation / 'test' / 'train_test' / 'Train.mat'
    people = loadmat(train)['Train'].squeeze()
    names = set()
    for person in people:
        record = person[0, 0]
        names.add(str(record['idname'][0]))
        scenes = record['scene'].squeeze()
        assert len(scenes) == record['nAppear'].item() >= 2
        for name, box, _ in scenes:
            assert str(name[0]) not in pool
            assert box.squeeze().tolist() in boxes[str(name[0])]
    assert names == {f'p{i}' for i in range(1, 9)}


def test_cuhk_protocol(cuhk_tree):
    annotation = cuhk_tree.root / 'annotation'
    images = loadmat(annotation / 'Images.mat')['Img'].squeeze()
    boxes = {
        str(name[0]): [p[0].squeeze().tolist() for p in people[0]]
        for name, _, people in images
    }
    folder = annotation / 'test' / 'train_test'
    # 60 test frames: only the smallest gallery fits.
    assert {p.name for p in folder.glob('TestG*')} == {'TestG50.mat'}
    table = loadmat(folder / 'TestG50.mat')['TestG50'].squeeze()
    assert len(table) == cuhk_tree.counts['queries'] >= 8
    people = set()
    for query, gallery in table:
        own = str(query['imname'][0, 0][0])
        assert query['idlocate'][0, 0].squeeze().tolist() in boxes[own]
        people.add(str(query['idname'][0, 0][0]))
        entries = gallery.squeeze()
        names = [str(entry['imname'][0]) for entry in entries]
        assert len(names) == 50
        assert len(set(names)) == 50
        assert own not in names
        positive = [entry['idlocate'].size > 0 for entry in entries]
        assert positive[0]
        assert positive == sorted(positive, reverse=True)
        for name, entry in zip(names, entries):
            if entry['idlocate'].size:
                assert entry['idlocate'].squeeze().tolist() in boxes[name]
    assert len(people) == len(table)
    assert people <= {f'p{i}' for i in range(9, 19)}


def test_layouts_show_the_same_pictures(prw_tree, cuhk_tree):
    prw = sorted(p.read_bytes() for p in (prw_tree.root / 'frames').iterdir())
    folder = cuhk_tree.root / 'Image' / 'SSM'
    assert prw == sorted(p.read_bytes() for p in folder.iterdir())


def test_existing_tree_is_reused(prw_tree):
    before = {p: p.stat().st_mtime_ns for p in prw_tree.root.rglob('*')}
    again = make_scenes(prw_tree.root, prw_tree.config)
    assert again.reused
    assert again.counts == prw_tree.counts
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_other_settings_need_overwrite(tmp_path):
    root = tmp_path / 'scenes'
    make_scenes(root, ScenesConfig(**TINY), workers=1)
    other = ScenesConfig(**TINY, seed=3)
    with pytest.raises(FileExistsError, match='seed 0, not 3'):
        make_scenes(root, other, workers=1)
    assert not make_scenes(root, other, workers=1, overwrite=True).reused
    assert (
        json.loads((root / 'scenes.json').read_text())['config']['seed'] == 3
    )
    assert len(list((root / 'frames').iterdir())) == 44


def test_interrupted_removal_is_no_complete_tree(tmp_path, monkeypatch):
    root, config = tmp_path / 'scenes', ScenesConfig(**TINY)
    whole = make_scenes(root, config, workers=1)
    frames = {p.name: p.read_bytes() for p in (root / 'frames').iterdir()}

    def stop(path, *_, **__):
        (path / sorted(frames)[0]).unlink(missing_ok=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr('shutil.rmtree', stop)
        with pytest.raises(KeyboardInterrupt):
            make_scenes(
                root, ScenesConfig(**TINY, seed=3), workers=1, overwrite=True
            )
    again = make_scenes(root, config, workers=1)
    assert not again.reused
    assert again.counts == whole.counts
    assert frames == {
        p.name: p.read_bytes() for p in (root / 'frames').iterdir()
    }


@pytest.mark.parametrize('overwrite', [False, True])
def test_foreign_folder_is_not_touched(tmp_path, overwrite):
    (tmp_path / 'frames').mkdir()
    (tmp_path / 'thesis.tex').write_text('precious')
    with pytest.raises(FileExistsError, match='thesis.tex'):
        make_scenes(tmp_path, ScenesConfig(**TINY), 1, overwrite)
    assert (tmp_path / 'thesis.tex').read_text() == 'precious'


def test_tree_with_foreign_files_is_not_overwritten(tmp_path):
    root = tmp_path / 'scenes'
    make_scenes(root, ScenesConfig(**TINY), workers=1)
    (root / 'notes.txt').write_text('mine')
    with pytest.raises(FileExistsError, match='notes.txt'):
        make_scenes(root, ScenesConfig(**TINY, seed=3), 1, overwrite=True)
    assert len(list((root / 'frames').iterdir())) == 44


def test_a_file_in_the_way(tmp_path):
    (tmp_path / 'x').write_text('')
    with pytest.raises(FileExistsError, match='is a file'):
        make_scenes(tmp_path / 'x', ScenesConfig(**TINY))


def test_interrupted_run_goes_on(tmp_path, monkeypatch):
    config = ScenesConfig(**TINY)
    make_scenes(tmp_path / 'whole', config, workers=1)
    calls = []
    render = build._render_job

    def stop_at_third(job):
        calls.append(job.done.name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return render(job)

    monkeypatch.setattr(build, '_render_job', stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        make_scenes(tmp_path / 'cut', config, workers=1)
    assert not (tmp_path / 'cut' / 'scenes.json').exists()
    make_scenes(tmp_path / 'cut', config, workers=1)
    assert calls[3:] == calls[2:3]  # the finished ones were not done again
    assert contents(tmp_path / 'cut') == contents(tmp_path / 'whole')


@pytest.mark.parametrize('workers', [-1, 1.5, True])
def test_bad_workers(tmp_path, workers):
    with pytest.raises(ValueError, match='workers'):
        make_scenes(tmp_path / 'x', ScenesConfig(**TINY), workers)


def test_tree_of_another_renderer(tmp_path):
    root = tmp_path / 'scenes'
    make_scenes(root, ScenesConfig(**TINY), workers=1)
    marker = root / 'scenes.json'
    content = json.loads(marker.read_text())
    marker.write_text(json.dumps(content | dict(renderer=1)))
    with pytest.raises(FileExistsError, match='renderer 1, not'):
        make_scenes(root, ScenesConfig(**TINY), workers=1)
