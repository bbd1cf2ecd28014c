"""A small network as hand-built IR, and a backend whose files run on the reference's own tape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from dlc import dims, ir
from dlc.backend import Emitted, Native, Pass, SourceLine

SOURCE = """\
block Dense(out: int)(x: float[*S, D]) -> float[*S, out] {
  param weight: float[out, D] ~ normal(0.0, 0.1)
  param bias: float[out] ~ zeros()
  return x @ transpose(weight) + bias
}

net Toy(vocab: int = 11)(tokens: int[B, T]) -> float[B, 3] {
  param table: float[vocab, 4] ~ normal(0.0, 1.0)
  state mean: float[3] ~ zeros()
  h = take(table, tokens) -> fc: Dense(3) -> tanh
  if training { sample keep: bool[B, T, 3] ~ bernoulli(0.75)  h = where(keep, h / 0.75, 0.0) }
  update mean = mean(h, axis=(0, 1))
  return mean(h, axis=1)
}
"""

CODE = '''\
"""Toy on the reference's tape."""

from parity import tape


class Dense:
    def __init__(self, weights, prefix):
        self.weight = weights[prefix + "weight"]
        self.bias = weights[prefix + "bias"]

    def forward(self, x):
        y = tape.apply("matmul", x, tape.apply("transpose", self.weight))
        return tape.apply("add", y, self.bias)


class Toy:
    def __init__(self, weights):
        self.table = weights["table"]
        self.mean = weights["mean"]
        self.fc = Dense(weights, "fc.")

    def forward(self, tokens, training):
        h = tape.apply("take", self.table, tokens)
        h = self.fc.forward(h)
        h = tape.apply("tanh", h)
        if training:
            keep = tape.bernoulli(0.75, h.shape)
            h = tape.apply("where", keep, tape.apply("divide", h, 0.75), 0.0)
            self.mean = tape.apply("mean", h, axis=(0, 1))
        out = tape.apply("mean", h, axis=1)
        return out
'''

ORIGINS = {
    'h = tape.apply("take"': 10,
    'y = tape.apply("matmul"': 2,
    'return tape.apply("add"': 3,
    "h = self.fc.forward": 11,
    'h = tape.apply("tanh"': 12,
    'h = tape.apply("erf"': 12,
    "keep = ": 13,
    'h = tape.apply("where"': 15,
    "self.mean = tape.apply": 16,
    "out = ": 17,
}


def place(fragment: str) -> ir.Location:
    start = SOURCE.index(fragment)
    line = SOURCE.count("\n", 0, start) + 1
    column = start - (SOURCE.rfind("\n", 0, start) + 1) + 1
    return ir.Location(file="toy.dl", line=line, column=column, start=start, stop=start + len(fragment))


def constant(value: Any) -> ir.Const:
    return ir.Const(value=value)


def tensor(number: int, dtype: Any, *shape: Any) -> ir.Tensor:
    return ir.Tensor(
        id=number, type=ir.TensorType(dtype=dtype, shape=tuple(constant(size) for size in shape))
    )


def apply(
    origin: int, at: str, op: str, inputs: Sequence[ir.Operand], output: ir.Tensor, **attrs: Any
) -> ir.Apply:
    return ir.Apply(
        origin=origin,
        at=place(at),
        op=op,
        inputs=tuple(inputs),
        attrs={name: constant(value) for name, value in attrs.items()},
        outputs=(output,),
    )


def use(value: ir.Tensor) -> ir.Use:
    return ir.Use(id=value.id)


def number(value: float) -> ir.Static:
    return ir.Static(expr=constant(value))


PROGRAM_SIZES = {"B": 3, "T": 5}
B, T = dims.variable("B"), dims.variable("T")


def declare(name: str, value: ir.Tensor, at: str) -> ir.WeightDecl:
    normal = ir.Distribution(name="normal")
    return ir.WeightDecl(kind="param", name=name, tensor=value, init=normal, at=place(at))


def dense() -> ir.Definition:
    x, w, b = tensor(1, "float", B, T, 4), tensor(2, "float", 3, 4), tensor(3, "float", 3)
    turned, product, total = (
        tensor(4, "float", 4, 3),
        tensor(5, "float", B, T, 3),
        tensor(6, "float", B, T, 3),
    )
    weights = (
        declare("weight", w, "weight: float[out, D]"),
        declare("bias", b, "bias: float[out]"),
    )
    weight = ir.Weight(path=("weight",), id=2)
    body = (
        apply(1, "transpose(weight)", "transpose", [weight], turned),
        apply(2, "x @ transpose(weight)", "matmul", [use(x), use(turned)], product),
        apply(
            3,
            "x @ transpose(weight) + bias",
            "add",
            [use(product), ir.Weight(path=("bias",), id=3)],
            total,
        ),
    )
    return ir.Definition(
        id="dense",
        name="Dense",
        module="toy.dl",
        family="Dense",
        kind="block",
        training=False,
        inputs=(ir.Input(name="x", tensor=x),),
        outputs=(ir.Output(name=None, value=use(total), type=total.type),),
        weights=weights,
        body=body,
        at=place("block Dense"),
    )


def toy(training: bool) -> ir.Definition:
    tokens = tensor(1, "int", B, T)
    looked, made, h = (tensor(n, "float", B, T, size) for n, size in ((2, 4), (3, 3), (4, 3)))
    keep, scaled, dropped = (
        tensor(5, "bool", B, T, 3),
        tensor(6, "float", B, T, 3),
        tensor(7, "float", B, T, 3),
    )
    mean, out = tensor(8, "float", 3), tensor(9, "float", B, 3)
    table = ir.Weight(path=("table",), id=20)
    body: list[Any] = [
        apply(10, "take(table, tokens)", "take", [table, use(tokens)], looked),
        ir.Call(
            origin=11,
            at=place("fc: Dense(3)"),
            callee="dense",
            layer="fc",
            arguments={"x": use(looked)},
            outputs=(made,),
        ),
        apply(12, "tanh", "tanh", [use(made)], h),
    ]
    last = h
    if training:
        kept = ir.Distribution(name="bernoulli", args={"p": constant(0.75)})
        body += [
            ir.Sample(origin=13, at=place("keep"), name="keep", distribution=kept, output=keep),
            apply(14, "h / 0.75", "divide", [use(h), number(0.75)], scaled),
            apply(
                15,
                "where(keep, h / 0.75, 0.0)",
                "where",
                [use(keep), use(scaled), number(0.0)],
                dropped,
            ),
            apply(16, "mean(h, axis=(0, 1))", "mean", [use(dropped)], mean, axis=(0, 1)),
            ir.Update(origin=18, at=place("update mean"), name="mean", value=use(mean)),
        ]
        last = dropped
    body.append(apply(17, "mean(h, axis=1)", "mean", [use(last)], out, axis=1))
    return ir.Definition(
        id=f"toy{training}",
        name="Toy",
        module="toy.dl",
        family="Toy",
        kind="net",
        training=training,
        inputs=(ir.Input(name="tokens", tensor=tokens),),
        outputs=(ir.Output(name=None, value=use(out), type=out.type),),
        body=tuple(body),
        at=place("net Toy"),
    )


def spec(path: str, kind: Any, at: str, *shape: int) -> ir.WeightSpec:
    init = "zeros" if kind == "state" else "normal"
    return ir.WeightSpec(path=path, kind=kind, shape=shape, init=init, at=place(at))


def program() -> ir.Program:
    definitions = (dense(), toy(False), toy(True))
    return ir.Program(
        name="Toy",
        source="toy.dl",
        methods=(ir.Method(name="forward", eval="toyFalse", train="toyTrue"),),
        definitions={definition.id: definition for definition in definitions},
        weights=(
            spec("table", "param", "table: float", 11, 4),
            spec("fc.weight", "param", "weight: float[out, D]", 3, 4),
            spec("fc.bias", "param", "bias: float[out]", 3),
            spec("mean", "state", "mean: float[3]", 3),
        ),
    )


def source_lines(code: str) -> tuple[SourceLine, ...]:
    lines = []
    for line, text in enumerate(code.splitlines(), 1):
        for fragment, origin in ORIGINS.items():
            if text.strip().startswith(fragment):
                lines.append(SourceLine(line, origin, place("net Toy")))
    return tuple(lines)


@dataclass
class TapeBackend:
    """A third-party backend; `replace` plants mistakes in what it emits."""

    replace: Mapping[str, str] = field(default_factory=dict)
    name: str = "tape"
    runner: str = "parity.tape_runner"

    @property
    def natives(self) -> Mapping[str, Native]:
        return {}

    @property
    def passes(self) -> Sequence[Pass]:
        return ()

    def emit(self, program: ir.Program, *, exact: bool = False) -> Emitted:
        code = CODE
        for old, new in self.replace.items():
            assert old in code
            code = code.replace(old, new)
        name = PurePosixPath("toy_tape.py")
        return Emitted({name: code}, name, source_lines(code))
