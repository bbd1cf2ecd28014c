"""Their side: builds a model of another library, saves its checkpoint, runs it forward and backward.

In: requests, one JSON object a line. Out: one reply a line; arrays and checkpoints in the folder of the
request: `checkpoint/`, `results.npz` (outputs, cotangents, gradients of the inputs), `gradients/` (the
gradients of the weights, as a checkpoint that the library itself wrote), and after training `after/`.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from reference.harness import Reference


def single(array: Any) -> Any:
    """Numbers that float32 can hold."""
    return np.asarray(array, np.float32).astype(np.float64)


def random_like(rng: np.random.Generator, shape: tuple[int, ...], role: str, fan: int) -> Any:
    """Random numbers for a weight: positive variances, gains around 1, matrices that keep the scale."""
    if role == "variance":
        return single(rng.uniform(0.5, 1.5, shape))
    if role == "gain":
        return single(1.0 + 0.2 * rng.standard_normal(shape))
    if len(shape) >= 2:
        return single(rng.standard_normal(shape) / math.sqrt(max(fan, 1)))
    return single(0.2 * rng.standard_normal(shape))


def load_inputs(folder: Path) -> dict[str, Any]:
    with np.load(folder / "inputs.npz") as file:
        return {name: file[name] for name in file.files}


def draw_cotangent(number: int, shape: tuple[int, ...]) -> Any:
    return single(np.random.default_rng([1, number]).standard_normal(shape))


def save_results(folder: Path, outputs: list[Any], cotangents: list[Any], gradients: dict[str, Any]) -> None:
    arrays = {f"outputs.{n}": array for n, array in enumerate(outputs)}
    arrays |= {f"cotangents.{n}": array for n, array in enumerate(cotangents) if array is not None}
    arrays |= {f"input_gradients.{name}": array for name, array in gradients.items()}
    np.savez(folder / "results.npz", **arrays)


# ---------------------------------------------------------------- torch


@contextmanager
def in_dtype(dtype: Any, widen: bool) -> Iterator[None]:
    """New tensors are of this dtype. `widen`: what asks for float32 by name gets it too."""
    import torch

    names = {"float32": torch.float32, "float": torch.float}
    cast = torch.Tensor.float
    torch.set_default_dtype(dtype)
    if widen:
        for name in names:
            setattr(torch, name, dtype)
        torch.Tensor.float = lambda self, *_, **__: self.to(dtype)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for name, value in names.items():
            setattr(torch, name, value)
        torch.Tensor.float = cast  # type: ignore[method-assign]
        torch.set_default_dtype(torch.float32)


def save_torch(reference: Reference, model: Any, folder: Path) -> None:
    """By the library's own writer where it has one."""
    folder.mkdir()
    if reference.save is not None:
        reference.save(model, folder)
    elif hasattr(model, "save_pretrained"):
        model.save_pretrained(folder)
    else:
        from safetensors.torch import save_file

        state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        save_file(state, folder / "model.safetensors")


def randomise_torch(model: Any) -> None:
    import torch

    norms = [m for m in model.modules() if "norm" in type(m).__name__.lower()]
    gains = {id(norm.weight) for norm in norms if getattr(norm, "weight", None) is not None}
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            last = name.rpartition(".")[2]
            if not tensor.is_floating_point() or (
                not tensor.requires_grad and not last.startswith("running_")
            ):
                continue
            role = "variance" if last == "running_var" else "gain" if id(tensor) in gains else ""
            shape = tuple(tensor.shape)
            rng = np.random.default_rng([0, *name.encode()])
            values = random_like(rng, shape, role, math.prod(shape[1:]))
            tensor.copy_(torch.from_numpy(np.asarray(values)))


LIBRARIES: list[Any] = []


def import_torchvision() -> None:
    """Beside a CPU build of torch it asks for kernels that are not there: their names are enough."""
    import torch

    if not LIBRARIES:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        LIBRARIES.append(library)  # as long as it lives


def run_torch(reference: Reference, mode: str, folder: Path) -> None:
    import torch

    torch.manual_seed(0)
    dtype = getattr(torch, reference.dtype)
    training = mode == "train"
    with in_dtype(dtype, reference.widen and reference.dtype == "float64"):
        model = reference.build().to(dtype).train(training)
        randomise_torch(model)
        save_torch(reference, model, folder / "checkpoint")
        given = {}
        for name, array in load_inputs(folder).items():
            tensor = torch.from_numpy(array)
            given[name] = tensor.to(dtype).requires_grad_() if tensor.is_floating_point() else tensor
        outputs = list(reference.call(model, given, training))
        cotangents, total = [], torch.zeros((), dtype=dtype)
        for number, output in enumerate(outputs):
            if not output.is_floating_point():
                cotangents.append(None)
                continue
            cotangents.append(draw_cotangent(number, tuple(output.shape)))
            total = total + (output * torch.from_numpy(cotangents[-1]).to(dtype)).sum()
        total.backward()
        gradients = {
            name: (torch.zeros_like(tensor) if tensor.grad is None else tensor.grad).numpy()
            for name, tensor in given.items()
            if tensor.requires_grad
        }
        save_results(folder, [o.detach().numpy() for o in outputs], cotangents, gradients)
        if training:
            save_torch(reference, model, folder / "after")
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
        save_torch(reference, model, folder / "gradients")


# ---------------------------------------------------------------- keras


def save_keras(arrays: dict[str, Any], folder: Path) -> None:
    """The `keras` layout of docs/weights.md."""
    from safetensors.numpy import save_file

    folder.mkdir()
    save_file(
        {path: np.ascontiguousarray(array) for path, array in arrays.items()}, folder / "model.safetensors"
    )


def randomise_keras(model: Any) -> None:
    for variable in model.weights:
        last = variable.path.rpartition("/")[2]
        if "float" not in str(variable.dtype):
            continue
        role = {"gamma": "gain", "moving_variance": "variance", "variance": "variance"}.get(last, "")
        shape = tuple(variable.shape)
        rng = np.random.default_rng([0, *variable.path.encode()])
        summed = shape[:2] if len(shape) == 4 and shape[3] == 1 else shape[:-1]  # a depthwise kernel
        variable.assign(random_like(rng, shape, role, math.prod(summed)))


def run_keras(reference: Reference, mode: str, folder: Path) -> None:
    import keras
    import tensorflow as tf

    keras.config.set_floatx(reference.dtype)
    keras.utils.set_random_seed(0)
    keras.backend.clear_session()
    training = mode == "train"
    model = reference.build()
    randomise_keras(model)
    save_keras({v.path: np.asarray(v) for v in model.weights}, folder / "checkpoint")
    given = {
        name: tf.constant(array, reference.dtype if array.dtype.kind == "f" else None)
        for name, array in load_inputs(folder).items()
    }
    floats = {name: tensor for name, tensor in given.items() if tensor.dtype.is_floating}
    variables = list(model.trainable_variables)
    with tf.GradientTape() as tape:
        tape.watch(list(floats.values()))
        outputs = list(reference.call(model, given, training))
        cotangents = [
            draw_cotangent(n, tuple(o.shape)) if o.dtype.is_floating else None for n, o in enumerate(outputs)
        ]
        total = tf.add_n(
            [tf.reduce_sum(o * tf.constant(c, o.dtype)) for o, c in zip(outputs, cotangents) if c is not None]
        )
    found = tape.gradient(total, [*(v.value for v in variables), *floats.values()])
    arrays = [
        np.zeros(s.shape, reference.dtype) if g is None else np.asarray(tf.convert_to_tensor(g))
        for g, s in zip(found, [*variables, *floats.values()])
    ]
    save_results(
        folder, [np.asarray(o) for o in outputs], cotangents, dict(zip(floats, arrays[len(variables) :]))
    )
    if training:
        save_keras({v.path: np.asarray(v) for v in model.weights}, folder / "after")
    save_keras({v.path: array for v, array in zip(variables, arrays)}, folder / "gradients")


# ---------------------------------------------------------------- requests


def find(module: str, name: str) -> Reference:
    declared = importlib.import_module(module)
    every = (*declared.REFERENCES, *getattr(declared, "OTHERS", ()))
    return next(each for each in every if each.name == name)


def main() -> None:
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the libraries print
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reference = find(request["module"], request["name"])
            if reference.library == "torchvision":
                import_torchvision()
            run = run_keras if reference.library == "keras" else run_torch
            run(reference, request["mode"], Path(request["folder"]))
            replies.write(json.dumps({"ok": True}) + "\n")
        except Exception:
            replies.write(json.dumps({"error": traceback.format_exc()}) + "\n")


if __name__ == "__main__":
    main()
