"""A device that is not the processor, for machines without one.

Its tensors say that they lie on `DEVICE`, compute on the processor, and, as on a GPU, mix with no others:
whoever forgets to move something learns it here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only

DEVICE = torch.device("meta")  # the one name that every build of torch accepts without hardware
_MOVES = ("aten::_to_copy", "aten::copy_")
_TAKE_POSITIONS = ("aten::index", "aten::_index_put_impl", "aten::_unsafe_index")  # of the processor's, on GPUs, too


class There(torch.Tensor):
    """One tensor of the device; `here` holds its values."""

    here: torch.Tensor

    @staticmethod
    def __new__(cls, here: torch.Tensor) -> There:
        return torch.Tensor._make_wrapper_subclass(
            cls, here.shape, strides=here.stride(), storage_offset=here.storage_offset(), dtype=here.dtype,
            device=DEVICE, requires_grad=False,
        )  # fmt: skip

    def __init__(self, here: torch.Tensor) -> None:
        self.here = here

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})


class OtherDevice(TorchDispatchMode):
    """While it is entered, `DEVICE` works."""

    def __init__(self) -> None:
        super().__init__()
        self.computed = 0  # operations on the device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = _compute(func, args, kwargs or {})
        self.computed += isinstance(result, There)
        return result


def _compute(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    name, schema = func.name(), func._schema  # type: ignore[attr-defined]
    tensors = [given for given in tree_iter((args, kwargs)) if isinstance(given, torch.Tensor)]
    there = [isinstance(given, There) for given in tensors]
    asked = kwargs.get("device")
    result_there = any(there) if asked is None else torch.device(asked) == DEVICE
    if name.split(".")[0] not in _MOVES:
        positions = name.startswith(_TAKE_POSITIONS)
        for place, given in enumerate(tensors):
            # A single number may come from anywhere, and the device takes positions of the processor's.
            excused = given.dim() == 0 or (positions and place > 0 and there[0])
            if any(there) and not there[place] and not excused:
                raise RuntimeError(f"{name}: tensors on two devices")
    kwargs = dict(kwargs)
    if asked is not None:
        kwargs["device"] = torch.device("cpu")
    near_args, near_kwargs = tree_map_only(There, lambda given: given.here, (args, kwargs))
    result = func(*near_args, **near_kwargs)
    if schema.is_mutable and schema.name.endswith("_"):
        return args[0]
    if not result_there:
        return result
    return tree_map_only(torch.Tensor, lambda one: one if isinstance(one, There) else There(one), result)
