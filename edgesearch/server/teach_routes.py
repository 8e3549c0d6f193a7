"""Let staff teach, edit and remove products, and undo that."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from pydantic import BeforeValidator

from ..errors import CatalogError
from ..store.teaching import MAX_PHOTOS
from . import request_data
from .count_registry import MissingError
from .request_data import Staff, State
from .responses import format_match
from .state import ServerState

router = APIRouter(tags=["teach"])
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["sku", "photo"],
                    "properties": {
                        "sku": {"type": "string"},
                        "name": {"type": "string"},
                        "price": {"type": "number"},
                        "photo": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    },
                    "additionalProperties": {"type": "string"},
                }
            }
        },
    }
}
MAX_DETAILS = 200  # of a product in one request


def _check_number(details: Any) -> Any:
    """Raise ValueError if there are too many details: each invalid one costs a message."""
    if isinstance(details, dict) and len(details) > MAX_DETAILS:
        raise ValueError(f"{len(details)} details; send at most {MAX_DETAILS} at once")
    return details


Details = Annotated[
    dict[str, str | int | float | None],
    BeforeValidator(_check_number),
    Body(description="details by name; null clears a detail"),
]


@router.post("/products", status_code=201, openapi_extra=_FORM)
async def enrol(request: Request, state: State, staff: Staff) -> dict[str, Any]:
    """Teach a product with 1 to 5 photos, or add photos to a known one; searches find it from then on.

    Photos that are dark or show nothing are refused; `flaws` says which are blurred.
    """
    photos, fields = await request_data.form(request, MAX_PHOTOS)
    sku = fields.pop("sku", "")
    if not sku:
        raise CatalogError("the request: no sku; give the product's SKU.")
    details = _check_details(sku, {name: value for name, value in fields.items() if value})
    done = await state.workers.run(_enrol, state, sku, photos, staff.name or None, details)
    like = format_match(done.like) if done.like else None
    return {"product": await _read_product(state, sku), "pictures": done.pictures, "like": like, "flaws": done.flaws}


@router.patch("/products/{sku:path}")
async def edit(state: State, staff: Staff, sku: str, details: Details) -> dict[str, Any]:
    """Change details of a product."""
    await state.workers.run(_check_sku, state, sku)
    await state.workers.run(_edit, state, sku, staff.name or None, _check_details(sku, details))
    return {"product": await _read_product(state, sku)}


@router.delete("/products/{sku:path}", status_code=204)
async def remove(state: State, staff: Staff, sku: str) -> None:
    """Remove a product from all answers."""
    await state.workers.run(_check_sku, state, sku)
    await state.workers.run(state.store.remove, sku, who=staff.name or None)


@router.post("/undo")
async def undo(state: State, staff: Staff) -> dict[str, Any]:
    """Undo the last change; each call goes one step further back. `undone` is its kind, `by` who made it."""
    event = await state.workers.run(state.store.undo, who=staff.name or None)
    undone = {name: event.detail[name] for name in ("undone", "by")}
    return {"what": event.what, "sku": event.sku, **undone, "changes": event.changes}


def _check_details(sku: str, details: dict[str, Any]) -> dict[str, Any]:
    """Return the details; raise CatalogError if one has a name that no detail can have."""
    if taken := {"sku", "photos", "who"} & details.keys():
        raise CatalogError(f"{sku}: {min(taken)} is not a detail of a product; leave it out.")
    return details


def _enrol(state: ServerState, sku: str, photos: list[bytes], who: str | None, details: dict[str, str]) -> Any:
    return state.store.enrol(sku, photos, who=who, **details)


def _edit(state: ServerState, sku: str, who: str | None, details: dict[str, Any]) -> None:
    state.store.edit(sku, who=who, **details)


def _check_sku(state: ServerState, sku: str) -> None:
    if not state.store.products([sku]):
        raise MissingError(f"{sku}: no product has this SKU; check it.")


async def _read_product(state: ServerState, sku: str) -> dict[str, Any]:
    return format_match((await state.workers.run(state.store.references, sku))[0])
