"""The channels-last pass leaves the meaning of whole programs as it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlc import ir
from dlc.api import load
from dlc.reference.interpreter import Interpreter, gradients
from dlc.reference.sampling import SampleSource, random_weights
from dlc_grammar.record import replace
from dlc_keras.layout import channels_last
from dlc_keras.layout_classes import every_node
from dlc_keras.layout_rules import CHANNELS_LAST, Order

CORPUS = Path(__file__).parents[2] / "corpus"


class Wrapped:
    """A program in which the operations that are marked channels last stand between transposes.

    The reference knows only the specification's layout.
    """

    def __init__(self, program: ir.Program) -> None:
        self.next = 1 << 30
        self.program = replace(
            program, definitions={k: self.definition(d) for k, d in program.definitions.items()}
        )

    def definition(self, definition: ir.Definition) -> ir.Definition:
        return replace(definition, body=self.region(definition.body))

    def region(self, region: Iterable[ir.Node]) -> tuple[ir.Node, ...]:
        return tuple(after for node in region for after in self.node(node))

    def node(self, node: ir.Node) -> list[ir.Node]:
        match node:
            case ir.For():
                rounds = tuple(replace(r, body=self.region(r.body)) for r in node.rounds)
                return [replace(node, rounds=rounds)]
            case ir.Branch() | ir.Scan():
                return [replace(node, body=self.region(node.body))]
            case ir.Apply() if "layout" in node.attrs:
                return self.wrapped(node)
        return [node]

    def wrapped(self, node: ir.Apply) -> list[ir.Node]:
        output = node.outputs[0]
        last = CHANNELS_LAST[output.type.rank]
        back: Order = tuple(int(axis) for axis in np.argsort(last))
        before, after = self.fresh(output, back), self.fresh(output, back)
        attrs = {name: value for name, value in node.attrs.items() if name != "layout"}
        inputs = (ir.Use(id=before.id), *node.inputs[1:])
        return [
            self.transposed(node, node.inputs[0], back, before),
            replace(node, inputs=inputs, attrs=attrs, outputs=(after,)),
            self.transposed(node, ir.Use(id=after.id), last, output),
        ]

    def fresh(self, like: ir.Tensor, order: Order) -> ir.Tensor:
        self.next += 1
        shape = tuple(like.type.shape[axis] for axis in order)
        return ir.Tensor(id=self.next, type=ir.TensorType(dtype=like.type.dtype, shape=shape))

    def transposed(self, near: ir.Apply, source: ir.Operand, axes: Order, result: ir.Tensor) -> ir.Apply:
        attrs = {"axes": ir.Const(value=axes)}
        return ir.Apply(
            origin=near.origin, at=near.at, op="transpose", inputs=(source,), attrs=attrs, outputs=(result,)
        )


TEXTS = {
    "skips": """
        net Net()(image: float[N, 3, H, W]) -> float[N, 4] {
          require H % 2 == 0 and W % 2 == 0
          x = image -> stem: Conv2d(8, 3, padding=1) -> norm: BatchNorm2d() -> relu
          skips = [x]
          x = x -> max_pool2d(2) -> down: Conv2d(8, 3, padding=1) -> silu
          x = concat([x -> upsample2d(2, mode="bilinear"), skips[0]], axis=1)
          a, b = split(x, 2, axis=1)
          x = a * sigmoid(mean(b, axis=[2, 3], keep=true)) -> group: GroupNorm(2) -> dropout(0.25)
          return flip(x[:, 1:], axis=1) -> global_avg_pool -> fc: Linear(4)
        }
    """,
    "attention": """
        net Net()(image: float[N, 3, 4, 6]) -> (tokens: float[N, 24, 8], picture: float[N, 8, 4, 6]) {
          param scale: float[8, 1, 1] ~ ones()
          x = image -> embed: Conv2d(8, 1)
          x = x * scale + softmax(x, axis=1)
          t = rearrange(x, "n c h w -> n (h w) c") -> mix: Linear(8)
          s = einsum("n t c, n s c -> n t s", t, t) -> softmax
          t = s @ t
          y = rearrange(t, "n (h w) c -> n c h w", h=4)
          return t, x + y
        }
    """,
    "sequence": """
        net Net()(x: float[N, 3, T]) -> float[N, 5] {
          for i in range(2) { x = x -> conv: Conv1d(6, 3, padding=1) -> relu -> norm: BatchNorm1d() }
          for channels in [6, 4] { x = x -> last: Conv1d(channels, 3, padding="causal") }
          y = x -> avg_pool1d(2)
          return cumsum(y, axis=1)[..., 0] -> fc: Linear(5)
        }
    """,
    "rounds": """
        block Step(width: int)(x: float[N, C, H, W]) -> float[N, width, H, W] {
          skip = if width != C then x -> proj: Conv2d(width, 1) else x
          return skip + (x -> conv: Conv2d(width, 3, padding=1) -> leaky_relu)
        }
        net Net()(x: float[N, 2, 6, 4]) -> float[N, 96] {
          for width in [2, 4, 4] { x = x -> step: Step(width) -> stochastic_depth(0.5) }
          return x -> flatten
        }
    """,
}

SHAPES = {"skips": (2, 3, 6, 4), "attention": (2, 3, 4, 6), "sequence": (2, 3, 8), "rounds": (2, 2, 6, 4)}


def program_of(text: str, folder: Path) -> ir.Program:
    path = folder / "net.dl"
    path.write_text(text)
    return load(path)["Net"].program


def images(program: ir.Program) -> list[ir.Apply]:
    nodes = [node for one in program.definitions.values() for node in every_node(one.body)]
    return [node for node in nodes if isinstance(node, ir.Apply) and "layout" in node.attrs]


def agree(program: ir.Program, shape: tuple[int, ...]) -> None:
    changed = channels_last(program)
    assert images(changed)
    wrapped = Wrapped(changed).program
    rng = np.random.default_rng(0)
    name = next(iter(program.definitions[program.methods[0].eval].inputs)).name
    inputs = {name: rng.normal(size=shape)}
    weights = random_weights(program, 1)
    for training in (False, True):
        source = SampleSource(5)
        before = Interpreter(program).run(inputs, weights, training=training, samples=source)
        replay = Replay(source)
        after = Interpreter(wrapped).run(inputs, weights, training=training, samples=replay)
        for old, new in zip(before.outputs, after.outputs, strict=True):
            np.testing.assert_allclose(new, old, rtol=1e-10, atol=1e-12)
        cotangents = [rng.normal(size=old.shape) for old in before.outputs]
        expected, found = gradients(before, cotangents), gradients(after, cotangents)
        for path, gradient in expected.weights.items():
            np.testing.assert_allclose(found.weights[path], gradient, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(found.inputs[name], expected.inputs[name], rtol=1e-8, atol=1e-10)


class Replay(SampleSource):
    """The draws of another run, in the order in which they are stored here."""

    def __init__(self, source: SampleSource) -> None:
        super().__init__(0)
        self.left = [draw.array for draw in source.draws]

    def draw(self, path: str, distribution: str, arguments: Any, shape: Any) -> Any:
        array = self.left.pop(0)
        return array if array.shape == tuple(shape) else array.transpose(CHANNELS_LAST[array.ndim])


@pytest.mark.parametrize("name", TEXTS)
def test_small_programs(name: str, tmp_path: Path) -> None:
    agree(program_of(TEXTS[name], tmp_path), SHAPES[name])


def test_lenet() -> None:
    agree(load(CORPUS / "lenet5.dl")["LeNet5"].program, (2, 1, 28, 28))


def test_a_program_without_images_stays() -> None:
    program = load(CORPUS / "gpt2.dl")["GPT2.tiny"].program
    assert channels_last(program) is program
