"""Answers and errors as JSON."""

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


class Said(BaseModel):
    """kind: of the error; message: one sentence, with what to do."""

    kind: str
    message: str


class Failure(BaseModel):
    """What comes in place of an answer."""

    error: Said


FAILURES: dict[int | str, dict[str, Any]] = {
    "default": {"model": Failure, "description": "refused, or cannot be answered; 429 may be asked again"},
    422: {"model": Failure, "description": "not as described, or not to be read"},
}


def matched(match: Match) -> dict[str, Any]:
    """A match, with where its picture is."""
    asked = urlencode({"row": match.row, "base": match.base})
    where = f"/v1/pictures/{quote(match.sku, safe='')}?{asked}"
    return match.to_dict() | {"row": match.row, "base": match.base, "picture": where}


def answered(answer: Answer) -> dict[str, Any]:
    """An answer."""
    return answer.to_dict() | {"matches": [matched(match) for match in answer.matches]}


def failed(status: int, kind: str, message: str, retry_s: float = 0.0) -> JSONResponse:
    """An error; retry_s: when it may be asked again, 0 for not as it is."""
    headers = {"Retry-After": str(max(1, round(retry_s)))} if retry_s else None
    return JSONResponse({"error": {"kind": kind, "message": message}}, status, headers)


async def refused(_: Request, error: Exception) -> JSONResponse:
    """What this package raises on purpose."""
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    wait_s = error.wait_s if isinstance(error, RefusedError) else float(isinstance(error, BusyError))
    return failed(status, type(error).__name__, str(error), wait_s)


async def strange(_: Request, error: Exception) -> JSONResponse:
    """A request that is not as the paths say."""
    if isinstance(error, HTTPException):
        answer = failed(error.status_code, "BadRequest", f"{error.detail}; see /v1/docs.")
        answer.headers.update(error.headers or {})  # which methods there are, for instance
        return answer
    assert isinstance(error, RequestValidationError)
    said = [f"{'.'.join(map(str, one['loc'][1:])) or one['loc'][0]}: {one['msg']}" for one in error.errors()[:3]]
    return failed(422, "BadRequest", f"{'; '.join(said)}; see /v1/docs.")
