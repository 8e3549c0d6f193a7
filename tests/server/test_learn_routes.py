"""The routes by which photos teach a device, and staff list and take back what it learned."""

import io
from typing import Any

import pytest
from PIL import Image

from edgesearch.learning import contradiction, diverse_memory
from edgesearch.search.gallery import LEARNED

from ..conftest import coarse_pattern
from .client import Client
from .client import client as client
from .client import guarded as guarded

SKU = "P000003"


@pytest.fixture(autouse=True)
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell pictures apart that the untrained network embeds nearly alike, and trust its labels."""
    monkeypatch.setattr(diverse_memory, "NOTHING_NEW", 0.9999995)
    monkeypatch.setattr(contradiction, "UNSUPPORTED", 1.0)


def noise(seed: int) -> bytes:
    pixels = coarse_pattern(seed)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    return encoded.getvalue()


def learn(client: Client, seed: int, sku: str = SKU) -> dict[str, Any]:
    response = client(
        "POST", "/v1/learn", params={"sku": sku}, content=noise(seed), headers={"content-type": "image/png"}
    )
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_it_learns_lists_and_takes_back(client: Client) -> None:
    assert learn(client, 1)["why"] == "learning is off"
    assert client("PUT", "/v1/learning", json={"on": True, "per_product": 4}).json()["per_product"] == 4
    assert client("GET", "/v1/learning").json()["on"]
    number = learn(client, 1)["number"]
    (one,) = client("GET", "/v1/learned").json()["learned"]
    assert (one["number"], one["sku"], one["state"], one["source"]) == (number, SKU, "used", "choice")
    assert client("GET", f"/v1/learned/{number}/picture").content.startswith(b"\xff\xd8")
    assert client("GET", "/v1/learned/99/picture").status_code == 404
    pictures = client("GET", f"/v1/products/{SKU}").json()["pictures"]
    assert client("GET", pictures[-1]).content.startswith(b"\xff\xd8")
    assert client("POST", "/v1/learned/check").json() == {"learned": []}
    assert client("POST", "/v1/learned/accept", params={"number": number}).json()["learned"][0]["trust"] == 1.0
    assert client("DELETE", "/v1/learned").status_code == 400
    assert client("DELETE", "/v1/learned", params={"number": number}).json()["learned"][0]["number"] == number
    learn(client, 2)
    assert client("DELETE", "/v1/learned/all").json() == {"erased": 1}
    assert client("PUT", "/v1/learning", json={"on": True, "max_mb": 0}).status_code == 422
    bad = client("POST", "/v1/learn", params={"sku": "NONE"}, content=noise(1), headers={"content-type": "image/png"})
    assert bad.status_code == 404


def test_roles_decide_who_teaches(guarded: Client) -> None:
    guarded.log_in("Bo")
    guarded("PUT", "/v1/learning", json={"on": True})
    guarded("POST", "/v1/logout")
    assert learn(guarded, 1)["why"] == "customers do not teach this device"
    for verb, path in (("GET", "/v1/learned"), ("DELETE", "/v1/learned?sku=x"), ("PUT", "/v1/learning")):
        assert guarded(verb, path, json={"on": True}).status_code == 401
    guarded.log_in("Ada")
    assert learn(guarded, 1)["state"] == "used"
    assert guarded("GET", "/v1/learned").json()["learned"][0]["who"] == "Ada"
    assert guarded("DELETE", "/v1/learned/all").status_code == 401
    guarded("POST", "/v1/logout")
    guarded.log_in("Bo")
    guarded("PUT", "/v1/learning", json={"on": True, "customers": True})
    guarded("POST", "/v1/logout")
    assert learn(guarded, 2)["state"] == "waiting"


def test_a_dismissed_match_counts_against_its_picture(client: Client) -> None:
    client("PUT", "/v1/learning", json={"on": True})
    learn(client, 1)
    found = client("POST", "/v1/search?k=20", content=noise(1), headers={"content-type": "image/png"}).json()["matches"]
    (row,) = [match["row"] for match in found if match["sku"] == SKU]
    assert row < 0
    client("POST", "/v1/feedback", json={"shown": [SKU], "sku": SKU, "picked": False, "row": row})
    assert client("GET", "/v1/learned").json()["learned"][0]["state"] == "aside"
    number = learn(client, 2)["number"]
    assert client("POST", "/v1/learned/dismiss", params={"row": -number - LEARNED}).status_code == 204
    assert client("POST", "/v1/learned/dismiss", params={"row": 3}).status_code == 204
    states = {one["number"]: one["state"] for one in client("GET", "/v1/learned").json()["learned"]}
    assert states[number] == "aside"
    assert client("GET", "/v1/health").json()["learns"]


def test_managers_see_how_it_grew_and_staff_settle(guarded: Client) -> None:
    guarded.log_in("Bo")
    guarded("PUT", "/v1/learning", json={"on": True})
    number = learn(guarded, 1)["number"]
    progress = guarded("GET", "/v1/learned/progress").json()
    assert progress["asked"] == 1
    assert [week["pictures"] for week in progress["weeks"]] == [0, 1]
    report = guarded("GET", "/v1/learned/report")
    assert "Recognition over time" in report.text
    assert "style-src 'unsafe-inline'" in report.headers["content-security-policy"]
    assert "script" not in report.headers["content-security-policy"]
    guarded("POST", "/v1/logout")
    for path in ("/v1/learned/progress", "/v1/learned/report"):
        assert guarded("GET", path).status_code == 401
    guarded.log_in("Ada")  # staff
    assert guarded("GET", "/v1/learned/report").status_code == 401
    settle = {"number": number, "sku": "P000005"}
    assert guarded("POST", "/v1/learned/accept", params=settle).json()["learned"][0]["sku"] == "P000005"
    assert guarded("POST", "/v1/learned/accept", params={**settle, "sku": "NONE"}).status_code == 404
