"""The routes by which staff take photos of the products that need them."""

from typing import Any

import pytest

from edgesearch.images import image, quality
from edgesearch.learning import contradiction, diverse_memory
from edgesearch.server import state as states
from edgesearch.store import photo_session

from ..conftest import coarse_pattern
from .client import Client, read_error
from .client import client as client
from .client import guarded as guarded

SKU, NAME = "P000003", "a1b2c3d4"


@pytest.fixture(autouse=True)
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell pictures apart that the untrained network embeds nearly alike."""
    monkeypatch.setattr(diverse_memory, "NOTHING_NEW", 0.9999995)
    monkeypatch.setattr(photo_session, "SAME_VIEW", 0.9999990)
    monkeypatch.setattr(quality, "FAR", 0.0)
    monkeypatch.setattr(contradiction, "UNSUPPORTED", 1.0)


def send(client: Client, seed: int | None, **query: object) -> Any:
    """Send a frame, black without a seed; return the response."""
    pixels = coarse_pattern(seed)
    frame = image.thumbnail(pixels if seed is not None else pixels // 30, 270)
    query = {"session": NAME, "sku": SKU} | query
    headers = {"content-type": "image/jpeg"}
    return client("POST", "/v1/capture/frames", params=query, content=frame, headers=headers)


def test_photos_are_taken_measured_and_taken_back(client: Client) -> None:
    listed = client("GET", "/v1/capture", params={"k": 3}).json()
    assert (listed["learns"], len(listed["products"])) == (False, 3)
    assert {"sku", "name", "picture", "pictures", "missed", "gain"} <= set(listed["products"][0])
    assert client("GET", "/v1/capture", params={"location": "nowhere"}).json()["products"] == []
    refused = send(client, 1)
    assert refused.status_code == 409 and "learning is off" in read_error(refused)
    client("PUT", "/v1/learning", json={"on": True})
    assert send(client, None).json() == {"advice": "dark", "taken": 0, "enough": False, "like": None, "number": None}
    first, second = send(client, 1).json(), send(client, 2).json()
    assert [one["advice"] for one in (first, second)] == ["taken"] * 2
    assert second["taken"] == 2
    done = client("POST", "/v1/capture/end", params={"session": NAME}).json()
    assert done["numbers"] == [first["number"], second["number"]]
    assert done["recognition"]["photos"] == 2
    assert client("POST", "/v1/capture/end", params={"session": NAME}).status_code == 404
    client("DELETE", f"/v1/learned?number={first['number']}&number={second['number']}")
    assert client("GET", "/v1/learned").json() == {"learned": []}


def test_a_frame_like_another_product_names_it(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client("PUT", "/v1/learning", json={"on": True})
    monkeypatch.setattr("edgesearch.store.learner._find_rival", lambda *_: "P000005")
    asked = send(client, 1).json()
    assert (asked["advice"], asked["like"]["sku"]) == ("other", "P000005")
    assert send(client, 1, press=True).json()["advice"] == "taken"


def test_bad_requests_are_named(client: Client) -> None:
    client("PUT", "/v1/learning", json={"on": True})
    assert send(client, 1, sku="NONE").status_code == 404
    assert send(client, 1, session="x").status_code == 422
    broken = client(
        "POST", f"/v1/capture/frames?session={NAME}&sku={SKU}", content=b"x", headers={"content-type": "image/jpeg"}
    )
    assert broken.status_code == 422
    assert client("GET", "/v1/capture", params={"k": 0}).status_code == 422


def test_only_staff_take_photos(guarded: Client) -> None:
    guarded.log_in("Bo")
    guarded("PUT", "/v1/learning", json={"on": True, "customers": True})
    guarded("POST", "/v1/logout")
    assert send(guarded, 1).status_code == 401  # even if customers teach
    for verb, path in (("GET", "/v1/capture"), ("POST", f"/v1/capture/end?session={NAME}")):
        assert guarded(verb, path).status_code == 401
    guarded.log_in("Ada")
    assert send(guarded, 1).json()["advice"] == "taken"
    assert guarded("GET", "/v1/learned").json()["learned"][0]["who"] == "Ada"
    guarded("POST", "/v1/logout")
    guarded.log_in("Bo")
    assert guarded("POST", f"/v1/capture/end?session={NAME}").status_code == 404  # it is Ada's


def test_few_sessions_are_kept(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "MAX_PHOTO_SESSIONS", 2)
    client("PUT", "/v1/learning", json={"on": True})
    for name in ("first000", "second00", "third000"):
        assert send(client, 1, session=name).status_code == 200
    assert [*client.state.photo_sessions] == ["/second00", "/third000"]
    send(client, 2, session="third000", sku="P000005")  # another product is another session
    assert client.state.photo_sessions["/third000"].sku == "P000005"
