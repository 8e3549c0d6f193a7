"""search: the command that answers photos and words."""

import argparse
import itertools
import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from .._util.plain_text import plain
from ..answer import Answer, Guess, Match, Understood
from ..errors import EdgeSearchError, QueryError
from ..images import image, photo_formats
from ..store.opening import open as open_store
from ..store.store import MAX_TOGETHER
from .arguments import BARCODES, FAST, STORE, Adder, positive_int
from .output import PICTURES, picture_kind, print_note, report_error, write_picture


def add(command: Adder) -> None:
    """Add the command."""
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
