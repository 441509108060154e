"""A device that computes on the processor, but takes no tensors of the processor, as a GPU does.

What mixes tensors of both fails on it as on a GPU, which tests rarely have.
"""

from typing import Any, Self

import torch
from torch.utils import _pytree as pytree
from torch.utils import backend_registration

NAME = "other"
COPIES = {torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default}
INDEXED = {torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default, torch.ops.aten._index_put_impl_.default}
"""What takes indices from the processor on a GPU, too."""


class OnOther(torch.Tensor):
    """A tensor of this device, which holds one of the processor."""

    raw: torch.Tensor

    @staticmethod
    def __new__(cls, raw: torch.Tensor) -> Self:
        place = {"strides": raw.stride(), "storage_offset": raw.storage_offset()}
        made = torch.Tensor._make_wrapper_subclass(cls, raw.size(), **place, dtype=raw.dtype, device=f"{NAME}:0")
        made.raw = raw
        return made

    @classmethod
    def __torch_dispatch__(cls, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(op, *args, **(kwargs or {}))

    # What torch does not hand on.
    def tolist(self) -> Any:
        return self.raw.tolist()

    def new_tensor(self, data: Any, *, dtype: torch.dtype | None = None) -> torch.Tensor:
        return torch.tensor(data, dtype=dtype or self.dtype, device=self.device)

    def __getitem__(self, place: Any) -> Any:
        return super().__getitem__(_with_tensors(place))

    def __setitem__(self, place: Any, values: Any) -> None:
        super().__setitem__(_with_tensors(place), values)


def _with_tensors(place: Any) -> Any:
    """Put tensors in place of lists of indices."""
    parts = place if isinstance(place, tuple) else (place,)
    return tuple(torch.tensor(part, device=NAME) if isinstance(part, list | tuple) else part for part in parts)


def compute(op: Any, *args: Any, **kwargs: Any) -> Any:
    """Run an operation on the processor, and say that what comes out is on the device, unless it was sent away."""
    device = kwargs.get("device")
    leaves = device is not None and torch.device(device).type == "cpu"
    given = {}

    def unwrap(value: Any) -> Any:
        if isinstance(value, OnOther):
            given[id(value.raw)] = value
            return value.raw
        if isinstance(value, torch.Tensor) and value.ndim and op not in COPIES | INDEXED:
            raise RuntimeError(f"{op} takes tensors of one device, but one is on the processor")
        return value

    def wrap(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return given[id(value)] if id(value) in given else OnOther(value)

    if device is not None:
        kwargs["device"] = torch.device("cpu")
    args, kwargs = pytree.tree_map(unwrap, (args, kwargs))
    out = op(*args, **kwargs)
    if leaves or (op is torch.ops.aten.copy_.default and id(out) not in given):
        return out
    return pytree.tree_map(wrap, out)


def _made_here(function: Any) -> Any:
    """Let a function that makes a tensor make it on the processor first, as torch cannot otherwise."""

    def make(*args: Any, device: Any = None, **kwargs: Any) -> torch.Tensor:
        here = device is not None and torch.device(device).type == NAME
        made = function(*args, device=None if here else device, **kwargs)
        return made.to(NAME) if here else made

    return make


def register() -> torch.device:
    """Make the device known to torch, which it changes for good: only in a process of its own."""

    class Backend(backend_registration._DummyBackendModule):
        def get_amp_supported_dtype(self) -> list[torch.dtype]:
            return [torch.bfloat16]

    class Generator(torch.Generator):
        def __new__(cls, device: Any = "cpu") -> Self:
            return super().__new__(cls, "cpu" if torch.device(device).type == NAME else device)

    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=Backend())
    register.library = torch.library.Library("_", "IMPL")  # what it registers lives as long as it does
    register.library.fallback(compute, "PrivateUse1")
    torch.tensor, torch.as_tensor, torch.eye = map(_made_here, (torch.tensor, torch.as_tensor, torch.eye))
    torch.Generator, torch.accelerator.empty_cache = Generator, lambda: None
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    return torch.device(f"{NAME}:0")
