"""A visitor of the page: opens views, presses buttons, waits, and overrides what the server answers."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

ANSWER_MS = 20_000  # long, because the machine may be busy
OVERRIDE_ANSWER = """(path, change) => {
  const fetched = window.fetch;
  const merge = (answer, change) => (Array.isArray(answer) && Array.isArray(change) && change.length
    ? answer.map((item, index) => Object.assign(item, change[index])) : change);
  window.fetch = async (resource, options) => {
    const response = await fetched(resource, options);
    if (!response.ok || !String(resource).startsWith(path)) return response;
    const answer = await response.json();
    for (const key of Object.keys(change)) answer[key] = merge(answer[key], change[key]);
    return new Response(JSON.stringify(answer), { headers: { "Content-Type": "application/json" } });
  };
}"""


@dataclass
class Visitor:
    """A person in front of the page.

    Attributes: photo: may be chosen from the gallery; query: of the address; visits: how often a view was opened.
    """

    page: Page
    address: str
    photo: Path
    query: str = "lang=en&theme=dark"
    visits: int = 0

    def open(self, view: str = "", query: str = "") -> None:
        """Open the page at a view, and wait until it is ready."""
        self.visits += 1  # an address that differs only in the view would not load the page again
        self.page.goto(f"{self.address}?{self.query}{query}&visit={self.visits}#{view}")
        self.page.wait_for_selector("body[data-ready]", timeout=ANSWER_MS)

    def wait_for(self, selector: str) -> None:
        """Wait until an element is visible."""
        self.page.wait_for_selector(selector, timeout=ANSWER_MS)

    def press(self, selector: str) -> None:
        """Press the first visible element."""
        self.page.locator(selector).locator("visible=true").first.click()

    def wait_until_settled(self) -> None:
        """Wait until pictures are loaded and animations have ended."""
        self.wait_until("[...document.images].every((image) => image.complete)")
        self.page.wait_for_timeout(450)

    def wait_until(self, condition: str, timeout_ms: int = ANSWER_MS) -> None:
        """Wait until a JavaScript condition is true.

        Playwright's `wait_for_function` evaluates text inside the page, which the page's own policy forbids.

        Raises: TimeoutError: it is not true in time.
        """
        for _ in range(timeout_ms // 100):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(100)
        raise TimeoutError(f"{condition} is not true after {timeout_ms} ms.")

    def override_answer(self, path: str, **change: object) -> None:
        """Change what the server answers at a path; merge lists of objects item by item; [] empties one."""
        self.page.add_init_script(f"({OVERRIDE_ANSWER})({json.dumps(path)}, {json.dumps(change)})")

    def force_decision(self, decision: str, **other: object) -> None:
        """Answer every photo with this decision."""
        known = {"known": 0.1} if decision == "unknown" else {}
        self.override_answer("v1/search?k=6", decision=decision, **known | other)

    def become_customer(self) -> None:
        """Be a customer, where staff have PINs."""
        self.override_answer("v1/me", role="customer", needs_pin=True)


def new_visitor(
    browser: Browser, address: str, photo: Path, *, query: str = "lang=en&theme=dark", **context: Any
) -> Visitor:
    """Return a new visitor, whose camera may be used."""
    opened: BrowserContext = browser.new_context(permissions=["camera"], **context)
    return Visitor(opened.new_page(), address, photo, query)
