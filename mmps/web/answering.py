"""Answers to the queries of a request."""

from collections.abc import Callable

import numpy as np

from mmps.apis.person_searcher import MIN_BOX_SIDE, Match, SearchResult
from mmps.apis.searching import mean_direction
from mmps.gallery import Filters, GalleryKeyError
from mmps.utils.errors import UsageError

from .errors import ApiError
from .schemas import (
    FrameQuery,
    MatchInfo,
    PersonQuery,
    Query,
    SearchRequest,
    SearchResponse,
    UploadQuery,
)
from .services import Services, frame_info

# Largest difference, in pixels of an edge, of a given box from the detection
# that it stands for.
_SAME_BOX = 0.5
# Pixels by which a box may leave the picture, for rounding.
_BEYOND = 1.0


def answer(services: Services, request: SearchRequest) -> SearchResponse:
    """Search the gallery.

    Args:
        services: Of the server.
        request: Checked in form, not yet in what it refers to.

    Raises:
        ApiError: An id is unknown, or a box is not in its picture.
    """
    embeddings = []
    own: list[str] = []
    for i, query in enumerate(request.queries):
        try:
            embedding, frame = _embedding(services, query)
        except ApiError as err:
            field = f'queries.{i}' + (f'.{err.field}' if err.field else '')
            raise ApiError(
                err.status, err.message, field, err.headers
            ) from err
        if not (np.isfinite(embedding).all() and embedding.any()):
            raise ApiError(422, 'the model sees nothing there', f'queries.{i}')
        embeddings.append(embedding)
        own += frame
    wanted = request.filters
    filters = Filters(
        cameras=wanted.cameras,
        exclude_cameras=wanted.exclude_cameras,
        after=wanted.after,
        before=wanted.before,
        min_score=wanted.min_score,
        exclude_frames=() if request.keep_own else tuple(dict.fromkeys(own)),
    )
    result = _search(services, np.concatenate(embeddings), filters, request)
    return SearchResponse(
        nobody=result.nobody,
        threshold=result.threshold,
        matches=[_match_info(match) for match in result.matches],
    )


def _search(
    services: Services,
    embeddings: np.ndarray,
    filters: Filters,
    request: SearchRequest,
) -> SearchResult:
    try:
        query = mean_direction(embeddings)
    except UsageError:
        raise ApiError(
            422, 'the pictures have nothing in common', 'queries'
        ) from None
    try:
        return services.searcher.search_embeddings(
            query[None],
            k=request.k,
            filters=filters,
            rerank=request.rerank,
            expand=request.expand,
            threshold=request.threshold,
        )
    except GalleryKeyError:
        # Rows were removed after they were found, in every try.
        raise ApiError(503, 'the gallery is changing, try again') from None


def _embedding(
    services: Services, query: Query
) -> tuple[np.ndarray, list[str]]:
    """(1, D) embedding of a query, and the frame it comes from if any."""
    if isinstance(query, PersonQuery):
        rows, frame = services.person(query.person, embeddings=True)
        return rows.embeddings.astype(np.float32), [frame.name]
    if isinstance(query, FrameQuery):
        frame = services.frame(query.frame)
        rows = services.people_in(frame, embeddings=True)
        return _of_box(
            services,
            query.bbox,
            rows.bboxes,
            rows.embeddings,
            lambda: services.pixels(frame),
        ), [frame.name]
    assert isinstance(query, UploadQuery)
    upload = services.uploads.get(query.upload)
    return _of_box(
        services,
        query.bbox,
        upload.people.bboxes,
        upload.people.embeddings,
        lambda: services.decoded(upload.data),
    ), []


def _of_box(
    services: Services,
    bbox: list[float],
    found: np.ndarray,
    embeddings: np.ndarray,
    read: Callable[[], np.ndarray],
) -> np.ndarray:
    """Embedding of a box: that of the found person, else the model's."""
    box = np.array(bbox, np.float64)
    if len(found):
        distances = np.abs(found - box).max(axis=1)
        nearest = distances.argmin()
        if distances[nearest] <= _SAME_BOX:
            return embeddings[nearest][None].astype(np.float32)
    if (box[2:] - box[:2] < MIN_BOX_SIDE).any():
        raise ApiError(
            422,
            f'expected x1 < x2 and y1 < y2, {MIN_BOX_SIDE} pixels apart or '
            'more',
            'bbox',
        )
    image = read()
    height, width = image.shape[:2]
    inside = np.clip(box, 0, [width, height, width, height])
    cut = np.abs(inside - box).max()
    if cut > _BEYOND or (inside[2:] - inside[:2] < MIN_BOX_SIDE).any():
        raise ApiError(
            422, f'expected a box in the picture of {width} x {height}', 'bbox'
        )
    return services.embed(image, inside)


def _match_info(match: Match) -> MatchInfo:
    return MatchInfo(
        id=str(match.id),
        similarity=float(match.similarity),
        score=float(match.score),
        bbox=[float(value) for value in match.bbox],
        track=None if match.track < 0 else int(match.track),
        frame=frame_info(match.frame),
    )
