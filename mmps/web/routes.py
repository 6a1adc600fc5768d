"""The routes of the API."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from mmps.apis.person_searcher import MIN_BOX_SIDE

from .answering import answer
from .images import small_crop, to_jpeg
from .limits import MAX_K, MAX_QUERIES, MAX_SIDE
from .schemas import (
    Detected,
    ErrorBody,
    FrameInfo,
    Info,
    LimitsInfo,
    Person,
    SearchRequest,
    SearchResponse,
    UploadInfo,
)
from .services import Services, frame_info, people_info
from .uploads import receive_picture

MaxSide = Annotated[
    int, Query(ge=16, le=MAX_SIDE, description='of the JPEG, in pixels')
]
GalleryId = Annotated[str, Path(pattern=r'^[0-9]{1,19}$')]
StoredId = Annotated[str, Path(pattern=r'^[A-Za-z0-9_-]{22}$')]

_PICTURE = {'schema': {'type': 'string', 'format': 'binary'}}
_UPLOAD_BODY: dict[str, Any] = {
    'requestBody': {
        'required': True,
        'description': 'a JPEG, PNG or WebP picture; of animations the first '
        'frame; content types are not looked at, the bytes are',
        'content': {
            'image/jpeg': _PICTURE,
            'image/png': _PICTURE,
            'image/webp': _PICTURE,
            'application/octet-stream': _PICTURE,
            'multipart/form-data': {
                'schema': {
                    'type': 'object',
                    'required': ['file'],
                    'properties': {'file': _PICTURE['schema']},
                }
            },
        },
    }
}


class JpegResponse(Response):
    """A picture."""

    media_type = 'image/jpeg'


def api_routes(services: Services) -> APIRouter:
    """All of ``/api``.

    Functions without ``async`` run in threads; nothing here may block the
    event loop.
    """
    api = APIRouter(prefix='/api', responses=_errors(400, 401, 403, 422, 500))
    gallery, limits = services.gallery, services.limits

    @api.get('/info')
    def info() -> Info:
        """Describe the gallery and the server."""
        counts, header = gallery.info(), gallery.header
        return Info(
            rows=counts['rows'],
            frames=counts['frames'],
            cameras=gallery.cameras(),
            model=header.model.replace('\\', '/').rpartition('/')[2],
            metric=header.metric,
            threshold=header.threshold,
            limits=LimitsInfo(
                upload_bytes=limits.upload_bytes,
                upload_pixels=limits.upload_pixels,
                queries=MAX_QUERIES,
                k=MAX_K,
                box_side=MIN_BOX_SIDE,
            ),
        )

    @api.get('/frames')
    def list_frames(
        offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> list[FrameInfo]:
        """List some frames, sorted by their full name."""
        return [frame_info(f) for f in gallery.list_frames(offset, limit)]

    @api.get(
        '/frames/{frame_id}/image',
        response_class=JpegResponse,
        responses=_errors(404, 503),
    )
    def frame_image(
        frame_id: GalleryId, max_side: MaxSide = 1600
    ) -> JpegResponse:
        """Give a frame's picture; its full size is in the headers."""
        image = services.pixels(services.frame(frame_id))
        return _jpeg(image, max_side)

    @api.get('/frames/{frame_id}/people', responses=_errors(404))
    def frame_people(frame_id: GalleryId) -> list[Person]:
        """List the people of a frame."""
        return people_info(services.people_in(services.frame(frame_id)))

    @api.get(
        '/people/{person_id}/crop',
        response_class=JpegResponse,
        responses=_errors(404, 503),
    )
    def person_crop(person_id: GalleryId) -> JpegResponse:
        """Give a small picture of a person."""
        rows, frame = services.person(person_id)
        image = services.pixels(frame)
        return _jpeg(small_crop(image, rows.bboxes[0]))

    @api.post(
        '/uploads',
        status_code=201,
        responses=_errors(408, 413, 415, 503),
        openapi_extra=_UPLOAD_BODY,
    )
    async def upload(request: Request) -> UploadInfo:
        """Take a picture and find the people in it."""
        data = await receive_picture(request, limits.upload_bytes)
        key, kept = await run_in_threadpool(services.add_upload, data)
        people = kept.people
        return UploadInfo(
            id=key,
            width=kept.width,
            height=kept.height,
            people=[
                Detected(bbox=bbox.tolist(), score=float(score))
                for bbox, score in zip(people.bboxes, people.scores)
            ],
        )

    @api.get(
        '/uploads/{upload_id}/image',
        response_class=JpegResponse,
        responses=_errors(404, 503),
    )
    def upload_image(
        upload_id: StoredId, max_side: MaxSide = 1600
    ) -> JpegResponse:
        """Give an uploaded picture, encoded anew."""
        data = services.uploads.get(upload_id).data
        return _jpeg(services.decoded(data), max_side)

    @api.post('/search', responses=_errors(404, 408, 413, 503))
    def search(request: SearchRequest) -> SearchResponse:
        """Search for one person."""
        return answer(services, request)

    return api


def _jpeg(image: Any, max_side: int | None = None) -> JpegResponse:
    height, width = image.shape[:2]
    return JpegResponse(
        to_jpeg(image, max_side),
        headers={
            'X-Full-Width': str(width),
            'X-Full-Height': str(height),
            # A frame may be replaced, so that it is not kept for long.
            'Cache-Control': 'private, max-age=60',
        },
    )


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    # Not as model: FastAPI would say that errors of pictures are pictures.
    content = {'application/json': {'schema': ErrorBody.model_json_schema()}}
    return {
        status: {'description': HTTPStatus(status).phrase, 'content': content}
        for status in statuses
    }
