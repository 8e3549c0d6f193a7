"""Campaigns on files: whatever part of a bundle or device folder is damaged, nobody gets a wrong answer."""

import contextlib
import itertools
import shutil
from functools import partial
from itertools import islice
from pathlib import Path
from unittest import mock

import edgesearch
from edgesearch._util.array_file import MemorySource
from edgesearch.bundle.bundle_file import Bundle
from edgesearch.errors import EdgeSearchError
from edgesearch.store.store import Store

from .campaign import REPORTED, SAME, Campaign, Sample, classify
from .fault_targets import Shop
from .file_damage import Damage, bit_flips, truncations

MemberBit = tuple[str, int, int]  # member of a bundle, byte, bit


def campaigns(shop: Shop, sample: Sample) -> list[Campaign]:
    """Return all campaigns on files."""
    bundle = Path(shutil.copy(shop.bundles[-1], shop.folder / "damaged.edge"))
    files = sorted(path for path in shop.copy_device(2).rglob("*") if path.is_file())
    # Choose the faults now, while the files are sound.
    bits = [[*islice(bit_flips(paths, sample.rng), sample.flips)] for paths in ([bundle], files)]
    cuts = [sample.pick([*truncations(paths, sample.rng)]) for paths in ([bundle], files)]
    try_bundle = partial(_try_bundle, shop, shop.describe_answers(shop.bundles[-1]))
    try_device = partial(
        _try_device, shop, shop.describe_answers(shop.devices[2]), shop.describe_answers(shop.bundles[2])
    )
    return [
        Campaign("bundle: bit flips", lambda: bits[0], try_bundle),
        Campaign("bundle: cut off or gone", lambda: cuts[0], try_bundle),
        Campaign("device: bit flips", lambda: bits[1], try_device),
        Campaign("device: cut off or gone", lambda: cuts[1], try_device),
        Campaign("behind the hashes: bit flips", lambda: _choose_bits(shop, sample), partial(_try_unverified, shop)),
    ]


def _try_bundle(shop: Shop, expected: str, fault: Damage) -> str:
    """Damage a bundle and open it; it must answer as before or report the damage in one sentence."""
    shutil.copy(shop.bundles[-1], fault.path)
    fault.inflict()
    return classify(lambda: shop.describe_answers(fault.path), expected)


def _try_device(shop: Shop, expected: str, then: str, fault: Damage) -> str:
    """Damage a device folder and use it; only the shop's next bundle may be installed there."""
    following, device = shop.bundles[2], shop.copy_device(2)
    fault.inflict()
    results = {classify(lambda: shop.describe_answers(device), expected)}
    for bundle, what in ((shop.bundles[0], "an older bundle"), (shop.foreign, "a foreign bundle")):
        with contextlib.suppress(EdgeSearchError):
            edgesearch.install(bundle, device)
            return f"{what} was installed"
    results.add(classify(lambda: edgesearch.install(following, device) and shop.describe_answers(device), then))
    wrong = results - {SAME, REPORTED}
    return wrong.pop() if wrong else REPORTED if REPORTED in results else SAME


def _choose_bits(shop: Shop, sample: Sample) -> list[MemberBit]:
    with contextlib.closing(Bundle(shop.bundles[-1])) as bundle:
        sizes = {name: entry.size for name, entry in bundle.manifest.files.items()}
    names = islice(itertools.cycle(sizes), sample.flips)
    return [(name, int(sample.rng.integers(sizes[name])), int(sample.rng.integers(8))) for name in names]


def _try_unverified(shop: Shop, bit: MemberBit) -> str:
    """Flip a bit after verification; any answer is accepted, and a sentence, but no crash."""
    whole = Bundle(shop.bundles[-1])
    return classify(lambda: _use_everything(_UnverifiedBundle(whole, *bit), shop), None)


class _UnverifiedBundle(Bundle):
    """An open bundle with one wrong bit that no hash check has seen."""

    def __init__(self, whole: Bundle, name: str, place: int, bit: int):
        vars(self).update(vars(whole))
        data = bytearray(whole.content.read(0, whole.content.size))
        data[whole.locations[name].start + place] ^= 1 << bit
        self.content = _InMemory(memoryview(data).toreadonly())
        self._verified = {*whole.manifest.files}


class _InMemory(MemorySource):
    """The changed bytes, in place of a file."""

    def close(self) -> None:
        """Do nothing: no file is open."""


def _use_everything(bundle: Bundle, shop: Shop) -> None:
    """Do everything that a store can do with a bundle."""
    with mock.patch("edgesearch.store.store_session.open_bundle", return_value=bundle), Store(bundle.path) as store:
        for photo in shop.photos:
            store.explain(photo, store.search(photo, k=3))
        store.self_test()
