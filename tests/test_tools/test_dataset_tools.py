"""Tests of the tools that look at or convert data sets."""

import csv
import json
import runpy
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

ROOT = Path(__file__).parents[2]
BROWSE = 'tools/analysis_tools/browse_dataset.py'
STATS = 'tools/analysis_tools/dataset_stats.py'
TO_COCO = 'tools/dataset_converters/to_coco.py'
PRW_CONFIG = 'configs/_base_/datasets/prw.py'


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a small PRW: two frames a split, grey pictures."""
    folder = tmp_path_factory.mktemp('data')
    root = folder / 'PRW'
    (root / 'annotations').mkdir(parents=True)
    (root / 'frames').mkdir()
    for split, first in (('train', 1), ('test', 5)):
        names = np.empty((2, 1), dtype=object)
        for i in range(2):
            names[i, 0] = name = f'c{i + 1}s1_{first + i:06d}'
            rows = [[first, 40, 30, 50, 120.0], [-2, 150, 40, 30, 90.0]]
            savemat(root / f'annotations/{name}.jpg.mat', {'box_new': rows})
            picture = np.full((200, 300, 3), 90, np.uint8)
            assert cv2.imwrite(str(root / f'frames/{name}.jpg'), picture)
        savemat(root / f'frame_{split}.mat', {f'img_index_{split}': names})
    (root / 'query_info.txt').write_text('5 40 30 50 120 c1s1_000005\r\n')
    return folder


@pytest.fixture
def run_tool(
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, str, str]]:
    """Runner of a tool that finds the small PRW by MMPS_DATA_ROOT.

    In this process: starting Python and torch anew takes seconds.
    """
    monkeypatch.setenv('MMPS_DATA_ROOT', str(data))
    monkeypatch.chdir(ROOT)

    def run(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr('sys.argv', [str(arg) for arg in args])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(args[0]), run_name='__main__')
        return end.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize('transformed', [False, True])
def test_browse_draws_people_and_queries(
    run_tool: Callable, tmp_path: Path, transformed: bool
) -> None:
    options = ['--transformed'] if transformed else []
    status, out, err = run_tool(
        *(BROWSE, PRW_CONFIG, '--split', 'test', '--out-dir', tmp_path),
        *options,
    )
    assert status == 0, err
    assert '2 pictures of the test split' in out
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        'test_000000_c1s1_000005.jpg',
        'test_000001_c2s1_000006.jpg',
    ]
    with_query, without = (cv2.imread(str(tmp_path / n)) for n in names)
    scale = 4 if transformed else 1
    assert with_query.shape[:2] == (200 * scale, 300 * scale)
    # Box of the person; the query's mark adds red around it.
    left = without[90 * scale, 36 * scale : 44 * scale]
    assert (np.ptp(left.reshape(-1, 3), axis=0) > 60).any()
    red = with_query.astype(int)
    red = (red[..., 2] - red[..., 0] > 120) & (red[..., 1] < 110)
    assert red.sum() > 200 * scale


def test_browse_only_queries(run_tool: Callable, tmp_path: Path) -> None:
    status, out, err = run_tool(
        *(BROWSE, PRW_CONFIG, '--split', 'test', '--queries'),
        *('--out-dir', tmp_path),
    )
    assert status == 0, err
    assert len(list(tmp_path.iterdir())) == 1


def test_stats_prints_and_writes(run_tool: Callable, tmp_path: Path) -> None:
    status, out, err = run_tool(STATS, PRW_CONFIG, '--out-dir', tmp_path)
    assert status == 0, err
    lines = [line.split() for line in out.splitlines()]
    assert ['queries', '1'] in lines
    assert lines.count(['labelled', 'boxes', '2']) == 2
    with open(tmp_path / 'quantiles.csv', encoding='utf-8') as file:
        rows = {(r['split'], r['name']): r for r in csv.DictReader(file)}
    assert float(rows['train', 'height / width']['0.5']) == 2.7
    with open(tmp_path / 'cameras.csv', encoding='utf-8') as file:
        assert [r['camera'] for r in csv.DictReader(file)] == [*'1212']
    picture = cv2.imread(str(tmp_path / 'dataset_stats.png'))
    assert picture.std() > 10


def test_converter_writes_coco(run_tool: Callable, tmp_path: Path) -> None:
    status, out, err = run_tool(TO_COCO, 'prw', tmp_path)
    assert status == 0, err
    test = json.loads((tmp_path / 'test.json').read_text())
    assert test['images'][0] == dict(
        id=0, file_name='c1s1_000005.jpg', height=200, width=300, camera_id=1
    )
    assert [a['person_id'] for a in test['annotations']] == [5, -1, 5, -1]
    queries = json.loads((tmp_path / 'query.json').read_text())['queries']
    assert queries == [
        dict(image_id=0, bbox=[40.0, 30.0, 50.0, 120.0], person_id=5)
    ]
    assert (tmp_path / 'train.json').exists()


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        ((BROWSE, 'nowhere.py'), 'nowhere.py does not exist'),
        ((BROWSE, PRW_CONFIG, '--num', '0'), 'expected at least 1'),
        ((BROWSE, PRW_CONFIG, '--queries'), 'needs --split test'),
        ((STATS, 'configs/_base_/datasets/lsps.py'), 'no such folder'),
        ((TO_COCO, 'prw', 'x', '--data-root', 'nowhere'), 'nowhere'),
        ((TO_COCO, 'coco', 'x'), 'invalid choice'),
    ],
)
def test_bad_use_ends_with_one_line(
    run_tool: Callable, args: tuple, message: str
) -> None:
    status, out, err = run_tool(*args)
    assert status == 2
    assert 'Traceback' not in err
    assert message in err.splitlines()[-1]
