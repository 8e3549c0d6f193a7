"""Text from others acts on no terminal and forges no line."""

import json

import pytest

from edgesearch import CatalogError
from edgesearch._util.plain_text import has_control, plain
from edgesearch.answer import Answer, Match
from edgesearch.catalog.product import MAX_DETAIL_BYTES, MAX_DETAILS_BYTES, Product, check_details
from edgesearch.commands import output
from edgesearch.commands.search_command import format_answer

HOSTILE = "Mug\n9  2026  boss  install\r\x1b[2J\x9b31m\u202etxt\u2028end\x7f"


def test_control_characters_are_shown_and_nothing_else_changes() -> None:
    assert plain("a\n\x1b[0mb") == "a\\u000a\\u001b[0mb"
    assert plain("K\u00e4se \u0634\u0627\u064a \U0001f9c0 \\") == "K\u00e4se \u0634\u0627\u064a \U0001f9c0 \\"
    assert json.loads(plain(json.dumps({"name": HOSTILE}, ensure_ascii=False))) == {"name": HOSTILE}


@pytest.mark.parametrize("shown", [output.print_line, output.print_note])
def test_a_name_prints_one_line(shown: object, capsys: pytest.CaptureFixture[str]) -> None:
    shown(HOSTILE)  # type: ignore[operator]
    printed = "".join(capsys.readouterr())
    assert printed.count("\n") == 1 and not has_control(printed.rstrip("\n"))


def test_an_answer_has_a_line_a_match_whatever_its_name() -> None:
    match = Match(Product(HOSTILE, HOSTILE, currency=HOSTILE, price=1.0), 0.9, "a.jpg", 0, probability=0.9)
    lines = format_answer(Answer("x.jpg", "match", (match,), {"total": 1.0})).splitlines()
    assert len(lines) == 2 and not any(map(has_control, lines))


@pytest.mark.parametrize(
    "details",
    [
        {"name": "Mug\n9  boss"},
        {"name": "\x1b[2J"},
        {"brand": "a\x07b"},
        {"description": "a\u202eb"},
        {"description": "\u00e4" * (MAX_DETAIL_BYTES // 2)},
        {f"column {number}": "x" * 9_000 for number in range(MAX_DETAILS_BYTES // 9_000 + 1)},
    ],
    ids=str,
)
def test_details_that_are_hostile_or_too_large_are_refused(details: dict[str, str]) -> None:
    with pytest.raises(CatalogError) as refusal:
        check_details("A", details)
    assert not has_control(str(refusal.value)) and len(str(refusal.value)) < 200


def test_descriptions_have_lines_and_languages() -> None:
    details = {"description": "first\nsecond\tcolumn", "name": "\u0645\u200c\u06cc \U0001f469\u200d\U0001f373"}
    assert check_details("A", details) == details
