"""Draw a small shop, build its catalogue, search photos in it, and draw the results on one contact sheet.

tools/demo [--out build/demo] [--sheet-rows 12]
"""

import argparse
import io
import sys
import time
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

import edgesearch
from edgesearch import Answer, Store
from edgesearch.catalog.loader import read_queries
from edgesearch.evaluation.evaluate import evaluate

from . import write_catalogue

CELL, TEXT_HEIGHT, RESULTS = 150, 46, 5
COLORS = {"match": (20, 120, 60), "ambiguous": (190, 120, 0), "unknown": (170, 40, 40)}
INK, PAPER = (30, 30, 30), (255, 255, 255)


def main() -> int:
    """Run the demo; return the exit status."""
    parser = argparse.ArgumentParser(prog="tools/demo", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/demo"), help="folder to write to (build/demo)")
    parser.add_argument("--sheet-rows", type=int, default=12, help="photos on the contact sheet (12)")
    options = parser.parse_args()
    try:
        run(options.out, max(3, options.sheet_rows))
    except (edgesearch.EdgeSearchError, OSError) as error:
        print(f"tools/demo: {error}", file=sys.stderr)
        return 1
    return 0


def run(out: Path, sheet_rows: int) -> None:
    """Draw the shop, build the catalogue, search the photos, and write the contact sheet into `out`."""
    print("drawing a shop of 60 products, photos of them, and photos of 12 unknown products ...", flush=True)
    write_catalogue(out, products=60, unknown=12, photos=4, seed=0)
    start = time.perf_counter()
    built = edgesearch.build(out / "catalogue.csv", out / "shop.edge")
    print(
        f"built {out / 'shop.edge'}: {built.manifest.counts['products']} products, "
        f"{built.size_bytes / 1e6:.1f} MB, in {time.perf_counter() - start:.1f} s\n"
    )
    with edgesearch.open(out / "shop.edge") as store:
        queries = read_queries(out / "queries.csv")
        selected = _select_queries(queries, sheet_rows)
        answers = [(photo, sku, store.search(photo, k=RESULTS)) for photo, sku in selected]
        for photo, sku, answer in answers:
            print(format_result(photo, sku, answer))
        draw_contact_sheet(store, answers).save(out / "contact_sheet.png")
        figures = evaluate(store, queries).to_dict()
    print(f"\nall {figures['queries']} photos: right product first {figures['recall@1']:.0%}, ", end="")
    print(
        f"among five {figures['recall@5']:.0%}, unknown products accepted {figures['false_accept_rate']:.0%}, ",
        end="",
    )
    print(f"median {figures['p50_ms']:.1f} ms a photo\nsee {out / 'contact_sheet.png'}")


def _select_queries(queries: list[tuple[Path, str]], count: int) -> list[tuple[Path, str]]:
    """Return `count` queries spread over the list: two thirds of known products, the others of unknown ones."""
    known, unknown = ([q for q in queries if bool(q[1]) is is_known] for is_known in (True, False))
    few = count // 3
    return (
        known[:: max(1, len(known) // (count - few))][: count - few]
        + unknown[:: max(1, len(unknown) // max(1, few))][:few]
    )


def format_result(photo: Path, sku: str, answer: Answer) -> str:
    """Return one line: the decision, the best product, and whether it is right."""
    best = answer.matches[0]
    truth = ("right" if best.sku == sku else "wrong") if sku else "not in this catalogue"
    return (
        f"{photo.name:16} {answer.decision:9} {best.probability:4.0%}  {best.name} "
        f"({best.price:.2f} {best.product.currency}), {answer.elapsed_ms['total']:.1f} ms  [{truth}]"
    )


def draw_contact_sheet(store: Store, answers: list[tuple[Path, str, Answer]]) -> Image.Image:
    """Draw a row for each photo: the photo, then the products found; a frame marks the right one."""
    sheet = Image.new("RGB", (CELL * (RESULTS + 1) + 20, (CELL + TEXT_HEIGHT) * len(answers)), PAPER)
    for row, (photo, sku, answer) in enumerate(answers):
        top = row * (CELL + TEXT_HEIGHT)
        with Image.open(photo) as image:
            _paste(sheet, image.convert("RGB"), 0, top)
        _write(sheet, 0, top, f"{answer.decision}\n{answer.elapsed_ms['total']:.1f} ms", COLORS[answer.decision])
        for column, match in enumerate(answer.matches, 1):
            left = CELL * column + 20
            _paste(sheet, Image.open(io.BytesIO(store.picture(match))), left, top)
            _write(
                sheet,
                left,
                top,
                f"{match.name}\n{match.probability:.0%}  {match.price:.2f} {match.product.currency}",
                INK,
            )
            if match.sku == sku:
                ImageDraw.Draw(sheet).rectangle(
                    (left, top, left + CELL - 4, top + CELL), outline=COLORS["match"], width=3
                )
    return sheet


def _paste(sheet: Image.Image, picture: Image.Image, left: int, top: int) -> None:
    picture.thumbnail((CELL - 8, CELL - 4))
    sheet.paste(picture, (left + (CELL - picture.width) // 2 - 2, top + (CELL - picture.height) // 2))


def _write(sheet: Image.Image, left: int, top: int, text: str, color: tuple[int, int, int]) -> None:
    """Write up to three lines below a picture; wrap long ones at the cell's width."""
    font = ImageFont.load_default(11)
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split(" "):
            if font.getlength(f"{line} {word}") > CELL - 10:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}".strip()
        lines.append(line)
    ImageDraw.Draw(sheet).multiline_text((left + 3, top + CELL + 1), "\n".join(lines[:3]), color, font, spacing=2)


if __name__ == "__main__":
    sys.exit(main())
