"""Galleries: people found in frames, to be searched by embedding."""

from .base import BaseGallery
from .errors import GalleryError, GalleryLockedError, GalleryMismatchError
from .header import GalleryHeader
from .opening import create_gallery, engine_of, gallery_exists, open_gallery
from .records import Filters, Frame, GalleryRows, Matches, stable_id

__all__ = [
    'BaseGallery',
    'Filters',
    'Frame',
    'GalleryError',
    'GalleryHeader',
    'GalleryLockedError',
    'GalleryMismatchError',
    'GalleryRows',
    'Matches',
    'create_gallery',
    'engine_of',
    'gallery_exists',
    'open_gallery',
    'stable_id',
]
