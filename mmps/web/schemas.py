"""Request and response types of the API; ids are strings of decimal digits.

JavaScript rounds numbers of 63 bits.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

from .limits import MAX_K, MAX_QUERIES

RowId = Annotated[str, StringConstraints(pattern=r'^[0-9]{1,19}$')]
UploadId = Annotated[str, StringConstraints(pattern=r'^[A-Za-z0-9_-]{22}$')]
Number = Annotated[float, Field(allow_inf_nan=False)]
Coordinate = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Box = Annotated[
    list[Coordinate],
    Field(min_length=4, max_length=4, description='x1, y1, x2, y2 in pixels'),
]
Camera = Annotated[str, StringConstraints(max_length=4096)]
Cameras = Annotated[list[Camera], Field(max_length=1000)]


class ErrorBody(BaseModel):
    """Any error."""

    error: str
    field: str | None = Field(None, description='of the request')


class FrameInfo(BaseModel):
    """A frame of the gallery."""

    id: RowId
    name: str = Field(description='for display; not unique')
    camera: str = Field(description="'' where it is not known")
    time: float | None = Field(
        description='seconds, from the start of a video or since 1970'
    )
    width: int = Field(description='0 where it is not known')
    height: int


class Detected(BaseModel):
    """A person found in an uploaded picture."""

    bbox: Box
    score: float


class Person(Detected):
    """A person of the gallery."""

    id: RowId
    track: int | None = Field(description='number of the track in its video')


class MatchInfo(Person):
    """An answer."""

    similarity: float
    frame: FrameInfo


class UploadInfo(BaseModel):
    """An uploaded picture; it is kept for a while."""

    id: UploadId
    width: int = Field(description='after EXIF orientation')
    height: int
    people: list[Detected]


class LimitsInfo(BaseModel):
    """What the server accepts."""

    upload_bytes: int
    upload_pixels: int
    queries: int
    k: int
    box_side: int = Field(description='least side of a box, in pixels')


class Info(BaseModel):
    """The gallery and the model behind it."""

    rows: int
    frames: int
    cameras: list[str]
    model: str
    metric: Literal['cosine', 'ip']
    threshold: float | None = Field(
        description='lowest similarity of a match that is accepted'
    )
    limits: LimitsInfo


class _Strict(BaseModel):
    # Neither unknown fields nor '1' for 1.
    model_config = ConfigDict(extra='forbid', strict=True)


class UploadQuery(_Strict):
    """A box of an uploaded picture."""

    upload: UploadId
    bbox: Box


class FrameQuery(_Strict):
    """A box of a frame of the gallery, whether or not it was found there."""

    frame: RowId
    bbox: Box


class PersonQuery(_Strict):
    """A person of the gallery."""

    person: RowId


def _kind(value: Any) -> str | None:
    """Which query it is; tags begin with a brace, see errors.py."""
    if isinstance(value, dict):
        for key in ('upload', 'frame', 'person'):
            if key in value:
                return f'{{{key}}}'
    return None


Query = Annotated[
    Annotated[UploadQuery, Tag('{upload}')]
    | Annotated[FrameQuery, Tag('{frame}')]
    | Annotated[PersonQuery, Tag('{person}')],
    Discriminator(
        _kind,
        custom_error_type='query_kind',
        custom_error_message='expected upload and bbox, frame and bbox, or '
        'person',
    ),
]


class SearchFilters(_Strict):
    """Which people to look at; all by default."""

    cameras: Cameras | None = Field(None, description='only these')
    exclude_cameras: Cameras = []
    after: Number | None = Field(None, description='at or after, seconds')
    before: Number | None = Field(None, description='seconds')
    min_score: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description='of detection'
    )

    @model_validator(mode='after')
    def _check_times(self) -> 'SearchFilters':
        if None not in (self.after, self.before) and not (
            self.after < self.before
        ):
            raise ValueError('expected after to be less than before')
        return self


class SearchRequest(_Strict):
    """A search for one person."""

    queries: Annotated[
        list[Query], Field(min_length=1, max_length=MAX_QUERIES)
    ] = Field(description='pictures of one person')
    k: Annotated[int, Field(ge=1, le=MAX_K)] = 20
    filters: SearchFilters = SearchFilters()
    rerank: bool = False
    expand: Annotated[int, Field(ge=0, le=100)] = Field(
        0, description='answers that are added to the query, 0 for none'
    )
    threshold: Number | None = Field(
        None, description="least similarity; null for the gallery's own"
    )
    keep_own: bool = Field(
        False,
        description='whether people of the frames that the queries come from '
        'may be among the answers',
    )


class SearchResponse(BaseModel):
    """Answers, best first."""

    nobody: bool = Field(description='the person is not in the gallery')
    threshold: float | None
    matches: list[MatchInfo]
