"""Elaboration: what is made once, what sizes are proved, and what programs mean."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from dlc import api, ir, parity_section
from dlc.elaborate import resolve
from dlc.elaborate.weight_paths import glob
from dlc_grammar.diagnostics import DiagnosticError, render

CORPUS = Path(__file__).parent.parent / "corpus"


def build(text: str, label: str = "A") -> ir.Program:
    module, diagnostics = api.open_text(text)
    assert module is not None, [render(d) for d in diagnostics]
    return module[label].program


def codes(text: str) -> list[str]:
    return [d.code for d in api.check_text(text).diagnostics]


def net(body: str, inputs: str = "x: float[B, 8]", params: str = "", result: str = "") -> str:
    arrow = f" -> {result}" if result else ""
    return f"net A({params})({inputs}){arrow} {{\n{body}\n}}\n"


def shapes(program: ir.Program) -> dict[str, tuple[int, ...]]:
    return {weight.path: weight.shape for weight in program.weights}


def inits(program: ir.Program) -> dict[str, str]:
    return {weight.path: weight.init for weight in program.weights}


# ---------------------------------------------------------------- made once


def test_equal_layers_are_elaborated_once() -> None:
    program = api.load(CORPUS / "gpt2.dl")["GPT2.xl"].program
    linear = [d for d in program.definitions.values() if d.name == "Linear" and not d.training]
    assert len(program.definitions) < 60
    assert len(linear) <= 4
    assert sum(
        weight.path.endswith("norm1.weight") or ".ln_1." in weight.path for weight in program.weights
    ) in (0, 48, 96)


def test_a_large_model_is_checked_in_little_memory() -> None:
    tracemalloc.start()
    try:
        count = api.load(CORPUS / "llama.dl")["Llama.llama3_8b"].param_count
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count > 8e9
    assert peak < 100e6


def test_rounds_of_a_loop_share_a_definition_and_have_layers_of_their_own() -> None:
    program = build(net("for i in range(5) { x = x -> fc: Linear(8) -> relu }\nreturn x"))
    assert [w for w in shapes(program) if w.endswith("weight")] == [f"fc.{i}.weight" for i in range(5)]
    assert sum(d.name == "Linear" and not d.training for d in program.definitions.values()) == 1


# ---------------------------------------------------------------- sizes


SKIP = "a = x -> max_pool2d(2) -> upsample2d(2)\nreturn a + x"


def test_a_refuted_size_has_an_example_and_a_repair() -> None:
    found = api.check_text(net(SKIP, "x: float[N, 3, H, W]")).diagnostics
    assert [d.code for d in found] == ["E0301"]
    text = render(found[0])
    assert "for example H = 1" in text
    assert "add: require H % 2 == 0" in text


def test_the_repair_works_and_becomes_part_of_the_contract() -> None:
    program = build(net("require H % 2 == 0 and W % 2 == 0\n" + SKIP, "x: float[N, 3, H, W]"))
    assert [r.condition for r in program.requirements] == ["H % 2 == 0", "W % 2 == 0"]


def test_a_bound_decides_a_later_comparison() -> None:
    body = "require B >= 4\nreturn if B > 3 then x else x -> fc: Linear(8)"
    assert not shapes(build(net(body)))
    assert codes(net("return if B > 3 then x else -x")) == ["E0224"]


def test_a_bound_does_not_decide_more_than_it_says() -> None:
    assert codes(net("require B >= 4\nreturn if B > 4 then x else -x")) == ["E0224"]


def test_equal_sizes_are_proved_for_odd_and_even_numbers() -> None:
    body = "a = x -> c: Conv2d(8, 7, stride=2, padding=3)\nreturn a + (x -> d: Conv2d(8, 1, stride=2))"
    assert codes(net(body, "x: float[N, 3, H, W]")) == []


# ---------------------------------------------------------------- inputs, methods, layers


def test_an_optional_input_is_decided_for_each_call() -> None:
    text = net(
        "return if mask != none then where(mask, x, 0.0) else x", "x: float[B, 8], mask: bool[B, 8]? = none"
    )
    program = build(text)
    made = [d for d in program.definitions.values() if d.kind == "net" and not d.training]
    assert sorted(d.inputs[1].tensor is not None for d in made) == [False, True]


METHODS = """net A(width: int = 4) {
  fc = Linear(width)
  fn encode(x: float[B, 8]) -> float[B, width] { return fc(x) }
  fn forward(x: float[B, 8]) -> float[B, 8] { return encode(x) -> out: Linear(8) }
}
"""


def test_methods_share_members() -> None:
    program = build(METHODS)
    assert [m.name for m in program.methods] == ["forward", "encode"]
    assert set(shapes(program)) == {"fc.weight", "fc.bias", "out.weight", "out.bias"}


def test_a_layer_bound_to_a_name_is_shared() -> None:
    assert len(shapes(build(net("fc = Linear(8)\nreturn fc(fc(x))")))) == 2


def test_a_tied_weight_is_one_weight() -> None:
    text = net("e = Embedding(10, 4)\nreturn e(x) @ transpose(e.weight)", "x: int[B]")
    assert shapes(build(text)) == {"e.weight": (10, 4)}


# ---------------------------------------------------------------- scan

SCAN = "h = zeros([B, 8])\nscan x_t in x along 1 carry h {{\n  {step}\n  emit out = h\n}}\nreturn out"


def test_a_scan_stacks_what_it_emits_on_the_scanned_axis() -> None:
    program = build(net(SCAN.format(step="h = tanh(h + x_t)"), "x: float[B, T, 8]", result="float[B, T, 8]"))
    scan = next(n for n in program.definitions[program.methods[0].eval].body if isinstance(n, ir.Scan))
    assert (scan.axis, [c.name for c in scan.carries]) == (1, ["h"])


@pytest.mark.parametrize(
    ("step", "code"), [("h = concat([h, x_t], axis=1)", "E0301"), ("h = x_t > h", "E0303")]
)
def test_a_carried_value_keeps_its_type(step: str, code: str) -> None:
    assert codes(net(SCAN.format(step=step), "x: float[B, T, 8]")) == [code]


# ---------------------------------------------------------------- init and globs


def test_the_last_init_rule_wins_and_states_are_left_alone() -> None:
    program = build(
        net(
            "y = x -> c: Conv2d(4, 3) -> bn: BatchNorm2d()\n"
            'init { "**" = ones()  "c.weight" = zeros() }\nreturn y',
            "x: float[N, 3, H, W]",
        )
    )
    found = inits(program)
    assert (found["c.weight"], found["c.bias"]) == ("zeros", "ones")
    states = [w for w in program.weights if w.kind == "state"]
    assert {w.path: w.init for w in states} == {"bn.mean": "zeros", "bn.var": "ones"} or len(states) >= 2


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.weight", "fc.weight", True),
        ("*.weight", "a.fc.weight", False),
        ("**.weight", "a.b.fc.weight", True),
        ("**.weight", "weight", True),
        ("**", "a.b.c", True),
        ("h.{q,k}.weight", "h.k.weight", True),
        ("h.{q,k}.weight", "h.v.weight", False),
        ("h.{i}.weight", "h.11.weight", True),
        ("h.{i}.weight", "h.1.1.weight", False),
        ("fc.weigh", "fc.weight", False),
        ("fc?weight", "fc.weight", False),
    ],
)
def test_globs(pattern: str, path: str, matches: bool) -> None:
    assert bool(glob(pattern).fullmatch(path)) is matches


# ---------------------------------------------------------------- presets and settings

SIZED = net("return x -> fc: Linear(width)", params="width: int = 8") + "preset A.wide { width = 64 }\n"


def test_a_preset_fills_in_parameters() -> None:
    assert shapes(build(SIZED, "A.wide"))["fc.weight"] == (64, 8)
    assert (
        codes(SIZED + "expect param_count(A.wide()) == 576\nexpect param_count(A.wide(width=2)) == 18\n")
        == []
    )


def test_settings_replace_parameters() -> None:
    module, _ = api.open_text(SIZED)
    assert module is not None
    made = api.with_settings(module["A.wide"], ("width=16",))
    assert shapes(made.program)["fc.weight"] == (16, 8)
    assert module["A"](width=4).param_count == 36


@pytest.mark.parametrize(
    ("setting", "code"), [("widht=3", "E0210"), ('width="a"', "E0230"), ("width=1//0", "E0223")]
)
def test_a_wrong_setting_is_reported(setting: str, code: str) -> None:
    module, _ = api.open_text(SIZED)
    assert module is not None
    with pytest.raises(DiagnosticError) as error:
        api.with_settings(module["A"], (setting,))
    assert [d.code for d in error.value.diagnostics] == [code]


# ---------------------------------------------------------------- one cause, one error


def test_presets_do_not_repeat_a_mistake() -> None:
    text = net("return x + (x -> fc: Linear(2 * width))", params="width: int = 8")
    assert codes(text + "preset A.s { width = 2 }\npreset A.l { width = 64 }\n") == ["E0301"]


def test_independent_mistakes_are_all_reported() -> None:
    assert codes(net("a = x @ x\nb = softmax(x, axis=5)\nc = Linera(3)\nreturn x")) == [
        "E0301",
        "E0305",
        "E0101",
    ]


def test_what_follows_from_a_mistake_is_silent() -> None:
    assert codes(net("a = Linera(3)(x)\nb = relu(a) + a\nfor v in [a, b] { b = v + b }\nreturn b")) == [
        "E0101"
    ]


def test_a_mistake_in_a_block_names_the_call() -> None:
    block = "block R(w: int)(x: float[B, D]) -> float[B, D] { return x + (x -> fc: Linear(w)) }\n"
    found = api.check_text(block + net("return x -> a: R(8) -> b: R(16)")).diagnostics
    assert [d.code for d in found] == ["E0301"]
    assert found[0].notes[-1].message == "in this call of `R`"
    assert found[0].notes[-1].span is not None
    assert found[0].notes[-1].span.text == "R(16)"


def test_check_knows_the_keys_that_a_parity_run_reads() -> None:
    assert set(resolve.PARITY) == {*parity_section.SETTINGS, *parity_section.SECTIONS}


SHARED = """
net A() {
  table = Embedding(5, 3)
  fn forward(ids: int[B]) -> float[B, 3] { return table(ids) }
  fn nearest(x: float[B, 3]) -> int[B] { return argmax(x @ transpose(table.weight)) }
}
"""


def test_a_method_reads_a_weight_of_a_layer_that_another_method_applies() -> None:
    program = build(SHARED)
    layers = {name: [layer.name for layer in d.layers] for name, d in program.definitions.items()}
    assert [layers[method.eval] for method in program.methods] == [["table"], ["table"]]
    assert shapes(program) == {"table.weight": (5, 3)}


def test_a_weight_of_a_layer_that_nothing_applies() -> None:
    assert codes(net("table = Embedding(5, 8)\n  return x @ transpose(table.weight)")) == ["E0225"]


@pytest.mark.parametrize(
    "body",
    [
        "param w: float[8] ~ bernoulli(0.5)\n  return x * w",
        "param w: float[8] ~ gumbel()\n  return x * w",
        "sample w: float[B, 8] ~ he_normal()\n  return x * w",
        "sample w: float[B, 8] ~ zeros()\n  return x * w",
    ],
)
def test_weights_and_samples_have_their_own_distributions(body: str) -> None:
    assert codes(net(body)) == ["E0231"]


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("segment_sum(x, i, B)", None),
        ("segment_sum(x, i, 3)", None),
        ("segment_sum(x, x, 3)", "E0307"),
        ("segment_sum(x > 0.0, i, 3)", "E0307"),
        ("segment_max(i, i, 3)", "E0307"),
        ("segment_sum(transpose(x), i, 3)", "E0301"),
        ("segment_sum(x, i, 0)", "E0306"),
        ('segment_sum(x, rearrange(i, "b -> b 1"), 3)', "E0302"),
    ],
)
def test_segments(expression: str, code: str | None) -> None:
    text = net(f"return {expression}", inputs="x: float[B, 8], i: int[B]")
    assert codes(text) == ([code] if code else [])
