"""Every screen of the page, each reached as a person reaches it: for screenshots, and for whoever checks them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Route

ANSWER_MS = 20_000  # this machine may have other things to do
FAIL_CAMERA = """navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "%s"));"""
NO_CAMERA_API = "Object.defineProperty(navigator, 'mediaDevices', { value: undefined });"
ASKS_FIRST = "navigator.permissions.query = async () => ({ state: 'prompt' });"
CHANGES = """(path, change) => {
  const fetched = window.fetch;
  const mix = (told, change) => (Array.isArray(told) && Array.isArray(change)
    ? told.map((one, number) => Object.assign(one, change[number])) : change);
  window.fetch = async (asked, given) => {
    const response = await fetched(asked, given);
    if (!response.ok || !String(asked).startsWith(path)) return response;
    const told = await response.json();
    for (const key of Object.keys(change)) told[key] = mix(told[key], change[key]);
    return new Response(JSON.stringify(told), { headers: { "Content-Type": "application/json" } });
  };
}"""
LOW_BATTERY = (
    """navigator.getBattery = async () => Object.assign(new EventTarget(), { charging: false, level: 0.1 });"""
)


@dataclass
class Visit:
    """A person in front of the page."""

    page: Page
    address: str
    photo: Path  # for the gallery
    query: str = "lang=en&theme=dark"
    visits: int = 0

    def open(self, view: str = "", query: str = "") -> None:
        """Open the page at a view, and wait until it is there."""
        self.visits += 1  # else the same address but for the view would not load the page again
        self.page.goto(f"{self.address}?{self.query}{query}&visit={self.visits}#{view}")
        self.page.wait_for_selector("body[data-ready]", timeout=ANSWER_MS)

    def sees(self, selector: str) -> None:
        """Wait for it."""
        self.page.wait_for_selector(selector, timeout=ANSWER_MS)

    def press(self, selector: str) -> None:
        """Press the first that is shown."""
        self.page.locator(selector).locator("visible=true").first.click()

    def settled(self) -> None:
        """Wait for pictures, and for what moves into its place."""
        self.until("[...document.images].every((one) => one.complete)")
        self.page.wait_for_timeout(450)

    def until(self, condition: str, timeout_ms: int = ANSWER_MS) -> None:
        """Wait until it is true; the page itself forbids `wait_for_function`, which evaluates text there."""
        for _ in range(timeout_ms // 100):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(100)
        raise TimeoutError(f"{condition} is not true after {timeout_ms} ms.")

    def told(self, path: str, **change: object) -> None:
        """Change what the server says at a path; where both are lists of objects, one by one."""
        self.page.add_init_script(f"({CHANGES})({json.dumps(path)}, {json.dumps(change)})")

    def decided(self, decision: str, **other: object) -> None:
        """Whatever a photo shows, this is decided."""
        known = {"known": 0.1} if decision == "unknown" else {}
        self.told("v1/search?k=6", decision=decision, **known | other)

    def is_customer(self) -> None:
        """Staff have PINs, and this person has none."""
        self.told("v1/me", role="customer", needs_pin=True)


def visit(browser: Browser, address: str, photo: Path, *, query: str = "lang=en&theme=dark", **context: Any) -> Visit:
    """A new person, with a camera that may be used."""
    opened: BrowserContext = browser.new_context(permissions=["camera"], **context)
    return Visit(opened.new_page(), address, photo, query)


def _find(v: Visit) -> None:
    v.decided("unknown")  # else it would be gone before it is seen
    v.told("v1/frames", decision="unknown", flaw="")
    v.open()
    v.sees(".shutter")
    v.page.wait_for_timeout(1500)


def _seen(v: Visit) -> None:
    v.told("v1/frames", decision="match")
    v.decided("unknown")
    v.open()
    v.sees("[data-seen='like'] .hint, [data-seen='found'] .hint")


def _match(v: Visit) -> None:
    v.told("v1/frames", decision="match")
    v.decided("match")
    v.open()
    v.sees(".product .price")
    v.sees(".alike .tile")


def _choices(v: Visit) -> None:
    v.told("v1/frames", decision="ambiguous")
    v.decided("ambiguous", matches=[{"probability": share} for share in (0.44, 0.38, 0.09, 0.05)])
    v.open()
    v.sees(".choices .tile")


def _unknown(v: Visit) -> None:
    v.is_customer()
    guesses = {"category": {"value": "Kitchen", "share": 0.8}, "brand": {"value": "Alderabo", "share": 0.6}}
    v.decided("unknown", guesses=guesses)
    v.open()
    v.sees(".shutter")
    v.press(".shutter")
    v.sees(".verdict.unknown")


def _lost(v: Visit) -> None:
    _unknown(v)
    v.press(".answer-body .button.primary")
    v.sees(".words .tile")


def _why(v: Visit) -> None:
    _match(v)
    v.press(".answer-body .row .button >> nth=0")
    v.sees(".why img")


def _words(v: Visit) -> None:
    v.open("words")
    v.sees(".results .chip")


def _found(v: Visit) -> None:
    v.open("words")
    v.page.fill("#words", "mug under 12")
    v.page.keyboard.press("Enter")
    v.sees(".results .tile")


def _nothing(v: Visit) -> None:
    v.open("words")
    v.page.fill("#words", "mug under 0.01")
    v.page.keyboard.press("Enter")
    v.sees(".results .lead")


def _product(v: Visit) -> None:
    _found(v)
    v.press(".results .tile")
    v.sees(".alike .tile")


def _edit(v: Visit) -> None:
    _product(v)
    v.press(".product-body .row .button >> nth=0")
    v.sees("dialog form")


def _teach(v: Visit) -> None:
    v.decided("unknown", guesses={"category": {"value": "Kitchen", "share": 0.8}})
    v.open()
    v.sees(".shutter")
    v.press(".shutter")
    v.sees(".verdict.unknown")
    v.press(".answer-body .button.primary")
    v.sees(".teach form")


def _taught(v: Visit) -> None:
    product = {"sku": "T-1", "name": "Blue mug"}
    told = {"product": product, "pictures": 1, "like": {"sku": "P", "name": "Alderabo Mug Orchard 350 ml"}}
    v.page.route("**/v1/products", lambda route: route.fulfill(json=told))
    _teach(v)
    v.page.fill(".teach input[required]", "Blue mug")
    v.press(".teach [type=submit]")
    v.sees(".teach .verdict.match")


def _staff(v: Visit) -> None:
    v.is_customer()
    v.open("staff")
    for digit in "271":
        v.press(f".key >> text={digit}")


def _counts(v: Visit) -> None:
    counts = {"names": ["aisle-4", "cold-store"]}
    v.page.route("**/v1/counts", lambda route: route.fulfill(json=counts))
    v.open("count")
    v.sees(".acts .act")


COUNTED = [{"sku": "P000001", "name": "Alderabo Mug Orchard 350 ml", "count": 12}]
COUNTED += [{"sku": "P000002", "name": "Alderabo Mug Stars 350 ml", "count": 3}]

CANDIDATES = [[row["sku"], row["name"]] for row in COUNTED]
WAITS: dict[str, object] = {"id": "p1", "status": "aside", "sku": "", "name": "", "candidates": CANDIDATES}


def _counting(v: Visit, seen: dict[str, object] | None = None) -> None:
    """Counting, after one photo of which was said what is given."""
    state = {"name": "aisle-4", "counts": COUNTED, "waiting": [WAITS]}

    def answer(route: Route) -> None:
        route.fulfill(json=state | ({"seen": seen} if "/photos" in route.request.url else {}))

    v.page.route("**/v1/counts**", answer)
    v.page.route("**/v1/counts/**", answer)
    v.open("count")
    v.page.fill("input[required]", "aisle-4")
    v.page.keyboard.press("Enter")
    v.sees(".count-press")
    v.until("document.querySelector('#video').videoWidth > 0")
    if seen:
        v.press(".count-press")
        v.sees(".counted, .count-choices")


def _counted(v: Visit) -> None:
    _counting(v, {"id": "p1", "status": "counted", "sku": "P000001", "name": COUNTED[0]["name"]})


def _count_asks(v: Visit) -> None:
    _counting(v, WAITS)


def _count_list(v: Visit) -> None:
    _counting(v)
    v.press(".count-controls .row .button >> nth=1")
    v.sees(".rows")


def _menu(v: Visit) -> None:
    v.open("menu")
    v.sees(".acts .act")


def _attract(v: Visit) -> None:
    v.query = v.query.replace("&theme", "&kiosk=60&theme")
    v.told("v1/frames", decision="unknown")
    v.open()
    v.sees(".attract .mosaic img")
    v.page.wait_for_timeout(1200)


def _idle(v: Visit) -> None:
    v.query = v.query.replace("&theme", "&kiosk=6&theme")
    v.open("menu")
    v.page.evaluate("document.querySelector('.attract')?.click()")
    v.sees("dialog[open]")


def _failing(error: str) -> Callable[[Visit], None]:
    def show(v: Visit) -> None:
        v.page.add_init_script(FAIL_CAMERA % error)
        v.open()
        v.sees(".calm")

    return show


def _asks(v: Visit) -> None:
    v.page.add_init_script(ASKS_FIRST)
    v.open()
    v.sees(".calm")


def _insecure(v: Visit) -> None:
    v.page.add_init_script(NO_CAMERA_API)
    v.open()
    v.sees(".calm")


def _gone(v: Visit) -> None:
    v.open("words")
    v.page.route("**/v1/**", lambda route: route.abort())
    v.page.fill("#words", "mug")
    v.page.keyboard.press("Enter")
    v.sees("[data-cover=gone]")


def _catalogue(v: Visit) -> None:
    v.told("v1/health", catalogue={"name": "shop", "products": 0})
    v.open()
    v.sees("[data-cover=catalogue]")


def _busy(v: Visit) -> None:
    error = {"error": {"kind": "BusyError", "message": "20 requests wait already; ask again in a second."}}
    v.open("words")
    v.page.route("**/v1/search*", lambda route: route.fulfill(status=429, headers={"Retry-After": "3"}, json=error))
    v.page.fill("#words", "mug")
    v.page.keyboard.press("Enter")
    v.sees(".toast")


def _saving(v: Visit) -> None:
    v.page.add_init_script(LOW_BATTERY)
    v.told("v1/frames", decision="unknown", flaw="dark")
    v.open()
    v.sees(".toast")
    v.page.wait_for_timeout(1200)


def _resting(v: Visit) -> None:
    v.told("v1/frames", decision="unknown")
    v.open(query="&rest=5")
    v.sees("[data-cover=rest]")


SCENES: dict[str, Callable[[Visit], None]] = {
    "attract": _attract, "find": _find, "seen": _seen, "match": _match, "why": _why, "choices": _choices,
    "unknown": _unknown, "lost": _lost, "words": _words, "found": _found, "nothing": _nothing, "product": _product,
    "edit": _edit, "teach": _teach, "taught": _taught, "staff": _staff, "counts": _counts, "counting": _counting,
    "counted": _counted, "count-asks": _count_asks, "count-list": _count_list, "menu": _menu, "idle": _idle,
    "asks": _asks, "denied": _failing("NotAllowedError"), "missing": _failing("NotFoundError"),
    "taken": _failing("NotReadableError"), "insecure": _insecure, "resting": _resting, "saving": _saving,
    "gone": _gone, "catalogue": _catalogue, "busy": _busy,
}  # fmt: skip
