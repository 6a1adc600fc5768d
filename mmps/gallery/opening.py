"""Galleries by where they lie: the engine follows from the URI."""

import os
from importlib import import_module
from pathlib import Path

from mmps.utils.errors import UsageError

from .base import BaseGallery
from .header import GalleryHeader

# Engine to the module and class that hold it; imported when first used.
ENGINES = {
    'exact': ('mmps.gallery.exact', 'ExactGallery'),
    'milvus': ('mmps.gallery.milvus', 'MilvusGallery'),
}


def engine_of(uri: str | os.PathLike) -> str:
    """Name of the engine that holds a gallery.

    >>> from mmps.gallery import engine_of
    >>> [engine_of(x) for x in ('street', 'a.db', 'http://host:19530/street')]
    ['exact', 'milvus', 'milvus']

    Args:
        uri: ``http://HOST:PORT[/NAME]`` is a Milvus server, ``*.db``
            milvus-lite in this process, everything else the folder of an
            exact gallery.
    """
    uri = os.fspath(uri)
    if '://' in uri:
        scheme = uri.partition('://')[0]
        if scheme not in ('http', 'https'):
            raise UsageError(
                f'gallery {uri}: expected a folder, a *.db file, or http(s)://'
            )
        return 'milvus'
    return 'milvus' if uri.endswith('.db') else 'exact'


def open_gallery(
    uri: str | os.PathLike, read_only: bool = False
) -> BaseGallery:
    """Open a gallery that exists.

    Args:
        uri: See :func:`engine_of`.
        read_only: Whether it is only searched; several processes may then
            have an exact gallery open while one writes. Defaults to False.

    Raises:
        GalleryNotFoundError: There is none.
        GalleryError: It is broken, of another version, or locked.
        UsageError: The engine's extra is not installed.
    """
    return _engine(uri).open(os.fspath(uri), read_only)


def create_gallery(
    uri: str | os.PathLike, header: GalleryHeader
) -> BaseGallery:
    """Create an empty gallery and open it for writing.

    Args:
        uri: See :func:`engine_of`.
        header: What its embeddings are.

    Raises:
        GalleryExistsError: There is something already.
        GalleryError: The engine cannot hold such embeddings.
        UsageError: The engine's extra is not installed.
    """
    return _engine(uri).create(os.fspath(uri), header)


def root_for(uri: str | os.PathLike, root: str | os.PathLike | None) -> str:
    """A root as a gallery's header stores it.

    Args:
        uri: Of the gallery.
        root: Folder that names are relative to, None for none.

    Returns:
        Relative to a gallery on the disk, so that both can be moved
        together; absolute for one on a server; '' for none.
    """
    if root is None:
        return ''
    if '://' in os.fspath(uri):
        return os.path.abspath(root)
    return os.path.relpath(os.path.abspath(root), os.path.abspath(uri))


def path_beside(uri: str | os.PathLike, ending: str) -> Path:
    """Where something lies that belongs to a gallery.

    >>> from mmps.gallery.opening import path_beside
    >>> [path_beside(uri, '.parts').as_posix()
    ...  for uri in ('galleries/street', 'http://host:19530/street')]
    ['galleries/street.parts', 'host:19530_street.parts']

    Args:
        uri: Of the gallery.
        ending: Appended to its name.

    Returns:
        Beside a gallery on the disk; in the working directory for one on a
        server.
    """
    uri = os.fspath(uri)
    name = uri.rpartition('://')[2].strip('/').replace('/', '_')
    path = Path(name if '://' in uri else uri)
    return path.with_name(path.name + ending)


def gallery_exists(uri: str | os.PathLike) -> bool:
    """Whether there is a gallery, of whatever version."""
    return _engine(uri).exists(os.fspath(uri))


def _engine(uri: str | os.PathLike) -> type[BaseGallery]:
    engine = engine_of(uri)
    module, name = ENGINES[engine]
    try:
        return getattr(import_module(module), name)
    except ImportError as err:
        raise UsageError(
            f'gallery {uri} needs {err.name}: pip install "mmps[{engine}]"'
        ) from err
