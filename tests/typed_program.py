"""A program that embeds edgesearch: `tools/release/check_wheel` checks its types against the installed wheel."""

from pathlib import Path

import edgesearch


def best_name(store: edgesearch.Store, photo: Path) -> str | None:
    """Return the name of the accepted product, or None."""
    answer: edgesearch.Answer = store.search(photo, k=1)
    return answer.matches[0].name if answer.decision == "match" else None


def teach(store: edgesearch.Store, photos: list[Path]) -> int:
    """Enrol a product and return how many of its pictures the device was taught."""
    enrolment = store.enrol("P-9", photos, name="Blue mug", price=4.5)
    return enrolment.pictures


def build(folder: Path) -> int:
    """Return the size of a bundle in bytes."""
    built = edgesearch.build(folder / "catalogue.csv", folder / "store.edge", precision="int8", skip_bad=True)
    return built.size_bytes


async def first_sku(device: str) -> str:
    """Return the SKU of the best match."""
    async with await edgesearch.AsyncStore.open(device) as store:
        answer = await store.search("photo.jpg")
    return answer.matches[0].sku
