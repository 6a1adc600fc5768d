"""The web page and HTTP API of a gallery; needs the extra ``mmps[web]``."""

from .app import create_app, run_server
from .limits import WebLimits
from .security import LOOPBACK_HOSTS, check_bind, is_loopback

__all__ = [
    'LOOPBACK_HOSTS',
    'WebLimits',
    'check_bind',
    'create_app',
    'is_loopback',
    'run_server',
]
