"""What everybody may do: search, and look at products."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from ..answer import Match
from ..errors import CatalogError, QueryError
from ..images import image
from . import request_data
from .count_registry import MissingError
from .request_data import Customer, Shared
from .responses import answered, matched
from .state import Served

router = APIRouter(tags=["search"])
KEPT_S = 86_400  # a browser keeps a picture: it is asked for by its row of one bundle
Count = Annotated[int, Query(ge=1, le=request_data.MOST_MATCHES, description="products wanted")]
Words = Annotated[str | None, Query(max_length=500)]
Name = Annotated[str, Query(pattern="^[A-Za-z0-9]{8,64}$", description="made by the client, one a camera")]
Answered = dict[str, Any]
_PHOTO = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"photo": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
        },
    }
}


@router.post("/search", openapi_extra=_PHOTO)
async def search_by_photo(
    request: Request,
    served: Shared,
    _: Customer,
    k: Count = request_data.K,
    text: Words = None,
    where: Words = None,
    fast: bool | None = None,
    barcodes: bool | None = None,
) -> Answered:
    """Products that a photo shows, or several photos of one product together, with words or a filter besides."""
    photos = await request_data.photos(request)
    answer = await served.workers.run(
        served.store.search, photos, k, fast, text=text or None, where=where or None, barcodes=barcodes
    )
    served.metrics.found(answer)
    return answered(answer)


@router.get("/search")
async def search_by_words(
    served: Shared, _: Customer, text: Words = None, where: Words = None, k: Count = request_data.K
) -> Answered:
    """Products that words describe, or that a filter leaves."""
    if not text and not where:
        raise QueryError("neither text nor where is given; give one, or send a photo.")
    answer = await served.workers.run(served.store.search, None, k, text=text or None, where=where or None)
    served.metrics.found(answer)
    return answered(answer)


@router.post("/frames", openapi_extra=_PHOTO)
async def look_at_frame(
    request: Request, served: Shared, _: Customer, stream: Name, k: Count = request_data.K, fast: bool | None = None
) -> Answered:
    """One more frame of a camera; the last ones of one scene answer together, `frames` of them."""
    (frame,) = await request_data.photos(request, 1)
    answer, frames = await served.look(stream, frame, k, fast)
    served.metrics.found(answer)
    return answered(answer) | {"frames": frames}


@router.delete("/frames", status_code=204)
async def forget_frames(served: Shared, _: Customer, stream: Name) -> None:
    """The camera shows something else."""
    served.forget(stream)


@router.post("/explain", openapi_extra=_PHOTO, response_class=Response)
async def explain(
    request: Request, served: Shared, _: Customer, fast: bool | None = None, words: bool = True
) -> Response:
    """A JPEG of the photo and its first match side by side, with what in them made them match; words: said below."""
    (photo,) = await request_data.photos(request, 1)
    return _picture(await served.workers.run(_explained, served, photo, fast, words), 0)


@router.post("/compare/{sku:path}", openapi_extra=_PHOTO)
async def compare(request: Request, served: Shared, _: Customer, sku: str) -> Answered:
    """Whether a photo shows that product as it is, or damaged, or another; `limits` says what cannot be seen."""
    (photo,) = await request_data.photos(request, 1)
    await served.readers.run(_references, served, sku)
    return (await served.workers.run(served.store.compare, photo, sku)).to_dict()


@router.get("/facets")
async def facets(served: Shared, _: Customer) -> Answered:
    """By what the products may be told apart."""
    return await served.readers.run(served.store.facets)


@router.get("/products/{sku:path}")
async def product(served: Shared, _: Customer, sku: str) -> Answered:
    """All details of a product, and its pictures."""
    pictures = [matched(match) for match in await served.readers.run(_references, served, sku)]
    return {"product": pictures[0], "pictures": [one["picture"] for one in pictures]}


@router.get("/pictures/{sku:path}", response_class=Response)
async def picture(served: Shared, _: Customer, sku: str, row: int | None = None, base: str | None = None) -> Response:
    """A reference picture of a product, as a JPEG or WebP: of a row of a bundle, as a match names it, or the first."""
    known = await served.readers.run(_references, served, sku)
    found = [match for match in known if row is None or (match.row == row and match.base in (base, None))]
    if not found:
        raise MissingError(f"{sku}: has no picture {row} any more; search again.")
    return _picture(await served.readers.run(served.store.picture, found[0]), 0 if row is None else KEPT_S)


@router.get("/similar/{sku:path}")
async def similar(
    served: Shared,
    _: Customer,
    sku: str,
    k: Count = request_data.K,
    cheaper: bool = False,
    other_brand: bool = False,
    same_category: bool = False,
    in_stock: bool = False,
) -> Answered:
    """Alternatives to a product, nearest first, by what its pictures look like."""
    await served.readers.run(_references, served, sku)
    found = await served.workers.run(
        served.store.similar,
        sku,
        k,
        cheaper=cheaper,
        other_brand=other_brand,
        same_category=same_category,
        in_stock=in_stock,
    )
    return {"matches": [matched(match) for match in found]}


class Feedback(BaseModel):
    """shown: SKUs in the order they were; picked: False: dismissed."""

    shown: list[str]
    sku: str
    picked: bool = True


@router.post("/feedback")
async def feedback(served: Shared, _: Customer, said: Feedback) -> Answered:
    """What was picked, or dismissed, of what was shown; `kept` where the profile is on."""
    if served.store.overlay is None:
        return {"kept": False}  # a file keeps no profile
    return {"kept": await served.workers.run(served.store.feedback, said.shown, said.sku, said.picked)}


def _references(served: Served, sku: str) -> tuple[Match, ...]:
    try:
        return served.store.references(sku)
    except CatalogError as error:
        raise MissingError(str(error)) from error


def _explained(served: Served, photo: bytes, fast: bool | None, words: bool) -> bytes:
    answer = served.store.search(photo, fast=fast)
    if not answer.matches:
        raise MissingError("nothing here is like the photo; there is nothing to explain.")
    return served.store.explain(photo, answer, words=words)


def _picture(content: bytes, kept_s: int) -> Response:
    kept = f"private, max-age={kept_s}, immutable" if kept_s else "no-store"
    return Response(content, media_type=image.media_type(content), headers={"Cache-Control": kept})
