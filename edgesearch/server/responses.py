"""Turn answers and errors into JSON."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from ..answer import Answer, Match
from ..errors import (
    BundleError,
    BusyError,
    CatalogError,
    CountError,
    DeviceError,
    EdgeSearchError,
    ImageError,
    QueryError,
    SignatureError,
)
from .count_registry import MissingError
from .request_body import BodyError
from .sessions import RefusedError

_STATUS: Mapping[type[EdgeSearchError], int] = {
    MissingError: 404,
    BusyError: 429,
    RefusedError: 403,
    SignatureError: 403,
    CountError: 409,
    DeviceError: 409,
    ImageError: 422,
    CatalogError: 422,
    QueryError: 422,
    BundleError: 422,
}


class ErrorDetail(BaseModel):
    """An error.

    Attributes:
        kind: The class of the error.
        message: One sentence that says what to do.
    """

    kind: str
    message: str


class Failure(BaseModel):
    """The body of a response that reports an error."""

    error: ErrorDetail


FAILURES: dict[int | str, dict[str, Any]] = {
    "default": {"model": Failure, "description": "the request was refused or failed; retry after a 429"},
    422: {"model": Failure, "description": "the request or its photo is invalid"},
}


def format_match(match: Match) -> dict[str, Any]:
    """Return a match as JSON, with the path of its product's first picture."""
    return match.to_dict() | _picture_of(match)


def picture_path(match: Match) -> str:
    """Return the path of the picture that a match names."""
    return _picture_path(match.sku, {} if match.row is None else {"row": match.row, "base": match.base})


def format_answer(answer: Answer) -> dict[str, Any]:
    """Return an answer as JSON."""
    table = answer.to_dict()
    pairs = zip(table["matches"], answer.matches, strict=True)
    return table | {"matches": [entry | _picture_of(match) for entry, match in pairs]}


def _picture_of(match: Match) -> dict[str, Any]:
    is_stored = match.row is not None and match.row >= 0
    picture = _picture_path(match.sku, {"base": match.base} if is_stored else {})
    return {"row": match.row, "base": match.base, "picture": picture}


def _picture_path(sku: str, query: Mapping[str, object]) -> str:
    return f"/v1/pictures/{quote(sku, safe='')}{'?' * bool(query)}{urlencode(query)}"


def error_response(status: int, kind: str, message: str, retry_s: float = 0.0) -> JSONResponse:
    """Return an error as a response.

    Args:
        status: HTTP status.
        kind: The class of the error.
        message: One sentence that says what to do.
        retry_s: Seconds until the same request may succeed, 0 if it never will.
    """
    headers = {"Retry-After": str(max(1, round(retry_s)))} if retry_s else None
    return JSONResponse({"error": {"kind": kind, "message": message}}, status, headers)


async def handle_body_error(_: Request, error: Exception) -> JSONResponse:
    """Return the response for a body that is not received."""
    assert isinstance(error, BodyError)
    return error_response(error.status_code, error.kind, error.detail, float(error.status_code == 429))


async def handle_known_error(request: Request, error: Exception) -> JSONResponse:
    """Return the response for an error that this package raised on purpose; it names no folders of this machine."""
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    wait_s = error.wait_s if isinstance(error, RefusedError) else float(isinstance(error, BusyError))
    message = str(error)
    for folder in request.app.state.server_state.folders:
        message = message.replace(folder, "")
    return error_response(status, type(error).__name__, message, wait_s)


async def handle_bad_request(_: Request, error: Exception) -> JSONResponse:
    """Return the response for an unknown path, a wrong method or invalid parameters."""
    if isinstance(error, HTTPException):
        response = error_response(error.status_code, "BadRequest", f"{error.detail}; see /v1/docs.")
        response.headers.update(error.headers or {})  # for instance Allow, which lists the methods
        return response
    assert isinstance(error, RequestValidationError)
    problems = map(_describe_problem, error.errors()[:3])
    return error_response(422, "BadRequest", f"{'; '.join(problems)}; see /v1/docs.")


def _describe_problem(problem: Mapping[str, Any]) -> str:
    where, *inside = problem["loc"]
    if problem["type"] == "json_invalid":
        return f"the body: not JSON from character {inside[0]} on ({problem['ctx']['error']})"
    return f"{'.'.join(map(str, inside)) or where}: {problem['msg']}"
