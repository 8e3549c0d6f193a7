"""Act at random on the page, as any visitor of a kiosk may."""

import random
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Error, Page

KEYS = [
    "Tab",
    "Tab",
    "Enter",
    "Escape",
    " ",
    "ArrowDown",
    "ArrowRight",
    "Backspace",
    "5",
    "a",
    "F1",
    "PageDown",
    "Home",
]
TEXTS = ["mug", "under 3", "不超过30元的牛奶", "a and (", '"', "😀 <b>", "x" * 400, "price<", ""]
SIZES = [(390, 844), (1080, 1920), (1280, 800), (320, 568), (844, 390)]
NOWHERE = "about:blank"
PRESSABLE = """() => {
  if (!document.getElementById("cover")) return [];  // on its way to another page
  const covered = document.querySelector("dialog[open]") ?? (cover.hidden ? document : cover);
  const found = [...covered.querySelectorAll("button, a[href], input, select, summary, label")].filter((one) => {
    const { width, height, top, left } = one.getBoundingClientRect();
    const isSeen = width > 1 && height > 1 && top >= 0 && left >= 0 && top < innerHeight && left < innerWidth;
    return isSeen && one.type !== "file";
  });
  return found.map((one) => {
    const { width, height, top, left } = one.getBoundingClientRect();
    return [left + width / 2, top + height / 2];
  });
}"""
BROKEN = """() => {
  if (!document.getElementById("cover")) return true;
  const covered = cover.hidden ? "" : cover.dataset.cover;
  const isThere = document.querySelector("#bar").children.length && document.querySelector("#view").children.length;
  return document.body.dataset.ready !== "yes" || !isThere || ["gone", "catalogue"].includes(covered);
}"""


def act_at_random(page: Page, photo: Path, actions: int, seed: int) -> list[str]:
    """Do `actions` things at random; return a line for each thing that went wrong.

    Args:
        page:  the page as a visitor finds it.
        photo: may be chosen from the gallery.
    """
    chance, failures = random.Random(seed), []  # noqa: S311  # not for secrets
    home = page.url
    page.on("pageerror", lambda error: failures.append(f"an error of the page: {error}"))
    page.on("dialog", lambda dialog: dialog.dismiss())
    acts: list[tuple[int, Callable[[], object]]] = [
        (60, lambda: _press(page, chance)),
        (12, lambda: page.keyboard.press(chance.choice(KEYS))),
        (6, lambda: page.keyboard.type(chance.choice(TEXTS))),
        (5, lambda: page.evaluate("history.back()")),
        (4, lambda: page.mouse.wheel(0, chance.choice([-900, 300, 900]))),
        (4, lambda: page.set_viewport_size(dict(zip(("width", "height"), chance.choice(SIZES), strict=True)))),  # type: ignore[arg-type]
        (3, lambda: page.keyboard.type("2003874204893\n")),
        (3, lambda: page.mouse.click(chance.randrange(320), chance.randrange(390))),
        (2, lambda: page.locator("input[type=file]").first.set_input_files(photo, timeout=300)),
        (1, lambda: page.reload()),
    ]
    for number in range(actions):
        (act,) = chance.choices([act for _, act in acts], [weight for weight, _ in acts])
        try:
            act()
            page.wait_for_timeout(chance.choice([0, 20, 120]))
            if page.evaluate(BROKEN):
                page.wait_for_timeout(1500)  # a reload takes a moment
                if page.url == NOWHERE:  # the page before the first one, which a kiosk does not have
                    page.goto(home)
                    page.wait_for_timeout(1500)
                if page.evaluate(BROKEN):
                    failures.append(f"after {number + 1} actions: an error screen at {page.url}")
                    page.reload()
        except Error as error:
            if "Execution context was destroyed" not in error.message and "Timeout" not in error.message:
                failures.append(f"after {number + 1} actions: {error.message}")
    return failures


def _press(page: Page, chance: random.Random) -> None:
    points = page.evaluate(PRESSABLE)
    if points:
        page.mouse.click(*chance.choice(points))
