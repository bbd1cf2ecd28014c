"""The runner of the tape framework, as a third party would write one."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from dlc.parity.worker import Array, Case, Outcome, serve
from dlc.reference.tape import Tape
from parity import tape


class TapeRunner:
    """Runs `class Toy` of a generated file."""

    name = "tape"

    def describe(self) -> dict[str, Any]:
        return {"devices": ["cpu"]}

    def run(self, case: Case) -> Outcome:
        if os.environ.get("TAPE_DIES"):
            os._exit(3)
        print("chatter on standard output")
        tape.state.tape, tape.state.samples = Tape(), case.samples
        tape.state.dtype = case.dtype
        recorded: list[tuple[int, tape.Value]] = []

        def keep(site: int, value: tape.Value) -> tape.Value:
            recorded.append((site, value))
            return value

        if case.record is not None:
            case.record.keep = keep
        weights = {path: tape.value(a) for path, a in load_file(case.weights_path).items()}
        model = getattr(case.module, case.network)(weights)
        inputs = {name: tape.value(array) for name, array in case.inputs.items()}
        output = getattr(model, case.method)(*inputs.values(), case.training)
        seeds = [(output.slot, cotangent) for cotangent in case.cotangents if cotangent is not None]
        slots = tape.state.tape.backward(seeds)

        def out(array: Array) -> Array:
            return array.astype(case.dtype) if array.dtype.kind == "f" else array

        def cotangent(value: tape.Value) -> Array:
            return out(np.asarray(slots.get(value.slot, np.zeros(value.shape))))

        return Outcome(
            outputs=[out(output.array)],
            weight_gradients={p: cotangent(v) for p, v in weights.items() if p != "mean"},
            input_gradients={},
            states={"mean": out(model.mean.array)},
            forward=[(site, out(value.array)) for site, value in recorded],
            backward=[(site, cotangent(value)) for site, value in recorded],
        )


if __name__ == "__main__":
    serve(TapeRunner)
