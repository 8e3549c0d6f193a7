"""Scenes: every screen of the page, reached the way a person reaches it: for screenshots and for tests."""

from collections.abc import Callable

from playwright.sync_api import Route

from .visitor import Visitor

FAIL_CAMERA = """navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "%s"));"""
NO_CAMERA_API = "Object.defineProperty(navigator, 'mediaDevices', { value: undefined });"
ASKS_FIRST = "navigator.permissions.query = async () => ({ state: 'prompt' });"
LOW_BATTERY = (
    """navigator.getBattery = async () => Object.assign(new EventTarget(), { charging: false, level: 0.1 });"""
)


def _find(v: Visitor) -> None:
    v.force_decision("unknown")  # a match would replace the screen at once
    v.override_answer("v1/frames", decision="unknown", flaw="")
    v.open()
    v.wait_for(".shutter")
    v.page.wait_for_timeout(1500)


def _known_product(v: Visitor) -> None:
    v.override_answer("v1/frames", decision="match")
    v.force_decision("unknown")
    v.open()
    v.wait_for("[data-seen='like'] .hint, [data-seen='found'] .hint")


def _match(v: Visitor) -> None:
    v.override_answer("v1/frames", decision="match")
    v.force_decision("match")
    v.open()
    v.wait_for(".product .price")
    v.wait_for(".alike .tile")


def _guess(v: Visitor) -> None:
    v.override_answer("v1/frames", decision="ambiguous")
    v.force_decision("ambiguous", matches=[{"probability": share} for share in (0.6, 0.2, 0.1)])
    v.open()
    v.wait_for(".product .price")


def _denied(v: Visitor) -> None:
    _guess(v)
    v.press(".answer-foot .button >> nth=0")
    v.wait_for(".choices .tile")


def _choices(v: Visitor) -> None:
    v.override_answer("v1/frames", decision="ambiguous")
    v.force_decision("ambiguous", matches=[{"probability": share} for share in (0.44, 0.38, 0.09, 0.05)])
    v.open()
    v.wait_for(".choices .tile")


def _unknown(v: Visitor) -> None:
    v.become_customer()
    guesses = {"category": {"value": "Kitchen", "share": 0.8}, "brand": {"value": "Alderabo", "share": 0.6}}
    v.override_answer("v1/frames", decision="unknown", matches=[], flaw="dark")  # nothing is answered without a press
    v.force_decision("unknown", guesses=guesses, flaw="")
    v.open()
    v.wait_for(".shutter")
    v.press(".shutter")
    v.wait_for(".verdict.unknown")


def _unknown_searched(v: Visitor) -> None:
    _unknown(v)
    v.press(".answer-foot .button >> nth=0")
    v.wait_for(".words .tile")


def _why(v: Visitor) -> None:
    _match(v)
    v.press(".answer-body .row .button >> nth=0")
    v.wait_for(".why img")


def _words(v: Visitor) -> None:
    v.open("words")
    v.wait_for(".kinds .tile")


def _keys(v: Visitor) -> None:
    v.query = v.query.replace("&theme", "&kiosk=600&theme")
    v.open("words")
    v.page.evaluate("document.querySelector('.attract').click()")
    for key in "mug":
        v.press(f".key >> text=/^{key}$/")
    v.wait_for(".results .tile-price")


def _word_results(v: Visitor) -> None:
    v.open("words")
    v.page.fill("#words", "mug under 12")
    v.page.keyboard.press("Enter")
    v.wait_for(".results .tile-price")


def _nothing(v: Visitor) -> None:
    v.open("words")
    v.page.fill("#words", "mug under 0.01")
    v.page.keyboard.press("Enter")
    v.wait_for(".results .lead")


def _product(v: Visitor) -> None:
    _word_results(v)
    v.press(".results .tile")
    v.wait_for(".alike .tile")


def _edit(v: Visitor) -> None:
    _product(v)
    v.press(".product-body .row .button >> nth=0")
    v.wait_for("dialog form")


def _teach(v: Visitor) -> None:
    v.override_answer("v1/frames", decision="unknown", matches=[], flaw="dark")
    v.force_decision("unknown", guesses={"category": {"value": "Kitchen", "share": 0.8}}, flaw="")
    v.open()
    v.wait_for(".shutter")
    v.press(".shutter")
    v.wait_for(".verdict.unknown")
    v.press(".answer-foot .button >> nth=0")
    v.press(".words > .row .button")
    v.wait_for(".teach .search")


def _teach_new(v: Visitor) -> None:
    _teach(v)
    v.press(".teach-content > .button")
    v.wait_for(".teach [required]")


def _taught(v: Visitor) -> None:
    product = {"sku": "T-1", "name": "Blue mug"}
    told = {"product": product, "pictures": 1, "like": {"sku": "P", "name": "Alderabo Mug Orchard 350 ml"}}
    v.page.route("**/v1/products", lambda route: route.fulfill(json=told))
    _teach_new(v)
    v.page.fill(".teach input[required]", "Blue mug")
    v.press(".teach [type=submit]")
    v.wait_for(".teach .verdict.match")


TAKEN = {"advice": "taken", "taken": 2, "enough": False, "like": None, "number": 7}


def _photos(v: Visitor) -> None:
    product = {"sku": "P000001", "name": "Alderabo Mug Orchard 350 ml", "location": "Aisle 1, shelf A2", "pictures": 1}
    v.page.route("**/v1/capture", lambda route: route.fulfill(json={"learns": True, "products": [product] * 3}))
    v.page.route("**/v1/capture/frames?*", lambda route: route.fulfill(json=TAKEN))
    v.open("shoot")
    v.wait_for(".shoot .counted-name")
    v.wait_until("document.querySelector('#video').videoWidth > 0")
    v.press(".count-press")
    v.wait_until("document.querySelector('.shoot .lead').textContent.includes('2')")


def _photos_off(v: Visitor) -> None:
    v.page.route("**/v1/capture", lambda route: route.fulfill(json={"learns": False, "products": []}))
    v.open("shoot")
    v.wait_for(".shoot .primary.big")


def _learned(v: Visitor) -> None:
    aside = {"number": 7, "state": "aside", "sku": "P000001", "like": "P000002"}
    weeks = [{"first": 0.5}, {"first": 0.75}]
    picture = v.photo.read_bytes()
    v.page.route("**/v1/learned", lambda route: route.fulfill(json={"learned": [aside]}))
    v.page.route("**/v1/learned/progress", lambda route: route.fulfill(json={"asked": 12, "weeks": weeks}))
    v.page.route("**/v1/learned/7/picture", lambda route: route.fulfill(body=picture, content_type="image/jpeg"))
    v.open("learned")
    v.wait_for(".settle .tile >> nth=1")
    v.wait_until("document.querySelector('.lead').textContent.includes('75')")


def _staff(v: Visitor) -> None:
    v.become_customer()
    v.open("staff")
    for digit in "271":
        v.press(f".key >> text={digit}")


def _counts(v: Visitor) -> None:
    counts = {"names": ["aisle-4", "cold-store"]}
    v.page.route("**/v1/counts", lambda route: route.fulfill(json=counts))
    v.open("count")
    v.wait_for(".acts .act")


COUNTED = [{"sku": "P000001", "name": "Alderabo Mug Orchard 350 ml", "count": 12}]
COUNTED += [{"sku": "P000002", "name": "Alderabo Mug Stars 350 ml", "count": 3}]

CANDIDATES = [[row["sku"], row["name"]] for row in COUNTED]
WAITS: dict[str, object] = {"id": "p1", "status": "aside", "times": 1, "sku": "", "name": "", "candidates": CANDIDATES}


def _counting(v: Visitor, photo_answer: dict[str, object] | None = None) -> None:
    """Open the counting screen; after one photo, if the answer to it is given."""
    state = {"name": "aisle-4", "counts": COUNTED, "waiting": [WAITS, WAITS | {"id": "p2"}]}
    picture = v.photo.read_bytes()

    def answer(route: Route) -> None:
        if route.request.url.endswith(("/p1", "/p2")):
            return route.fulfill(body=picture, content_type="image/jpeg")
        return route.fulfill(json=state | {"seen": photo_answer or WAITS})

    v.page.route("**/v1/counts**", answer)
    v.page.route("**/v1/counts/**", answer)
    v.open("count")
    v.page.fill("input[required]", "aisle-4")
    v.page.keyboard.press("Enter")
    v.wait_for(".count-press")
    v.wait_until("document.querySelector('#video').videoWidth > 0")
    if photo_answer:
        v.press(".count-press")
        v.wait_for(".counted, .asked")


def _counted_photo(v: Visitor) -> None:
    _counting(v, {"id": "p1", "status": "counted", "times": 1, "sku": "P000001", "name": COUNTED[0]["name"]})


def _count_asks(v: Visitor) -> None:
    _counting(v, WAITS)


def _count_undone(v: Visitor) -> None:
    _counting(v)
    v.press(".count-controls .row .button >> nth=0")
    v.wait_for(".count-message .button")


def _count_list(v: Visitor) -> None:
    _counting(v)
    v.press(".count-controls .row .button >> nth=1")
    v.wait_for(".rows .act")


def _count_number(v: Visitor) -> None:
    _count_list(v)
    v.press(".rows .act")
    v.wait_for("dialog [type=number]")


def _count_review(v: Visitor) -> None:
    _count_list(v)
    v.press(".answer-foot .primary")
    v.wait_for(".asked .facts .quiet")


def _menu(v: Visitor) -> None:
    v.open("menu")
    v.wait_for(".acts .act")


def _attract(v: Visitor) -> None:
    v.query = v.query.replace("&theme", "&kiosk=60&theme")
    v.override_answer("v1/frames", decision="unknown", matches=[], flaw="dark")
    v.open()
    v.wait_for(".attract .mosaic img")
    v.page.wait_for_timeout(1200)


def _idle(v: Visitor) -> None:
    v.query = v.query.replace("&theme", "&kiosk=6&theme")
    v.open("menu")
    v.page.evaluate("document.querySelector('.attract')?.click()")
    v.wait_for("dialog[open]")


def _failing(error: str) -> Callable[[Visitor], None]:
    def show(v: Visitor) -> None:
        v.page.add_init_script(FAIL_CAMERA % error)
        v.open()
        v.wait_for(".calm")

    return show


def _camera_asks(v: Visitor) -> None:
    v.page.add_init_script(ASKS_FIRST)
    v.open()
    v.wait_for(".calm")


def _insecure(v: Visitor) -> None:
    v.page.add_init_script(NO_CAMERA_API)
    v.open()
    v.wait_for(".calm")


def _server_gone(v: Visitor) -> None:
    v.open("words")
    v.page.route("**/v1/**", lambda route: route.abort())
    v.page.fill("#words", "mug")
    v.page.keyboard.press("Enter")
    v.wait_for("[data-cover=gone]")


def _catalogue(v: Visitor) -> None:
    v.override_answer("v1/health", catalogue={"name": "shop", "products": 0})
    v.open()
    v.wait_for("[data-cover=catalogue]")


def _busy(v: Visitor) -> None:
    error = {"error": {"kind": "BusyError", "message": "20 requests wait already; ask again in a second."}}
    v.open("words")
    v.page.route("**/v1/search*", lambda route: route.fulfill(status=429, headers={"Retry-After": "3"}, json=error))
    v.page.fill("#words", "mug")
    v.page.keyboard.press("Enter")
    v.wait_for(".toast")


def _saving(v: Visitor) -> None:
    v.page.add_init_script(LOW_BATTERY)
    v.force_decision("unknown")
    v.override_answer("v1/frames", decision="unknown", flaw="dark")
    v.open()
    v.wait_for(".toast")
    v.page.wait_for_timeout(1200)


def _resting(v: Visitor) -> None:
    v.override_answer("v1/frames", decision="unknown", matches=[], flaw="dark")
    v.open(query="&rest=5")
    v.wait_for("[data-cover=rest]")


SCENES: dict[str, Callable[[Visitor], None]] = {
    "attract": _attract, "find": _find, "seen": _known_product, "match": _match, "why": _why,
    "guess": _guess, "not-it": _denied, "choices": _choices, "keys": _keys, "teach-new": _teach_new,
    "unknown": _unknown, "lost": _unknown_searched, "words": _words, "found": _word_results, "nothing": _nothing,
    "product": _product, "edit": _edit, "teach": _teach, "taught": _taught, "photos": _photos,
    "photos-off": _photos_off, "learned": _learned, "staff": _staff, "counts": _counts,
    "counting": _counting, "counted": _counted_photo, "count-asks": _count_asks, "count-list": _count_list,
    "count-undone": _count_undone, "count-number": _count_number, "count-review": _count_review,
    "menu": _menu, "idle": _idle, "asks": _camera_asks, "denied": _failing("NotAllowedError"),
    "missing": _failing("NotFoundError"), "taken": _failing("NotReadableError"), "insecure": _insecure,
    "resting": _resting, "saving": _saving, "gone": _server_gone, "catalogue": _catalogue, "busy": _busy,
}  # fmt: skip
