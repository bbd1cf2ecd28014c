"""The interpreter on hand-built programs: calls, loops, scans, samples, gradients, noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from dlc import ir
from dlc.api import open_text
from dlc.dims import variable
from dlc.reference.interpreter import CheckError, Interpreter, Result, gradients
from dlc.reference.primitive import Array
from dlc.reference.sampling import SampleSource, initial_weights, random_weights
from dlc_grammar.record import replace

AT = ir.Location(file="t.dl", line=1, column=1, start=0, stop=0)
B, T = (ir.Ref(name=name, value=variable(name)) for name in "BT")


def const(value: Any) -> ir.Const:
    return ir.Const(value=value)


def tensor(number: int, *shape: Any, dtype: ir.DType = "float") -> ir.Tensor:
    sizes = tuple(const(n) if isinstance(n, int) else n for n in shape)
    return ir.Tensor(id=number, type=ir.TensorType(dtype=dtype, shape=sizes))


def use(number: int) -> ir.Use:
    return ir.Use(id=number)


def weight(*path: str) -> ir.Weight:
    return ir.Weight(path=path, id=-1)


def number(value: Any) -> ir.Static:
    return ir.Static(expr=const(value))


def apply(op: str, inputs: tuple[ir.Operand, ...], output: ir.Tensor, **attrs: Any) -> ir.Apply:
    return ir.Apply(
        origin=output.id,
        at=AT,
        op=op,
        inputs=inputs,
        outputs=(output,),
        attrs={name: const(value) for name, value in attrs.items()},
    )


def declare(name: str, value: ir.Tensor, kind: Any = "param") -> ir.WeightDecl:
    return ir.WeightDecl(kind=kind, name=name, tensor=value, init=ir.Distribution(name="zeros"), at=AT)


def definition(
    name: str,
    inputs: Mapping[str, ir.Tensor],
    outputs: Mapping[str, int],
    body: ir.Region,
    **more: Any,
) -> ir.Definition:
    kind = more.pop("kind", "block")
    any_type = ir.TensorType(dtype="float", shape=())
    return ir.Definition(
        id=name,
        name=name,
        module="t.dl",
        family=name,
        kind=kind,
        training=more.pop("training", False),
        inputs=tuple(ir.Input(name=key, tensor=value) for key, value in inputs.items()),
        outputs=tuple(ir.Output(name=key, value=use(value), type=any_type) for key, value in outputs.items()),
        body=body,
        at=AT,
        **more,
    )


def program(*definitions: ir.Definition, weights: Mapping[str, tuple[int, ...]]) -> ir.Program:
    return ir.Program(
        name="Net",
        source="t.dl",
        methods=(ir.Method(name="forward", eval="Net", train="Net"),),
        definitions={d.id: d for d in definitions},
        weights=tuple(
            ir.WeightSpec(path=path, kind="param", shape=shape, init="fan_in_uniform", at=AT)
            for path, shape in weights.items()
        ),
    )


def linear() -> ir.Definition:
    """x @ transpose(weight) + bias."""
    return definition(
        "Linear",
        {"x": tensor(0, B, 3)},
        {"y": 3},
        (
            apply("transpose", (weight("weight"),), tensor(1, 3, 3), axes=None),
            apply("matmul", (use(0), use(1)), tensor(2, B, 3)),
            apply("add", (use(2), weight("bias")), tensor(3, B, 3)),
        ),
    )


def call(layer: str | None, callee: str, position: int | None, x: int, out: int) -> ir.Call:
    return ir.Call(
        origin=100,
        at=AT,
        callee=callee,
        layer=layer,
        index=() if position is None else (position,),
        arguments={"x": use(x)},
        outputs=(tensor(out, B, 3),),
    )


def perceptron() -> ir.Program:
    """Two rounds of fc.i -> tanh (a function), then a product with fc.0's own bias (shared)."""
    function = definition(
        "smooth",
        {"x": tensor(0, B, 3)},
        {"y": 1},
        (apply("tanh", (use(0),), tensor(1, B, 3)),),
        kind="fn",
    )
    rounds = tuple(
        ir.Round(
            variables={},
            body=(
                call("fc", "Linear", i, 2 * i, 2 * i + 1),
                call(None, "smooth", None, 2 * i + 1, 2 * i + 2),
            ),
        )
        for i in range(2)
    )
    loop = ir.For(origin=101, at=AT, targets=("i",), iterable=const((0, 1)), rounds=rounds)
    net = definition(
        "Net",
        {"x": tensor(0, B, 3)},
        {"y": 6},
        (
            loop,
            apply("multiply", (use(4), weight("fc", "0", "bias")), tensor(5, B, 3)),
            apply("divide", (use(5), ir.Static(expr=B)), tensor(6, B, 3)),
        ),
        kind="net",
    )
    shapes = {"fc.0.weight": (3, 3), "fc.0.bias": (3,), "fc.1.weight": (3, 3), "fc.1.bias": (3,)}
    return program(net, linear(), function, weights=shapes)


def recurrent() -> ir.Program:
    """h = tanh(x_t * w + h + noise) over time; emits h; keeps the mean of the last h as a state."""
    body = (
        apply("multiply", (use(10), weight("w")), tensor(12, B, 2)),
        apply("add", (use(12), use(11)), tensor(13, B, 2)),
        ir.Sample(
            origin=30,
            at=AT,
            name="noise",
            distribution=ir.Distribution(name="normal", args={"mean": const(0.0), "std": const(0.1)}),
            output=tensor(14, B, 2),
        ),
        apply("add", (use(13), use(14)), tensor(15, B, 2)),
        apply("tanh", (use(15),), tensor(16, B, 2)),
    )
    scan = ir.Scan(
        origin=31,
        at=AT,
        inputs=(
            ir.ScanInput(name="x_t", operand=use(0), inside=tensor(10, B, 2)),
            ir.ScanInput(name="k", operand=None, inside=tensor(9, dtype="int")),
        ),
        axis=1,
        length=T,
        carries=(
            ir.Carry(
                name="h",
                initial=use(1),
                inside=tensor(11, B, 2),
                final=use(16),
                output=tensor(17, B, 2),
            ),
        ),
        body=body,
        emissions=(ir.Emission(name="out", value=use(16), output=tensor(18, B, T, 2)),),
    )
    start = apply("full", (), tensor(1, B, 2), value=0.0, dtype="float")
    start = replace(start, attrs={**start.attrs, "shape": const((variable("B"), 2))})
    net = definition(
        "Net",
        {"x": tensor(0, B, T, 2)},
        {"out": 18, "h": 17},
        (
            start,
            scan,
            apply("mean", (use(17),), tensor(19), axis=None, keep=False),
            ir.Update(origin=32, at=AT, name="level", value=use(19)),
            ir.Check(
                origin=33,
                at=AT,
                condition=ir.Operation(op="<=", args=(T, const(4)), value=None),
                message="too long",
            ),
        ),
        kind="net",
    )
    return program(net, weights={"w": (2,)})


def check_gradients(
    run: Callable[[Mapping[str, Array], Mapping[str, Array]], Result],
    inputs: dict[str, Array],
    weights: dict[str, Array],
) -> None:
    """Compares every gradient with central differences."""
    result = run(inputs, weights)
    rng = np.random.default_rng(5)
    cotangents = [rng.normal(size=y.shape) for y in result.outputs]
    found = gradients(result, cotangents)

    def objective() -> float:
        outputs = run(inputs, weights).outputs
        return sum(float((c * y).sum()) for c, y in zip(cotangents, outputs, strict=True))

    for values, slopes in ((inputs, found.inputs), (weights, found.weights)):
        assert slopes.keys() == values.keys()
        for name, array in values.items():
            for position in np.ndindex(array.shape):
                kept = array[position]
                array[position] = kept + 1e-5
                high = objective()
                array[position] = kept - 1e-5
                low = objective()
                array[position] = kept
                assert slopes[name][position] == pytest.approx((high - low) / 2e-5, rel=1e-6, abs=1e-8)


def test_calls_loops_and_shared_weights() -> None:
    net = perceptron()
    weights = random_weights(net, 1)
    x = np.random.default_rng(0).normal(size=(4, 3))
    result = Interpreter(net).run({"x": x}, weights)
    h = x
    for i in range(2):
        h = np.tanh(h @ weights[f"fc.{i}.weight"].T + weights[f"fc.{i}.bias"])
    np.testing.assert_allclose(result.outputs[0], h * weights["fc.0.bias"] / 4, rtol=1e-14)
    assert result.sizes == {"B": 4}
    check_gradients(lambda a, b: Interpreter(net).run(a, b), {"x": x}, weights)


def test_trace_has_every_execution_with_its_cotangent() -> None:
    net = perceptron()
    result = Interpreter(net).run({"x": np.ones((2, 3))}, random_weights(net, 1))
    executions = [array for origin, _, array in result.traced() if origin == 3]
    assert len(executions) == 2
    found = gradients(result, [np.ones((2, 3))])
    assert all(c is not None for origin, _, c in found.traced(result) if origin == 3)


def test_scan_with_samples_and_state() -> None:
    net = recurrent()
    weights = {"w": np.array([0.7, -1.2])}
    x = np.random.default_rng(2).normal(size=(3, 4, 2))
    source = SampleSource(9)
    result = Interpreter(net).run({"x": x}, weights, samples=source)
    h = np.zeros((3, 2))
    for t, drawn in enumerate(source.draws):
        assert (drawn.path, drawn.occurrence) == ("noise", t)
        h = np.tanh(x[:, t] * weights["w"] + h + drawn.array)
        np.testing.assert_allclose(result.outputs[0][:, t], h, rtol=1e-14)
    np.testing.assert_allclose(result.states["level"], h.mean())
    check_gradients(
        lambda a, b: Interpreter(net).run(a, b, samples=SampleSource(replay=source.draws)),
        {"x": x},
        weights,
    )


def test_check_fails_with_its_message() -> None:
    with pytest.raises(CheckError, match="too long"):
        Interpreter(recurrent()).run({"x": np.zeros((1, 5, 2))}, {"w": np.ones(2)})


def test_conditions_on_the_sizes_of_another_method() -> None:
    module, diagnostics = open_text("""
net Net(ctx: int = 4) {
  fc = Linear(2)
  fn encode(x: float[B, 3]) -> float[B, 2] { return fc(x) }
  fn forward(x: float[B, 3], y: float[B, T]) -> float[B, 2 + T] {
    require T <= ctx, "{T} is longer than {ctx}"
    return concat([encode(x), y], axis=1)
  }
}
""")
    assert module is not None, diagnostics
    net = Interpreter(module["Net"].program)
    weights = {"fc.weight": np.ones((2, 3)), "fc.bias": np.zeros(2)}
    x, y = np.ones((1, 3)), np.ones((1, 5))
    np.testing.assert_array_equal(net.run({"x": x}, weights, method="encode").outputs[0], [[3.0, 3.0]])
    with pytest.raises(CheckError, match="longer than 4"):
        net.run({"x": x, "y": y}, weights)


def test_wrong_input_shape_is_reported() -> None:
    with pytest.raises(ValueError, match="input 'x'"):
        Interpreter(recurrent()).run({"x": np.zeros((1, 4, 3))}, {"w": np.ones(2)})


def test_perturbation_predicts_the_error_of_float32() -> None:
    net = perceptron()
    weights = {k: w.astype(np.float32).astype(np.float64) for k, w in random_weights(net, 4).items()}
    x = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    exact = Interpreter(net).run({"x": x}, weights)
    moved = [Interpreter(net, perturb=seed).run({"x": x}, weights) for seed in range(8)]
    sigma = np.sqrt(np.mean([(m.outputs[0] - exact.outputs[0]) ** 2 for m in moved]))
    h = x
    for i in range(2):
        product = h @ weights[f"fc.{i}.weight"].astype(np.float32).T
        h = np.tanh(product + weights[f"fc.{i}.bias"].astype(np.float32))
    single = h * weights["fc.0.bias"].astype(np.float32) / np.float32(400)
    error = np.sqrt(np.mean((single - exact.outputs[0]) ** 2))
    assert 0.2 < error / sigma < 4.0
    noisy = gradients(moved[0], [np.ones((400, 3))]).weights["fc.1.weight"]
    quiet = gradients(exact, [np.ones((400, 3))]).weights["fc.1.weight"]
    assert 1e-9 < np.abs(noisy / quiet - 1.0).max() < 1e-4


def test_draws_depend_on_seed_and_path_only() -> None:
    net = perceptron()
    first, again, other = (initial_weights(net, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(first[path], again[path]) for path in first)
    assert not np.array_equal(first["fc.0.weight"], other["fc.0.weight"])
    assert not np.array_equal(first["fc.0.weight"], first["fc.1.weight"])
