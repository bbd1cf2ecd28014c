"""Runs generated PyTorch files for `dlc parity`: `python -m dlc_torch.runner`.

In: `dlc.parity.worker.Case`s. Out: `Outcome`s. Random draws are replaced by those of the case, reduced
precision is off, and algorithms are deterministic.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from dlc.parity.worker import Array, Case, Outcome, SampleQueue, serve

Shape = tuple[int, ...]


class TorchRunner:
    """One process that runs PyTorch."""

    name = "torch"

    def __init__(self) -> None:
        threads = os.environ.get("OMP_NUM_THREADS")
        if threads:
            torch.set_num_threads(int(threads))
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.set_float32_matmul_precision("highest")
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = False

    def describe(self) -> Mapping[str, Any]:
        devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
        return {
            "torch": torch.__version__,
            "python": platform.python_version(),
            "devices": devices,
            "device_names": [torch.cuda.get_device_name()] if len(devices) > 1 else [],
            "threads": torch.get_num_threads(),
            "tf32": torch.backends.cudnn.allow_tf32,
            "matmul_precision": torch.get_float32_matmul_precision(),
        }

    def run(self, case: Case) -> Outcome:
        before = torch.get_default_dtype()
        torch.set_default_dtype(getattr(torch, case.dtype))
        try:
            return execute(case)
        finally:
            torch.set_default_dtype(before)


def build(case: Case) -> nn.Module:
    """The model with the weights of the case."""
    model: nn.Module = getattr(case.module, case.network)()
    case.module.load_weights(model, str(case.weights_path))
    return model.to(case.device).train(case.training)


def to_tensor(array: Array, case: Case) -> Tensor:
    """An input; floats in the dtype of the case, with a gradient to come."""
    tensor = torch.from_numpy(np.ascontiguousarray(array)).to(case.device)
    if tensor.is_floating_point():
        return tensor.to(getattr(torch, case.dtype)).requires_grad_()
    return tensor


def method_of(model: nn.Module, name: str) -> Callable[..., Any]:
    """A method of the specification: one whose name every module has ends in an underscore."""
    renamed = f"{name}_"
    found: Callable[..., Any] = getattr(model, renamed if renamed in vars(type(model)) else name)
    return found


def execute(case: Case) -> Outcome:
    model = build(case)
    inputs = {name: None if array is None else to_tensor(array, case) for name, array in case.inputs.items()}
    trace = Trace()
    if case.record is not None:
        case.record.keep = trace.keep
    method: Callable[..., Any] = model if case.method == "forward" else method_of(model, case.method)
    with replaced_draws(case.samples, case.device):
        results = flatten(method(*inputs.values()))
    pull_back(results, case.cotangents)
    return Outcome(
        outputs=[to_numpy(result) for result in results],
        weight_gradients={path: gradient(weight) for path, weight in spec_names(model, trained(model))},
        input_gradients={
            name: gradient(tensor)
            for name, tensor in inputs.items()
            if tensor is not None and tensor.requires_grad
        },
        states={
            path: to_numpy(state)
            for path, state in spec_names(model, saved_buffers(model))
            if not path.endswith("num_batches_tracked")
        },
        forward=[(site, to_numpy(value)) for site, value in trace.values],
        backward=[(site, gradient(value)) for site, value in trace.values],
    )


def flatten(result: Any) -> list[Tensor]:
    """The outputs in order: tuples, also nested ones, laid out flat."""
    if isinstance(result, tuple | list):
        return [tensor for item in result for tensor in flatten(item)]
    return [result]


def pull_back(results: list[Tensor], cotangents: list[Array | None]) -> None:
    """Differentiates the sum of `<output, cotangent>`; integer and bool outputs have none."""
    terms = [
        (result * torch.from_numpy(np.ascontiguousarray(given)).to(result)).sum()
        for result, given in zip(results, cotangents, strict=True)
        if given is not None and result.is_floating_point()
    ]
    total = sum(terms, torch.zeros(()))
    if isinstance(total, Tensor) and total.requires_grad:
        total.backward()


def to_numpy(tensor: Tensor) -> Array:
    return np.array(tensor.detach().cpu().numpy())


def gradient(tensor: Tensor) -> Array:
    """The gradient, zeros where nothing depends on the tensor."""
    if tensor.grad is None:
        return np.zeros(tuple(tensor.shape), to_numpy(tensor).dtype)
    return to_numpy(tensor.grad)


# ---------------------------------------------------------------- names


def spec_names(model: nn.Module, tensors: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """Tensors by the specification's path."""
    pairs = [
        tuple(f"{prefix}.{end}".removeprefix(".") for end in names)
        for prefix, module in model.named_modules()
        for names in getattr(module, "names", ())
    ]
    for path, tensor in tensors:
        for name, own in reversed(pairs):
            if f"{path}.".startswith(f"{own}."):
                path = name + path.removeprefix(own)
        yield path, tensor


def trained(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The parameters of the specification: PyTorch's own modules add some that stay as they are."""
    return ((path, weight) for path, weight in model.named_parameters() if weight.requires_grad)


def saved_buffers(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The states: buffers that belong to the saved model."""
    saved = model.state_dict()
    return ((path, buffer) for path, buffer in model.named_buffers() if path in saved)


# ---------------------------------------------------------------- tracing


class Trace:
    """The values of instrumented statements, in execution order."""

    def __init__(self) -> None:
        self.values: list[tuple[int, Tensor]] = []

    def keep(self, site: int, value: Any) -> Any:
        """Remembers a tensor and asks for its gradient.

        A tensor that another name already holds gets an alias of its own: each entry then has the
        cotangent of what is computed from that name on. So has one that needs no gradient itself.
        """
        if not isinstance(value, Tensor):
            return value
        if value.requires_grad:
            value = value.view_as(value)
            value.retain_grad()
        elif value.is_floating_point():
            value = value.detach().clone().requires_grad_()
        self.values.append((site, value))
        return value


# ---------------------------------------------------------------- random draws


@contextmanager
def replaced_draws(samples: SampleQueue, device: str) -> Iterator[None]:
    """Every random function of generated code returns the draws of the case, in order."""
    draws = Draws(samples, device)
    with ExitStack() as stack:
        for owner, name in REPLACED:
            stack.enter_context(mock.patch.object(owner, name, getattr(draws, name)))
        yield


REPLACED: tuple[tuple[Any, str], ...] = (
    *((torch, n) for n in ("bernoulli", "rand", "randn", "randint", "rand_like", "randn_like")),
    (F, "dropout"),
    (F, "scaled_dot_product_attention"),
)
ATTENTION = F.scaled_dot_product_attention


class Draws:
    """The replacements: same signatures, given numbers."""

    def __init__(self, samples: SampleQueue, device: str) -> None:
        self.samples = samples
        self.device = device

    def next(self, kind: str, shape: Any, dtype: torch.dtype | None) -> Tensor:
        drawn = np.array(self.samples.next(kind, tuple(int(size) for size in shape)))
        return torch.from_numpy(drawn).to(self.device, dtype)

    def standard(self, kind: str, shape: Any, options: Mapping[str, Any]) -> Tensor:
        if len(shape) == 1 and not isinstance(shape[0], int):
            shape = tuple(shape[0])
        return self.next(kind, shape, options.get("dtype") or torch.get_default_dtype())

    def rand(self, *shape: Any, **options: Any) -> Tensor:
        return self.standard("uniform", shape, options)

    def randn(self, *shape: Any, **options: Any) -> Tensor:
        return self.standard("normal", shape, options)

    def rand_like(self, like: Tensor, **options: Any) -> Tensor:
        return self.next("uniform", like.shape, like.dtype)

    def randn_like(self, like: Tensor, **options: Any) -> Tensor:
        return self.next("normal", like.shape, like.dtype)

    def randint(self, *bounds_and_shape: Any, **options: Any) -> Tensor:
        return self.next("randint", bounds_and_shape[-1], options.get("dtype") or torch.int64)

    def bernoulli(self, probabilities: Tensor, **options: Any) -> Tensor:
        return self.next("bernoulli", probabilities.shape, probabilities.dtype)

    def dropout(self, x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
        """Kept elements divided by `1 - p`. Nothing is drawn where nothing can be dropped."""
        if not training or p == 0.0:
            return x
        return torch.where(self.next("bernoulli", x.shape, torch.bool), x / (1.0 - p), 0.0)

    def scaled_dot_product_attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        **options: Any,
    ) -> Tensor:
        """With dropout its formula, for the draw must be ours."""
        if dropout_p == 0.0:
            return ATTENTION(query, key, value, attn_mask=attn_mask, is_causal=is_causal, scale=scale)
        scores = query @ key.mT * (1.0 / math.sqrt(query.shape[-1]) if scale is None else scale)
        if is_causal:
            attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -math.inf)
        elif attn_mask is not None:
            scores = scores + attn_mask
        blocked = (scores == -math.inf).all(-1, keepdim=True)
        weights = scores.masked_fill(blocked, 0.0).softmax(-1).masked_fill(blocked, 0.0)
        return self.dropout(weights, dropout_p) @ value


if __name__ == "__main__":
    serve(TorchRunner)
