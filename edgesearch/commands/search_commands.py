"""search, eval, inspect, verify: what is asked of a store."""

import argparse
import itertools
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..answer import Answer, Guess, Understood
from ..catalog import loader
from ..device import maintenance
from ..device.slots import Slots, open_bundle
from ..errors import EdgeSearchError, QueryError
from ..evaluation import evaluate
from ..store.store import MOST_TOGETHER
from ..store.store import open as open_store
from .arguments import BARCODES, FAST, STORE, Adder, at_least_one
from .output import PICTURES, Bar, failed, picture_kind, print_table, say, write_picture


def add(command: Adder) -> None:
    """Add them."""
    example = 'store.edge photo.jpg --text "like this but red, under 5 euro"'
    added = command("search", _search, "Find the product that a photo shows, or words describe.", example)
    added.set_defaults(refuse=added.error)
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument("photo", nargs="*", help="picture file; none to search by words alone")
    added.add_argument("--text", metavar="WORDS", help="a sentence, in English or Chinese; what of it filters is shown")
    added.add_argument(
        "--where", metavar="FILTER", help='find these alone, as "category=Fruit and price<30 order by price"'
    )
    added.add_argument("--together", action="store_true", help="the photos show one product, and answer together")
    added.add_argument("--fast", action=argparse.BooleanOptionalAction, help=FAST)
    added.add_argument("--barcodes", action=argparse.BooleanOptionalAction, help=BARCODES)
    added.add_argument("-k", type=at_least_one, default=5, help="products to show (default: 5)")
    added.add_argument(
        "--explain",
        type=Path,
        metavar="PATH",
        help="draw what made photo and product match: of one photo into this .png or .jpg, else into this folder",
    )
    added.add_argument("--json", action="store_true", help="one JSON object a photo")

    added = command("eval", _eval, "Measure a store on photos of known products.", "store.edge queries.csv --json")
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument("queries", type=Path, help="CSV of image,sku; an empty sku: not in this catalogue")
    added.add_argument("--fast", action=argparse.BooleanOptionalAction, help=FAST)
    added.add_argument("--skip-bad", action="store_true", help="leave out photos that cannot be read, and list them")
    added.add_argument(
        "--report", type=Path, metavar="HTML", help="write a page to look at: charts, and pictures of misses"
    )
    added.add_argument("--json", action="store_true", help="one JSON object")

    added = command("inspect", _inspect, "Say what a store holds.", "store.edge")
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument("--json", action="store_true", help="one JSON object")

    added = command("verify", _verify, "Check every byte of a store, and that its parts fit.", "store.edge")
    added.add_argument("store", type=Path, help=STORE)
    added.add_argument("--trust", type=Path, metavar="PUB", help="public key that must have signed it")


def _search(options: argparse.Namespace) -> int:
    if not (options.photo or options.text or options.where):
        options.refuse("give a photo, --text or --where")
    if options.explain and not options.photo:
        options.refuse("--explain needs a photo")
    if options.together and (options.explain or not options.photo):
        options.refuse("--together needs photos, and explains none")
    if options.together and len(options.photo) > MOST_TOGETHER:
        options.refuse(f"--together takes {MOST_TOGETHER} photos at most, not {len(options.photo)}")
    status = 0
    drawn = _drawn(options.explain, options.photo) if options.explain else {}
    with open_store(options.store) as store:
        for place, photo in enumerate([options.photo] if options.together else options.photo or [None]):
            try:
                answer = store.search(
                    photo, options.k, options.fast, text=options.text, where=options.where, barcodes=options.barcodes
                )
                print(json.dumps(answer.to_dict(), ensure_ascii=False) if options.json else _shown(answer), flush=True)
                if place in drawn and answer.matches:
                    write_picture(drawn[place], store.explain(photo, answer, picture_kind(drawn[place])))
            except QueryError:
                raise  # of every photo the same
            except EdgeSearchError as error:
                status = failed(error)
    return status


def _drawn(path: Path, photos: Sequence[str]) -> dict[int, Path]:
    """Where the explanation of each photo goes, in a folder that is made: photos of one name are numbered."""
    single = bool(path.suffix) and not path.is_dir()
    if single and path.suffix.lower() not in PICTURES:
        raise EdgeSearchError(f"{path}: give a path that ends in .png or .jpg, or a folder without a dot.")
    if single and len(photos) > 1:
        raise EdgeSearchError(f"{path}: one picture for {len(photos)} photos; give one photo, or a folder.")
    folder = path.parent if single else path
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgeSearchError(f"{folder}: cannot be made a folder ({error.strerror}); give another one.") from error
    if single:
        return {0: path}
    names: dict[str, Path] = {}  # in small letters: as some file systems tell names apart
    for stem in (Path(photo).stem for photo in photos):
        numbered = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
        name = next(name for name in numbered if name.lower() not in names)
        names[name.lower()] = path / f"{name}.jpg"
    return dict(enumerate(names.values()))


def _shown(answer: Answer) -> str:
    lines = [f"{answer.photo or 'words'}: {answer.decision} ({answer.elapsed_ms['total']:.1f} ms)"]
    if answer.understood:
        lines += _understood(answer.understood)
    for place, match in enumerate(answer.matches, 1):
        price = "" if match.price is None else f"  {match.price:.2f} {match.product.currency or ''}".rstrip()
        agrees = f"  ({match.points} points of the print agree{', mirrored' * match.mirrored})" if match.points else ""
        worded = "" if match.words is None or not answer.photo else f"  ({match.words:.0%} of the words)"
        likely = match.probability if answer.photo else match.score
        lines.append(f"  {place}  {likely:4.0%}  {match.sku}  {match.name}{price}{agrees}{worded}")
    lines += [
        f"  {label.format} {label.text}: {', '.join(label.skus) or 'no product here'}" for label in answer.barcodes
    ]
    lines += [f"  {answer.conflict}"] * bool(answer.conflict)
    if answer.decision == "unknown":
        lines += [f"  probably of {name} {one.value} ({one.share:.0%})" for name, one in _probable(answer)]
    return "\n".join(lines + [f"  about the photo: {answer.advice}"] * bool(answer.advice))


def _probable(answer: Answer) -> list[tuple[str, Guess]]:
    return [(name, guess) for name, guess in answer.guesses.items() if guess.share >= 1 / 2]


def _understood(said: Understood) -> list[str]:
    """As it can be changed and given back."""
    options = [
        f"--{name} {shlex.quote(value)}" for name, value in (("where", said.where), ("text", said.words)) if value
    ]
    return [f"  understood as {' '.join(options) or 'the photo alone'}", *(f"  note: {note}" for note in said.notes)]


def _eval(options: argparse.Namespace) -> None:
    from ..evaluation import report  # here, so that a search does not load them
    from ..html import html_page  # here, so that a search does not load them

    queries = loader.read_queries(options.queries)
    if options.report:
        html_page.check_path(options.report)
    with open_store(options.store) as store:
        with Bar("eval", "photo") as progress:
            evaluation = evaluate.evaluate(store, queries, options.fast, progress, options.skip_bad)
        if options.report:
            html_page.write(options.report, report.page(evaluation, store, _command(options)))
    for reason in evaluation.skipped:
        say(f"left out {reason}")
    print_table(evaluation.to_dict(), options.json)


def _command(options: argparse.Namespace) -> str:
    """What was called, as a shell takes it."""
    fast = {None: [], True: ["--fast"], False: ["--no-fast"]}[options.fast]
    flags = [*fast, *["--skip-bad"] * options.skip_bad, "--report"]
    return shlex.join(["edgesearch", "eval", *map(str, (options.store, options.queries, *flags, options.report))])


def _inspect(options: argparse.Namespace) -> None:
    bundle = open_bundle(options.store)
    manifest, size = bundle.manifest, bundle.path.stat().st_size
    bundle.close()
    table: dict[str, Any] = {
        "name": manifest.name,
        "sequence": manifest.sequence,
        "created": manifest.created,
        "signed": bundle.signer is not None,
        "signed_by": bundle.signer,
        "next_key": manifest.next_key or None,
        "size_bytes": size,
        **_held(options.store),
        **manifest.counts,
        **manifest.accuracy,
        **{f"decision {name}": value for name, value in manifest.calibration.items()},
        **{f"{part} sha256": digest for part, digest in manifest.hashes.items()},
        **{f"{name} bytes": entry.size for name, entry in manifest.files.items()},
    }
    print_table(table, options.json)


def _held(store: Path) -> dict[str, Any]:
    """What a device folder holds besides its bundle."""
    if not store.is_dir():
        return {}
    taught = maintenance.taught(store)
    return {"encrypted": Slots(store).encrypted, "taught products": len(taught.changes), "log lines": taught.version}


def _verify(options: argparse.Namespace) -> None:
    with open_store(options.store, trust=options.trust) as store:
        store.bundle.verify()
        store.self_test()
        manifest, signer = store.bundle.manifest, store.bundle.signer
    by = f"signed by {signer[:8]}" if signer else "not signed"
    print(f"{options.store}: sound; {len(manifest.files)} files, {manifest.counts['products']} products, {by}.")
