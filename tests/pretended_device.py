"""A device that is only pretended, to find on a CPU what would be wrong or slow on a GPU.

Its tensors wrap tensors of the CPU and say that they are on the device ``pretended:0``, for which
PyTorch's slot for backends of others (PrivateUse1) is used. Two kinds of faults are found:

* An operation on tensors of two devices raises, as CUDA's does. As there, a tensor without
  dimensions may be the CPU's, and so may an index.
* Whatever makes the host wait for the device is counted, with the line of code that asked for it:
  numbers that are read (``item``, ``tolist``, ``bool``), tensors that are copied to the host, and
  results whose size depends on values (``nonzero``, boolean indices, NMS). A copy to the device
  counts too where it is not ``non_blocking``: CUDA's waits for all work before it.

What kernels of a GPU compute, their speed and memory are not seen. The device is the process's for
good, so it belongs into a process of its own.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = 'pretended'
WATCHED = ('/mmvos/', '/mmdet/', '/mmengine/', '/mmcv/')
aten = torch.ops.aten

# Operations that read values of the device, or whose result has a size that depends on them.
READS = {
    aten._local_scalar_dense.default: 'a number is read',
    aten.nonzero.default: 'nonzero',
    aten.masked_select.default: 'masked_select',
    aten.equal.default: 'equal',
    aten._unique2.default: 'unique',
    aten.unique_dim.default: 'unique',
    aten.repeat_interleave.Tensor: 'repeat_interleave',
}
COPIES = {
    aten.copy_.default,
    aten._to_copy.default,
    aten._copy_from.default,
}
GETS = {aten.index.Tensor, aten._unsafe_index.Tensor}
PUTS = {aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default}
# Compiled operations of mmcv that read back what they found.
COMPILED_READS = ('nms', 'softnms', 'nms_match')


class PretendedTensor(torch.Tensor):
    """A tensor of the CPU that says it is on the device.

    Attributes:
        content: the tensor of the CPU.
    """

    content: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, content: torch.Tensor) -> PretendedTensor:
        """Wrap a tensor of the CPU."""
        wrapper = torch.Tensor._make_wrapper_subclass(
            cls,
            content.size(),
            strides=content.stride(),
            storage_offset=content.storage_offset(),
            dtype=content.dtype,
            layout=content.layout,
            device=torch.device(NAME, 0),
        )
        wrapper.content = content
        return wrapper

    @classmethod
    def __torch_dispatch__(
        cls, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Compute an operation on the contents."""
        return compute(operation, args, kwargs or {})

    def tolist(self) -> Any:
        """Read all numbers, which is one wait."""
        note_wait('numbers are read')
        return self.content.detach().tolist()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse, as tensors of a GPU do."""
        raise TypeError('a tensor of a device is no array; copy it to the CPU first')

    __array__ = numpy

    def __repr__(self, *args: Any, **kwargs: Any) -> str:
        return f'PretendedTensor({self.content!r})'


WAITS: Counter[tuple[str, str]] = Counter()


def note_wait(kind: str) -> None:
    """Count a wait at the innermost watched line of the call."""
    caller = sys._getframe(1)
    while caller is not None:
        path = caller.f_code.co_filename
        for part in WATCHED:
            if part in path:
                package = part.strip('/')
                place = f'{package}/{path.rsplit(part, 1)[1]}:{caller.f_lineno}'
                WAITS[kind, place] += 1
                return
        caller = caller.f_back
    WAITS[kind, 'elsewhere'] += 1


def is_pretended(value: Any) -> bool:
    """Say whether something is a tensor on the device."""
    return isinstance(value, PretendedTensor)


def wrap(value: Any) -> Any:
    """Put a tensor on the device; everything else stays as it is."""
    if isinstance(value, torch.Tensor) and not is_pretended(value):
        return PretendedTensor(value)
    return value


def unwrap(value: Any) -> Any:
    """Take a tensor off the device."""
    return value.content if is_pretended(value) else value


def compute(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute an operation on the CPU, and answer as the device would.

    Raises:
        RuntimeError: tensors of two devices meet.
    """
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    asked = kwargs.get('device')
    goes_to_device = asked is not None and torch.device(asked).type == NAME
    is_result_pretended = goes_to_device or (asked is None and any(map(is_pretended, tensors)))
    if operation in COPIES:
        is_result_pretended = _note_copy(operation, args, kwargs)
    elif any(map(is_pretended, tensors)):
        _check_devices(operation, args, tensors)
        _note_read(operation, args)

    # computed where everything is a tensor of the CPU
    if asked is not None:
        kwargs = {**kwargs, 'device': torch.device('cpu')}
    if 'pin_memory' in kwargs:
        kwargs = {**kwargs, 'pin_memory': False}
    args, kwargs = tree_map(unwrap, (args, kwargs))
    result = operation(*args, **kwargs)

    # An operation in place gives the same tensor back.
    for tensor in tensors:
        if is_pretended(tensor) and tensor.content is result:
            return tensor
    return tree_map(wrap, result) if is_result_pretended else result


def _note_copy(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Count a copy between the devices, and say whether its result is on the device."""
    if operation is aten._to_copy.default:
        source = args[0]
        asked = kwargs.get('device')
        is_target = is_pretended(source)
        if asked is not None:
            is_target = torch.device(asked).type == NAME
        waits = not kwargs.get('non_blocking', False)
    elif operation is aten._copy_from.default:
        source = args[0]
        is_target = is_pretended(args[1])
        waits = not (len(args) > 2 and args[2])
    else:
        source = args[1]
        is_target = is_pretended(args[0])
        waits = not (len(args) > 2 and args[2])

    if is_pretended(source) and not is_target:
        note_wait('a copy to the host')
    elif is_target and not is_pretended(source) and waits and source.dim() > 0:
        note_wait('a copy to the device')
    return is_target


def _check_devices(operation: Any, args: tuple[Any, ...], tensors: list[torch.Tensor]) -> None:
    """Raise where tensors of two devices meet."""
    # an index may be the CPU's
    checked = tensors
    if operation in GETS:
        checked = tensors[:1]
    elif operation in PUTS:
        checked = [args[0], args[2]]
    strangers = [tensor for tensor in checked if not is_pretended(tensor) and tensor.dim() > 0]
    if strangers and any(map(is_pretended, checked)):
        shapes = [(tensor.device.type, tuple(tensor.shape)) for tensor in checked]
        raise RuntimeError(
            f'Expected all tensors to be on the same device: {operation} got {shapes}'
        )


def _note_read(operation: Any, args: tuple[Any, ...]) -> None:
    """Count an operation that reads values of the device."""
    if operation in READS:
        note_wait(READS[operation])
        return
    if operation not in GETS and operation not in PUTS:
        return
    masks = []
    for index in args[1]:
        if is_pretended(index) and index.dtype in (torch.bool, torch.uint8):
            masks.append(index)
    # a number that is put where a mask says so is filled in, without looking for the places
    is_filled = operation in PUTS and len(masks) == 1 and args[2].numel() == 1
    if masks and not is_filled:
        note_wait('a boolean index')


class PretendedDevice(TorchDispatchMode):
    """The mode in which to compute: ``with PretendedDevice(): ...``."""

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Compute an operation that makes or moves tensors."""
        return compute(operation, args, kwargs or {})


class _Backend:
    """The module that torch asks about a backend."""

    def __init__(self) -> None:
        self._dummy = backend_registration._DummyBackendModule()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dummy, name)

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        pass

    def synchronize(self, *args: Any) -> None:
        pass


def _empty_strided(size: Any, stride: Any, *, dtype: Any = None, **kwargs: Any) -> torch.Tensor:
    return PretendedTensor(torch.empty_strided(size, stride, dtype=dtype, device='cpu'))


def _empty(size: Any, *, dtype: Any = None, memory_format: Any = None, **kwargs: Any) -> Any:
    order = memory_format or torch.contiguous_format
    return PretendedTensor(torch.empty(size, dtype=dtype, device='cpu', memory_format=order))


def _copy_from(source: Any, target: Any, non_blocking: bool = False) -> Any:
    _note_copy(aten._copy_from.default, (source, target, non_blocking), {})
    unwrap(target).copy_(unwrap(source))
    return target


class _CompiledOps:
    """mmcv's compiled operations, which take tensors of the device."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = getattr(self._compiled, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            tensors = [leaf for leaf in tree_leaves((args, kwargs)) if torch.is_tensor(leaf)]
            are_pretended = [is_pretended(tensor) for tensor in tensors]
            if any(are_pretended) and not all(are_pretended):
                raise RuntimeError(f'mmcv.{name}: tensors of two devices')
            if any(are_pretended) and name in COMPILED_READS:
                note_wait(f'mmcv.{name}')
            args, kwargs = tree_map(unwrap, (args, kwargs))
            result = operation(*args, **kwargs)
            return tree_map(wrap, result) if any(are_pretended) else result

        return call


class _IsBool(type):
    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and value.dtype == torch.bool


class _AnyBoolTensor(metaclass=_IsBool):
    """What mmengine takes for a boolean tensor: by its type, whatever its device."""


_libraries: list[torch.library.Library] = []


def install() -> torch.device:
    """Make the device known to torch, mmcv and mmengine, for the rest of the process."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Backend())
    torch.__future__.set_swap_module_params_on_conversion(True)
    every = torch.library.Library('_', 'IMPL')
    every.fallback(
        lambda operation, *args, **kwargs: compute(operation, args, kwargs), 'PrivateUse1'
    )
    kernels = torch.library.Library('aten', 'IMPL')
    kernels.impl('empty_strided', _empty_strided, 'PrivateUse1')
    kernels.impl('empty.memory_format', _empty, 'PrivateUse1')
    kernels.impl('_copy_from', _copy_from, 'PrivateUse1')
    _libraries.extend([every, kernels])

    import mmcv._ext
    import mmcv.ops
    import mmengine.structures.instance_data as instance_data

    compiled = _CompiledOps(mmcv._ext)
    for name, module in list(sys.modules.items()):
        if name.startswith('mmcv.ops') and hasattr(module, 'ext_module'):
            module.ext_module = compiled
    instance_data.BoolTypeTensor = torch.BoolTensor | _AnyBoolTensor
    instance_data.IndexType = str | slice | int | list | torch.Tensor | np.ndarray
    return torch.device(NAME, 0)
