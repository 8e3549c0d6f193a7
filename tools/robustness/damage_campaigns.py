"""Campaigns on files: whatever was damaged of a bundle or a device folder, nobody gets a wrong answer."""

import contextlib
import itertools
import shutil
from functools import partial
from itertools import islice
from pathlib import Path
from unittest import mock

import edgesearch
from edgesearch._util.array_file import Whole
from edgesearch.bundle.bundle_file import Bundle
from edgesearch.errors import EdgeSearchError
from edgesearch.store.store import Store

from .campaign import SAME, SENTENCE, Campaign, Sample, sentence
from .fault_targets import Shop
from .file_damage import Damage, flips, lengths

Bit = tuple[str, int, int]  # member of a bundle, byte, bit


def campaigns(shop: Shop, sample: Sample) -> list[Campaign]:
    """All of them."""
    bundle = Path(shutil.copy(shop.bundles[-1], shop.folder / "damaged.edge"))
    files = sorted(path for path in shop.device(2).rglob("*") if path.is_file())
    # They are chosen now, while the files are sound.
    bits = [[*islice(flips(paths, sample.rng), sample.flips)] for paths in ([bundle], files)]
    cuts = [sample.of([*lengths(paths, sample.rng)]) for paths in ([bundle], files)]
    ask_bundle = partial(_bundle, shop, shop.answers(shop.bundles[-1]))
    ask_device = partial(_device, shop, shop.answers(shop.devices[2]), shop.answers(shop.bundles[2]))
    return [
        Campaign("bundle: bit flips", lambda: bits[0], ask_bundle),
        Campaign("bundle: cut off or gone", lambda: cuts[0], ask_bundle),
        Campaign("device: bit flips", lambda: bits[1], ask_device),
        Campaign("device: cut off or gone", lambda: cuts[1], ask_device),
        Campaign("behind the hashes: bit flips", lambda: _bits(shop, sample), partial(_behind_the_hashes, shop)),
    ]


def _bundle(shop: Shop, expected: str, fault: Damage) -> str:
    """A damaged bundle answers as before, or a sentence says that it is damaged."""
    shutil.copy(shop.bundles[-1], fault.path)
    fault.inflict()
    return sentence(lambda: shop.answers(fault.path), expected)


def _device(shop: Shop, expected: str, then: str, fault: Damage) -> str:
    """So does a damaged device folder; the shop's next bundle may be installed there, and nobody else's."""
    following, device = shop.bundles[2], shop.device(2)
    fault.inflict()
    endings = {sentence(lambda: shop.answers(device), expected)}
    for bundle, what in ((shop.bundles[0], "an older bundle"), (shop.foreign, "a foreign bundle")):
        with contextlib.suppress(EdgeSearchError):
            edgesearch.install(bundle, device)
            return f"{what} was installed"
    endings.add(sentence(lambda: edgesearch.install(following, device) and shop.answers(device), then))
    wrong = endings - {SAME, SENTENCE}
    return wrong.pop() if wrong else SENTENCE if SENTENCE in endings else SAME


def _bits(shop: Shop, sample: Sample) -> list[Bit]:
    with contextlib.closing(Bundle(shop.bundles[-1])) as bundle:
        sizes = {name: entry.size for name, entry in bundle.manifest.files.items()}
    names = islice(itertools.cycle(sizes), sample.flips)
    return [(name, int(sample.rng.integers(sizes[name])), int(sample.rng.integers(8))) for name in names]


def _behind_the_hashes(shop: Shop, bit: Bit) -> str:
    """A wrong bit that no hash has found: any answer will do, and a sentence."""
    whole = Bundle(shop.bundles[-1])
    return sentence(lambda: _used(_Unhashed(whole, *bit), shop), None)


class _Unhashed(Bundle):
    """An open bundle with a wrong bit."""

    def __init__(self, whole: Bundle, name: str, place: int, bit: int):
        vars(self).update(vars(whole))
        data = bytearray(whole.content.read(0, whole.content.size))
        data[whole.locations[name].start + place] ^= 1 << bit
        self.content = _InMemory(memoryview(data).toreadonly())
        self._verified = {*whole.manifest.files}


class _InMemory(Whole):
    """As a file."""

    def close(self) -> None:
        """Nothing to close."""


def _used(bundle: Bundle, shop: Shop) -> None:
    """Whatever a store can do with a bundle."""
    with mock.patch("edgesearch.store.store.open_bundle", return_value=bundle), Store(bundle.path) as store:
        for photo in shop.photos:
            store.explain(photo, store.search(photo, k=3))
        store.self_test()
