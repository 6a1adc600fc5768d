"""The server: page and API behind access control."""

from collections.abc import Sequence
from importlib.resources import files

import uvicorn
from fastapi import Depends, FastAPI, Response
from fastapi.security import HTTPBearer

from mmps import __version__
from mmps.apis.person_searcher import PersonSearcher
from mmps.gallery import BaseGallery
from mmps.utils.errors import UsageError

from .errors import install_handlers
from .limits import WebLimits
from .routes import api_routes
from .security import ANY_HOST, LOOPBACK_HOSTS, Guard, check_bind, is_loopback
from .services import Services

# The files of the folder that are served; no path of a client is opened.
_SCRIPTS = ('app.js', 'common.js', 'filters.js', 'picture.js', 'results.js')
_PAGE = {
    '/': ('index.html', 'text/html'),
    '/static/style.css': ('style.css', 'text/css'),
    '/static/icon.svg': ('icon.svg', 'image/svg+xml'),
    **{f'/static/{name}': (name, 'text/javascript') for name in _SCRIPTS},
}


def create_app(
    searcher: PersonSearcher,
    gallery: BaseGallery,
    token: str | None = None,
    allowed_hosts: Sequence[str] | None = None,
    limits: WebLimits | None = None,
) -> FastAPI:
    """Make the application that serves a gallery.

    Args:
        searcher: Searches ``gallery``.
        gallery: Its engine may be used by several threads.
        token: What ``Authorization: Bearer`` has to hold; the page asks for
            it. Defaults to None, for loopback only.
        allowed_hosts: Names without ports that requests may be addressed
            to, so that no other site reaches the server through a name of
            its own. '*' stands for all and needs a token. Defaults to None,
            those of loopback.
        limits: Bounds. Defaults to None, those of :class:`WebLimits`.

    Returns:
        An ASGI application.

    Raises:
        UsageError: All hosts are allowed and there is no token, or the
            token cannot stand in a header.
    """
    hosts = LOOPBACK_HOSTS if allowed_hosts is None else allowed_hosts
    check_bind('localhost', token)
    if ANY_HOST in hosts and token is None:
        raise UsageError(f'allowed_hosts {ANY_HOST}: expected a token')
    limits = limits or WebLimits()
    app = FastAPI(
        title='mmps search',
        version=__version__,
        description='Search a gallery for people.',
        openapi_url='/api/openapi.json',
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    install_handlers(app)
    secured = [Depends(HTTPBearer(auto_error=False))] if token else []
    services = Services(searcher, gallery, limits)
    app.include_router(api_routes(services), dependencies=secured)
    for path, (name, kind) in _PAGE.items():
        _add_page(app, path, name, kind)
    app.add_middleware(
        Guard, token=token, hosts=hosts, public=tuple(_PAGE), limits=limits
    )
    return app


def run_server(
    searcher: PersonSearcher,
    gallery: BaseGallery,
    host: str = '127.0.0.1',
    port: int = 8008,
    token: str | None = None,
    limits: WebLimits | None = None,
) -> None:
    """Serve a gallery until interrupted.

    Args:
        searcher: Searches ``gallery``.
        gallery: What is served.
        host: Address to bind. Defaults to this machine only.
        port: Defaults to 8008.
        token: See :func:`create_app`; needed where others reach ``host``.
        limits: Bounds. Defaults to None, those of :class:`WebLimits`.

    Raises:
        UsageError: Others reach the host and there is no token, or the port
            is none.
    """
    check_bind(host, token)
    if not 0 < port < 2**16:
        raise UsageError(f'port: expected 1 to 65535, got {port}')
    limits = limits or WebLimits()
    hosts = (*LOOPBACK_HOSTS, host) if is_loopback(host) else (ANY_HOST,)
    uvicorn.run(
        create_app(searcher, gallery, token, hosts, limits),
        host=host.strip('[]'),
        port=port,
        limit_concurrency=limits.connections,
        timeout_graceful_shutdown=5,
        proxy_headers=False,
        server_header=False,
        ws='none',
    )


def _add_page(app: FastAPI, path: str, name: str, kind: str) -> None:
    content = (files(__package__) / 'static' / name).read_bytes()

    @app.get(path, include_in_schema=False)
    def page() -> Response:
        headers = {'Cache-Control': 'no-cache'}
        return Response(content, media_type=kind, headers=headers)
