"""Tests of the search for image files in folders."""

from pathlib import Path

import pytest

from mmps.datasets.paths import list_files


def test_files_below(tmp_path: Path) -> None:
    for name in ('a.jpg', 'x/b.jpg', 'x/y/c.jpg', 'x/y/.d'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'empty').mkdir()
    assert list_files(tmp_path) == {'a.jpg', 'x/b.jpg', 'x/y/c.jpg', 'x/y/.d'}
    assert list_files(tmp_path / 'missing') == set()
    assert list_files(tmp_path / 'a.jpg') == set()


@pytest.mark.parametrize('num', [1, 3])
def test_links_that_lead_back(tmp_path: Path, num: int) -> None:
    """Followed, three of them would be 3 ** 40 folders."""
    folder = tmp_path / 'x'
    folder.mkdir()
    (folder / 'a.jpg').touch()
    for i in range(num):
        (folder / f'up{i}').symlink_to(tmp_path)
        (folder / f'here{i}').symlink_to('.')
    assert list_files(tmp_path) == {'x/a.jpg'}


def test_links_to_elsewhere_are_followed(tmp_path: Path) -> None:
    for name in ('store', 'data'):
        (tmp_path / name).mkdir()
    (tmp_path / 'store/a.jpg').touch()
    for name in ('one', 'two'):
        (tmp_path / 'data' / name).symlink_to(tmp_path / 'store')
    (tmp_path / 'data/broken').symlink_to(tmp_path / 'nothing')
    assert list_files(tmp_path / 'data') >= {'one/a.jpg', 'two/a.jpg'}
