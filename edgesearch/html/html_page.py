"""Compose and write pages that are one HTML file: no script, no other file, nothing from a network."""

import base64
import contextlib
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np

from .._util import files
from ..errors import ReportError
from ..images import image
from .markup import Markup, tag

SUFFIXES = (".html", ".htm")  # so that a report never overwrites a store or a list of queries
STYLE = "report.css"
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # load nothing, whatever a name holds
PICTURE_SIDE = 168  # px; a hundred of them are about a megabyte


def document(title: str, *body: Markup) -> str:
    """Return a whole page."""
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("title", title),
        tag("style", Markup(resources.files(__package__).joinpath(STYLE).read_text(encoding="utf-8"))),
    ]
    return "<!doctype html>\n" + tag("html", tag("head", *head), tag("body", *body), lang="en")


def picture(pixels: np.ndarray, alt: str, over: object = None) -> Markup:
    """Return a picture, embedded in the page.

    Args:    pixels: (H, W, 3) uint8.
             over: markup to draw over it.
    """
    data = base64.b64encode(image.thumbnail(pixels, PICTURE_SIDE)).decode()
    drawn = tag("img", src=f"data:image/jpeg;base64,{data}", alt=alt)
    return tag("span", drawn, over, class_="tall" if pixels.shape[0] >= pixels.shape[1] else "flat")


def no_picture(text: str) -> Markup:
    """Return a text in place of a picture."""
    return tag("span", text, class_="none")


def captioned_picture(title: object, words: object, drawn: Markup, kind: str = "") -> Markup:
    """Return a `picture` or `no_picture` with a caption; kind: "is-right", "is-wrong" or ""."""
    return tag("figure", tag("div", drawn, class_=f"picture {kind}"), tag("figcaption", tag("b", title), words))


def check_path(path: Path) -> None:
    """Raise ReportError if no page can be written to a path; call it before a long evaluation."""
    with _report_errors(path), tempfile.NamedTemporaryFile(prefix=f".{path.name}.", dir=path.parent):
        pass


def write(path: Path, text: str) -> None:
    """Write a page to a temporary file and rename it into place; raise ReportError if that fails."""
    with _report_errors(path), files.replacing(path) as file:
        file.write(text.encode("utf-8", "replace"))


@contextlib.contextmanager
def _report_errors(path: Path) -> Iterator[None]:
    """Raise ReportError if the path is unsuitable or cannot be written."""
    if path.suffix.lower() not in SUFFIXES:
        raise ReportError(f"{path}: a report is written as .html; give a path such as report.html.")
    try:
        if not path.parent.is_dir() or (path.exists() and not path.is_file()):  # never replace a device file
            raise ReportError(f"{path}: not a file in a folder that exists; give a path such as report.html.")
        yield
    except OSError as error:
        raise ReportError(
            f"{path}: cannot be written ({error.strerror}); check the folder and its free space."
        ) from error
