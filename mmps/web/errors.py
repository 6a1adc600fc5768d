"""Errors of the API: one JSON form, without details of the server."""

import json
from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

_MAX_FIELD = 100


class ApiError(Exception):
    """A request that cannot be answered.

    Args:
        status: Of HTTP.
        message: For the client.
        field: Of the request that is wrong. Defaults to None.
        headers: Of the response. Defaults to None.
    """

    def __init__(
        self,
        status: int,
        message: str,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field
        self.headers = headers


def error_response(err: ApiError) -> Response:
    """The response for an error."""
    body: dict[str, str] = {'error': err.message}
    if err.field is not None:
        body['field'] = err.field
    # Escaped, as a client's field name may hold what UTF-8 cannot.
    return Response(
        json.dumps(body, ensure_ascii=True),
        status_code=err.status,
        headers=dict(err.headers or {}),
        media_type='application/json',
    )


def install_handlers(app: FastAPI) -> None:
    """Give all errors of an app that form."""

    @app.exception_handler(ApiError)
    def on_api_error(_: Request, err: ApiError) -> Response:
        return error_response(err)

    @app.exception_handler(HTTPException)
    def on_http_error(_: Request, err: HTTPException) -> Response:
        message = str(err.detail).lower()
        return error_response(
            ApiError(err.status_code, message, headers=err.headers)
        )

    @app.exception_handler(RequestValidationError)
    def on_invalid(_: Request, err: RequestValidationError) -> Response:
        return error_response(_first_fault(err))


def _first_fault(err: RequestValidationError) -> ApiError:
    # Only message and place: the rest repeats what the client sent.
    fault = err.errors()[0]
    parts = [
        str(part)
        for part in fault['loc'][1:]
        # Tags of unions are no names of fields.
        if not str(part).startswith('{')
    ]
    if fault['type'] == 'json_invalid':
        return ApiError(422, 'body: not JSON')
    field = '.'.join(parts)[:_MAX_FIELD] or str(fault['loc'][0])
    message = str(fault['msg']).removeprefix('Value error, ')
    return ApiError(422, message[:1].lower() + message[1:], field)
