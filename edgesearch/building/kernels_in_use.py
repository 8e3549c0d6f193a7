"""Say which kernels this process computes with: the compiled ones, or numpy, which rounds in another way."""

from ..images import network_input
from ..index import kernel
from ..local_features import sift


def describe_kernels() -> str:
    """Return a description that differs if the bytes of a build may differ."""
    modules = {"_kernel": kernel._kernel, "_resampling": network_input._resampling, "_sift": sift._sift}
    missing = [name for name, module in modules.items() if module is None]
    return f"numpy in place of {', '.join(missing)}" if missing else "compiled kernels"
