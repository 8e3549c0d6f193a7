"""What managers may do: install, roll back, read the log, take away and erase what was taught or liked."""

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from ..bundle.manifest import Manifest
from ..device import maintenance
from ..errors import BundleError
from .request_data import Manager, Shared
from .sessions import Visitor
from .state import Served

router = APIRouter(tags=["manage"])
PORTION = 1 << 20  # bytes
_BUNDLE = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("/log")
async def log(served: Shared, _: Manager) -> dict[str, Any]:
    """All that was done to the device, oldest first."""
    events = await served.installer.run(maintenance.log, served.device)
    return {"events": [event.to_dict() for event in events]}


@router.post("/install", openapi_extra=_BUNDLE)
async def install(request: Request, served: Shared, manager: Manager) -> dict[str, Any]:
    """Run the bundle, or the delta, in the body from now on: as `edgesearch install`, and under the same checks."""
    folder = served.device  # a disk that has room for what is installed
    with tempfile.TemporaryDirectory(prefix=".upload-", dir=folder) as temporary:
        path = Path(temporary) / "uploaded.edge"
        with open(path, "wb") as file:
            await _receive(request.stream(), file)
        manifest = await served.installer.run(_installed, served, path, manager)
    return _runs(manifest)


@router.post("/rollback")
async def rollback(served: Shared, manager: Manager) -> dict[str, Any]:
    """Run again what ran before."""
    return _runs(await served.installer.run(_rolled_back, served, manager))


@router.get("/taught.zip", response_class=StreamingResponse)
async def taught(served: Shared, manager: Manager) -> StreamingResponse:
    """What the device was taught, for `edgesearch build --merge-overlay`."""
    file = await served.installer.run(_zipped, served, manager)
    headers = {"Content-Disposition": 'attachment; filename="taught.zip"'}
    return StreamingResponse(_portions(file), media_type="application/zip", headers=headers)


@router.delete("/profile", status_code=204)
async def erase_profile(served: Shared, manager: Manager) -> None:
    """Forget all that was liked on this device."""
    await served.installer.run(_erased, served, manager)


async def _receive(body: AsyncIterator[bytes], file: BinaryIO) -> None:
    received = 0
    async for part in body:
        received += file.write(part)
    if not received:
        raise BundleError("the request: no bundle; send a .edge file as the body.")


def _installed(served: Served, path: Path, manager: Visitor) -> Manifest:
    manifest = maintenance.install(path, served.device, who=manager.name or None)
    served.store.reopen()
    return manifest


def _rolled_back(served: Served, manager: Visitor) -> Manifest:
    manifest = maintenance.rollback(served.device, who=manager.name or None)
    served.store.reopen()
    return manifest


def _erased(served: Served, manager: Visitor) -> None:
    served.store.profile.erase()
    served.record("erase", manager, of="profile")


def _runs(manifest: Manifest) -> dict[str, Any]:
    return {"name": manifest.name, "sequence": manifest.sequence, "products": manifest.counts["products"]}


def _zipped(served: Served, manager: Visitor) -> BinaryIO:
    with tempfile.TemporaryDirectory(prefix=".export-", dir=served.device) as temporary:
        count = maintenance.export(served.device, Path(temporary) / "taught")
        archive = shutil.make_archive(f"{temporary}/taught", "zip", temporary, "taught")
        served.record("export", manager, products=count)
        return open(archive, "rb")  # its name may go: it stays until it is closed


def _portions(file: BinaryIO) -> Iterator[bytes]:
    with contextlib.closing(file):
        while part := file.read(PORTION):
            yield part
