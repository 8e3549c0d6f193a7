"""A visitor who acts at random on the page of a kiosk, and what goes wrong."""

import argparse
from pathlib import Path

from browsing.chromium import PORTRAIT, open_browser, serve_device, write_film
from browsing.random_actions import act_at_random
from browsing.visitor import new_visitor
from playwright.sync_api import sync_playwright

from .context import SEED, Results
from .page_speed import PHONE, make_shop

MOVED_ON = 60  # frames of each photo, enough for an answer


def measure(actions: int, folder: Path, seed: int) -> Results:
    """Do `actions` random things; return how often something went wrong, and the messages."""
    photos = make_shop(folder, seed)
    moving = write_film(photos, folder / "moving.mjpeg", PORTRAIT, MOVED_ON)
    with (
        serve_device(folder / "device") as address,
        sync_playwright() as playwright,
        open_browser(playwright, moving) as opened,
    ):
        person = new_visitor(opened, address, photos[0], viewport=PHONE)
        person.open(query="&kiosk=30")
        wrong = act_at_random(person.page, photos[0], actions, seed)
    return {"wrong": len(wrong), "said": wrong}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--actions", type=int, default=1000, help="default: 1000")
    parser.add_argument("--seed", type=int, default=SEED, help=f"seed of the actions (default: {SEED})")


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    return measure(options.actions, folder, options.seed) | {"actions": options.actions}
