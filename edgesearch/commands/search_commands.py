"""search, eval, inspect, verify: the commands that read a store."""

import argparse
import contextlib
import itertools
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._util import progress
from .._util.plain_text import plain
from ..answer import Answer, Guess, Match, Understood
from ..catalog import loader
from ..device import maintenance
from ..device.slots import Slots, open_bundle
from ..embedding.run_settings import DEFAULT
from ..errors import EdgeSearchError, QueryError, several
from ..images import image, photo_formats
from ..search.open_bundle import open_catalog, open_embedder
from ..store.opening import open as open_store
from ..store.store import MAX_TOGETHER
from .arguments import BARCODES, FAST, STORE, Adder, positive_int
from .output import PICTURES, picture_kind, print_line, print_note, print_table, report_error, write_picture


def add(command: Adder) -> None:
    """Add the commands."""
    _add_search(command)
    _add_eval(command)
    parser = command("inspect", _inspect, "Show the contents of a store.", "store.edge")
    parser.add_argument("store", type=Path, help=STORE)
    parser.add_argument("--json", action="store_true", help="print one JSON object")

    parser = command(
        "verify", _verify, "Check every byte of a store, and that its parts belong together.", "store.edge"
    )
    parser.add_argument("store", type=Path, help=STORE)
    parser.add_argument("--trust", type=Path, metavar="PUB", help="public key that must have signed it")


def _add_search(command: Adder) -> None:
    example = 'store.edge photo.jpg --text "like this but red, under 5 euro"'
    parser = command("search", _search, "Find a product by photos, words or both.", example)
    parser.set_defaults(refuse=parser.error)
    parser.add_argument("store", type=Path, help=STORE)
    parser.add_argument("photo", nargs="*", help="picture files; none to search by words alone")
    parser.add_argument("--text", metavar="WORDS", help="sentence in English or Chinese; the answer shows its filters")
    parser.add_argument(
        "--where",
        metavar="FILTER",
        help='search only products that match, such as "category=Fruit and price<30 order by price"',
    )
    parser.add_argument("--together", action="store_true", help="give one answer for several photos of one product")
    parser.add_argument("--fast", action=argparse.BooleanOptionalAction, help=FAST)
    parser.add_argument("--barcodes", action=argparse.BooleanOptionalAction, help=BARCODES)
    parser.add_argument("-k", type=positive_int, default=5, help="number of products (default: 5)")
    parser.add_argument(
        "--explain",
        type=Path,
        metavar="PATH",
        help="draw what made photo and product match: into a .png or .jpg for one photo, else into a folder",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per photo")


def _add_eval(command: Adder) -> None:
    text = "Measure a store's accuracy and speed on photos of known products."
    parser = command("eval", _eval, text, "store.edge queries.csv --json")
    parser.add_argument("store", type=Path, help=STORE)
    parser.add_argument("queries", type=Path, help="CSV of image,sku; an empty sku means not in this catalogue")
    parser.add_argument("--fast", action=argparse.BooleanOptionalAction, help=FAST)
    parser.add_argument("--skip-bad", action="store_true", help="skip unreadable photos, and list them")
    parser.add_argument("--report", type=Path, metavar="HTML", help="write a page with charts and the missed photos")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _search(options: argparse.Namespace) -> int:
    if not (options.photo or options.text or options.where):
        options.refuse("give a photo, --text or --where")
    if options.explain and not options.photo:
        options.refuse("--explain needs a photo")
    if options.together and (options.explain or not options.photo):
        options.refuse("--together needs photos, and excludes --explain")
    if options.together and len(options.photo) > MAX_TOGETHER:
        options.refuse(f"--together takes at most {MAX_TOGETHER} photos, not {len(options.photo)}")
    status = 0
    drawings = _name_drawings(options.explain, options.photo) if options.explain else {}
    with open_store(options.store) as store:
        for number, photo in enumerate([options.photo] if options.together else options.photo or [None]):
            try:
                answer = store.search(
                    photo, options.k, options.fast, text=options.text, where=options.where, barcodes=options.barcodes
                )
                as_json = json.dumps(answer.to_dict(), ensure_ascii=False)
                text = plain(as_json) if options.json else format_answer(answer)
                print(text, flush=True)
                _note_cut_off(options.photo if options.together else [photo] if photo else [])
                if number in drawings and answer.matches:
                    path = drawings[number]
                    write_picture(path, store.explain(photo, answer, picture_kind(path)))
            except QueryError:
                raise  # it is the same for every photo
            except EdgeSearchError as error:
                status = report_error(error)
    return status


def _note_cut_off(photos: Sequence[str]) -> None:
    """Tell of photos that were read although their files seem cut off."""
    for photo in photos:
        if photo_formats.lacks_end(image.read_bytes(Path(photo))):
            print_note(f"{photo}: {photo_formats.WITHOUT_END}.")


def _name_drawings(path: Path, photos: Sequence[str]) -> dict[int, Path]:
    """Return the path of each photo's explanation, and create its folder; number photos that share a name."""
    single = bool(path.suffix) and not path.is_dir()
    if single and path.suffix.lower() not in PICTURES:
        raise EdgeSearchError(f"{path}: give a path that ends in .png or .jpg, or a folder name without a dot.")
    if single and len(photos) > 1:
        raise EdgeSearchError(
            f"{path}: one picture for {len(photos)} photos; give one photo, or a folder for the pictures."
        )
    folder = path.parent if single else path
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgeSearchError(f"{folder}: cannot be created ({error.strerror}); give another folder.") from error
    if single:
        return {0: path}
    names: dict[str, Path] = {}  # by lower-case name, because some file systems ignore case
    for stem in (Path(photo).stem for photo in photos):
        numbered = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
        name = next(name for name in numbered if name.lower() not in names)
        names[name.lower()] = path / f"{name}.jpg"
    return dict(enumerate(names.values()))


def format_answer(answer: Answer) -> str:
    """Return an answer as the lines that `search` prints."""
    decision, total_ms = f"{answer.decision}{_format_found(answer)}", answer.elapsed_ms["total"]
    lines = [f"{answer.photo or 'words'}: {decision} ({total_ms:.1f} ms)"]
    if answer.understood:
        lines += _format_understood(answer.understood)
    lines += [f"  {reason}" for reason in answer.emptied_by]
    lines += ["  the most similar products here:"] * bool(answer.decision == "unknown" and answer.matches)
    lines += [_format_match(rank, match, answer) for rank, match in enumerate(answer.matches, 1)]
    lines += [
        f"  {label.format} {label.text}: {', '.join(label.skus) or 'no product here'}" for label in answer.barcodes
    ]
    lines += [f"  {answer.conflict}"] * bool(answer.conflict)
    if answer.decision == "unknown":
        lines += [f"  probably {name} {guess.value} ({guess.share:.0%})" for name, guess in _likely_guesses(answer)]
    lines += [f"  about the photo: {answer.advice}"] * bool(answer.advice)
    return "\n".join(map(plain, lines))


def _format_found(answer: Answer) -> str:
    """Return how many products words and filter find, or leave for the photo."""
    if answer.found is None:
        return ""
    products = f"{f'{answer.found:,}' if answer.found else 'no'} {'product' if answer.found <= 1 else 'products'}"
    if answer.found and not answer.by_words:
        return f" among {products}"
    shown = len(answer.matches)
    return f", {products}" + (f", the first {shown}" if shown < answer.found else "")


def _format_match(rank: int, match: Match, answer: Answer) -> str:
    """Return a line; a probability beside "unknown" would contradict it, and for words there is none."""
    likely = "" if answer.by_words or answer.decision == "unknown" else f"{match.probability:4.0%}  "
    price = "" if match.price is None else f"  {match.price:.2f} {match.product.currency or ''}".rstrip()
    mirrored = ", mirrored" * match.mirrored
    agreement = f"  ({match.points} local features agree{mirrored})" if match.points else ""
    words = "" if match.words is None else f"  ({match.words:.0%} of the words)"
    return f"  {rank}  {likely}{match.sku}  {match.name}{price}{agreement}{words}"


def _likely_guesses(answer: Answer) -> list[tuple[str, Guess]]:
    return [(name, guess) for name, guess in answer.guesses.items() if guess.share >= 1 / 2]


def _format_understood(understood: Understood) -> list[str]:
    """Return the options that the words stand for, ready to be edited and used."""
    values = (("where", understood.where), ("text", understood.words))
    options = [f"--{name} {shlex.quote(value)}" for name, value in values if value]
    notes = [f"  note: {note}" for note in understood.notes]
    return [f"  understood as {' '.join(options) or 'the photo alone'}", *notes]


def _eval(options: argparse.Namespace) -> None:
    from ..evaluation import evaluate, report  # here, so that a search does not load them
    from ..html import html_page

    queries = loader.read_queries(options.queries)
    if options.report:
        html_page.check_path(options.report)
    with open_store(options.store) as store:
        evaluation = evaluate.evaluate(store, queries, options.fast, options.skip_bad)
        if options.report:
            with progress.stage("write the report"):
                html_page.write(options.report, report.page(evaluation, store, _command_line(options)))
    for reason in evaluation.skipped:
        print_note(f"left out {reason}")
    figures = evaluation.to_dict()
    if options.json:
        print_table(figures, True)
    else:
        by_category = figures.pop("by_category")
        print_table(figures, False)
        for line in format_categories(by_category):
            print_line(line)


def format_categories(by_category: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """Return figures by category as lines, and what to do if one is low; none for no categories."""
    from ..evaluation import report_tables  # here, so that a search does not load it

    if not by_category:
        return []
    names = {"queries": "photos"} | {name: name for name in ("recall@1", "recall@5", "match", "shown", "unknown")}
    lines = [f"{'by category':24} {' '.join(f'{title:>8}' for title in names.values())}"]
    for category, row in list(by_category.items())[: report_tables.MAX_CATEGORIES]:
        cells = [f"{row['queries']:8,}", *(f"{row[name] or 0.0:8.4f}" for name in [*names][1:])]
        lines.append(f"  {category:22} {' '.join(cells)}")
    more = len(by_category) - report_tables.MAX_CATEGORIES
    lines += [f"  and {more:,} more, which --json prints"] * (more > 0)
    return lines + [report_tables.ADVICE] * report_tables.needs_photos(by_category)


def _command_line(options: argparse.Namespace) -> str:
    """Return the shell command that these options came from."""
    fast = {None: [], True: ["--fast"], False: ["--no-fast"]}[options.fast]
    flags = [*fast, *["--skip-bad"] * options.skip_bad, "--report"]
    return shlex.join(["edgesearch", "eval", *map(str, (options.store, options.queries, *flags, options.report))])


def _inspect(options: argparse.Namespace) -> None:
    from ..evaluation import model_costs  # here, so that a search does not load it

    bundle = open_bundle(options.store)
    manifest, size = bundle.manifest, bundle.path.stat().st_size
    with contextlib.closing(bundle), contextlib.closing(open_catalog(bundle)) as catalog:
        without, embedder = catalog.skus_without_picture(), open_embedder(bundle, DEFAULT)
    crop_ms = model_costs.crop_ms(embedder)
    table: dict[str, Any] = {
        "name": manifest.name,
        "sequence": manifest.sequence,
        "created": manifest.created,
        "signed": bundle.signer is not None,
        "signed_by": bundle.signer,
        "next_key": manifest.next_key or None,
        "size_bytes": size,
        **_describe_device(options.store),
        "model": embedder.config.name,
        "crop ms": crop_ms if options.json else f"{crop_ms:.1f}",
        **manifest.counts,
        "without picture": without if options.json else several(without, len(without)) or None,
        **manifest.accuracy,
        **_describe_decision(manifest.calibration, options.json),
        **{f"{part} sha256": digest for part, digest in manifest.hashes.items()},
        **{f"{name} bytes": entry.size for name, entry in manifest.files.items()},
    }
    print_table(table, options.json)


def _describe_decision(stored: Mapping[str, Any], as_json: bool) -> dict[str, Any]:
    """Return the decision of a bundle: all of it as JSON, else the thresholds and what to expect."""
    if as_json or "expected" not in stored:
        return {f"decision {name}": value for name, value in stored.items()}
    rows = {f"decision {name}": stored[name] for name in ("match_from", "known_from", "source", "questions")}
    rows |= {f"expected {name}": value for name, value in stored["expected"].items()}
    return rows | {"confused": "; ".join(f"{sku} / {other}" for sku, other, _ in stored["confused"]) or None}


def _describe_device(store: Path) -> dict[str, Any]:
    """Return what a device folder holds besides its bundle; nothing for a file."""
    if not store.is_dir():
        return {}
    taught = maintenance.overlay_snapshot(store)
    return {"encrypted": Slots(store).encrypted, "taught products": len(taught.changes), "log lines": taught.version}


def _verify(options: argparse.Namespace) -> None:
    with open_store(options.store, trust=options.trust) as store:
        store.bundle.verify()
        store.self_test()
        manifest, signer = store.bundle.manifest, store.bundle.signer
    by = f"signed by {signer[:8]}" if signer else "not signed"
    print_line(f"{options.store}: sound; {len(manifest.files)} files, {manifest.counts['products']} products, {by}.")
