"""Import torchvision beside a CPU-only torch.

The registry's torchvision wheel is compiled against a CUDA build of torch. Beside a CPU build its C++ detection
operators do not load, and `import torchvision` fails when it attaches shape functions to them. The networks need none
of these operators, so it is enough to declare their two schemas first (torch 2.13.0, torchvision 0.28.0).
"""

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

if torch.version.cuda is None:
    _library = torch.library.Library("torchvision", "FRAGMENT")
    for _schema in _SCHEMAS:
        _library.define(_schema)

import torchvision  # noqa: E402

__all__ = ["torchvision"]
