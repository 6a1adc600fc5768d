"""Header of a gallery: its settings and where they came from."""

import dataclasses
import math
import time
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

from .errors import GalleryError, GalleryMismatchError

FORMAT = 'mmps-gallery'
VERSION = 1
METRICS = ('cosine', 'ip')
DTYPES = ('float32', 'float16')
_TEXTS = ('metric', 'dtype', 'model', 'model_hash', 'root')
_NUMBERS = ('det_thr', 'threshold', 'created')


@dataclass(frozen=True)
class GalleryHeader:
    """Settings that every engine stores beside the rows.

    Args:
        dim: D of the embeddings.
        metric: 'cosine' scales embeddings and queries to unit length; 'ip'
            takes the inner product of both as they are, for models whose
            embeddings are weighted by their score. Defaults to 'cosine'.
        dtype: Of the stored embeddings. Defaults to 'float32'.
        model: Name of the config the embeddings come from. Defaults to ''.
        model_hash: Hash of the weights; '' fits every model.
        det_thr: Lowest detection score of its rows, None where not fixed.
        root: Folder that the sources of frames are relative to, itself
            relative to the gallery's folder or absolute; '' where sources
            are absolute.
        threshold: Lowest similarity of a match that is accepted; None if
            it was not calibrated.
        created: Seconds since 1970.

    Raises:
        GalleryError: A field is out of range.
    """

    dim: int
    metric: str = 'cosine'
    dtype: str = 'float32'
    model: str = ''
    model_hash: str = ''
    det_thr: float | None = None
    root: str = ''
    threshold: float | None = None
    created: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        for name in _TEXTS:
            value = getattr(self, name)
            if not isinstance(value, str):
                raise GalleryError(f'{name}: expected a text, got {value!r}')
        for name in _NUMBERS:
            value = getattr(self, name)
            missing = value is None and name != 'created'
            if not missing and not _is_number(value):
                raise GalleryError(f'{name}: expected a number, got {value!r}')
        if (
            not isinstance(self.dim, Integral)
            or isinstance(self.dim, bool)
            or not 1 <= self.dim <= 32768
        ):
            raise GalleryError(f'dim: expected 1 to 32768, got {self.dim!r}')
        for name, known in (('metric', METRICS), ('dtype', DTYPES)):
            if getattr(self, name) not in known:
                raise GalleryError(
                    f'{name}: expected one of {known}, got '
                    f'{getattr(self, name)!r}'
                )

    @property
    def normalised(self) -> bool:
        """Whether embeddings are scaled to unit length."""
        return self.metric == 'cosine'

    def to_json(self) -> dict[str, Any]:
        """Plain values, with format and version."""
        return {
            'format': FORMAT,
            'version': VERSION,
            **dataclasses.asdict(self),
        }

    @classmethod
    def from_json(cls, data: Any, where: str) -> 'GalleryHeader':
        """Read what :meth:`to_json` wrote.

        Args:
            data: Parsed JSON; other keys are ignored.
            where: Gallery, for messages.

        Raises:
            GalleryError: No gallery, a newer version, or a broken field.
        """
        if not isinstance(data, dict) or data.get('format') != FORMAT:
            raise GalleryError(f'{where}: is no gallery of mmps')
        if data.get('version') != VERSION:
            raise GalleryError(
                f'{where}: format version {data.get("version")}, this '
                f'package reads {VERSION}'
            )
        known = {
            name: data[name]
            for name in cls.__dataclass_fields__
            if name in data
        }
        try:
            return cls(**known)
        except (TypeError, ValueError) as err:
            raise GalleryError(f'{where}: header: {err}') from err

    def check_fits(self, other: 'GalleryHeader', where: str) -> None:
        """Refuse to mix embeddings that cannot be compared.

        Args:
            other: What is to be added or searched for.
            where: This gallery, for messages.

        Raises:
            GalleryMismatchError: Dimension, metric or model differ.
        """
        for name, mine, theirs in (
            ('dimensions', self.dim, other.dim),
            ('metric', self.metric, other.metric),
        ):
            if mine != theirs:
                raise GalleryMismatchError(
                    f'{where}: {name} {mine}, but the model gives {theirs}'
                )
        hashes = self.model_hash, other.model_hash
        if all(hashes) and hashes[0] != hashes[1]:
            raise GalleryMismatchError(
                f'{where}: built with {self.model or "another model"} '
                f'({hashes[0][:12]}), but this is '
                f'{other.model or "another one"} ({hashes[1][:12]}); build '
                'a gallery of its own'
            )


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, Real)
        and not isinstance(value, bool)
        and abs(value) < 1e300  # Python integers have no limit
        and math.isfinite(value)
    )
