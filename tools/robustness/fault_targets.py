"""The targets of the faults: a small drawn shop, bundles of it, and device folders that run them."""

import contextlib
import os
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from demo_shop import write_catalogue

import edgesearch
from edgesearch._util.hashing import sha256
from edgesearch.bundle import bundle_file as bundle
from edgesearch.bundle import sealing, signing
from edgesearch.bundle.bundle_file import Bundle
from edgesearch.bundle.container import MANIFEST_FILE
from edgesearch.device.device_files import ENCRYPTED
from edgesearch.device.slots import ACCESS, Slots
from edgesearch.server.access import Access

TINY_MODEL = Path(__file__).parents[2] / "tests" / "data" / "tiny_model"
WHOLE, KEY, FOREIGN = "whole.edge", "shop", "foreign"
BUNDLES = 4
FEATURES = 32  # local features of a picture: few, so that they are used but cost little time


@dataclass(frozen=True)
class Shop:
    """Bundles of one catalogue that differ in their sequence number, and device folders that trust the shop.

    Attributes:
        bundles:    with the sequence numbers 1, 2, 3, ..., signed by the shop.
        key_change: like the last of them; announces the key of `foreign` as the next one.
        foreign:    signed by somebody else.
        delta:      from the second bundle to the third.
        devices:    device folders with 0, 1 and 2 installed bundles; then one on which products were enrolled, edited
                    and removed, and an encrypted one like it.
    """

    folder: Path
    photos: tuple[Path, ...]
    bundles: tuple[Path, ...]
    key_change: Path
    foreign: Path
    public: Path
    delta: Path
    devices: tuple[Path, ...]

    def copy_device(self, installed: int) -> Path:
        """Copy a device folder, always to the same path, and put its key, if it has one, into the environment."""
        copy = self.folder / "device"
        shutil.rmtree(copy, ignore_errors=True)
        _give_key((self.devices[installed] / ENCRYPTED).exists())
        return Path(shutil.copytree(self.devices[installed], copy))

    def describe_answers(self, store: Path) -> str:
        """Return everything that a user can see of a store, as text."""
        with edgesearch.open(store) as opened:
            answers = [opened.search(photo, k=3) for photo in self.photos]
            pictures = [sha256(opened.picture(answer.matches[0])) for answer in answers]
            seen = [(answer.decision, answer.matches) for answer in answers]
            return repr((opened.bundle.manifest.sequence, seen, pictures))

    def device_state(self, device: Path) -> "State":
        """Return everything in a device folder that must not be lost.

        Raises: EdgeSearchError: the folder cannot be used.
        """
        found = Slots(device)._read_state()
        if found is None:
            return State("nothing is installed", frozenset())
        behind: tuple[int, ...] = ()
        if found.other_slot in found.installed:
            with contextlib.closing(Slots(device)._open_bundle(found, found.other_slot)) as bundle:
                behind = (bundle.manifest.sequence,)
        trusted = Slots(device)._read_trusted()
        people = [holder.name for holder in Access(device / ACCESS, Slots(device)).holders()]
        return State(repr((self.describe_answers(device), behind, found.highest, people)), frozenset(trusted))


class State(NamedTuple):
    """The answers of a device, the bundle it could roll back to, who has a PIN (in `seen`), and the trusted keys."""

    seen: str
    trusted: frozenset[str]


def make_shop(folder: Path, model: Path = TINY_MODEL) -> Shop:
    """Draw the shop and build it once; the other bundles have the same content under another number or signature."""
    write_catalogue(folder, products=8, unknown=2, photos=1, seed=0)
    _, public = edgesearch.keygen(folder / KEY)
    _, foreign = edgesearch.keygen(folder / FOREIGN)
    edgesearch.build(folder / "catalogue.csv", folder / WHOLE, model, local_features=FEATURES)
    numbered = [rewrite_bundle(folder, folder / f"{number}.edge", number) for number in range(1, BUNDLES + 1)]
    devices = [_device(folder / f"device{number}", numbered[:number], public) for number in range(3)]
    photos = tuple(sorted((folder / "photos").glob("*.jpg")))
    for encrypt in (False, True):
        _give_key(encrypt)
        devices.append(_device(folder / f"device{len(devices)}", numbered[:2], public, encrypt))
        teach(devices[-1], photos[-1])
    _give_key(False)
    edgesearch.delta(numbered[1], numbered[2], folder / "small.delta", folder / f"{KEY}.key")
    return Shop(
        folder,
        (photos[0], photos[-1]),
        tuple(numbered),
        rewrite_bundle(folder, folder / "turning.edge", BUNDLES, next_key=signing.read_public(foreign)),
        rewrite_bundle(folder, folder / "foreign.edge", 1_000_000, FOREIGN),
        public,
        folder / "small.delta",
        tuple(devices),
    )


def teach(device: Path, photo: Path) -> str:
    """Enrol, edit and remove products."""
    with edgesearch.open(device) as store:
        known = [match.sku for match in store.search(photo, k=3).matches]
        store.enrol("TAUGHT", [photo], name="Taught")
        store.edit(known[0], price=1)
        store.remove(known[1])
    return "taught"


def rewrite_bundle(folder: Path, path: Path, sequence: int, key: str = KEY, next_key: str = "") -> Path:
    """Write the bundle of the shop in `folder` to `path`, with another number and signature."""
    whole = folder / WHOLE
    stage = whole.with_suffix("")
    with zipfile.ZipFile(whole) as archive:
        archive.extractall(stage, [name for name in archive.namelist() if name != MANIFEST_FILE])
    with contextlib.closing(Bundle(whole)) as opened:
        described = {name: value for name, value in vars(opened.manifest).items() if name != "files"}
    bundle.write(path, stage, {**described, "sequence": sequence, "next_key": next_key}, folder / f"{key}.key")
    return path


def _give_key(is_needed: bool) -> None:
    """Put the key of encrypted folders into the environment, or take it out."""
    os.environ.pop(sealing.KEY, None)
    if is_needed:
        os.environ[sealing.KEY] = bytes(sealing.KEY_BYTES).hex()


def _device(folder: Path, bundles: Sequence[Path], public: Path, encrypt: bool = False) -> Path:
    folder.mkdir()
    for path in bundles:
        edgesearch.install(path, folder, public, encrypt=encrypt)
    return folder
