"""Occlusion maps, and the sheets that show them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgesearch
from edgesearch.answer import Answer, Match
from edgesearch.catalog.product import Product
from edgesearch.commands.cli import main
from edgesearch.embedding.embedder import Embedder
from edgesearch.embedding.shipped_models import default_model
from edgesearch.images import drawing, image
from edgesearch.images.crops import Crop
from edgesearch.search import explanation
from edgesearch.text import text_query


@pytest.mark.slow
def test_occlusion_map_highlights_the_shared_part(shop: Path) -> None:
    embedder = Embedder.open(default_model())
    product = image.read(shop / "pictures" / "P000001.jpg", 224)
    scene = np.full((320, 640, 3), 128, np.uint8)
    scene[48:272, 16:240] = Image.fromarray(product).resize((224, 224))
    heat, part = explanation.occlusion_map(embedder, scene, embedder.embed([product])[0])
    assert (heat.shape, float(heat.max()), float(heat.min())) == ((explanation.CELLS,) * 2, 1.0, 0.0)
    assert part.side == 640
    assert heat[:, :4].sum() > 4 * heat[:, 4:].sum()


@pytest.mark.slow
def test_occlusion_map_of_a_flat_picture_is_finite() -> None:
    embedder = Embedder.open(default_model())
    flat = np.full((64, 64, 3), 90, np.uint8)
    heat, _ = explanation.occlusion_map(embedder, flat, -embedder.embed([flat])[0])
    assert np.isfinite(heat).all()


def test_description_gives_probability_and_evidence() -> None:
    first = Match(Product("A", "杯子 Cup"), 0.9, "a.jpg", 0, points=7, probability=0.7)
    second = Match(Product("B", "Jug"), 0.65, "b.jpg", 1, probability=0.12)
    text = "\n".join(explanation.describe_match(Answer("x", "match", (first, second), {})))
    assert "70% likely, 12% B Jug; score 0.900" in text
    assert "a.jpg; 7 local features agree" in text
    unknown = "\n".join(explanation.describe_match(Answer("x", "unknown", (first, second), {})))
    assert "%" not in unknown and "score 0.900" in unknown
    assert "likely, " not in "\n".join(explanation.describe_match(Answer("x", "match", (second,), {})))


@pytest.mark.parametrize(
    "text, drawable", [("杯子 Cup 500 g", "Cup 500 g"), ("Crème brûlée", "Creme brulee"), ("杯子", "")]
)
def test_letters_missing_from_the_font_are_dropped(text: str, drawable: str) -> None:
    assert drawing.keep_drawable(text) == drawable


@pytest.mark.parametrize("size", [(8, 200), (200, 8), (64, 64)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_pictures_of_any_shape_are_drawn(size: tuple[int, int], kind: str) -> None:
    panel = np.full((*size, 3), 200, np.uint8)
    lit = drawing.highlight(panel, np.eye(8, dtype=np.float32), Crop(0, 0, max(size)), panel[..., 0])
    boxed = drawing.draw_boxes(panel, [(0, 0, 1, 1)])
    differs = drawing.tint(panel, np.eye(8, dtype=np.float32), np.eye(8, dtype=bool))
    lines = ["杯子 " * 30 + "word " * 60, "", "x" * 400]
    panels = [("one", lit), ("two", panel), ("", boxed), ("杯子", differs)]
    page = Image.open(io.BytesIO(drawing.draw_sheet(panels, "match", "x" * 90, lines, [(drawing.RED, "red")], kind)))
    assert page.format == kind
    assert page.width < 4 * drawing.MAX_WIDTH + 200


def test_long_text_stays_on_the_sheet() -> None:
    page = drawing.draw_sheet(
        [("one", np.full((90, 90, 3), 255, np.uint8))], "unknown", "x" * 150, ["y" * 300], kind="PNG"
    )
    drawn = np.asarray(Image.open(io.BytesIO(page)).convert("L"))
    assert int(drawn[:, -drawing.EDGE + 1 :].min()) == 255
    assert int(drawn[-drawing.EDGE + 4 :].min()) == 255


def test_filter_reports_what_each_condition_excludes(tiny_edge: Path) -> None:
    with edgesearch.open(tiny_edge) as store:
        table = store._gallery().table
        total = len(store.skus())
        first = sorted(store.skus())[0]
        exclusions = text_query.describe_exclusions(table, f"sku={first} and price>0")
    assert exclusions == [
        f"sku={first} leaves out {total - 1} of {total} products",
        f"price>0 leaves out 0 of {total} products",
    ]
    assert text_query.describe_exclusions(table, "") == []


def test_parts_without_influence_turn_pale() -> None:
    picture = np.full((200, 200, 3), (255, 0, 0), np.uint8)
    heat = np.zeros((8, 8), np.float32)
    heat[:4] = 1
    lit = drawing.highlight(picture, heat, Crop(0, 0, 200), np.full((200, 200), 255, np.uint8))
    assert lit[40, 240].tolist() == [255, 0, 0]
    assert int(lit[-40, 240].min()) > 160


def test_plain_background_is_not_highlighted() -> None:
    picture, product = np.full((200, 200, 3), 255, np.uint8), np.zeros((200, 200), np.uint8)
    picture[50:150, 50:150], product[50:150, 50:150] = (255, 0, 0), 255
    lit = drawing.highlight(picture, np.ones((8, 8), np.float32), Crop(0, 0, 200), product)
    assert lit[240, 240].tolist() == [255, 0, 0]
    assert int(lit[20, 20].min()) == 255


@pytest.mark.slow
def test_photos_of_one_name_do_not_overwrite_each_other(shop: Path, tiny_edge: Path, tmp_path: Path) -> None:
    photos = []
    for name in ("one/IMG_1.jpg", "one/IMG_1-2.jpg", "two/img_1.jpg", "two/IMG_1-2.jpg"):
        photos.append(tmp_path / name)
        photos[-1].parent.mkdir(exist_ok=True)
        photos[-1].write_bytes((shop / "pictures" / f"P00000{len(photos)}.jpg").read_bytes())
    out = tmp_path / "out"
    assert main(["search", str(tiny_edge), *map(str, photos), "--explain", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["IMG_1-2-2.jpg", "IMG_1-2.jpg", "IMG_1.jpg", "img_1-3.jpg"]
    assert len({path.read_bytes() for path in out.iterdir()}) == 4


def test_one_photo_is_explained_in_one_file(
    shop: Path, tiny_edge: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, out = str(shop / "pictures" / "P000001.jpg"), tmp_path / "why.png"
    assert main(["search", str(tiny_edge), photo, "--explain", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert main(["search", str(tiny_edge), photo, photo, "--explain", str(out)]) == 1
    assert "one picture for 2 photos" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["why.gif", "taken", "taken/why.png"])
def test_unwritable_output_path_is_reported(
    path: str, shop: Path, tiny_edge: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_bytes(b"mine")
    assert main(["search", str(tiny_edge), str(shop / "pictures/P000001.jpg"), "--explain", str(tmp_path / path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"edgesearch: {tmp_path / path.removesuffix('/why.png')}: ")
    assert error.count("\n") == 1
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("taken", b"mine")]
