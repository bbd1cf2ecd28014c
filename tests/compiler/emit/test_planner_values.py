"""The planner checks which value every name holds, and keeps values whose name is taken over."""

from __future__ import annotations

import time

from dlc import ir
from dlc.emit.describe import describe
from dlc.emit.planner import plan_file

TYPE = ir.TensorType(dtype="float", shape=(ir.Ref(name="B", value=4),))


def at(line: int) -> ir.Location:
    return ir.Location(file="net.dl", line=line, column=1, start=10 * line, stop=10 * line + 5)


def apply(number: int, op: str, *inputs: ir.Operand, line: int | None = None) -> ir.Apply:
    place = at(number if line is None else line)
    return ir.Apply(origin=2 * number, at=place, op=op, inputs=inputs, outputs=(tensor(number),))


def bind(number: int, name: str) -> ir.Bind:
    return ir.Bind(origin=2 * number + 1, at=at(number), name=name, value=use(number))


def tensor(number: int) -> ir.Tensor:
    return ir.Tensor(id=number, type=TYPE)


def use(number: int, name: str | None = None) -> ir.Use:
    return ir.Use(id=number, name=name)


def program(body: ir.Region, result: ir.Operand) -> ir.Program:
    """A network whose two modes have the same body."""
    definitions = {}
    for training in (False, True):
        key = "train" if training else "eval"
        definitions[key] = ir.Definition(
            id=key,
            name="Net",
            module="net.dl",
            family="Net",
            kind="net",
            training=training,
            sizes={"B": ir.Ref(name="B", value=4)},
            inputs=(ir.Input(name="x", tensor=tensor(0)),),
            outputs=(ir.Output(name=None, value=result, type=TYPE),),
            body=body,
            at=at(0),
        )
    method = ir.Method(name="forward", eval="eval", train="train")
    return ir.Program(name="Net", source="net.dl", methods=(method,), definitions=definitions, weights=())


def body_of(found: ir.Program) -> list[str]:
    text = describe(plan_file(found))
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


def test_a_value_read_after_its_name_was_taken_over_gets_its_own() -> None:
    """As common subexpressions are shared, `tanh(x)` is read when `y` means something else."""
    body = (
        apply(1, "tanh", use(0, "x")),
        bind(1, "y"),
        apply(2, "exp", use(1, "y")),
        bind(2, "y"),
        apply(3, "add", use(1, None), use(2, "y")),
    )
    assert body_of(program(body, use(3))) == [
        "y_kept = tanh(x)",
        "y = y_kept",
        "y = exp(y)",
        "return (y_kept + y)",
    ]


def test_a_value_used_twice_has_a_statement() -> None:
    body = (
        apply(1, "tanh", use(0, "x"), line=1),
        apply(2, "exp", use(1), line=1),
        apply(3, "add", use(1), use(2), line=1),
    )
    assert body_of(program(body, use(3))) == ["x = tanh(x)", "return (x + exp(x))"]


def test_values_of_different_lines_are_different_statements() -> None:
    body = (apply(1, "tanh", use(0, "x")), apply(2, "exp", use(1)), apply(3, "sin", use(2)))
    assert body_of(program(body, use(3))) == ["x = tanh(x)", "x = exp(x)", "return sin(x)"]


def test_nothing_is_computed_that_nothing_reads() -> None:
    body = (apply(1, "tanh", use(0, "x")), apply(2, "exp", use(0, "x")))
    assert body_of(program(body, use(2))) == ["return exp(x)"]


def test_draws_keep_their_order() -> None:
    distribution = ir.Distribution(name="normal", args={})
    draws = [
        ir.Sample(origin=20 + n, at=at(n), name=name, distribution=distribution, output=tensor(n))
        for n, name in ((1, "a"), (2, "b"))
    ]
    body = (*draws, apply(3, "add", use(2, "b"), use(1, "a")))
    made = body_of(program(body, use(3)))
    assert made == [
        "batch = x.shape",
        "a = draw normal()[batch]",
        "b = draw normal()[batch]",
        "return (b + a)",
    ]


def test_a_long_body_is_planned_in_linear_time() -> None:
    def planned(count: int) -> float:
        body: list[ir.Node] = []
        for number in range(1, count + 1):
            body += [apply(number, "tanh", use(number - 1, "x")), bind(number, "x")]
        found = program(tuple(body), use(count, "x"))
        before = time.process_time()
        plan_file(found)
        return time.process_time() - before

    planned(100)
    assert planned(8_000) < 16 * planned(1_000)
