"""Galleries: people found in frames, to be searched by embedding."""

from .base import BaseGallery
from .errors import (
    GalleryError,
    GalleryExistsError,
    GalleryKeyError,
    GalleryLockedError,
    GalleryMismatchError,
    GalleryNotFoundError,
)
from .header import GalleryHeader
from .opening import (
    create_gallery,
    engine_of,
    gallery_exists,
    open_gallery,
    root_for,
)
from .records import Filters, Frame, GalleryRows, Matches, stable_id

__all__ = [
    'BaseGallery',
    'Filters',
    'Frame',
    'GalleryError',
    'GalleryExistsError',
    'GalleryHeader',
    'GalleryKeyError',
    'GalleryLockedError',
    'GalleryMismatchError',
    'GalleryNotFoundError',
    'GalleryRows',
    'Matches',
    'create_gallery',
    'engine_of',
    'gallery_exists',
    'open_gallery',
    'root_for',
    'stable_id',
]
