"""Counts over HTTP."""

from pathlib import Path

import httpx
import pytest

import edgesearch
from edgesearch.counting.photo_count import Count

pytest.importorskip("fastapi", reason="the extra `server` is not installed")


from .client import Client, read_error
from .client import client as client
from .client import guarded as guarded
from .client import photo as photo


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
