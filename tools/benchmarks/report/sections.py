"""The sections of the page of figures: the commands that measure each, and its text.

To add figures, add a `Section`: a text with fields of its runs (see `templates`), or no text for a line a figure.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..context import Results
from ..index_search import REACHED

MINUTE = 60
PAGES_RELEASED = "edgesearch, pages released"


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
        released = [result for result in found["results"] if result["name"] == PAGES_RELEASED]
        for place, one in enumerate([*found["best"].values(), *released]):
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
    """Share of photos, real and drawn, whose first match is the right product. Each column adds one thing to the one
before it. [The protocols and columns](accuracy.md).

{accuracy[markdown]}""",
)

GROCERIES = Section(
    "Accuracy by kind",
    {"groceries": Run("groceries", limit_s=60 * MINUTE)},
    """Share of grocery photos whose first match is the right product, and in parentheses is among the first five, as a
device answers, with local features. Packages carry print; vegetables and fruit do not.

{groceries[markdown]}""",
)

ANSWERS = Section(
    "Known or unknown",
    {
        "catalogue": Run("answers --most 8 --references 0"),
        "answers": Run("answers --most 8"),
        "many": Run("answers --most 8 --references 12"),
    },
    """81 groceries, 8 photos of each; the same photos without their product; photos of clothing, surfaces and rubbish.
Wrong matches: a tenth of the photos are of the products left out. Best: with the threshold that is best for these
photos.

| | one catalogue picture | and five photos | and twelve |
|---|---|---|---|
| answered with a match | {catalogue[match]:.2f} | {answers[match]:.2f} | {many[match]:.2f} |
| with a choice of five | {catalogue[choice]:.2f} | {answers[choice]:.2f} | {many[choice]:.2f} |
| with unknown | {catalogue[unknown]:.2f} | {answers[unknown]:.2f} | {many[unknown]:.2f} |
| right product shown | {catalogue[shown]:.2f} | {answers[shown]:.2f} | {many[shown]:.2f} |
| wrong matches, of all matches | {catalogue[wrong matches]:.3f} | {answers[wrong matches]:.3f} | {many[wrong matches]:.3f} |
| coverage at 95% precision | {catalogue[coverage_at_95]:.2f} | {answers[coverage_at_95]:.2f} | {many[coverage_at_95]:.2f} |
| of packages | {catalogue[coverage_at_95: packages]:.2f} | {answers[coverage_at_95: packages]:.2f} | {many[coverage_at_95: packages]:.2f} |
| best match at 5% wrong | {catalogue[oracle match at 5% wrong]:.2f} | {answers[oracle match at 5% wrong]:.2f} | {many[oracle match at 5% wrong]:.2f} |
| best match at 8% wrong | {catalogue[oracle match at 8% wrong]:.2f} | {answers[oracle match at 8% wrong]:.2f} | {many[oracle match at 8% wrong]:.2f} |
| right product first | {catalogue[recall@1]:.2f} | {answers[recall@1]:.2f} | {many[recall@1]:.2f} |
| left-out products answered with unknown | {catalogue[unknown sent away]:.2f} | {answers[unknown sent away]:.2f} | {many[unknown sent away]:.2f} |
| known against left-out products, AUROC | {catalogue[auroc]:.2f} | {answers[auroc]:.2f} | {many[auroc]:.2f} |
| other things answered with a match | {catalogue[far: match]:.3f} | {answers[far: match]:.3f} | {many[far: match]:.3f} |
| other things answered with unknown | {catalogue[far: unknown]:.2f} | {answers[far: unknown]:.2f} | {many[far: unknown]:.2f} |
| probability of the first product, ECE | {catalogue[ece]:.3f} | {answers[ece]:.3f} | {many[ece]:.3f} |
| three photos together: right first | {catalogue[together: recall@1]:.2f} | {answers[together: recall@1]:.2f} | {many[together: recall@1]:.2f} |
| three photos together: match | {catalogue[together: match]:.2f} | {answers[together: match]:.2f} | {many[together: match]:.2f} |
| category of unseen products, top-1 | {catalogue[category: top-1]:.2f} | {answers[category: top-1]:.2f} | {many[category: top-1]:.2f} |""",  # noqa: E501
)

KINDS = Section(
    "Clothing",
    {"kinds": Run("answers --kinds")},
    """{kinds[photos]} photos of clothing are searched among {kinds[products]} products of other senders. The kind is
right for a share of {kinds[top-1]:.2f}; there are {kinds[kinds]} kinds.""",
)

PHOTO = Section(
    "Photo to answer",
    {"photo": Run("photo", "photo --products 300")},
    """A phone's JPEG of 1 MB and 12 megapixels among {photo[products]:,} made-up products; one thread, processor time.

{photo[markdown]}""",
    plots=("photo",),
)

EMBEDDER = Section(
    "Network",
    {"embedder": Run("embedder"), "embedder-avx2": Run("embedder --as avx2")},
    """The shipped network on one thread, one picture and two pictures at once; all engines take turns; processor time.
The second table hides instructions newer than AVX2 on the same processor.

{embedder[markdown]}

{embedder-avx2[markdown]}

{embedder[note]}""",
    plots=("embedder",),
)

BUILD = Section(
    "Build",
    {"build": Run("build", "build --pictures 20 --rows 2000 --made-up 200")},
    """A build of {build[pictures]} drawn pictures on all processors, compared with decoding and computing alone.

| | without local features | with local features |
|---|---|---|
| pictures a second, decoding and computing alone | {build[bound_per_s]:.1f} | {build[bound_with_print_per_s]:.1f} |
| pictures a second, in a build | {build[taken_per_s]:.1f} | {build[taken_with_print_per_s]:.1f} |
| share | {build[share]:.2f} | {build[share_with_print]:.2f} |
| the rest of the build, mostly calibration | {build[rest_s]:.1f} s | {build[rest_with_print_s]:.1f} s |
| a build with nothing changed | {build[unchanged_s]:.1f} s | {build[unchanged_with_print_s]:.1f} s |

A delta that changes a hundredth of the pictures takes {build[delta_bytes]:/1000 .0f} kB, the bundle
{build[bundle_bytes]:/1000 ,.0f} kB. Indexing {build[rows]:,} embeddings takes {build[index_s]:.0f} s and at most
{build[index_peak_bytes]:/1e6 ,.0f} MB. Assembling the made-up extracts of {build[made_up]:,} pictures takes
{build[put_together_s]:.0f} s and at most {build[put_together_peak_bytes]:/1e6 ,.0f} MB, of which
{build[put_together_own_bytes]:/1e6 ,.0f} MB are the process's own and the rest mapped files.""",
)

BUDGET = Section(
    "Budget",
    {"budget": Run("budget", "budget --data synthetic --products 300 --budget-mb 5")},
    """The parts that `--budget-mb` keeps of 50,000 made-up products with a picture each, whose embeddings are of real
photos. Recall@1: the share of queries whose nearest product without compression stays first.
[More about budgets](budget.md).

{budget[table]}""",
)

CHECK = Section(
    "Catalogues",
    {"check": Run("catalogue"), "read": Run("catalogue --rows 1000000", "catalogue --rows 1000")},
    """Shares of planted mistakes that `check` finds among real photos, and its false alarms.

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
    f"""One query at a time on one thread; all systems take turns on the same vectors and queries. Of the other
libraries, the fastest setting with a recall@10 of {REACHED} is shown, or the one with the best recall; of ours, the
setting that `build` chose, and the same with its pages released before each query, as a store does after each photo.
Resident: the growth of a process that has opened the file and sent 1,000 queries. Systems that take over 5 ms get 50
queries. A million rows and more are measured without systems that take an hour to build (hnswlib, USearch's
floats).""",
    indexes,
    ("index-time", "index-memory", "index-recall"),
)

COLD = Section(
    "Cold start and memory",
    {"cold": Run("cold", "cold --products 300")},
    """A new process on a device folder of {cold[products]:,} made-up products ({cold[bundle_bytes]:/1e9 .2f} GB).

| | |
|---|---|
| first answer, median and fastest | {cold[first_answer_ms]:,.0f}, {cold[quickest_first_answer_ms]:,.0f} ms |
| of that, import, open, answer | {cold[import_ms]:.0f}, {cold[open_ms]:.0f}, {cold[answer_ms]:.0f} ms |
| resident memory then, and the process's own share | {cold[resident_bytes]:/1e6 .0f}, {cold[own_bytes]:/1e6 .0f} MB |
| share of a processor at rest | {cold[idle_cpu]:.2%} |""",
)

PRINT = Section(
    "Local features",
    {"print": Run("print", "print --pictures 300")},
    """Local features of {print[pictures]:,} made-up pictures.

| | |
|---|---|
| a photo: extract, find by words, verify | {print[look_ms]:.0f}, {print[words_ms]:.0f}, {print[verify_ms]:.0f} ms |
| size of a picture in the file | {print[file_bytes_a_picture]:/1000 .1f} kB |
| growth of a process | {print[resident_bytes]:/1e6 .0f} MB |""",
)

SERVE = Section(
    "Server",
    {"serve": Run("serve", "serve --seconds 5")},
    """{serve[clients]} clients together send {serve[asked_per_s]:.0f} photos a second for {serve[seconds]} s to a
server with 60 drawn products, on the same processors.

| | |
|---|---|
| latency, median, p95, maximum | {serve[p50_ms]:.0f}, {serve[p95_ms]:.0f}, {serve[max_ms]:.0f} ms |
| answers a second | {serve[answered_per_s]:.1f} |
| errors | {serve[errors]} |""",
)

PAGE = Section(
    "Page",
    {"page": Run("page"), "monkey": Run("monkey", "monkey --actions 20")},
    """Chromium without a graphics processor, on the same processors as the server.

| | |
|---|---|
| first paint, usable | {page[first paint ms p50]:.0f}, {page[usable ms p50]:.0f} ms |
| frame to answer, median and p95 | {page[frame to answer ms p50]:.0f}, {page[frame to answer ms p95]:.0f} ms |
| press to product | {page[press to product ms p50]:.0f} ms |
| size without pictures | {page[page kB]:.0f} kB |
| error screens after {monkey[actions]:,} random actions | {monkey[wrong]} |""",
)

HANDS = Section(
    "Hands-free",
    {"hands": Run("hands", "hands --photos 3 --references 0 --hand '2 px'", 60 * MINUTE)},
    """A camera is shown photos of different products, and of surfaces and clothes, in a hand that trembles by so many
of its 960 x 1280 px; blurred: exposed for 1/30 s. Times are the page's, which does not wait for a busy machine, with
answers as slow as on a cheap scanner.

{hands[markdown]}""",
)

COMPARE = Section(
    "Compare",
    {"compare": Run("compare", "compare --families 1")},
    """Shares of the verdicts of `compare` on photos of drawn products.

{compare[markdown]}""",
)

EXPLAIN = Section(
    "Explain",
    {"explain": Run("explain", "explain --number 2")},
    """The cosine while regions are hidden (deletion, smaller is better) and shown (insertion, larger is better), for
{explain[photos]} drawn photos: ordered by occlusion, as in `--explain`, by the network's response, and at random.

{explain[lines]}""",
)

WORDS = Section("Words", {"words": Run("words", "words --products 500")})

PREFERENCE = Section(
    "Preference",
    {"personal": Run("personal", None, 60 * MINUTE)},
    """Alternatives shown to {personal[shoppers]} made-up shoppers with preferences ("taste") and without, with their
profile on.

{personal[lines]}""",
)

SECTIONS = (
    ACCURACY, GROCERIES, ANSWERS, KINDS, PHOTO, EMBEDDER, COLD, INDEX, BUILD, BUDGET, CHECK, PRINT, SERVE, PAGE,
    HANDS, COMPARE, EXPLAIN, WORDS, PREFERENCE,
)  # fmt: skip
RUNS = {name: run for section in SECTIONS for name, run in section.runs.items()}
