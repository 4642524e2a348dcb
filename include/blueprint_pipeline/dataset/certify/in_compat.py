"""Makes torchvision importable beside a torch that was built without CUDA.

The registry's torchvision is built for CUDA; beside a CPU torch its own library cannot be loaded, and then
``import torchvision`` fails for want of two operators that nothing here calls. Runs in the certifying environment.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

_kept: list[Any] = []
"""A library's operators exist as long as the object does."""


def prepare_torchvision() -> None:
    """Declare the two operators where torchvision's own library cannot be loaded."""
    import torch

    spec = find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return
    library = next(iter(sorted(Path(spec.submodule_search_locations[0]).glob("_C*.so"))), None)
    try:
        if library is not None:
            torch.ops.load_library(str(library))
            return
    except OSError:
        pass
    fragment = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        fragment.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept.append(fragment)
