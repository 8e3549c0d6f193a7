"""Read the caller, the photos and the fields of a request."""

from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ..errors import EdgeSearchError, ImageError
from ..store.store import MAX_TOGETHER
from .access import Role
from .middleware import BODY
from .request_body import MAX_BODY_BYTES
from .sessions import RefusedError, Visitor
from .state import ServerState

COOKIE = "edgesearch"
PHOTO = "photo"  # name of a form's photo parts
K = 5
MAX_MATCHES = 50


class BadRequestError(EdgeSearchError):
    """A request does not have the form that its path expects."""


class UnauthorizedError(RefusedError):
    """The caller is unknown, or lacks the role that the path requires."""


def get_state(request: Request) -> ServerState:
    """Return what all requests share."""
    state: ServerState = request.app.state.server_state
    return state


State = Annotated[ServerState, Depends(get_state)]


def identify_visitor(request: Request, state: State) -> Visitor:
    """Return the caller; raise UnauthorizedError if unknown callers have no rights here."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    visitor = state.sessions.identify(request.cookies.get(COOKIE), token.strip() if kind.lower() == "bearer" else None)
    if visitor is None:
        raise UnauthorizedError("the caller is unknown; log in with a PIN, or send `Authorization: Bearer TOKEN`.")
    return visitor


def _at_least(role: Role) -> Any:
    def check_role(visitor: Annotated[Visitor, Depends(identify_visitor)]) -> Visitor:
        if visitor.role < role:
            raise UnauthorizedError(f"the role {visitor.role} does not allow this; log in as {role}.")
        return visitor

    return Depends(check_role)


Customer = Annotated[Visitor, _at_least(Role.CUSTOMER)]
Staff = Annotated[Visitor, _at_least(Role.STAFF)]
Manager = Annotated[Visitor, _at_least(Role.MANAGER)]


async def photos(request: Request, most: int = MAX_TOGETHER) -> list[bytes]:
    """Return the photos of a request: its body, or its form's photo parts.

    Raises:
        ImageError: There is no photo, or more than `most`.
        BadRequestError: The form is malformed.
    """
    if _is_form(request):
        return (await form(request, most))[0]
    request.scope[BODY].allow_photos()
    content = await request.body()
    if not content:
        raise ImageError(f"the request: no photo; send one as the body, or as form parts called `{PHOTO}`.")
    return [content]


async def form(request: Request, most: int) -> tuple[list[bytes], dict[str, str]]:
    """Return the photos and the other fields of a form; raise as `photos` does."""
    if not _is_form(request):
        raise BadRequestError("the request: not a form; send multipart/form-data.")
    parsed = await _parse_form(request)
    try:
        return await _split_form(parsed, most)
    finally:
        await parsed.close()


async def _split_form(parsed: FormData, most: int) -> tuple[list[bytes], dict[str, str]]:
    files = [part for name, part in parsed.multi_items() if name == PHOTO and isinstance(part, UploadFile)]
    unexpected = [name for name, part in parsed.multi_items() if (name == PHOTO) != isinstance(part, UploadFile)]
    if unexpected:
        raise BadRequestError(
            f"the request: the part {unexpected[0]!r} is of the wrong kind; "
            f"send photos as files called `{PHOTO}`, and everything else as text."
        )
    if not 1 <= len(files) <= most:
        raise ImageError(f"the request: {len(files)} photos; expected 1 to {most}, as files called `{PHOTO}`.")
    return [await file.read() for file in files], {name: str(part) for name, part in parsed.items() if name != PHOTO}


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/form-data")


class _Parser(MultiPartParser):
    """A parser that keeps photos in memory, so that no customer's photo reaches a disk."""

    spool_max_size = MAX_BODY_BYTES


async def _parse_form(request: Request) -> FormData:
    request.scope[BODY].allow_photos()
    try:
        return await _Parser(request.headers, request.stream(), max_files=MAX_TOGETHER + 1).parse()
    except MultiPartException as error:
        raise BadRequestError(f"the request: the form is malformed ({error.message}); send it again.") from error
