"""Access control: hosts, origins, the token, sizes of bodies."""

import hmac
import ipaddress
import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mmps.utils.errors import UsageError

from .errors import ApiError, error_response
from .limits import WebLimits

LOOPBACK_HOSTS = ('localhost', '127.0.0.1', '[::1]')
ANY_HOST = '*'
UPLOADS = '/api/uploads'
# Bytes that a form adds to those of a picture.
_FORM_BYTES = 16 * 2**10
_HEADERS = {
    'Content-Security-Policy': (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    # Other sites can neither show pictures nor learn their size.
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
}

logger = logging.getLogger(__name__)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server bound to ``host``."""
    if host.lower() == 'localhost':
        return True
    try:
        return ipaddress.ip_address(host.strip('[]')).is_loopback
    except ValueError:
        return False


def check_bind(host: str, token: str | None) -> None:
    """Refuse to serve others without a token.

    Args:
        host: Address that is bound.
        token: What clients have to know, None for nothing.

    Raises:
        UsageError: ``host`` is not loopback and there is no token, or the
            token cannot stand in a header.
    """
    if token is not None and not _fits_header(token):
        raise UsageError(
            'token: expected printable ASCII characters without spaces'
        )
    if token is None and not is_loopback(host):
        raise UsageError(
            f'{host or "an empty host"} can be reached from other machines: '
            'expected a token, or 127.0.0.1 as host'
        )


class Guard:
    """Middleware in front of everything else.

    It checks host, origin and token, limits bodies, adds headers, and turns
    uncaught exceptions into an error without details.

    Args:
        app: What it guards.
        token: Needed for all but ``public``; None for no token.
        hosts: Host names that are answered, without port; '*' for all.
        public: Paths that need no token.
        limits: Of bodies.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str | None,
        hosts: Sequence[str],
        public: Sequence[str],
        limits: WebLimits,
    ) -> None:
        self.app = app
        self.token = token
        self.hosts = frozenset(host.lower() for host in hosts)
        self.public = frozenset(public)
        self.limits = limits

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer one request."""
        if scope['type'] != 'http':
            await self.app(scope, receive, send)
            return
        started = False

        async def send_on(message: Message) -> None:
            nonlocal started
            if message['type'] == 'http.response.start':
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault('Cache-Control', 'no-store')
            await send(message)

        try:
            bounded = self._checked(scope, receive)
            await self.app(scope, bounded, send_on)
        except ApiError as err:
            await error_response(err)(scope, receive, send_on)
        except Exception:
            logger.exception('%s %s', scope['method'], scope['path'])
            if started:
                raise
            error = ApiError(500, 'internal error')
            await error_response(error)(scope, receive, send_on)

    def _checked(self, scope: Scope, receive: Receive) -> Receive:
        """Refuse a request, or return what reads its body."""
        headers = Headers(scope=scope)
        hosts = headers.getlist('host')
        if len(hosts) != 1 or not self._known(hosts[0]):
            raise ApiError(400, 'unknown host', 'Host')
        if scope['path'] not in self.public:
            _check_origin(scope['method'], headers, hosts[0])
            self._check_token(headers)
        limit = self.limits.json_bytes
        if scope['path'] == UPLOADS:
            limit = self.limits.upload_bytes + _FORM_BYTES
        length = headers.get('content-length', '0')
        # Cut, as Python refuses to parse numbers of thousands of digits.
        if length.isascii() and length.isdigit() and int(length[:18]) > limit:
            raise _too_large(limit)
        return _Body(receive, limit, self.limits.body_seconds)

    def _known(self, host: str) -> bool:
        name, colon, port = host.lower().rpartition(':')
        if not colon or host.endswith(']'):
            name = host.lower()
        elif not (port.isascii() and port.isdigit()):
            return False
        return ANY_HOST in self.hosts or name in self.hosts

    def _check_token(self, headers: Headers) -> None:
        if self.token is None:
            return
        scheme, _, given = headers.get('authorization', '').partition(' ')
        right = hmac.compare_digest(
            given.strip().encode(), self.token.encode()
        )
        if scheme.lower() != 'bearer' or not right:
            raise ApiError(
                401,
                'expected the token of this server',
                'Authorization',
                {'WWW-Authenticate': 'Bearer'},
            )


class _Body:
    """``receive`` of a request, bounded in bytes and time."""

    def __init__(self, receive: Receive, limit: int, seconds: float) -> None:
        self._receive = receive
        self._limit = limit
        self._left = limit
        self._deadline = anyio.current_time() + seconds
        self._more = True

    async def __call__(self) -> Message:
        if not self._more:  # what comes now is the end of the connection
            return await self._receive()
        try:
            with anyio.fail_after(self._deadline - anyio.current_time()):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, 'the body took too long') from None
        self._more = bool(message.get('more_body'))
        self._left -= len(message.get('body', b''))
        if self._left < 0:
            # FastAPI hides other errors while it reads a body.
            raise HTTPException(413, str(_too_large(self._limit)))
        return message


def _check_origin(method: str, headers: Headers, host: str) -> None:
    """Refuse requests that another site makes a browser send."""
    site = headers.get('sec-fetch-site', 'none')
    origin = headers.get('origin')
    try:
        own = origin is None or urlsplit(origin).netloc == host
    except ValueError:
        own = False
    if site not in ('same-origin', 'none') or (method != 'GET' and not own):
        raise ApiError(403, 'refused from another site', 'Origin')


def _too_large(limit: int) -> ApiError:
    return ApiError(413, f'the body is larger than {limit} bytes')


def _fits_header(token: str) -> bool:
    return bool(token) and all('!' <= char <= '~' for char in token)
