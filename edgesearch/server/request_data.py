"""What a request brings: who asks, photos, fields."""

from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ..errors import EdgeSearchError, ImageError
from ..store.store import MOST_TOGETHER
from .access import Role
from .middleware import LARGEST_BODY
from .sessions import RefusedError, Visitor
from .state import Served

COOKIE = "edgesearch"
PHOTO = "photo"  # name of the parts of a form that are photos
K = 5
MOST_MATCHES = 50


class AskedError(EdgeSearchError):
    """A request that is not as its path says."""


def the_served(request: Request) -> Served:
    """What the requests share."""
    served: Served = request.app.state.served
    return served


Shared = Annotated[Served, Depends(the_served)]


def the_visitor(request: Request, served: Shared) -> Visitor:
    """Who asks; raises RefusedError: nobody who may ask anything."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    visitor = served.door.visitor(request.cookies.get(COOKIE), token.strip() if kind.lower() == "bearer" else None)
    if visitor is None:
        raise UnknownError("nobody known asks; log in with a PIN, or send `Authorization: Bearer TOKEN`.")
    return visitor


class UnknownError(RefusedError):
    """Nobody known."""


def _at_least(role: Role) -> Any:
    def check(visitor: Annotated[Visitor, Depends(the_visitor)]) -> Visitor:
        if visitor.role < role:
            raise UnknownError(f"a {visitor.role} may not do that; log in as {role}.")
        return visitor

    return Depends(check)


Customer = Annotated[Visitor, _at_least(Role.CUSTOMER)]
Staff = Annotated[Visitor, _at_least(Role.STAFF)]
Manager = Annotated[Visitor, _at_least(Role.MANAGER)]


async def photos(request: Request, most: int = MOST_TOGETHER) -> list[bytes]:
    """The photos of a body: itself, or the parts of a form; raises ImageError: none, or more than so many."""
    if _is_form(request):
        return (await form(request, most))[0]
    content = await request.body()
    if not content:
        raise ImageError("the request: no photo; send one as the body, or parts called `photo` of a form.")
    return [content]


async def form(request: Request, most: int) -> tuple[list[bytes], dict[str, str]]:
    """The photos and the other fields of a form; raises as `photos`."""
    if not _is_form(request):
        raise AskedError("the request: no form; send multipart/form-data.")
    parsed = await _parsed(request)
    try:
        return await _fields(parsed, most)
    finally:
        await parsed.close()


async def _fields(parsed: FormData, most: int) -> tuple[list[bytes], dict[str, str]]:
    files = [one for name, one in parsed.multi_items() if name == PHOTO and isinstance(one, UploadFile)]
    strange = [name for name, one in parsed.multi_items() if (name == PHOTO) != isinstance(one, UploadFile)]
    if strange:
        raise AskedError(f"the request: {strange[0]} is no field, or no file; photos are files called `{PHOTO}`.")
    if not 1 <= len(files) <= most:
        raise ImageError(f"the request: {len(files)} photos; expected 1 to {most}, as files called `{PHOTO}`.")
    return [await file.read() for file in files], {name: str(one) for name, one in parsed.items() if name != PHOTO}


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/form-data")


class _Parser(MultiPartParser):
    """Keeps photos in memory: what a customer shows is not written to a disk."""

    spool_max_size = LARGEST_BODY


async def _parsed(request: Request) -> FormData:
    try:
        return await _Parser(request.headers, request.stream(), max_files=MOST_TOGETHER + 1).parse()
    except MultiPartException as error:
        raise AskedError(f"the request: not a well-formed form ({error.message}); send it again.") from error
