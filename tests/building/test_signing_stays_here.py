"""No worker of a cluster gets the key that signs a bundle or the device key, and no stranger joins a cluster."""

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import edgesearch
from edgesearch.building import build_options, ray_engine
from edgesearch.bundle import bundle_file, sealing, signing
from edgesearch.errors import EdgeSearchError

from ..conftest import TINY_MODEL


@pytest.mark.slow
def test_no_worker_gets_the_key_or_signs(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloudpickle = pytest.importorskip("ray.cloudpickle", reason="ray is not installed")
    private, _ = edgesearch.keygen(tmp_path / "very-secret")
    sent: list[bytes] = []
    is_working = False

    def map_parts(function: Callable[[Any], Any], parts: Iterable[Any]) -> Iterator[Any]:
        nonlocal is_working
        sent.append(cloudpickle.dumps(function))
        for part in parts:
            is_working = True
            result = pickle.loads(sent[-1])(part)
            is_working = False
            sent[-1:] = [pickle.dumps(part), pickle.dumps(result), cloudpickle.dumps(function)]
            yield result

    def sign(message: bytes, key: Path) -> bytes:
        assert not is_working
        return real(message, key)

    real = signing.sign
    monkeypatch.setattr(signing, "sign", sign)
    monkeypatch.setitem(build_options.ENGINES, "ray", lambda workers: contextlib.nullcontext(map_parts))  # type: ignore
    edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", TINY_MODEL, engine="ray", sign=private)
    with contextlib.closing(bundle_file.Bundle(tmp_path / "x.edge")) as bundle:
        assert bundle.signer
    key = signing._read_line(private, signing.PRIVATE, 1)[0]
    assert len(sent) > 3
    for secret in (key.encode(), bytes.fromhex(key), b"very-secret"):
        assert not any(secret in one for one in sent)


@pytest.mark.parametrize("starts", [True, False])
def test_a_cluster_does_not_inherit_the_device_key(monkeypatch: pytest.MonkeyPatch, starts: bool) -> None:
    for name in sealing.VARIABLES:
        monkeypatch.setenv(name, "secret")
    inherited: list[str] = []

    class FakeRay(mock.MagicMock):
        def init(self, **_: object) -> None:
            inherited.extend(os.environ.values())
            if not starts:
                raise OSError

    monkeypatch.setattr(ray_engine, "_import_ray", lambda: FakeRay(is_initialized=lambda: False))
    with contextlib.suppress(EdgeSearchError), ray_engine.connect_cluster(1):
        pass
    assert inherited and "secret" not in inherited
    assert {os.environ[name] for name in sealing.VARIABLES} == {"secret"}


@pytest.mark.slow
def test_a_cluster_that_is_started_here_asks_for_a_token() -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    code = "import os; from edgesearch.building import ray_engine as r; r._import_ray(); print(*r.os.environ.keys())"
    unset = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=unset)
    assert {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} < set(done.stdout.split())
