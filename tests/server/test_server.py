"""The server: searches, products, installs, and its life as a process."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import httpx
import pytest

import edgesearch
from edgesearch.commands.cli import main

pytest.importorskip("fastapi", reason="the extra `server` is not installed")

from edgesearch.server.state import ServerState

from .client import Client, read_error
from .client import client as client
from .client import guarded as guarded
from .client import photo as photo


def test_photo_gets_the_same_answer_as_from_the_store(client: Client, device: Path, photo: bytes) -> None:
    answer = client("POST", "/v1/search?k=3", content=photo, headers={"Content-Type": "image/jpeg"}).json()
    with edgesearch.open(device) as store:
        expected = store.search(photo, k=3)
    assert answer["decision"] == expected.decision
    assert [match["sku"] for match in answer["matches"]] == [match.sku for match in expected.matches]
    picture = client("GET", answer["matches"][0]["picture"])
    assert picture.headers["content-type"] == "image/jpeg" and picture.content[:2] == b"\xff\xd8"


def test_product_is_shown_by_its_first_picture_never_by_a_taught_one(client: Client, photo: bytes) -> None:
    first = client("GET", "/v1/pictures/P000000").content
    files = [("photo", ("a.jpg", photo, "image/jpeg"))]
    assert client("POST", "/v1/products", data={"sku": "P000000"}, files=files).status_code == 201
    answer = client("POST", "/v1/search?k=8", content=photo, headers={"Content-Type": "image/jpeg"}).json()
    (match,) = [one for one in answer["matches"] if one["sku"] == "P000000"]
    assert match["row"] < 0  # the taught picture found it
    shown = client("GET", match["picture"])
    assert shown.content == first and shown.headers["cache-control"] == "no-store"
    whole = client("GET", "/v1/products/P000000").json()
    assert client("GET", whole["product"]["picture"]).content == first
    assert "immutable" in client("GET", whole["product"]["picture"]).headers["cache-control"]
    assert client("GET", whole["pictures"][-1]).content != first


def test_several_photos_in_a_form_get_one_answer(client: Client, photo: bytes) -> None:
    files = [("photo", ("a.jpg", photo, "image/jpeg")), ("photo", ("b.jpg", photo, "image/jpeg"))]
    assert client("POST", "/v1/search", files=files).json()["matches"]


def test_frames_of_a_stream_vote_until_they_are_forgotten(client: Client, photo: bytes) -> None:
    def voting() -> int:
        return int(client("POST", "/v1/frames?stream=camera12", content=photo).json()["frames"])

    assert [voting(), voting()] == [1, 2]
    assert client("DELETE", "/v1/frames?stream=camera12").status_code == 204
    assert voting() == 1


def test_photo_is_compared_with_a_product(client: Client, photo: bytes) -> None:
    answer = client("POST", "/v1/compare/P000000", content=photo).json()
    assert answer["sku"] == "P000000" and answer["verdict"] and answer["limits"]
    assert client("POST", "/v1/compare/none", content=photo).status_code == 404


def test_search_by_filter_returns_that_category_and_the_filter(client: Client) -> None:
    category = client("GET", "/v1/facets").json()["categories"][0]
    answer = client("GET", "/v1/search", params={"where": f'category="{category}"'}).json()
    assert {match["category"] for match in answer["matches"]} == {category}
    assert answer["understood"]["where"]


def test_search_that_finds_nothing_says_which_condition_is_to_blame(client: Client, photo: bytes) -> None:
    asked = {"where": "price<0 and sku~P", "k": 1}
    for answer in (
        client("GET", "/v1/search", params=asked),
        client("POST", "/v1/search", params=asked, content=photo),
    ):
        assert answer.status_code == 200
        table = answer.json()
        assert (table["decision"], table["matches"], table["found"]) == ("unknown", [], 0)
        (reason,) = table["emptied_by"]
        assert reason["where"] == "price<0" and reason["others_leave"] == 8 and reason["hint"]
    table = client("GET", "/v1/search", params={"text": "zeppelin"}).json()
    assert [reason["words"] for reason in table["emptied_by"]] == ["zeppelin"]
    table = client("GET", "/v1/search", params={"where": "price>0", "k": 1}).json()
    assert (table["found"], len(table["matches"]), table["matches"][0]["probability"]) == (8, 1, None)


def test_product_with_special_characters_in_its_sku_can_be_managed(client: Client, photo: bytes) -> None:
    sku, files = "A/b ü?#%", [("photo", ("a.jpg", photo, "image/jpeg"))]
    at = "/v1/products/A%2Fb%20%C3%BC%3F%23%25"
    taught = client("POST", "/v1/products", data={"sku": sku, "name": "Mug", "price": "4.5"}, files=files)
    assert (taught.status_code, taught.json()["product"]["price"]) == (201, 4.5)
    assert client("GET", at).json()["product"]["name"] == "Mug"
    assert client("PATCH", at, json={"name": "Cup", "price": None}).json()["product"]["price"] is None
    assert client("GET", f"/v1/pictures/{at.rpartition('/')[2]}").content[:2] == b"\xff\xd8"
    assert client("DELETE", at).status_code == 204
    assert client("GET", at).status_code == 404
    undone = client("POST", "/v1/undo").json()
    assert (undone["what"], undone["sku"], undone["undone"]) == ("undo", sku, "remove")
    assert undone["changes"][0] == "shown again"
    assert client("GET", at).json()["product"]["name"] == "Cup"


def test_edge_file_can_be_searched_but_not_changed(tiny_edge: Path, photo: bytes) -> None:
    with edgesearch.open(tiny_edge) as store:
        client = Client(ServerState(store, tiny_edge))
        assert client("POST", "/v1/search", content=photo).status_code == 200
        health = client("GET", "/v1/health").json()
        assert not any(health[name] for name in ("can_teach", "can_capture", "can_learn")) and health["can_count"]
        files = {"photo": ("a.jpg", photo)}
        for answer in (
            client("POST", "/v1/products", data={"sku": "N", "name": "New"}, files=files),
            client("POST", "/v1/install", content=b"x"),
            client("GET", "/v1/taught.zip"),
        ):
            assert answer.status_code == 409 and "install it in a device folder" in read_error(answer)
        client.state.close()


def test_bundle_is_installed_and_rolled_back_while_serving(client: Client, device: Path, shop_edge: Path) -> None:
    before = client("GET", "/v1/health").json()["catalogue"]
    assert client("POST", "/v1/install", content=shop_edge.read_bytes()).status_code == 200
    after = client("GET", "/v1/health").json()["catalogue"]
    assert after["sequence"] > before["sequence"]
    assert client("POST", "/v1/rollback").status_code == 200
    assert client("GET", "/v1/health").json()["catalogue"] == before
    assert not [path for path in device.iterdir() if path.name.startswith(".")]


def test_bundle_installed_by_another_process_is_used(
    client: Client, device: Path, shop_edge: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgesearch.server import app

    monkeypatch.setattr(app, "REOPEN_S", 0.01)
    edgesearch.install(shop_edge, device)

    async def follow() -> int:
        async with client.app.router.lifespan_context(client.app):
            before = client.state.store.bundle.digest
            while client.state.store.bundle.digest == before:
                await asyncio.sleep(0.01)
            return (await client.send("GET", "/v1/health")).status_code

    assert asyncio.run(asyncio.wait_for(follow(), 30)) == 200


def test_systemd_is_notified_of_start_life_and_stop(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve() -> None:
        async with client.app.router.lifespan_context(client.app):
            await asyncio.sleep(0.01)

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "60000000")
        asyncio.run(serve())
        assert {listener.recv(100) for _ in range(3)} == {b"READY=1", b"WATCHDOG=1", b"STOPPING=1"}


def test_taught_products_are_exported_as_a_zip(client: Client, device: Path, photo: bytes) -> None:
    client("POST", "/v1/products", data={"sku": "N1", "name": "New"}, files={"photo": ("a.jpg", photo)})
    with zipfile.ZipFile(BytesIO(client("GET", "/v1/taught.zip").content)) as archive:
        assert "N1" in archive.read("taught/taught.json").decode()
    assert not [path for path in device.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_server_runs_until_a_signal_arrives(device: Path) -> None:
    command = [sys.executable, "-m", "edgesearch", "serve", str(device), "--port", "0", "--quiet"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stderr.readline())
        assert found
        assert httpx.get(f"{found[0]}v1/health", timeout=60).json()["status"] == "ok"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    "given, said",
    [
        ([], "no such file|not"),
        (["--certificate", "own.pem"], "needs its key"),
        (["--host", "0.0.0.0", "--port", "0"], "PIN or a token"),
        (["--host", "nowhere.invalid"], "nowhere.invalid:8765: cannot listen here"),
        (["--port", "0", "--certificate", "none.pem", "--certificate-key", "none.pem"], "none.pem: cannot be read"),
    ],
)
def test_serve_command_reports_errors_in_one_line(
    device: Path, capsys: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    store = device if given else device / "none.edge"
    assert main(["serve", str(store), *given]) == 1
    assert re.search(said, capsys.readouterr().err)
