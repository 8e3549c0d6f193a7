"""Counts over HTTP."""

from pathlib import Path

import httpx
import numpy as np
import pytest

import edgesearch
from edgesearch.counting.photo_count import Count
from edgesearch.images import image

pytest.importorskip("fastapi", reason="the extra `server` is not installed")


from .client import Client, read_error
from .client import client as client
from .client import guarded as guarded
from .client import photo as photo


@pytest.fixture
def grey() -> bytes:
    """Return a photo of no product."""
    return image.thumbnail(np.full((1400, 1000, 3), 90, np.uint8), 1400)


def test_counts_by_photo_by_hand_and_undo(client: Client, device: Path, shop: Path) -> None:
    def count_by_sku(answer: httpx.Response) -> dict[str, int]:
        return {one["sku"]: one["count"] for one in answer.json()["counts"]}

    photos = [path.read_bytes() for path in sorted((shop / "photos").iterdir())[:3]]
    assert client("POST", "/v1/counts", json={"name": "Gang 4"}).status_code == 201
    seen = [client("POST", "/v1/counts/Gang 4/photos?times=3", content=one).json()["seen"] for one in photos]
    again = client("POST", "/v1/counts/Gang 4/photos?times=3", content=photos[0])
    assert not again.json()["new"]
    for one in seen:
        answer = client("POST", "/v1/counts/Gang 4/correct", json={"photo": one["id"], "sku": "P000000"})
    assert count_by_sku(answer) == {"P000000": 9} and not answer.json()["waiting"]
    answer = client("POST", "/v1/counts/Gang 4/products", json={"sku": "P000000", "times": 2})
    assert count_by_sku(answer) == {"P000000": 11}
    undone = client("POST", "/v1/counts/Gang 4/undo")
    assert count_by_sku(undone) == {"P000000": 9} and not undone.json()["waiting"]
    assert "P000000," in client("GET", "/v1/counts/Gang 4/stock.csv").text
    assert client("GET", "/v1/counts").json() == {"names": ["Gang 4"]}
    client.state.counts.close_idle(idle_s=0)
    with edgesearch.open(device) as store, Count(store, device / "counts" / "Gang 4.csv") as count:
        assert count.counts == {"P000000": 9}
    assert count_by_sku(client("GET", "/v1/counts/Gang 4")) == {"P000000": 9}


def test_photos_wait_until_they_are_settled_also_over_a_restart(client: Client, grey: bytes) -> None:
    client("POST", "/v1/counts", json={"name": "Gang 4"})
    seen = client("POST", "/v1/counts/Gang 4/photos", content=grey).json()["seen"]
    assert seen["status"] == "aside"
    address = f"/v1/counts/Gang 4/photos/{seen['id']}"
    client.state.counts.close_idle(idle_s=0)
    shown = client("GET", address)
    assert (shown.status_code, shown.content[:2]) == (200, b"\xff\xd8")
    client("POST", "/v1/counts/Gang 4/correct", json={"photo": seen["id"], "sku": "P000000", "times": 4})
    assert client("GET", address).status_code == 404
    undone = client("POST", "/v1/counts/Gang 4/undo").json()
    assert [entry["times"] for entry in undone["waiting"]] == [1]
    assert client("GET", address).status_code == 200


def test_photos_that_wait_are_for_staff(guarded: Client, grey: bytes) -> None:
    guarded.log_in("Ada")
    guarded("POST", "/v1/counts", json={"name": "a"})
    seen = guarded("POST", "/v1/counts/a/photos", content=grey).json()["seen"]
    guarded("POST", "/v1/logout")
    assert guarded("GET", f"/v1/counts/a/photos/{seen['id']}").status_code in (401, 403)


def test_pieces_and_totals_are_set_after_the_photo_and_undone_in_one_step(client: Client, photo: bytes) -> None:
    def totals(answer: httpx.Response) -> list[tuple[str, int]]:
        return [(one["sku"], one["count"]) for one in answer.json()["counts"]]

    client("POST", "/v1/counts", json={"name": "a"})
    seen = client("POST", "/v1/counts/a/photos", content=photo).json()["seen"]
    client("POST", "/v1/counts/a/correct", json={"photo": seen["id"], "sku": "P000000"})
    assert totals(client("POST", "/v1/counts/a/correct", json={"photo": seen["id"], "times": 6})) == [("P000000", 6)]
    assert totals(client("POST", "/v1/counts/a/totals", json={"sku": "P000000", "total": 4})) == [("P000000", 4)]
    assert client("POST", "/v1/counts/a/totals", json={"sku": "P000000", "total": 4}).json()["seen"] is None
    assert totals(client("POST", "/v1/counts/a/totals", json={"sku": "P000001", "total": 2})) == [
        ("P000000", 4), ("P000001", 2)
    ]  # fmt: skip
    assert totals(client("POST", "/v1/counts/a/totals", json={"sku": "P000001", "total": 0})) == [("P000000", 4)]
    client.state.counts.close_idle(idle_s=0)
    for _ in range(3):
        undone = client("POST", "/v1/counts/a/undo")
    assert totals(undone) == [("P000000", 6)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "verb, path, asked, status",
    [
        ("POST", "/v1/counts", {"json": {"name": "../up"}}, 409),
        ("POST", "/v1/counts", {"json": {"name": ""}}, 409),
        ("GET", "/v1/counts/none", {}, 404),
        ("GET", "/v1/counts/none/stock.csv", {}, 404),
        ("POST", "/v1/counts/here/undo", {}, 409),
        ("POST", "/v1/counts/here/products", {"json": {"sku": "none"}}, 409),
        ("POST", "/v1/counts/here/products", {"json": {"sku": "-"}}, 409),
        ("POST", "/v1/counts/here/products", {"json": {"sku": "P000000", "times": 0}}, 422),
        ("POST", "/v1/counts/here/correct", {"json": {"photo": "none", "sku": "P000000"}}, 409),
        ("POST", "/v1/counts/here/totals", {"json": {"sku": "none", "total": 1}}, 409),
        ("POST", "/v1/counts/here/totals", {"json": {"sku": "P000000", "total": -1}}, 422),
        ("GET", "/v1/counts/here/photos/none", {}, 404),
        ("GET", "/v1/counts/here/photos/..%2F..%2Flock", {}, 404),
        ("POST", "/v1/counts/here/photos?times=0", {"content": b"x"}, 422),
        ("POST", "/v1/counts/here/photos", {}, 422),
    ],
)
def test_bad_count_request_gets_a_one_sentence_error(
    client: Client, verb: str, path: str, asked: dict[str, object], status: int
) -> None:
    client("POST", "/v1/counts", json={"name": "here"})
    answer = client(verb, path, **asked)
    assert (answer.status_code, bool(read_error(answer))) == (status, True)
    assert client("GET", "/v1/counts/here").json()["counts"] == []


def test_count_that_another_process_continues_is_refused(client: Client, device: Path) -> None:
    (device / "counts").mkdir()
    with edgesearch.open(device) as store, Count(store, device / "counts" / "a.csv"):
        assert "another count is open" in read_error(client("POST", "/v1/counts", json={"name": "a"}))
    assert client("POST", "/v1/counts", json={"name": "a"}).status_code == 201
