"""The command line: output, exit status, help, and errors of the terminal."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import edgesearch
from edgesearch.answer import Answer, Decision, Match
from edgesearch.catalog.product import Product
from edgesearch.commands import cli
from edgesearch.commands.cli import COMMANDS, _parser, main
from edgesearch.commands.search_command import format_answer
from edgesearch.commands.store_commands import format_categories

from ..conftest import TINY_MODEL


@pytest.mark.slow
def test_build_prints_a_summary(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["build", str(shop / "catalogue.csv"), "-o", str(tmp_path / "x.edge"), "--model", str(TINY_MODEL)]
    assert main([*command, "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert "8 products, 8 pictures" in out
    assert err == ""


def test_build_lists_skipped_pictures(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = f"sku,name,images\nA,Cup,{shop}/pictures/P000000.jpg\nB,Jug,none.jpg\n"
    (tmp_path / "c.csv").write_text(lines)
    command = ["build", str(tmp_path / "c.csv"), "-o", str(tmp_path / "c.edge"), "--model", str(TINY_MODEL)]
    assert main(command) == 1
    assert "--skip-bad" in capsys.readouterr().err
    assert main([*command, "--skip-bad"]) == 0
    err = capsys.readouterr().err
    assert "left out B: " in err
    assert "1 product has no picture, so only words, filters and barcodes find" in err


def test_search_prints_one_line_per_match(shop: Path, shop_edge: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", str(shop_edge), str(shop / "pictures" / "P000001.jpg"), "-k", "2"]) == 0
    first, *matches = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r".*P000001\.jpg: (match|ambiguous|unknown) \(\d+\.\d ms\)", first)
    assert len(matches) == 2
    assert "P000001" in matches[0]


def test_no_percentage_contradicts_the_word_unknown() -> None:
    match = Match(Product("A", "Cup"), 0.9, "a.jpg", 0, probability=0.51)
    printed = {
        decision: format_answer(Answer("x.jpg", decision, (match,), {"total": 1.0})) for decision in get_args(Decision)
    }
    assert printed["unknown"].splitlines()[1:] == ["  the most similar products here:", "  1  A  Cup"]
    assert " 51%  A  Cup" in printed["match"] and " 51%  A  Cup" in printed["ambiguous"]


def test_search_json_prints_one_object_per_photo(
    shop: Path, tiny_edge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = [str(path) for path in sorted((shop / "photos").glob("*.jpg"))[:3]]
    assert main(["search", str(tiny_edge), *photos, "--json"]) == 0
    tables = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [table["photo"] for table in tables] == photos
    assert {"photo", "decision", "matches", "elapsed_ms"} <= set(tables[0])
    assert len(tables[0]["matches"]) == 5


def test_one_bad_photo_does_not_stop_the_others(
    shop: Path, tiny_edge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = str(shop / "pictures" / "P000001.jpg")
    assert main(["search", str(tiny_edge), "none.jpg", good]) == 1
    out, err = capsys.readouterr()
    assert good in out
    assert err == "edgesearch: none.jpg: no such file; check the path.\n"


def test_eval_prints_one_object(shop: Path, tiny_edge: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(tiny_edge), str(shop / "queries.csv"), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    wanted = "queries recall@1 recall@5 map precision recall f1 false_accept_rate false_reject_rate p50_ms p95_ms"
    assert set(wanted.split()) <= set(figures)
    by_category = figures["by_category"]
    assert sum(row["queries"] for row in by_category.values()) == figures["known"]
    assert main(["eval", str(tiny_edge), str(shop / "queries.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("by category                photos recall@1 recall@5    match    shown  unknown")
    assert [line.split("  ")[1] for line in lines[start + 1 :][: len(by_category)]] == [*by_category]


def test_categories_that_are_seldom_found_come_with_advice() -> None:
    row = {"queries": 7, "recall@1": 0.25, "recall@5": 1.0, "match": 0.5, "shown": 0.75, "unknown": 0.125}
    head, line, advice = format_categories({"Fruit": row})
    assert line.split() == ["Fruit", "7", "0.2500", "1.0000", "0.5000", "0.7500", "0.1250"] and len(line) == len(head)
    assert "a few photos" in advice
    assert len(format_categories({"Packages": row | {"recall@1": 0.9}})) == 2
    assert format_categories({}) == []
    assert format_categories({str(n): row for n in range(100)})[-2] == "  and 60 more, which --json prints"


@pytest.mark.slow
def test_keygen_build_install_rollback_verify(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys, device = tmp_path / "shop", str(tmp_path / "device")
    assert main(["keygen", str(keys)]) == 0
    for sequence in ("1", "2"):
        edge = str(tmp_path / f"{sequence}.edge")
        build = ["build", str(shop / "catalogue.csv"), "-o", edge, "--model", str(TINY_MODEL), "--no-local"]
        assert main([*build, "--sign", f"{keys}.key", "--sequence", sequence]) == 0
        assert main(["install", edge, "--to", device, "--trust", f"{keys}.pub"]) == 0
    assert "runs 2, sequence 2, 8 products" in capsys.readouterr().out
    assert main(["rollback", device]) == 0
    assert main(["verify", device, "--trust", f"{keys}.pub"]) == 0
    out = capsys.readouterr().out
    assert "runs 1, sequence 1, 8 products" in out
    assert "sound; " in out
    assert "signed by" in out
    assert main(["search", device, str(shop / "pictures" / "P000001.jpg")]) == 0
    assert main(["inspect", device, "--json"]) == 0
    table = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert table["signed"]
    assert f": {table['signed_by']}\n" in Path(f"{keys}.pub").read_text()
    assert main(["keygen", str(keys)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_inspect_and_verify(tiny_edge: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tiny_edge), "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert (table["products"], table["signed"], table["model"]) == (8, False, "tiny")
    assert table["crop ms"] > 0
    assert main(["inspect", str(tiny_edge)]) == 0
    assert "products                 8" in capsys.readouterr().out
    assert main(["verify", str(tiny_edge)]) == 0
    assert "sound" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", [["search", "{}", "x.jpg"], ["eval", "{}", "q.csv"], ["inspect", "{}"], ["verify", "{}"]]
)
def test_damaged_store_is_reported_in_one_line(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.edge"
    bad.write_text("not a bundle")
    (tmp_path / "q.csv").write_text("image,sku\nx.jpg,\n")
    arguments = [part.format(bad).replace("q.csv", str(tmp_path / "q.csv")) for part in command]
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"edgesearch: {bad}: not a bundle")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["search", "x.edge"], ["search", "x.edge", "a.jpg", "-k", "0"], ["build", "c.csv"]],
)
def test_wrong_usage_exits_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == "edgesearch 0.1.0\n"


def test_every_command_has_help_and_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert f"example: edgesearch {command}" in capsys.readouterr().out


def test_help_lists_all_commands() -> None:
    assert re.findall(r"^    (\w+)  ", _parser().format_help(), re.M) == list(COMMANDS)


def test_a_search_loads_no_other_command() -> None:
    code = "import sys; from edgesearch.commands import cli; cli._parser(['search']); print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    packages = {name.split(".")[1] for name in loaded if name.startswith("edgesearch.")}
    assert "edgesearch.commands.search_command" in loaded
    assert not {"audit", "building", "capture", "counting", "evaluation", "learning", "server"} & packages


def test_numpy_starts_no_threads_that_spin_and_programs_that_a_command_runs_keep_theirs() -> None:
    code = (
        "import os, threadpoolctl; from edgesearch.commands import cli; cli._load_numpy(); "
        "print([pool['num_threads'] for pool in threadpoolctl.threadpool_info()], *sorted(os.environ))"
    )
    environment = {name: value for name, value in os.environ.items() if name != cli.THREADS}
    printed = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)
    assert printed.startswith("[1] ") and cli.THREADS not in printed.split()


def test_help_lists_all_commands_whatever_follows(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help", "search"])
    assert re.findall(r"^    (\w+)  ", capsys.readouterr().out, re.M) == list(COMMANDS)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["inspect"], ["verify"]])
def test_full_disk_at_stdout_is_an_error(tiny_edge: Path, arguments: list[str]) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "edgesearch", *arguments, str(tiny_edge)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("edgesearch: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_names_the_terminal_cannot_show_are_escaped(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(f"sku,name,images\nA,杯子,{shop}/pictures/P000000.jpg\n", encoding="utf-8")
    assert main(["build", str(tmp_path / "c.csv"), "-o", str(tmp_path / "c.edge"), "--model", str(TINY_MODEL)]) == 0
    command = [sys.executable, "-m", "edgesearch", "search", str(tmp_path / "c.edge"), f"{shop}/pictures/P000000.jpg"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    assert b"\\u676f" in subprocess.run(command, capture_output=True, env=environment, check=True).stdout


@pytest.mark.slow
def test_closed_output_pipe_prints_no_error(shop: Path, tiny_edge: Path) -> None:
    photos = [str(path) for path in (shop / "photos").glob("*.jpg")] * 20
    command = [sys.executable, "-m", "edgesearch", "search", str(tiny_edge), *photos, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.parametrize("arguments", [["inspect"], ["verify"]])
def test_a_command_that_is_done_succeeds_without_stdout(
    tiny_edge: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, stream, None)
    assert main([*arguments, str(tiny_edge)]) == 0


@pytest.mark.slow
def test_a_command_that_is_done_succeeds_though_nobody_reads_of_it(tmp_path: Path) -> None:
    for name, end in (("shop", "| true"), ("other", ">&-")):
        command = f"{sys.executable} -m edgesearch keygen {tmp_path / name} {end}; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_pin_without_stdin_is_asked_for_in_one_sentence(
    tiny_edge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["access", str(tmp_path), "--file", str(tmp_path / "access.json"), "--add", "Ada"]) == 1
    assert "Ada: not a PIN" in capsys.readouterr().err


@pytest.fixture
def plain_device(tiny_edge: Path, tmp_path: Path) -> Path:
    edgesearch.install(tiny_edge, tmp_path / "device")
    return tmp_path / "device"


def test_a_name_for_the_log_has_no_control_characters(plain_device: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edit", str(plain_device), "--sku", "P000001", "--name", "Cup", "--who", "boss\n2  x"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert [event.what for event in edgesearch.log(plain_device)] == ["install"]
