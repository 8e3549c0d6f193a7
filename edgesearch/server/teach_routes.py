"""What staff may do: teach products, and take that back."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request

from ..errors import CatalogError
from ..store.store import MOST_PHOTOS
from . import request_data
from .count_registry import MissingError
from .request_data import Shared, Staff
from .responses import matched
from .state import Served

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
Details = Annotated[dict[str, str | int | float | None], Body(description="details by name; null empties one")]


@router.post("/products", status_code=201, openapi_extra=_FORM)
async def enrol(request: Request, served: Shared, staff: Staff) -> dict[str, Any]:
    """Teach a product by 1 to 5 photos, or more pictures of one that is known; it is found from then on."""
    photos, fields = await request_data.form(request, MOST_PHOTOS)
    sku = fields.pop("sku", "")
    if not sku:
        raise CatalogError("the request: no sku; give the product's SKU.")
    details = _details(sku, {name: value for name, value in fields.items() if value})
    done = await served.workers.run(_enrolled, served, sku, photos, staff.name or None, details)
    like = matched(done.like) if done.like else None
    return {"product": await _shown(served, sku), "pictures": done.pictures, "like": like}


@router.patch("/products/{sku:path}")
async def edit(served: Shared, staff: Staff, sku: str, details: Details) -> dict[str, Any]:
    """Change details of a product."""
    await served.workers.run(_check, served, sku)
    await served.workers.run(_edited, served, sku, staff.name or None, _details(sku, details))
    return {"product": await _shown(served, sku)}


@router.delete("/products/{sku:path}", status_code=204)
async def remove(served: Shared, staff: Staff, sku: str) -> None:
    """Show a product no more."""
    await served.workers.run(_check, served, sku)
    await served.workers.run(served.store.remove, sku, who=staff.name or None)


@router.post("/undo")
async def undo(served: Shared, staff: Staff) -> dict[str, Any]:
    """Take back what was taught last, one more each time."""
    event = await served.workers.run(served.store.undo, who=staff.name or None)
    return {"what": event.what, "sku": event.sku}


def _details(sku: str, given: dict[str, Any]) -> dict[str, Any]:
    """Raises CatalogError: one has a name that no detail can have."""
    if taken := {"sku", "photos", "who"} & given.keys():
        raise CatalogError(f"{sku}: {min(taken)} is no detail; leave it out.")
    return given


def _enrolled(served: Served, sku: str, photos: list[bytes], who: str | None, details: dict[str, str]) -> Any:
    return served.store.enrol(sku, photos, who=who, **details)


def _edited(served: Served, sku: str, who: str | None, details: dict[str, Any]) -> None:
    served.store.edit(sku, who=who, **details)


def _check(served: Served, sku: str) -> None:
    if not served.store.products([sku]):
        raise MissingError(f"{sku}: no product of that SKU is here; check it.")


async def _shown(served: Served, sku: str) -> dict[str, Any]:
    return matched((await served.workers.run(served.store.references, sku))[0])
