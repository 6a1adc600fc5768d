"""Connections to Milvus: to a server, or to milvus-lite in this process."""

import contextlib
import fcntl
import logging
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
from pymilvus import MilvusClient, MilvusException

from mmps.utils.errors import UsageError

from .errors import GalleryError, GalleryLockedError

TOKEN = 'MMPS_MILVUS_TOKEN'
DEFAULT_NAME = 'mmps'
# Milvus itself takes names of up to 255 bytes.
_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_]{0,199}')
_LOOPBACK = ('127.0.0.1', 'localhost')
# Seconds. A missing server is noticed sooner than one that hangs.
_CONNECT_TIMEOUT = 5
_CALL_TIMEOUT = 60
_LOAD_TIMEOUT = 600
_NOT_CONNECTED, _NOT_LOADED = 2, 101  # codes of MilvusException

# They print every refused call with its traceback; it is raised anyway.
for _name in (
    'pymilvus',
    'pymilvus.milvus_client',
    'milvus_lite.server_manager',
    'milvus_lite.adapter',
):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


def parse_uri(uri: str) -> tuple[str, str]:
    """Split a gallery's URI.

    Args:
        uri: ``http(s)://HOST[:PORT][/NAME]`` or the path of a ``*.db``.

    Returns:
        Address of the server or real path of the folder, and the name that
        the collections start with. Defaults to 'mmps'.

    Raises:
        GalleryError: There is a password in it, or a name or port that
            Milvus cannot have.
    """
    if '://' not in uri:
        return os.path.realpath(uri), DEFAULT_NAME
    parts = urlsplit(uri)
    if '@' in parts.netloc:
        raise GalleryError(
            f'{parts.scheme}://{parts.hostname}: give the token or '
            f'USER:PASSWORD in the environment variable {TOKEN} only'
        )
    try:
        fits = bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.query or parts.fragment:
        raise GalleryError(f'{uri}: expected http(s)://HOST:PORT/NAME')
    name = parts.path.strip('/') or DEFAULT_NAME
    if not _NAME.fullmatch(name):
        raise GalleryError(
            f'{uri}: name {name!r}: expected letters, digits and _, at most '
            '200, and no digit first'
        )
    return f'{parts.scheme}://{parts.netloc}', name


class Link:
    """A client, closed for good by :meth:`close`.

    milvus-lite is not safe for several writing threads: rows that they wrote
    at once are lost after a crash. While it flushes, searches miss rows. So
    the users of a folder in this process share a lock, and the writers of a
    ``milvus-lite server`` take turns by a lock file on this machine.

    Args:
        uri: See :func:`parse_uri`.

    Raises:
        GalleryError: No server answers, or the folder is broken.
        GalleryLockedError: Another process has the folder open.
        UsageError: milvus-lite is not installed.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._secret = os.environ.get(TOKEN, '')
        self._lite: _Lite | None = None
        self._client: MilvusClient | None = None
        self._guard: Path | None = None
        self._lock = threading.RLock()
        self.address, self.name = parse_uri(uri)
        self.local = '://' not in self.address
        self.lite = self.local
        try:
            self._connect()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> None:
        url, token = self.address, self._secret
        if self.local:
            self._lite = _Lite.acquire(self.address)
            self._lock = self._lite.lock
            url, token = self._lite.url, ''
        # Otherwise a restarted server is not found again for seconds.
        options = {'grpc.use_local_subchannel_pool': 1}
        if urlsplit(url).hostname in _LOOPBACK:
            # Otherwise gRPC asks the proxy of $http_proxy for this machine.
            options['grpc.enable_http_proxy'] = 0
        try:
            # Without `dedicated` close() keeps the connection.
            self._client = MilvusClient(
                url,
                token=token,
                timeout=_CONNECT_TIMEOUT,
                dedicated=True,
                grpc_options=options,
            )
        except (MilvusException, grpc.RpcError) as err:
            raise GalleryError(self._message(err)) from err
        version = self.call('get_server_version')
        self.lite = str(version).startswith('milvus_lite')
        if self.lite and not self.local:
            port = urlsplit(url).port
            name = f'mmps-milvus-lite-{os.getuid()}-{port}.lock'
            self._guard = Path(tempfile.gettempdir(), name)

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the client.

        Args:
            method: Its name.
            args: Its arguments, the collection first.
            kwargs: Its keyword arguments. ``timeout`` defaults to 60 s, of
                milvus-lite to 600 s.

        Raises:
            GalleryError: Whatever went wrong, in one line.
        """
        client = self._client
        if client is None:
            raise GalleryError(f'{self.uri}: is closed')
        # milvus-lite goes through all rows in Python.
        timeout = _LOAD_TIMEOUT if self.lite else _CALL_TIMEOUT
        kwargs.setdefault('timeout', timeout)
        try:
            try:
                return getattr(client, method)(*args, **kwargs)
            except MilvusException as err:
                if err.code != _NOT_LOADED or method == 'load_collection':
                    raise
                # A milvus-lite server forgets it when it is started again.
                client.load_collection(args[0], timeout=_LOAD_TIMEOUT)
                return getattr(client, method)(*args, **kwargs)
        except (MilvusException, grpc.RpcError) as err:
            raise GalleryError(self._message(err)) from err

    def load(self, collection: str) -> None:
        """Make a collection ready to be searched."""
        self.call('load_collection', collection, timeout=_LOAD_TIMEOUT)

    def query_all(
        self, collection: str, where: str, fields: list[str], page: int
    ) -> list[dict]:
        """All rows that pass a filter, whatever their number.

        Args:
            collection: Its name.
            where: Filter.
            fields: To fetch.
            page: Most rows that one answer has room for.
        """
        # milvus-lite goes through all rows for each page, and has no limit.
        limit = {} if self.lite else {'limit': page}
        rows = self.call(
            'query', collection, where, output_fields=fields, **limit
        )
        if self.lite or len(rows) < page:
            return list(rows)
        rows = []
        pages = self.call(
            'query_iterator',
            collection,
            batch_size=page,
            filter=where,
            output_fields=fields,
        )
        try:
            while found := pages.next():
                rows += found
        except (MilvusException, grpc.RpcError) as err:
            raise GalleryError(self._message(err)) from err
        finally:
            pages.close()
        return rows

    def reading(self) -> contextlib.AbstractContextManager:
        """Keeps writers of this process out where Milvus needs it."""
        return self._lock if self.local else contextlib.nullcontext()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Keeps others out where Milvus needs it; not to be nested."""
        with self._lock, contextlib.ExitStack() as stack:
            if self._guard is not None:
                file = stack.enter_context(self._guard.open('a'))
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def close(self) -> None:
        """Disconnect; the last one of a folder frees it for others."""
        client, self._client = self._client, None
        if client is not None:
            client.close()
        lite, self._lite = self._lite, None
        if lite is not None:
            lite.release()

    def _message(self, err: Exception) -> str:
        if isinstance(err, MilvusException):
            text = err.message
            if err.code == _NOT_CONNECTED:
                text = 'no Milvus server answers there'
        else:
            text = f'{err.code().name}: {err.details()}'
        text = ' '.join(str(text).split())[:500]
        for secret in (self._secret, self._secret.partition(':')[2]):
            if secret:
                text = text.replace(secret, '***')
        return f'{self.uri}: {text}'


class _Lite:
    """A folder of milvus-lite, shared by those in this process."""

    _open: dict[str, '_Lite'] = {}
    _changing = threading.Lock()

    def __init__(self, path: str) -> None:
        self.path = path
        self.lock = threading.RLock()
        self.users = 0
        self.url = _start_lite(path)

    @classmethod
    def acquire(cls, path: str) -> '_Lite':
        with cls._changing:
            lite = cls._open.get(path)
            if lite is None:
                lite = cls._open[path] = cls(path)
            lite.users += 1
            return lite

    def release(self) -> None:
        with self._changing:
            self.users -= 1
            if not self.users:
                del self._open[self.path]
                # The client's close() does not do it.
                _lite_servers().release_server(self.path)


def _start_lite(path: str) -> str:
    url = _lite_servers().start_and_get_uri(path)
    if url is not None:
        return url
    # milvus-lite gives the reason in its log only.
    with contextlib.suppress(FileNotFoundError), open(f'{path}/LOCK') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GalleryLockedError(
                f'{path}: another process has it open, and milvus-lite '
                'allows one only, even to read; close it there, or let all '
                'use one server: milvus-lite server --host 127.0.0.1 '
                f'--data-dir {path}'
            ) from None
    raise GalleryError(f'{path}: milvus-lite cannot open it')


def _lite_servers() -> Any:
    try:
        from milvus_lite.server_manager import server_manager_instance
    except ImportError as err:
        raise UsageError(
            f'*.db galleries need {err.name}: pip install "mmps[milvus]"'
        ) from err
    return server_manager_instance
