"""The sections of the page of figures: the commands that measure each, and its text.

To add figures, add a `Section`: a text with fields of its runs (see `templates`), or no text for a line a figure.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..context import Results
from ..index_search import REACHED

MINUTE = 60
LET_GO = "edgesearch, vectors let go"


@dataclass(frozen=True)
class Run:
    """A run of `tools/bench`; asked: command and options; quick: the same with a small size, None if there is none."""

    asked: str
    quick: str | None = None
    limit_s: int = 30 * MINUTE


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        runs:  by the names that fields and `--only` use.
        table: formats the figures where a text with fields cannot.
        plots: names of the plots below the text.
    """

    title: str
    runs: Mapping[str, Run]
    text: str = ""
    table: Callable[[Iterable[Results]], str] | None = None
    plots: tuple[str, ...] = ()


def indexes(runs: Iterable[Results]) -> str:
    """Return a table of each library's best setting, and its time compared with ours."""
    lines = [
        "| vectors | index | p50 | to ours | recall@10 | resident bytes a row | built in |",
        "|---|---|---|---|---|---|---|",
    ]
    for found in runs:
        vectors = f"{found['rows']:,} {found['data']} x {found['dim']}"
        ours = found["best"]["edgesearch"]["p50_us"]
        release_pages = [one for one in found["results"] if one["name"] == LET_GO]
        for place, one in enumerate([*found["best"].values(), *release_pages]):
            lines.append(
                f"| {'' if place else vectors} | {one['name']} | {one['p50_us']:,.0f} us | {one['p50_us'] / ours:.2f} "
                f"| {one['recall@10']:.3f} | {one['resident_bytes_per_row']:,.0f} | {one['build_s']:,.0f} s |"
            )
    return "\n".join(lines)


def _index(rows: int, *only: str, limit_s: int = 30 * MINUTE, quick: int | None = None) -> Run:
    """Return a run with synthetic vectors; quick: their number in a quick run."""
    options = " ".join(f"--only '{name}'" for name in only)
    small = f"index --data synthetic --rows {quick} --only edgesearch --only 'usearch i8'" if quick else None
    return Run(f"index --data synthetic --rows {rows} {options}".strip(), small, limit_s)


ACCURACY = Section(
    "Accuracy",
    {"accuracy": Run("accuracy", limit_s=90 * MINUTE)},
    """Right product first, of real photos and drawn ones; each column adds one thing to the one before it.
[What each protocol and column is](accuracy.md).

{accuracy[markdown]}""",
)

ANSWERS = Section(
    "Known or unknown",
    {
        "answers": Run("answers --most 8"),
        "catalogue": Run("answers --most 8 --references 0"),
    },
    """Of 81 groceries those of odd class id are in the catalogue; 8 photos of each are asked.

| | five photos a product | one catalogue picture |
|---|---|---|
| right product first, of the known | {answers[recall@1]:.2f} | {catalogue[recall@1]:.2f} |
| known told from unknown, AUROC | {answers[auroc]:.2f} | {catalogue[auroc]:.2f} |
| unknown accepted, of a stated 5% | {answers[false_accept_rate]:.2f} | {catalogue[false_accept_rate]:.2f} |
| known refused then | {answers[false_reject_rate]:.2f} | {catalogue[false_reject_rate]:.2f} |
| known refused where 5% are accepted | {answers[false rejects at 5%]:.2f} | {catalogue[false rejects at 5%]:.2f} |
| probability of the first match, ECE | {answers[ece]:.2f} | {catalogue[ece]:.2f} |
| three photos together: right first | {answers[together: recall@1]:.2f} | {catalogue[together: recall@1]:.2f} |
| three photos together: AUROC | {answers[together: auroc]:.2f} | {catalogue[together: auroc]:.2f} |
| category of unseen products, top-1 | {answers[category: top-1]:.2f} | {catalogue[category: top-1]:.2f} |""",
)

KINDS = Section(
    "Clothing",
    {"kinds": Run("answers --kinds")},
    """Of {kinds[photos]} photos of clothing, asked of {kinds[products]} products of other senders, the kind is right
first for {kinds[top-1]:.2f}, of {kinds[kinds]} kinds.""",
)

PHOTO = Section(
    "Photo to answer",
    {"photo": Run("photo", "photo --products 300")},
    """A phone's JPEG of 1 MB and 12 megapixels among {photo[products]:,} made-up products, one thread, ms of the
processor.

{photo[markdown]}""",
    plots=("photo",),
)

EMBEDDER = Section(
    "Network",
    {"embedder": Run("embedder"), "embedder-avx2": Run("embedder --as avx2")},
    """The shipped network on one thread, a picture alone and two at once, all engines in turns, ms of the processor;
below, on the same processor without what is younger than AVX2.

{embedder[markdown]}

{embedder-avx2[markdown]}

{embedder[note]}""",
    plots=("embedder",),
)

BUILD = Section(
    "Build",
    {"build": Run("build", "build --pictures 20 --rows 2000 --made-up 200")},
    """Of {build[pictures]} drawn pictures, on all processors; beside what these do when they decode and compute, and
nothing else.

| | without print | with print |
|---|---|---|
| a second, decoding and network (and print) alone | {build[bound_per_s]:.1f} | {build[bound_with_print_per_s]:.1f} |
| a second, by a build | {build[taken_per_s]:.1f} | {build[taken_with_print_per_s]:.1f} |
| share | {build[share]:.2f} | {build[share_with_print]:.2f} |
| what follows, calibration most of it | {build[rest_s]:.1f} s | {build[rest_with_print_s]:.1f} s |
| again, with nothing changed | {build[unchanged_s]:.1f} s | {build[unchanged_with_print_s]:.1f} s |

A delta to another picture of a hundredth of them takes {build[delta_bytes]:/1000 .0f} kB, the bundle
{build[bundle_bytes]:/1000 ,.0f}. {build[rows]:,} rows are indexed from embeddings in {build[index_s]:.0f} s, with
{build[index_peak_bytes]:/1e6 ,.0f} MB at most. What is taken of {build[made_up]:,} pictures, made
up here, is put together in {build[put_together_s]:.0f} s, with {build[put_together_peak_bytes]:/1e6 ,.0f} MB at most,
{build[put_together_own_bytes]:/1e6 ,.0f} of them its own and the rest files that it maps.""",
)

BUDGET = Section(
    "Budget",
    {"budget": Run("budget", "budget --data synthetic --products 300 --budget-mb 5")},
    """What `--budget-mb` keeps of 50,000 made-up products with a picture each, whose embeddings are of real photos,
and how often what is nearest without any compression stays first. [What it means](budget.md).

{budget[table]}""",
)

CHECK = Section(
    "Catalogues",
    {"check": Run("catalogue"), "read": Run("catalogue --rows 1000000", "catalogue --rows 1000")},
    """What `check` finds of what is planted among real photos.

{check[markdown]}

{read[lines]}""",
)

INDEX = Section(
    "Index",
    {
        "index-100000": Run("index --rows 100000", None, 60 * MINUTE),
        "index-10000": Run("index --rows 10000"),
        "synthetic-1000": _index(1000, quick=300),
        "synthetic-10000": _index(10_000, quick=1000),
        "synthetic-100000": _index(100_000, limit_s=60 * MINUTE, quick=3000),
        "synthetic-1000000": _index(
            1_000_000, "edgesearch", "faiss IVF", "usearch i8", "sqlite-vec", limit_s=90 * MINUTE
        ),
        "synthetic-10000000": _index(
            10_000_000, "edgesearch", "faiss IVF12649,PQ64x4fs,Refine(SQ8)", limit_s=180 * MINUTE
        ),
    },
    f"""One query at a time, one thread, the same vectors and queries in one run, all systems in turns. Of each other
library the fastest setting with a recall@10 of {REACHED} (where none reaches it, that which finds most); of ours what
`build` chose, and the same where the vectors are let go before each query, as a store does after each photo. Resident:
what a process holds more once it has opened the file and asked 1,000 queries. What takes over 5 ms is asked 50
queries. A million rows and more are measured without what takes an hour to build (hnswlib, USearch's floats).""",
    indexes,
    ("index-time", "index-memory", "index-recall"),
)

COLD = Section(
    "Cold start and memory",
    {"cold": Run("cold", "cold --products 300")},
    """A new process on a device folder of {cold[products]:,} made-up products ({cold[bundle_bytes]:/1e9 .2f} GB).

| | |
|---|---|
| to its first answer, median and quickest | {cold[first_answer_ms]:,.0f}, {cold[quickest_first_answer_ms]:,.0f} ms |
| of that import, open, answer | {cold[import_ms]:.0f}, {cold[open_ms]:.0f}, {cold[answer_ms]:.0f} ms |
| held then, and its own of that | {cold[resident_bytes]:/1e6 .0f}, {cold[own_bytes]:/1e6 .0f} MB |
| of a processor, at rest | {cold[idle_cpu]:.2%} |""",
)

PRINT = Section(
    "The print",
    {"print": Run("print", "print --pictures 300")},
    """Local features of {print[pictures]:,} made-up pictures.

| | |
|---|---|
| a photo: look, find words, verify | {print[look_ms]:.0f}, {print[words_ms]:.0f}, {print[verify_ms]:.0f} ms |
| a picture in the file | {print[file_bytes_a_picture]:/1000 .1f} kB |
| a process grows by | {print[resident_bytes]:/1e6 .0f} MB |""",
)

SERVE = Section(
    "Server",
    {"serve": Run("serve", "serve --seconds 5")},
    """{serve[clients]} clients together ask {serve[asked_per_s]:.0f} photos a second of 60 drawn products for
{serve[seconds]} s; on the same processors.

| | |
|---|---|
| median, p95, longest | {serve[p50_ms]:.0f}, {serve[p95_ms]:.0f}, {serve[max_ms]:.0f} ms |
| answered a second | {serve[answered_per_s]:.1f} |
| errors | {serve[errors]} |""",
)

PAGE = Section(
    "Page",
    {"page": Run("page"), "monkey": Run("monkey", "monkey --actions 20")},
    """In Chromium without a graphics processor, on the same processors as the server.

| | |
|---|---|
| first paint, usable | {page[first paint ms p50]:.0f}, {page[usable ms p50]:.0f} ms |
| frame to answer, median and p95 | {page[frame to answer ms p50]:.0f}, {page[frame to answer ms p95]:.0f} ms |
| press to product | {page[press to product ms p50]:.0f} ms |
| without pictures | {page[page kB]:.0f} kB |
| error screens after {monkey[actions]:,} random actions | {monkey[wrong]} |""",
)

COMPARE = Section(
    "Compare",
    {"compare": Run("compare", "compare --families 1")},
    """What `compare` says of photos of drawn products, as shares.

{compare[markdown]}""",
)

EXPLAIN = Section(
    "Explain",
    {"explain": Run("explain", "explain --number 2")},
    """The cosine left while regions are hidden (deletion, the smaller the better) and shown (insertion), of
{explain[photos]} drawn photos: by occlusion, as `--explain` does, by the network's response, and at random.

{explain[lines]}""",
)

WORDS = Section("Words", {"words": Run("words", "words --products 500")})

TASTE = Section(
    "Taste",
    {"personal": Run("personal", None, 60 * MINUTE)},
    """Alternatives shown to {personal[shoppers]} made-up shoppers with a taste and without, with their profile on.

{personal[lines]}""",
)

SECTIONS = (
    ACCURACY, ANSWERS, KINDS, PHOTO, EMBEDDER, COLD, INDEX, BUILD, BUDGET, CHECK, PRINT, SERVE, PAGE, COMPARE, EXPLAIN,
    WORDS, TASTE,
)  # fmt: skip
RUNS = {name: run for section in SECTIONS for name, run in section.runs.items()}
