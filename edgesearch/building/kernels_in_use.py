"""Say which kernels this process computes with: the compiled ones, or numpy, which rounds in another way."""

from ..images import network_input
from ..index import kernel
from ..local_features import sift

_USERS = {"_kernel": kernel, "_resampling": network_input, "_sift": sift}  # by the compiled module; None without it


def describe_kernels() -> str:
    """Return a description that differs if the bytes of a build may differ."""
    missing = [name for name, user in _USERS.items() if getattr(user, name) is None]
    return f"numpy in place of {', '.join(missing)}" if missing else "compiled kernels"
