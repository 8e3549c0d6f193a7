"""Pack local features, find pictures by visual words and verify them."""

import functools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from edgesearch import IndexFileError
from edgesearch._util import array_file
from edgesearch.images.crops import Crop
from edgesearch.local_features import descriptors, local_index
from edgesearch.local_features.descriptors import Codebook, LocalFeatures, PackedFeatures
from edgesearch.local_features.descriptors import extract_query_features as extract
from edgesearch.local_features.descriptors import extract_stable_features as extract_stable
from edgesearch.local_features.local_index import FILE, Evidence, LocalIndex

WORDS = ("Blueberry", "Cherry", "Peach", "Oat Milk", "Tomato Soup", "Green Tea")


def draw_label(number: int, width: int = 300, height: int = 240) -> np.ndarray:
    """Draw a package that names its content on a shared design: (height, width, 3) uint8."""
    picture = Image.new("RGB", (width, height), (250, 250, 245))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((20, 20, width - 20, height - 20), (180, 60, 60))
    draw.text((40, 30), "Alderabo", (255, 255, 255), font_size=40)
    draw.text((40, 90), WORDS[number], (20, 20, 60), font_size=48)
    draw.text((40, 160), "Cold and fresh, 200 g", (255, 255, 200), font_size=20)
    return np.asarray(picture)


def draw_plain() -> np.ndarray:
    return np.full((240, 300, 3), 130, np.uint8)


@pytest.fixture(scope="module")
def codebook() -> Codebook:
    return descriptors.read_default_codebook()


@pytest.fixture(scope="module")
def encoded(codebook: Codebook) -> tuple[PackedFeatures, ...]:
    """Encode six labels and a plain picture, which is the last."""
    pictures = [*(draw_label(i) for i in range(len(WORDS))), draw_plain()]
    packed = tuple(codebook.encode(extract_stable(picture)) for picture in pictures)
    for part in (part for one in packed for part in one if isinstance(part, np.ndarray)):
        part.flags.writeable = False
    return packed


@pytest.fixture(scope="module")
def index(codebook: Codebook, encoded: tuple[PackedFeatures, ...]) -> LocalIndex:
    """Index those pictures."""
    return LocalIndex.build(codebook, list(encoded))


@pytest.fixture
def data(index: LocalIndex, tmp_path: Path) -> bytes:
    index.write(tmp_path / FILE)
    return (tmp_path / FILE).read_bytes()


def take_photo(number: int) -> np.ndarray:
    """Draw a label rotated, smaller and on a table: (400, 400, 3) uint8."""
    table = Image.new("RGB", (400, 400), (120, 100, 80))
    small = Image.fromarray(draw_label(number)).resize((220, 176), Image.Resampling.LANCZOS)
    turned = small.convert("RGBA").rotate(12, Image.Resampling.BICUBIC, expand=True)
    table.paste(turned, (90, 110), turned)
    return np.asarray(table)


@functools.cache
def see(number: int) -> LocalFeatures:
    """Extract the features of that photo, once; no test may write to them."""
    seen = extract(take_photo(number))
    for part in seen:
        part.flags.writeable = False
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(WORDS)))
def test_same_label_gives_the_strongest_evidence(index: LocalIndex, number: int) -> None:
    evidence = index.verify(see(number), range(len(index)))
    weights = [candidate.weight for candidate in evidence]
    assert int(np.argmax(weights)) == number
    assert evidence[number].points >= 20
    assert evidence[-1] == local_index.NO_EVIDENCE
    raised = [candidate.raise_score(0.5) for candidate in evidence]
    assert int(np.argmax(raised)) == number
    assert 0.5 == raised[-1] < raised[number] < 1


def test_outline_surrounds_the_label(index: LocalIndex) -> None:
    (evidence,) = index.verify(see(1), [1])
    left, top = evidence.outline.min(0) * 400
    right, bottom = evidence.outline.max(0) * 400
    assert 80 <= left < right <= 360
    assert 100 <= top < bottom <= 350
    assert right - left > 150


def test_features_of_a_crop_have_positions_in_the_picture(index: LocalIndex) -> None:
    part = Crop(100, 120, 210)
    (whole,), (near,) = (
        index.verify(see(1), [1]),
        index.verify(extract(take_photo(1), part), [1]),
    )
    assert near.points > whole.points / 2
    assert np.allclose(near.outline, whole.outline, atol=0.03)


@pytest.mark.parametrize("part", [Crop(-90, 0, 50), Crop(-500, -500, 2000), Crop(399, 10, 400)])
def test_crop_is_clipped_to_the_picture(part: Crop) -> None:
    keypoints = extract(take_photo(1), part).keypoints
    assert len(keypoints)
    assert (keypoints[:, :2] >= 0).all()
    assert (keypoints[:, :2] <= 1).all()


def test_candidates_are_the_first_of_all_in_order(index: LocalIndex) -> None:
    every = index.find_candidates(see(2), 100)
    for count in range(len(every) + 1):
        assert np.array_equal(index.find_candidates(see(2), count), every[:count])
    allowed = np.arange(len(index)) != every[0]
    assert np.array_equal(np.sort(index.find_candidates(see(2), 100, allowed)), np.sort(every[1:]))


def test_postings_that_are_read_one_by_one_give_the_same_candidates(
    index: LocalIndex, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, opened = see(2), LocalIndex.open(memoryview(data))
    words, starts = index.codebook.find_words(seen.descriptors), index._parts["word_starts"].astype(int)
    expected = index.find_candidates(seen, 100)
    monkeypatch.setattr(local_index, "MAX_POSTINGS", int((starts[words + 1] - starts[words]).sum()))
    for one in (index, opened):
        assert np.array_equal(one.find_candidates(seen, 100), expected)


@pytest.mark.slow
def test_visual_words_find_the_picture(index: LocalIndex) -> None:
    for number in range(len(WORDS)):
        named = index.find_candidates(see(number), 3)
        assert number in named
    assert len(index.find_candidates(see(0), 100)) <= len(index)


def test_plain_photos_give_no_evidence(index: LocalIndex) -> None:
    seen = extract(draw_plain())
    assert len(seen.keypoints) == 0
    assert len(index.find_candidates(seen, 5)) == 0
    assert index.verify(seen, [0, 6]) == [local_index.NO_EVIDENCE] * 2
    assert Evidence(0, 0.0, np.empty((0, 2))).raise_score(0.7) == 0.7


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(WORDS)))
def test_mirrored_label_is_found_and_reported(index: LocalIndex, number: int) -> None:
    seen = extract(np.ascontiguousarray(take_photo(number)[:, ::-1]))
    (evidence,), (expected,) = index.verify(seen, [number]), index.verify(see(number), [number])
    assert evidence.mirrored
    assert evidence.weight > 0.8 * expected.weight
    assert np.allclose(evidence.outline, [1, 0] + expected.outline * [-1, 1], atol=0.02)


def test_mirrored_features_equal_those_of_the_mirrored_picture() -> None:
    picture = draw_label(0)
    given, expected = (
        extract(picture).mirrored(),
        extract(np.ascontiguousarray(picture[:, ::-1])),
    )
    shifted = given.keypoints + np.float32([1 - 1 / 700, 0, 0, 0])
    off = np.abs(shifted[:, None, :3] - expected.keypoints[None, :, :3]).max(2)
    alike = given.descriptors @ expected.descriptors.T
    assert ((off < 0.003) & (alike > 0.95)).any(1).mean() > 0.7


@pytest.mark.slow
def test_reference_features_are_limited(codebook: Codebook) -> None:
    picture = draw_label(0)
    every, few = extract_stable(picture, 1000), extract_stable(picture, 40)
    assert len(few.keypoints) == 40 < len(every.keypoints)
    assert codebook.encode(few).packed.shape == (2, 16, 32)
    assert extract_stable(draw_plain()).keypoints.shape == (0, 4)


def test_packed_features_are_small(index: LocalIndex, codebook: Codebook) -> None:
    kept = codebook.encode(extract_stable(draw_label(0)))
    size = kept.packed.nbytes + kept.keypoints.nbytes + 2 * len(kept.words) + 16
    assert kept.size <= descriptors.DEFAULT_FEATURES
    assert size <= 6000


@pytest.mark.slow
@pytest.mark.parametrize("size", [(8, 8), (8, 4000), (3000, 4000)])
def test_pictures_of_any_size_have_features(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    assert len(extract(noise).keypoints) <= descriptors.QUERY_FEATURES
    assert len(extract_stable(noise, 50).keypoints) <= 50


def test_written_index_gives_the_same_results(index: LocalIndex, data: bytes) -> None:
    opened, seen = LocalIndex.open(memoryview(data)), see(3)
    assert len(opened) == len(index) == 7
    assert opened.feature_count == index.feature_count
    assert opened.space == index.space
    assert np.array_equal(opened.find_candidates(seen, 5), index.find_candidates(seen, 5))
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
def test_parts_that_do_not_fit_are_rejected(data: bytes, tmp_path: Path, name: str, change: object) -> None:
    parts, meta = array_file.read(memoryview(data), FILE)
    parts[name] = change(parts[name].copy())  # type: ignore[operator]
    array_file.write(tmp_path / "x", parts, meta)
    with pytest.raises(IndexFileError, match="do not fit together"):
        LocalIndex.open(memoryview((tmp_path / "x").read_bytes()))


def test_words_that_name_missing_pictures_are_rejected(data: bytes, tmp_path: Path) -> None:
    parts, meta = array_file.read(memoryview(data), FILE)
    array_file.write(tmp_path / "x", parts | {"postings": parts["postings"] + np.uint16(7)}, meta)
    opened = LocalIndex.open(memoryview((tmp_path / "x").read_bytes()))
    with pytest.raises(IndexFileError, match="pictures that do not exist"):
        opened.find_candidates(see(3), 5)


def test_missing_parts_and_other_kinds_are_rejected(data: bytes, tmp_path: Path) -> None:
    parts, meta = array_file.read(memoryview(data), FILE)
    array_file.write(tmp_path / "x", parts, meta | {"kind": "orb"})
    with pytest.raises(IndexFileError, match="kind orb"):
        LocalIndex.open(memoryview((tmp_path / "x").read_bytes()))
    del parts["places"]
    array_file.write(tmp_path / "x", parts, meta)
    with pytest.raises(IndexFileError, match="places"):
        LocalIndex.open(memoryview((tmp_path / "x").read_bytes()))


@pytest.mark.slow
def test_pages_of_the_inverted_file_do_not_matter(
    codebook: Codebook, encoded: tuple[PackedFeatures, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_index, "PAGE", 4)
    pictures = list(encoded[:6])
    paged = LocalIndex.build(codebook, pictures)
    monkeypatch.undo()
    whole = LocalIndex.build(codebook, pictures)
    seen = see(5)
    expected = whole.find_candidates(seen, 6)
    monkeypatch.setattr(local_index, "PAGE", 4)
    assert np.array_equal(paged.find_candidates(seen, 6), expected)


def test_pictures_without_features_make_an_index(codebook: Codebook, tmp_path: Path) -> None:
    nothing = codebook.encode(LocalFeatures(np.empty((0, 4), np.float32), np.empty((0, 128), np.float32)))
    LocalIndex.build(codebook, [nothing, nothing]).write(tmp_path / FILE)
    empty = LocalIndex.open(memoryview((tmp_path / FILE).read_bytes()))
    assert len(empty) == 2
    assert empty.feature_count == 0
    assert len(empty.find_candidates(see(0), 5)) == 0
    assert empty.verify(see(0), [0, 1]) == [local_index.NO_EVIDENCE] * 2


def test_codebook_round_trip_and_distances(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.random((300, 128), np.float32)
    learned = Codebook.fit(values / np.linalg.norm(values, axis=1, keepdims=True))
    learned.write(tmp_path / "c")
    read = Codebook.read(tmp_path / "c")
    assert np.array_equal(read.codes.codebook, learned.codes.codebook)
    assert np.array_equal(read.words.codebook, learned.words.codebook)
    tables = read.make_tables(values)
    codes = read.codes.encode(values)
    sums = tables.levels[np.arange(300)[:, None], np.arange(32), codes].sum(1).astype(np.uint16)[:, None]
    exact = ((values - read.codes.decode(codes)) ** 2).sum(1)
    assert np.allclose(tables.distances(sums)[:, 0], exact, atol=16 * tables.steps.max())


def test_missing_or_wrong_codebooks_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(IndexFileError, match="cannot be read"):
        Codebook.read(tmp_path / "none")
    array_file.write(tmp_path / "other", {"codes": np.zeros((2, 16, 4), np.float32)}, {"kind": descriptors.KIND})
    with pytest.raises(IndexFileError, match="not a codebook"):
        Codebook.read(tmp_path / "other")


@pytest.mark.slow
def test_read_features_returns_what_the_index_was_built_from(
    index: LocalIndex, encoded: tuple[PackedFeatures, ...]
) -> None:
    expected = [picture.to_bytes() for picture in encoded]
    assert [picture.to_bytes() for picture in index.read_features()] == expected


@pytest.mark.slow
@pytest.mark.parametrize("count", [32, 64])
def test_truncate_keeps_the_best_features(codebook: Codebook, count: int) -> None:
    seen = extract_stable(draw_label(0))
    whole, fewer = codebook.encode(seen), codebook.encode(LocalFeatures(*(part[:count] for part in seen)))
    cut = whole.truncate(count, codebook)
    assert cut.size == count
    np.testing.assert_array_equal(cut.packed, fewer.packed)
    np.testing.assert_array_equal(cut.keypoints, fewer.keypoints)
    both = np.intersect1d(cut.words, fewer.words)
    assert len(both) >= 0.8 * max(len(cut.words), len(fewer.words))
    assert whole.truncate(whole.size + 32, codebook) is whole


@pytest.mark.parametrize("kept", [[True] * 7, [True, False, True, True, False, True, True], [False] * 6 + [True]])
def test_a_revised_index_is_one_that_is_built(
    index: LocalIndex, encoded: tuple[PackedFeatures, ...], codebook: Codebook, kept: list[bool]
) -> None:
    added = [encoded[1], encoded[6], encoded[4]]
    pictures = [*(one for one, stays in zip(encoded, kept, strict=True) if stays), *added]
    revised, built = index.revise(np.array(kept), added), LocalIndex.build(codebook, pictures)
    for name in ("sizes", "starts", "word_counts", "word_starts"):
        np.testing.assert_array_equal(revised._parts[name], built._parts[name])
        assert revised._parts[name].dtype == built._parts[name].dtype
    for name in local_index.LARGE:
        np.testing.assert_array_equal(revised._large[name], built._large[name])
        assert revised._large[name].dtype == built._large[name].dtype
    again = revised.revise(np.ones(len(pictures), bool), [])
    assert [one.size for one in again.read_features()] == [one.size for one in pictures]
