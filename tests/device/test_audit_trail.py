"""Say in the log and on the command line what changed, and leave out what did not."""

from pathlib import Path

import pytest

import edgesearch
from edgesearch import CatalogError, Store
from edgesearch.commands.cli import main
from edgesearch.device import changes
from edgesearch.device.changes import Change

from ..conftest import TINY_MODEL

CATALOGUE = """sku,name,images,price,currency,brand
A,Cup,{0}/pictures/P000000.jpg,2.50,EUR,
B,Jug,{0}/pictures/P000001.jpg,45000,VND,Acme
{1}"""


@pytest.fixture(scope="module")
def priced(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a shop in which 9 of 10 prices are in EUR."""
    folder = tmp_path_factory.mktemp("priced")
    more = "".join(f"C{i},Plate {i},,{i}.00,EUR,\n" for i in range(8))
    (folder / "c.csv").write_text(CATALOGUE.format(shop, more))
    edgesearch.build(folder / "c.csv", folder / "c.edge", TINY_MODEL, sequence=1)
    return folder / "c.edge"


@pytest.fixture
def device(priced: Path, tmp_path: Path) -> Path:
    edgesearch.install(priced, tmp_path / "device")
    return tmp_path / "device"


def logged(device: Path) -> list[tuple[str, list[str]]]:
    return [(event.what, event.changes) for event in edgesearch.log(device)[1:]]


def test_the_log_says_what_changed(store: Store, device: Path, strange: list[Path]) -> None:
    store.edit("A", price=4.5, brand="Acme")
    store.edit("A", price=None)
    store.enrol("N", strange[:2], name="Mug", price=3)
    store.remove("N")
    for _ in range(4):
        store.undo()
    assert logged(device) == [
        ("edit", ["price 2.50 -> 4.50", "brand Acme"]),
        ("edit", ["price 4.50 -> empty"]),
        ("enrol", logged(device)[2][1]),
        ("remove", ["removed"]),
        ("undo", ["shown again", *logged(device)[2][1][1:]]),
        ("undo", ["no longer here"]),
        ("undo", ["price 4.50"]),
        ("undo", ["price 4.50 -> 2.50", "brand Acme -> empty"]),
    ]
    assert {"new product", "name Mug", "price 3.00", "currency EUR", "2 pictures added"} < {*logged(device)[2][1]}
    assert logged(device)[2][1][0] == "new product"
    assert edgesearch.log(device)[1].to_dict()["changes"] == ["price 2.50 -> 4.50", "brand Acme"]


def test_what_changes_nothing_is_not_logged(store: Store, device: Path, strange: list[Path]) -> None:
    assert store.edit("A", price=2.5, name="Cup", brand=None).price == 2.5
    assert store.enrol("A", strange[0]).changes == ("1 picture added",)
    again = store.enrol("A", strange[0], price="2.50")
    assert (again.changes, again.pictures) == ((), 1)
    store.edit("A", location="A1")
    store.edit("A", location="A1")
    assert [what for what, _ in logged(device)] == ["enrol", "edit"]
    store.undo()
    store.undo()
    store.edit("A", price=9)
    store.edit("A", price=2.5)
    assert store.overlay is not None
    assert store.overlay.snapshot().changes == {}  # as the bundle has it
    store.learner.switch(True)
    store.learner.switch(True)
    store.learner.switch(False)
    assert [what for what, _ in logged(device)][-2:] == ["learning", "learning"]


def test_prices_are_read_as_in_a_catalogue(store: Store) -> None:
    assert store.edit("A", price="4,50").price == 4.5
    assert store.edit("A", price="1.234,50").price == 1234.5
    assert store.edit("A", price="1.25").price == 1.25
    changed = store.edit("A", price="$3")
    assert (changed.price, changed.currency) == (3, "$")
    assert store.edit("A", price="5 €", currency="CHF").currency == "CHF"
    assert store.edit("B", price="48.000").price == 48000  # VND has no decimals
    with pytest.raises(CatalogError, match=r"A: price is '1,234', which could mean two numbers; write it without"):
        store.edit("A", price="1,234")
    with pytest.raises(CatalogError, match="A: price is 'cheap'; expected a number"):
        store.edit("A", price="cheap")


def test_a_new_product_takes_the_shops_currency(store: Store, strange: list[Path]) -> None:
    assert store.enrol("N1", strange[0], name="Mug", price="3,20").product.currency == "EUR"
    assert store.enrol("N2", strange[0], name="Mug", price=3, currency="USD").product.currency == "USD"
    assert store.enrol("N3", strange[0], name="Mug", price="£3").product.currency == "GBP"
    assert store.enrol("N4", strange[0], name="Mug").product.currency is None


def test_without_one_main_currency_none_is_taken(shop: Path, strange: list[Path], tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(CATALOGUE.format(shop, ""))
    edgesearch.build(tmp_path / "c.csv", tmp_path / "c.edge", TINY_MODEL)
    edgesearch.install(tmp_path / "c.edge", tmp_path / "device")
    with edgesearch.open(tmp_path / "device") as store:
        assert store.enrol("N", strange[0], name="Mug", price=3).product.currency is None


def test_commands_say_what_they_did(device: Path, strange: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: object) -> str:
        assert main([*map(str, arguments)]) == 0
        out, err = capsys.readouterr()
        return out + err

    assert "A: Cup; price 2.50 -> 4.50.\n" in run("edit", device, "--sku", "A", "--price", "4,50", "--who", "Ben")
    assert "A: Cup; nothing changed.\n" in run("edit", device, "--sku", "A", "--price", "4.5")
    assert "A: undone: edit by Ben, line 2 of the log; now price 4.50 -> 2.50.\n" in run("undo", device)
    enrol = ["enrol", device, "--sku", "N", "--name", "Mug", "--price", "3", strange[0]]
    assert "N: Mug; learned from 1 pictures.\n" in run(*enrol)
    assert "N: Mug; learned from 1 pictures, all of them known before; nothing changed.\n" in run(*enrol)
    run("learn", device, "on")
    lines = run("log", device).splitlines()
    assert lines[1].endswith("Ben  edit  A  price 2.50 -> 4.50")
    assert lines[2].endswith("undo  A  line 2  price 4.50 -> 2.50")
    assert "new product, name Mug, price 3.00, currency EUR, " in lines[3]
    assert "on True" in lines[4]


def test_a_newer_value_in_the_bundle_is_the_old_one() -> None:
    before = Change(details={"price": 5.0}, was={"price": 4.0})
    after = Change(details={"price": 6.0}, was={"price": 4.5})
    assert changes.describe(before, after) == ["price 4.50 -> 6.00"]
    assert changes.describe(None, None) == []
    assert changes.describe(Change(pictures={"a": 1}), None) == ["1 picture gone"]


def test_access_says_what_it_did(
    device: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastapi", reason="the extra `server` is not installed")
    monkeypatch.setattr("edgesearch.commands.serve_commands._read_pin", lambda: "271828")
    for arguments, says in (
        ([], "nobody has a PIN or token; `access --add NAME` gives one."),
        (["--add", "Ada"], "Ada has a PIN now, as staff."),
        (["--add-token", "till", "--role", "manager"], "till has this token now, as manager; it is shown only once"),
        (["--remove", "Ada"], "Ada is removed, and 1 have a PIN or token."),
    ):
        assert main(["access", str(device), *arguments]) == 0
        assert says in capsys.readouterr().err
