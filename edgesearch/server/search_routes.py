"""Let everybody search, and read products and their pictures."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ..answer import Match
from ..errors import CatalogError, QueryError
from ..images import image
from . import request_data
from .access import Role
from .count_registry import MissingError
from .request_data import Customer, State
from .responses import format_answer, format_match, picture_path
from .sessions import Visitor
from .state import ServerState

router = APIRouter(tags=["search"])
MAX_SHOWN = 500  # products of one choice
PICTURE_CACHE_S = 86_400  # a browser may keep a picture, because its URL names the bundle
Count = Annotated[int, Query(ge=1, le=request_data.MAX_MATCHES, description="number of products")]
Words = Annotated[str | None, Query(max_length=500)]
StreamName = Annotated[str, Query(pattern="^[A-Za-z0-9]{8,64}$", description="chosen by the client, one per camera")]
Json = dict[str, Any]
PHOTO_BODY = {
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


@router.post("/search", openapi_extra=PHOTO_BODY)
async def search_by_photo(
    request: Request,
    state: State,
    visitor: Customer,
    k: Count = request_data.K,
    text: Words = None,
    where: Words = None,
    fast: bool | None = None,
    barcodes: bool | None = None,
) -> Json:
    """Find the product in one photo, or in several photos of it; words and a filter narrow the search."""
    photos = await request_data.photos(request)
    words: Json = {"text": text or None, "where": where or None}
    teaching: Json = {"learn": _may_teach(state, visitor), "who": visitor.name or None}
    answer = await state.workers.run(state.store.search, photos, k, fast, barcodes=barcodes, **words, **teaching)
    state.metrics.count_answer(answer)
    return format_answer(answer)


@router.get("/search")
async def search_by_words(
    state: State, _: Customer, text: Words = None, where: Words = None, k: Count = request_data.K
) -> Json:
    """Find products by words, by a filter, or by both."""
    if not text and not where:
        raise QueryError("neither text nor where is given; give one of them, or send a photo.")
    answer = await state.workers.run(state.store.search, None, k, text=text or None, where=where or None)
    state.metrics.count_answer(answer)
    return format_answer(answer)


@router.post("/frames", openapi_extra=PHOTO_BODY)
async def add_frame(
    request: Request,
    state: State,
    visitor: Customer,
    stream: StreamName,
    k: Count = request_data.K,
    fast: bool | None = None,
) -> Json:
    """Add a camera frame. The last frames of a scene give one answer together; `frames` is their number."""
    (frame,) = await request_data.photos(request, 1)
    answer, frames = await state.add_frame(stream, frame, k, fast, _may_teach(state, visitor))
    state.metrics.count_answer(answer)
    return format_answer(answer) | {"frames": frames}


@router.delete("/frames", status_code=204)
async def forget_frames(state: State, _: Customer, stream: StreamName) -> None:
    """Forget a camera's frames, because it now shows another scene."""
    state.forget_stream(stream)


@router.post("/explain", openapi_extra=PHOTO_BODY, response_class=Response)
async def explain(
    request: Request, state: State, _: Customer, fast: bool | None = None, words: bool = True
) -> Response:
    """Return a JPEG of the photo beside its best match, with the matching parts marked; `words` adds captions."""
    (photo,) = await request_data.photos(request, 1)
    return _picture_response(await state.workers.run(_draw_explanation, state, photo, fast, words), 0)


@router.post("/compare/{sku:path}", openapi_extra=PHOTO_BODY)
async def compare(request: Request, state: State, _: Customer, sku: str) -> Json:
    """Judge whether a photo shows that product, a damaged one or another one; `limits` says what cannot be seen."""
    (photo,) = await request_data.photos(request, 1)
    await state.readers.run(_find_references, state, sku)
    return (await state.workers.run(state.store.compare, photo, sku)).to_dict()


@router.get("/facets")
async def facets(state: State, _: Customer) -> Json:
    """Return the values to filter products by."""
    return await state.readers.run(state.store.facets)


@router.get("/products/{sku:path}")
async def product(state: State, _: Customer, sku: str) -> Json:
    """Return all details of a product, and its pictures."""
    references = await state.readers.run(_find_references, state, sku)
    return {"product": format_match(references[0]), "pictures": [picture_path(match) for match in references]}


@router.get("/pictures/{sku:path}", response_class=Response)
async def picture(state: State, _: Customer, sku: str, row: int | None = None, base: str | None = None) -> Response:
    """Return a product's reference picture, as JPEG or WebP: the one at a match's `row` and `base`, or the first."""
    references = await state.readers.run(_find_references, state, sku)
    found = [match for match in references if row is None or (match.row == row and match.base in (base, None))]
    if not found:
        raise MissingError(f"{sku}: no picture {row} exists any more; search again.")
    first = found[0]
    is_lasting = row is not None or (first.base == base and first.row is not None and first.row >= 0)
    return _picture_response(await state.readers.run(state.store.picture, first), PICTURE_CACHE_S if is_lasting else 0)


@router.get("/similar/{sku:path}")
async def similar(
    state: State,
    _: Customer,
    sku: str,
    k: Count = request_data.K,
    cheaper: bool = False,
    other_brand: bool = False,
    same_category: bool = False,
    in_stock: bool = False,
) -> Json:
    """Return alternatives to a product, the most similar pictures first."""
    await state.readers.run(_find_references, state, sku)
    found = await state.workers.run(
        state.store.similar,
        sku,
        k,
        cheaper=cheaper,
        other_brand=other_brand,
        same_category=same_category,
        in_stock=in_stock,
    )
    return {"matches": [format_match(match) for match in found]}


class Feedback(BaseModel):
    """A customer's choice.

    Attributes:
        shown: SKUs in the order in which they were shown.
        picked: False for a product that was dismissed.
        row: That of the dismissed match, so that it counts against the learned picture that caused it.
    """

    shown: list[str] = Field(max_length=MAX_SHOWN)
    sku: str
    picked: bool = True
    row: int | None = None


@router.post("/feedback")
async def feedback(state: State, visitor: Customer, choice: Feedback) -> Json:
    """Record that a product was picked or dismissed; `kept` is true if the device's profile is on."""
    if state.store.overlay is None:
        return {"kept": False}  # a file has no profile
    teaching: Json = {"may_teach": visitor.role >= Role.STAFF, "row": choice.row}
    return {"kept": await state.workers.run(state.store.feedback, choice.shown, choice.sku, choice.picked, **teaching)}


def _may_teach(state: ServerState, visitor: Visitor) -> bool:
    """Return whether a barcode in a visitor's photo teaches the device, if it learns."""
    return visitor.role >= Role.STAFF or (state.store.overlay is not None and state.store.learner.settings().customers)


def _find_references(state: ServerState, sku: str) -> tuple[Match, ...]:
    try:
        return state.store.references(sku)
    except CatalogError as error:
        raise MissingError(str(error)) from error


def _draw_explanation(state: ServerState, photo: bytes, fast: bool | None, words: bool) -> bytes:
    answer = state.store.search(photo, fast=fast)
    if not answer.matches:
        raise MissingError("no product here resembles the photo, so there is nothing to explain; send another photo.")
    return state.store.explain(photo, answer, words=words)


def _picture_response(content: bytes, cache_s: int) -> Response:
    caching = f"private, max-age={cache_s}, immutable" if cache_s else "no-store"
    return Response(content, media_type=image.media_type(content), headers={"Cache-Control": caching})
