"""Open a store from its path."""

import os
from pathlib import Path

from .._util import progress
from ..bundle import signing
from ..bundle.sealing import Key
from .store import Store


def open(
    path: str | os.PathLike[str],
    threads: int | None = None,
    trust: Path | None = None,
    key: Key | None = None,
    *,
    warm: bool = False,
) -> Store:
    """Open a store. No unverified byte is used: a file is verified as a whole, a device's bundle as it is read.

    Args:
        path: A `.edge` file, or a device folder where one is installed.
        threads: Threads for one photo; None takes what `edgesearch doctor` chose for the device, or 1. With more, the
            network divides its work, and local features are detected while it runs; the answers are the same.
        trust: Public key that must have signed the bundle; None trusts what a device checked at installation, or
            whoever supplied the file.
        key: Of an encrypted device folder: 32 bytes, or a function that returns them; None takes that of the
            environment (`sealing.resolve_key`).
        warm: Whether to warm it up in the background (`Store.warm_up`).
    Raises:
        EdgeSearchError: It is not a bundle, or it is damaged, or its parts do not belong together, or onnxruntime is
            not installed.
    """
    with progress.stage(f"open {os.fspath(path)}"):
        store = Store(Path(path), threads, [signing.read_public(trust)] if trust else (), key)
    if warm:
        store.warm_up()
    return store
