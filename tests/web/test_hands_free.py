"""The page answers a product that a trembling hand holds, and forgets it when another one comes."""

import json
from pathlib import Path

import pytest
from browsing.recorded_camera import Hand, compose_with_margin, fill, open_recorded, plan, play
from browsing.visitor import Visitor, new_visitor
from PIL import Image
from playwright.sync_api import Browser

import edgesearch

from .browser import PHONE, needs_chromium
from .browser import address as address
from .browser import customer as customer
from .browser import known_photo as known_photo
from .browser import playwright as playwright
from .browser import shows_known as shows_known

pytestmark = needs_chromium
WEB = Path(edgesearch.__file__).parent / "web"
HANDS = [Hand(1), Hand(2), Hand(4), Hand(4, is_blurred=True)]
TICK_MS, TICKS = 90, 12
SERVER_MS = {"v1/frames": 60.0, "v1/search?k=6": 200.0}
DESCRIBE = """async (ms) => {
  const { Camera } = await import("./camera.js");
  const elements = ["#video", "#finder"].map((name) => document.querySelector(name));
  window.described ??= { camera: new Camera(...elements), scenes: [] };
  await recorded.play(ms);
  described.scenes.push(described.camera.scene());
}"""
JUDGE = """async () => {
  const { isChanged, isMoved } = await import("./scene.js");
  const { scenes } = described;
  return scenes.slice(1).map((scene, index) => [isMoved(scenes[index], scene), isChanged(scenes[0], scene)]);
}"""
ABLE = """Object.assign(MediaStreamTrack.prototype, {
  getCapabilities: () => ({ torch: true, zoom: { min: 1, max: 3 }, focusMode: ["single-shot", "continuous"] }),
  getSettings() { return this.now ?? { torch: false, zoom: 1 }; },
  async applyConstraints({ advanced: [one] }) { this.now = { ...this.getSettings(), ...one }; },
})"""
COUNT_SAID = """window.said = 0;
new MutationObserver((all) => { said += all.length; }).observe(document.querySelector("#live"), { childList: true })"""
NOW = "document.querySelector('#video').srcObject.getVideoTracks()[0].getSettings()"


def words() -> dict[str, str]:
    """Return the English texts of the page."""
    table: dict[str, str] = json.loads((WEB / "i18n" / "en.json").read_text(encoding="utf-8"))
    return table


@pytest.fixture
def photos(shop: Path) -> list[Path]:
    """Return photos of three products."""
    return [shop / "photos" / f"P00000{number}-1.jpg" for number in (1, 2, 3)]


@pytest.fixture
def surface(tmp_path: Path) -> Path:
    """Return a picture of a surface without a product."""
    Image.linear_gradient("L").rotate(30, expand=False, fillcolor=90).convert("RGB").save(tmp_path / "surface.png")
    return tmp_path / "surface.png"


@pytest.mark.parametrize("hand", HANDS, ids=str)
def test_tremor_neither_moves_nor_changes_a_scene_but_another_product_does(
    shows_known: Browser, address: str, photos: list[Path], hand: Hand
) -> None:
    person = new_visitor(shows_known, address, photos[0], service_workers="block", **PHONE)
    person.page.route("**/v1/frames*", lambda route: route.abort())  # only the camera is tested
    pictures = {str(path): compose_with_margin(path) for path in photos[:2]} | {"": compose_with_margin(photos[2])}
    first, second = plan([name for name in pictures if name], TICK_MS * (TICKS + 2))
    open_recorded(person, pictures, [first, second], hand, {}, seed=0)
    person.page.evaluate(DESCRIBE, first.still_ms + TICK_MS)
    for _ in range(TICKS):
        person.page.evaluate(DESCRIBE, TICK_MS)
    person.page.evaluate(DESCRIBE, second.until_ms - first.still_ms - TICK_MS * (TICKS + 2))
    *held, other = person.page.evaluate(JUDGE)
    assert held == [[False, False]] * TICKS
    assert other == [True, True]
    person.page.context.close()


def test_kiosk_answers_each_product_in_a_trembling_hand_and_nothing_else(
    shows_known: Browser, address: str, photos: list[Path], surface: Path
) -> None:
    person = new_visitor(shows_known, address, photos[0], query="lang=en&kiosk=600", service_workers="block", **PHONE)
    pictures = {"": fill(surface)} | {str(path): compose_with_margin(path) for path in photos}
    shown = plan([str(photos[0]), "", *map(str, photos[1:])], hold_ms=3000)
    open_recorded(person, pictures, shown, Hand(4, is_blurred=True), SERVER_MS, seed=0)
    play(person, shown[0].from_ms)
    for one in shown:
        now = [event for event in play(person, one.until_ms - one.from_ms) if one.from_ms <= event["at"] < one.until_ms]
        answers = [event for event in now if event["kind"] == "searched"]
        assert any(event["kind"] == "shown" for event in now) == bool(one.name)
        assert not one.name or Path(one.name).stem.split("-")[0] in answers[-1]["skus"]
        assert one is shown[0] or {"faded", "shown"} & {event["kind"] for event in now}
    person.page.context.close()


@pytest.mark.parametrize(
    "decision, is_touched, answers", [("match", False, 2), ("match", True, 1), ("ambiguous", False, 1)]
)
def test_phone_answers_the_next_product_unless_the_answer_asks_or_was_touched(
    shows_known: Browser, address: str, photos: list[Path], decision: str, is_touched: bool, answers: int
) -> None:
    person = new_visitor(shows_known, address, photos[0], service_workers="block", **PHONE)
    person.force_decision(decision, matches=[{"probability": 0.6}])
    pictures = {str(path): compose_with_margin(path) for path in photos[:2]} | {"": compose_with_margin(photos[0])}
    (shown,) = plan([str(photos[1])], hold_ms=3000)
    open_recorded(person, pictures, [shown], Hand(4, is_blurred=True), SERVER_MS, seed=0)
    play(person, shown.from_ms)
    if is_touched:
        person.page.locator(".answer").dispatch_event("pointerdown")
    events = play(person, shown.until_ms - shown.from_ms)
    assert sum(event["kind"] == "shown" for event in events) == answers
    person.page.context.close()


def test_search_that_finds_nothing_ends_with_advice(
    shows_known: Browser, address: str, photos: list[Path], surface: Path
) -> None:
    person = new_visitor(shows_known, address, photos[0], service_workers="block", **PHONE)
    person.override_answer("v1/frames", decision="unknown", matches=[], flaw="")
    person.force_decision("unknown", matches=[], flaw="")
    open_recorded(person, {"": fill(surface)}, plan([""], hold_ms=3000), Hand(1), {}, seed=0)
    play(person, 1800)  # before anything else is shown
    assert person.page.inner_text(".hint") == words()["find.unknown"]
    person.page.context.close()


@pytest.mark.parametrize("key", ["Enter", " "])
def test_trigger_of_a_handheld_searches(customer: Visitor, key: str) -> None:
    customer.override_answer("v1/frames", decision="unknown", matches=[])
    customer.force_decision("unknown")
    customer.open()
    customer.wait_for(".shutter")
    customer.wait_until("document.querySelector('#video').videoWidth > 0")
    customer.page.keyboard.press(key)
    customer.wait_for(".verdict")


def test_light_zoom_and_focus_are_offered_where_the_camera_has_them(customer: Visitor) -> None:
    customer.override_answer("v1/frames", decision="unknown", matches=[])
    customer.force_decision("unknown", matches=[])
    customer.page.add_init_script(ABLE)
    customer.open()
    customer.press(".lens .round >> nth=0")
    customer.wait_until(f"{NOW}.torch && document.querySelector('.lens [aria-pressed=true]')")
    customer.press(".lens .round >> nth=1")
    customer.wait_until(f"{NOW}.zoom === 2 && document.querySelector('.lens').textContent.startsWith('2')")
    customer.page.mouse.click(195, 300)
    customer.wait_until(f"{NOW}.focusMode === 'single-shot'")
    x, y = customer.page.evaluate(f"(({{ x, y }}) => [x, y])({NOW}.pointsOfInterest[0])")
    assert x == pytest.approx(0.5, abs=0.01) and 0.3 < y < 0.4


def test_without_these_abilities_nothing_is_offered(customer: Visitor) -> None:
    customer.open()
    customer.wait_until("document.querySelector('#video').videoWidth > 0")
    assert customer.page.locator(".lens button").count() == 0


def test_advice_is_read_out_once(customer: Visitor) -> None:
    customer.override_answer("v1/frames", decision="unknown", matches=[], flaw="dark")
    customer.force_decision("unknown", matches=[], flaw="dark")
    customer.open()
    customer.wait_until(f"document.querySelector('#live').textContent === {json.dumps(words()['flaw.dark'])}")
    customer.page.evaluate(COUNT_SAID)
    customer.page.wait_for_timeout(2500)
    assert customer.page.evaluate("window.said") == 0
