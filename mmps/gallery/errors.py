"""Errors of galleries; command-line tools show them without a traceback."""

from mmps.utils.errors import UsageError


class GalleryError(UsageError, ValueError):
    """A gallery cannot be read or does not take what it is given."""


class GalleryNotFoundError(GalleryError, FileNotFoundError):
    """There is no gallery where one was looked for."""


class GalleryExistsError(GalleryError, FileExistsError):
    """There is something where a gallery should be created."""


class GalleryKeyError(GalleryError, KeyError):
    """There is no such row or frame."""

    __str__ = Exception.__str__  # a KeyError's would be in quotes


class GalleryMismatchError(GalleryError):
    """Model, dimension or metric are not those the gallery was built with."""


class GalleryLockedError(GalleryError):
    """Another process has the gallery open for writing."""
