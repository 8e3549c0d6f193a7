"""Let managers install, roll back, read the log, export what was taught and erase the profile."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from .._util.scratch import scratch_file
from ..bundle.manifest import Manifest
from ..device import maintenance
from ..errors import BundleError
from .request_data import Manager, State
from .sessions import Visitor
from .state import ServerState

router = APIRouter(tags=["manage"])
CHUNK_BYTES = 1 << 20
_BUNDLE = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("/log")
async def log(state: State, _: Manager) -> dict[str, Any]:
    """Return every change to the device, oldest first."""
    events = await state.installer.run(maintenance.log, state.device)
    return {"events": [event.to_dict() for event in events]}


@router.post("/install", openapi_extra=_BUNDLE)
async def install(request: Request, state: State, manager: Manager) -> dict[str, Any]:
    """Install the bundle or delta in the body, with the same checks as `edgesearch install`."""
    with scratch_file(state.device, "uploaded.edge") as (path, file):  # that disk must have room for it anyway
        await _receive(request.stream(), file)
        manifest = await state.installer.run(_install, state, path, manager)
    return _describe_bundle(manifest)


@router.post("/rollback")
async def rollback(state: State, manager: Manager, forward: bool = False) -> dict[str, Any]:
    """Return to the bundle before the last installation; `forward` to the one that the last rollback left."""
    return _describe_bundle(await state.installer.run(_roll_back, state, manager, forward))


@router.get("/taught.zip", response_class=StreamingResponse)
async def taught(state: State, manager: Manager) -> StreamingResponse:
    """Return what the device was taught and learned, for `edgesearch build --merge-overlay` and `--merge-learned`."""
    file = await state.installer.run(_zip_taught, state, manager)
    headers = {"Content-Disposition": 'attachment; filename="taught.zip"'}
    return StreamingResponse(_read_chunks(file), media_type="application/zip", headers=headers)


@router.delete("/profile", status_code=204)
async def erase_profile(state: State, manager: Manager) -> None:
    """Erase every pick and dismissal kept on this device."""
    await state.installer.run(_erase_profile, state, manager)


async def _receive(body: AsyncIterator[bytes], file: BinaryIO) -> None:
    received = 0
    async for part in body:
        received += file.write(part)
    if not received:
        raise BundleError("the request: no bundle; send a .edge file as the body.")
    file.flush()


def _install(state: ServerState, path: Path, manager: Visitor) -> Manifest:
    manifest = maintenance.install(path, state.device, who=manager.name or None)
    state.store.reopen()
    return manifest


def _roll_back(state: ServerState, manager: Visitor, forward: bool) -> Manifest:
    manifest = maintenance.rollback(state.device, who=manager.name or None, forward=forward)
    state.store.reopen()
    return manifest


def _erase_profile(state: ServerState, manager: Visitor) -> None:
    state.store.profile.erase()
    state.record("erase", manager, of="profile")


def _describe_bundle(manifest: Manifest) -> dict[str, Any]:
    return {"name": manifest.name, "sequence": manifest.sequence, "products": manifest.counts["products"]}


def _zip_taught(state: ServerState, manager: Visitor) -> BinaryIO:
    file: BinaryIO = tempfile.TemporaryFile(dir=state.device)  # noqa: SIM115  # returned
    try:
        done = maintenance.export_zip(state.device, file)
        state.record("export", manager, products=done.products, learned=done.learned)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _read_chunks(file: BinaryIO) -> Iterator[bytes]:
    with contextlib.closing(file):
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
