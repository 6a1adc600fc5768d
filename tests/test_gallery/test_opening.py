import os

import pytest

from mmps.gallery import (
    GalleryHeader,
    create_gallery,
    engine_of,
    gallery_exists,
    open_gallery,
    root_for,
)
from mmps.utils.errors import UsageError


@pytest.mark.parametrize(
    ('uri', 'engine'),
    [
        ('galleries/street', 'exact'),
        ('street.db', 'milvus'),
        ('http://localhost:19530/street', 'milvus'),
        ('https://host', 'milvus'),
        ('street.db/exact', 'exact'),
    ],
)
def test_engine_follows_from_the_uri(uri, engine):
    assert engine_of(uri) == engine


def test_unknown_schemes_are_refused():
    with pytest.raises(UsageError, match='expected a folder'):
        engine_of('s3://bucket/street')


def test_root_is_stored_relative_to_the_gallery(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert root_for('galleries/street', None) == ''
    assert root_for('galleries/street', 'pictures') == '../../pictures'
    assert root_for('street.db', tmp_path) == '..'
    assert root_for('http://host/street', 'pictures') == os.path.abspath(
        'pictures'
    )
    header = GalleryHeader(dim=2, root=root_for('galleries/street', '.'))
    with create_gallery('galleries/street', header) as gallery:
        assert gallery.root == str(tmp_path)
    assert gallery_exists('galleries/street')
    assert not gallery_exists('galleries')
    monkeypatch.chdir(tmp_path / 'galleries')
    with open_gallery('street', read_only=True) as gallery:
        assert gallery.root == str(tmp_path)
