"""The second eye: what is kept of pictures, which it names, and what it verifies."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from edgesearch import IndexFileError
from edgesearch._util import array_file
from edgesearch.images.crops import Crop
from edgesearch.local_features import descriptors as prints
from edgesearch.local_features import local_index
from edgesearch.local_features.descriptors import Codebook, LocalFeatures, default_codebook, look, steady
from edgesearch.local_features.local_index import FILE, Evidence, LocalIndex

WORDS = ("Blueberry", "Cherry", "Peach", "Oat Milk", "Tomato Soup", "Green Tea")


def label(number: int, width: int = 300, height: int = 240) -> np.ndarray:
    """A package that says what is in it, in a pattern all of them share."""
    picture = Image.new("RGB", (width, height), (250, 250, 245))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((20, 20, width - 20, height - 20), (180, 60, 60))
    draw.text((40, 30), "Alderabo", (255, 255, 255), font_size=40)
    draw.text((40, 90), WORDS[number], (20, 20, 60), font_size=48)
    draw.text((40, 160), "Cold and fresh, 200 g", (255, 255, 200), font_size=20)
    return np.asarray(picture)


def plain() -> np.ndarray:
    return np.full((240, 300, 3), 130, np.uint8)


@pytest.fixture(scope="module")
def codebook() -> Codebook:
    return default_codebook()


@pytest.fixture(scope="module")
def index(codebook: Codebook) -> LocalIndex:
    """Six labels and, last, a picture without print."""
    pictures = [*(label(i) for i in range(len(WORDS))), plain()]
    return LocalIndex.build(codebook, [codebook.encode(steady(picture)) for picture in pictures])


@pytest.fixture
def data(index: LocalIndex, tmp_path: Path) -> bytes:
    index.write(tmp_path / FILE)
    return (tmp_path / FILE).read_bytes()


def photo_of(number: int) -> np.ndarray:
    """Turned, smaller, on a table."""
    table = Image.new("RGB", (400, 400), (120, 100, 80))
    small = Image.fromarray(label(number)).resize((220, 176), Image.Resampling.LANCZOS)
    turned = small.convert("RGBA").rotate(12, Image.Resampling.BICUBIC, expand=True)
    table.paste(turned, (90, 110), turned)
    return np.asarray(table)


@pytest.mark.parametrize("number", range(len(WORDS)))
def test_the_label_that_says_the_same_agrees_most(index: LocalIndex, number: int) -> None:
    evidence = index.verify(look(photo_of(number)), range(len(index)))
    weights = [one.weight for one in evidence]
    assert int(np.argmax(weights)) == number
    assert evidence[number].points >= 20
    assert evidence[-1] == local_index.NOTHING
    raised = [one.raise_score(0.5) for one in evidence]
    assert int(np.argmax(raised)) == number
    assert 0.5 == raised[-1] < raised[number] < 1


def test_the_outline_lies_where_the_label_is(index: LocalIndex) -> None:
    (evidence,) = index.verify(look(photo_of(1)), [1])
    left, top = evidence.outline.min(0) * 400
    right, bottom = evidence.outline.max(0) * 400
    assert 80 <= left < right <= 360
    assert 100 <= top < bottom <= 350
    assert right - left > 150


def test_of_a_part_places_are_those_in_the_picture(index: LocalIndex) -> None:
    part = Crop(100, 120, 210)
    (whole,), (near,) = index.verify(look(photo_of(1)), [1]), index.verify(look(photo_of(1), part), [1])
    assert near.points > whole.points / 2
    assert np.allclose(near.outline, whole.outline, atol=0.03)


@pytest.mark.parametrize("part", [Crop(-90, 0, 50), Crop(-500, -500, 2000), Crop(399, 10, 400)])
def test_a_part_beyond_the_picture_is_looked_at_as_far_as_it_lies_inside(part: Crop) -> None:
    keypoints = look(photo_of(1), part).keypoints
    assert len(keypoints)
    assert (keypoints[:, :2] >= 0).all()
    assert (keypoints[:, :2] <= 1).all()


def test_words_name_the_picture(index: LocalIndex) -> None:
    for number in range(len(WORDS)):
        named = index.candidates(look(photo_of(number)), 3)
        assert number in named
    assert len(index.candidates(look(photo_of(0)), 100)) <= len(index)


def test_where_nothing_is_printed_the_eye_is_silent(index: LocalIndex) -> None:
    seen = look(plain())
    assert len(seen.keypoints) == 0
    assert len(index.candidates(seen, 5)) == 0
    assert index.verify(seen, [0, 6]) == [local_index.NOTHING] * 2
    assert Evidence(0, 0.0, np.empty((0, 2))).raise_score(0.7) == 0.7


@pytest.mark.parametrize("number", range(len(WORDS)))
def test_a_mirrored_label_is_found_and_said_to_be_one(index: LocalIndex, number: int) -> None:
    right, seen = photo_of(number), look(np.ascontiguousarray(photo_of(number)[:, ::-1]))
    (evidence,), (expected,) = index.verify(seen, [number]), index.verify(look(right), [number])
    assert evidence.mirrored
    assert evidence.weight > 0.8 * expected.weight
    assert np.allclose(evidence.outline, [1, 0] + expected.outline * [-1, 1], atol=0.02)


def test_mirrored_features_are_those_of_the_mirrored_picture() -> None:
    picture = label(0)
    given, expected = look(picture).mirrored(), look(np.ascontiguousarray(picture[:, ::-1]))
    shifted = given.keypoints + np.float32([1 - 1 / 700, 0, 0, 0])
    off = np.abs(shifted[:, None, :3] - expected.keypoints[None, :, :3]).max(2)
    alike = given.descriptors @ expected.descriptors.T
    assert ((off < 0.003) & (alike > 0.95)).any(1).mean() > 0.7


def test_only_so_many_features_are_kept_those_found_again_first(codebook: Codebook) -> None:
    picture = label(0)
    every, few = steady(picture, 1000), steady(picture, 40)
    assert len(few.keypoints) == 40 < len(every.keypoints)
    assert codebook.encode(few).packed.shape == (2, 16, 32)
    assert steady(plain()).keypoints.shape == (0, 4)


def test_bytes_a_picture(index: LocalIndex, codebook: Codebook) -> None:
    kept = codebook.encode(steady(label(0)))
    size = kept.packed.nbytes + kept.places.nbytes + 2 * len(kept.words) + 16
    assert kept.size <= prints.KEPT
    assert size <= 6000


@pytest.mark.parametrize("size", [(8, 8), (8, 4000), (3000, 4000)])
def test_pictures_of_any_size_are_looked_at(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    assert len(look(noise).keypoints) <= prints.QUERY_FEATURES
    assert len(steady(noise, 50).keypoints) <= 50


def test_what_was_written_is_opened(index: LocalIndex, data: bytes) -> None:
    opened, seen = LocalIndex.open(memoryview(data)), look(photo_of(3))
    assert len(opened) == len(index) == 7
    assert opened.features == index.features
    assert opened.space == index.space
    assert np.array_equal(opened.candidates(seen, 5), index.candidates(seen, 5))
    assert [e[:2] for e in opened.verify(seen, range(7))] == [e[:2] for e in index.verify(seen, range(7))]


def test_every_truncation_is_an_error(data: bytes) -> None:
    for size in [*range(0, 400, 7), *range(400, len(data), 997), len(data) - 64]:
        with pytest.raises(IndexFileError):
            LocalIndex.open(memoryview(data[:size]))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("sizes", lambda a: a + 40),
        ("starts", lambda a: a + 1),
        ("starts", lambda a: a[:-1]),
        ("packed", lambda a: a[:-1]),
        ("places", lambda a: a[:, :3]),
        ("word_starts", lambda a: a[::-1]),
        ("word_starts", lambda a: a * 2),
        ("codes", lambda a: a[:16]),
        ("words", lambda a: a[:, :32]),
        ("word_counts", lambda a: a[:-2]),
    ],
)
def test_parts_that_do_not_fit_are_an_error(data: bytes, tmp_path: Path, name: str, change: object) -> None:
    parts, meta = array_file.read(memoryview(data), FILE)
    parts[name] = change(parts[name].copy())  # type: ignore[operator]
    array_file.write(tmp_path / "x", parts, meta)
    with pytest.raises(IndexFileError, match="do not fit together"):
        LocalIndex.open(memoryview((tmp_path / "x").read_bytes()))


def test_words_that_name_pictures_that_are_not_there_are_an_error(data: bytes, tmp_path: Path) -> None:
    parts, meta = array_file.read(memoryview(data), FILE)
    array_file.write(tmp_path / "x", parts | {"postings": parts["postings"] + np.uint16(7)}, meta)
    opened = LocalIndex.open(memoryview((tmp_path / "x").read_bytes()))
    with pytest.raises(IndexFileError, match="pictures that it has not"):
        opened.candidates(look(photo_of(3)), 5)


def test_a_part_that_lacks_or_another_kind_is_an_error(data: bytes, tmp_path: Path) -> None:
    parts, meta = array_file.read(memoryview(data), FILE)
    array_file.write(tmp_path / "x", parts, meta | {"kind": "orb"})
    with pytest.raises(IndexFileError, match="kind orb"):
        LocalIndex.open(memoryview((tmp_path / "x").read_bytes()))
    del parts["places"]
    array_file.write(tmp_path / "x", parts, meta)
    with pytest.raises(IndexFileError, match="places"):
        LocalIndex.open(memoryview((tmp_path / "x").read_bytes()))


def test_more_pictures_than_a_page_of_the_inverted_file(codebook: Codebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_index, "PAGE", 4)
    pictures = [codebook.encode(steady(label(i % 6))) for i in range(6)]
    paged = LocalIndex.build(codebook, pictures)
    monkeypatch.undo()
    whole = LocalIndex.build(codebook, pictures)
    seen = look(photo_of(5))
    expected = whole.candidates(seen, 6)
    monkeypatch.setattr(local_index, "PAGE", 4)
    assert np.array_equal(paged.candidates(seen, 6), expected)


def test_pictures_without_any_print_make_an_index(codebook: Codebook, tmp_path: Path) -> None:
    nothing = codebook.encode(LocalFeatures(np.empty((0, 4), np.float32), np.empty((0, 128), np.float32)))
    LocalIndex.build(codebook, [nothing, nothing]).write(tmp_path / FILE)
    empty = LocalIndex.open(memoryview((tmp_path / FILE).read_bytes()))
    assert len(empty) == 2
    assert empty.features == 0
    assert len(empty.candidates(look(photo_of(0)), 5)) == 0
    assert empty.verify(look(photo_of(0)), [0, 1]) == [local_index.NOTHING] * 2


def test_a_codebook_is_learned_written_and_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    descriptors = rng.random((300, 128), np.float32)
    learned = Codebook.fit(descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True))
    learned.write(tmp_path / "c")
    read = Codebook.read(tmp_path / "c")
    assert np.array_equal(read.codes.codebook, learned.codes.codebook)
    assert np.array_equal(read.words.codebook, learned.words.codebook)
    tables = read.levels(descriptors)
    codes = read.codes.encode(descriptors)
    sums = tables.levels[np.arange(300)[:, None], np.arange(32), codes].sum(1).astype(np.uint16)[:, None]
    exact = ((descriptors - read.codes.decode(codes)) ** 2).sum(1)
    assert np.allclose(tables.distances(sums)[:, 0], exact, atol=16 * tables.steps.max())


def test_no_codebook_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IndexFileError, match="cannot be read"):
        Codebook.read(tmp_path / "none")
    array_file.write(tmp_path / "other", {"codes": np.zeros((2, 16, 4), np.float32)}, {"kind": prints.KIND})
    with pytest.raises(IndexFileError, match="not a codebook"):
        Codebook.read(tmp_path / "other")


def test_an_index_gives_back_what_it_was_built_of(index: LocalIndex, codebook: Codebook) -> None:
    made = [codebook.encode(steady(picture)) for picture in [*map(label, range(len(WORDS))), plain()]]
    assert [one.to_bytes() for one in index.pictures()] == [one.to_bytes() for one in made]


@pytest.mark.parametrize("count", [32, 64])
def test_a_print_is_cut_to_its_best_features(codebook: Codebook, count: int) -> None:
    seen = steady(label(0))
    whole, fewer = codebook.encode(seen), codebook.encode(LocalFeatures(*(part[:count] for part in seen)))
    cut = whole.first(count, codebook)
    assert cut.size == count
    np.testing.assert_array_equal(cut.packed, fewer.packed)
    np.testing.assert_array_equal(cut.places, fewer.places)
    both = np.intersect1d(cut.words, fewer.words)
    assert len(both) >= 0.8 * max(len(cut.words), len(fewer.words))
    assert whole.first(whole.size + 32, codebook) is whole
