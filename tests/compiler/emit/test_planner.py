"""The planner: all elaborations of one text become one unit that says what the text says."""

from __future__ import annotations

import pytest

from dlc.api import open_text
from dlc.emit.describe import describe
from dlc.emit.planner import plan_file

NATIVES = frozenset(("Linear", "Conv2d", "BatchNorm2d", "LayerNorm", "relu", "gelu", "flatten", "dropout"))


def plan(text: str, net: str = "Net", natives: frozenset[str] = NATIVES, **reserved: frozenset[str]) -> str:
    """The description of the plan of a network given as text."""
    module, diagnostics = open_text(text)
    assert module is not None, diagnostics
    program = module[net].program
    claimed = (k for k, d in program.definitions.items() if d.module.startswith("std/") and d.name in natives)
    return describe(plan_file(program, native_definitions=frozenset(claimed), **reserved))


def lines(text: str, start: str) -> list[str]:
    """The lines of a description from the one that starts with `start` to the next empty one."""
    found = [line.strip() for line in text.splitlines()]
    first = next(i for i, line in enumerate(found) if line.startswith(start))
    return found[first : found.index("", first) if "" in found[first:] else len(found)]


def test_a_loop_over_layers_stays_a_loop() -> None:
    made = plan("""
net Net(hidden: list[int] = [8, 6], drop: float = 0.1)(x: float[B, 4]) -> float[B, 3] {
  for width in hidden { x = x -> fc: Linear(width) -> relu -> dropout(drop) }
  return x -> head: Linear(3)
}
""")
    assert "make fc: for width, in_dim in config.hidden | shifted(4, config.hidden):" in made
    assert "for width, fc in config.hidden | self.fc: static width" in made
    assert "x = dropout(relu(fc(x with out=width, use_bias=True)), p=config.drop)" in made


RESIDUAL = """
block Unit(width: int, stride: int = 1)(x: float[N, C, H, W]) {
  y = x -> conv: Conv2d(width, 3, stride=stride, padding=1) -> relu
  skip = if stride != 1 or C != width then x -> proj: Conv2d(width, 1, stride=stride) else x
  return relu(y + skip)
}
"""


def test_elaborations_that_differ_keep_the_if() -> None:
    made = plan(
        RESIDUAL
        + """
net Net()(x: float[B, 4, H, W]) { return x -> a: Unit(4) -> b: Unit(8, stride=2) }
"""
    )
    assert made.count("block Unit") == 1
    assert "if ((self.stride != 1) or (self.channels != self.width)):" in made
    assert " if ((self.stride != 1) or (self.channels != self.width)) else x)" in made
    assert "self.b = Unit(channels=4, width=8, stride=2)" in made


def test_an_if_on_which_all_agree_vanishes() -> None:
    made = plan(RESIDUAL + "net Net()(x: float[B, 4, H, W]) { return x -> a: Unit(4) }")
    assert "if" not in made
    assert "proj" not in made


def test_the_mode_and_early_returns() -> None:
    made = plan(
        """
fn noisy(x: float[B, D], p: float) -> float[B, D] {
  if not training or p == 0.0 { return x }
  sample keep: bool[B, D] ~ bernoulli(1.0 - p)
  return where(keep, x / (1.0 - p), 0.0)
}
net Net(p: float = 0.5)(x: float[B, 4]) -> float[B, 4] { return noisy(x, p) }
"""
    )
    assert lines(made, "fn noisy") == [
        "fn noisy(p: float)",
        "def forward(x: float[batch, dim]) -> float[batch, dim] training random uses p",
        "batch, dim = x.shape",
        "if (not(training) or (p == 0.0)):",
        "return x",
        "keep = draw bernoulli((1.0 - p))[batch, dim]",
        "return where(keep, (x / (1.0 - p)), 0.0)",
    ]


def test_lists_of_tensors() -> None:
    made = plan("""
net Net(depth: int = 2)(x: float[B, 4]) -> float[B, 4] {
  skips = []
  for i in range(depth) {
    x = x -> down: Linear(4)
    skips = skips + [x]
  }
  for i in reversed(range(depth)) { x = skips[i] + (x -> up: Linear(4)) }
  return x
}
""")
    assert "skips = []" in made
    assert "skips.append(x)" in made
    assert "for i, up in reversed(range(config.depth)) | self.up:" in made
    assert "x = (skips[i] + up(x with out=4, use_bias=True))" in made


def test_an_optional_input_of_a_net_is_asked_for() -> None:
    made = plan("""
net Net()(x: float[B, 4], shift: float[B, 4]? = none) -> float[B, 4] {
  return if shift != none then x + shift else x
}
""")
    assert "shift?" in made
    assert "return ((x + shift) if given(shift) else x)" in made


def test_subscripts_keep_their_expressions() -> None:
    made = plan("""
net Net(n: int = 3)(x: float[B, 4]) -> float[B, n] {
  parts = []
  for i in range(n) { parts = parts + [x[:, i]] }
  return stack(parts, axis=1)
}
""")
    assert "for i in range(config.n):" in made
    assert "subscripts=(('slice', None, None, None), i)" in made


def test_sizes_of_the_round_before_need_no_argument() -> None:
    made = plan("""
block Stack(widths: list[int])(x: float[B, D]) -> float[B, widths[-1]] {
  for width in widths { x = x -> fc: Linear(width) }
  return x
}
net Net()(x: float[B, 3]) -> float[B, 8] { return x -> one: Stack([4, 5]) -> two: Stack([7, 8]) }
""")
    assert "make fc: for width, in_dim in self.widths | shifted(self.dim, self.widths):" in made
    assert "block Stack(dim: int, widths: tuple[int, ...])" in made


def test_functions_that_move_axes_differently_stay_apart() -> None:
    made = plan("""
fn turn(x: float[A, B, C], axes: list[int]) -> float[...] { return transpose(x, axes) }
net Net()(x: float[B, 4, 4]) -> float[B, 4, 4] { return turn(turn(x, [0, 2, 1]), [0, 1, 2]) }
""")
    assert made.count("fn turn") == 2


def test_a_result_that_nothing_reads_has_no_name() -> None:
    made = plan("""
net Net()(x: float[B, 4]) -> int[B, 2] {
  values, ids = top_k(x, 2)
  return ids
}
""")
    assert "_, ids = top_k(x" in made


def test_nested_loops_are_nested_lists() -> None:
    made = plan("""
net Net(stages: list[(int, int)] = [(4, 1), (8, 2)])(x: float[B, 3, H, W]) {
  for width, convs in stages {
    for _ in range(convs) { x = x -> conv: Conv2d(width, 3, padding=1) -> relu }
  }
  return x
}
""")
    assert "for width, convs, conv_list in config.stages | self.conv: static convs, width" in made
    assert "for width, convs, in_channels_table in config.stages | conv_in_channels(config.stages):" in made
    assert "make conv: for index in range(convs):" in made
    assert "C=index(in_channels_table, index)" in made


def test_a_loop_variable_that_is_over_becomes_its_value() -> None:
    made = plan("""
net Net(widths: list[int] = [4, 6])(x: float[B, 4]) {
  total = 0
  for width in widths {
    x = x -> fc: Linear(width)
    total = total + width
  }
  return x -> head: Linear(total)
}
""")
    assert "self.head = native Linear(out=(4 + index(config.widths, -1))" in made


def test_a_temporary_does_not_take_a_name_that_is_still_read() -> None:
    made = plan("""
net Net()(x: float[B, 4]) {
  y = x -> a: Linear(4)
    -> b: Linear(4)
    -> c: Linear(4)
  return y + x
}
""")
    assert [line for line in lines(made, "def forward") if "=" in line and "self" in line] == [
        "y = self.a(x with out=4, use_bias=True)",
        "y = self.b(y with out=4, use_bias=True)",
        "y = self.c(y with out=4, use_bias=True)",
    ]


def test_a_straight_pipe_is_called_x() -> None:
    made = plan("""
net Net()(image: float[B, 4]) {
  return image -> a: Linear(4) -> relu
    -> b: Linear(4) -> relu
    -> c: Linear(4)
}
""")
    assert "x = relu(self.a(image with out=4, use_bias=True))" in made
    assert "x = relu(self.b(x with out=4, use_bias=True))" in made
    assert "return self.c(x with out=4, use_bias=True)" in made


def test_values_of_a_comprehension_are_collected() -> None:
    made = plan("""
net Net()(x: float[B, 4], y: float[B, 6]) -> float[B, 6] {
  outs = [z -> head: Linear(3) for z in [x, y]]
  return concat(outs, axis=1)
}
""")
    assert "outs = []" in made
    assert "| self.head | [x, y]:" in made
    assert "outs.append(head(z with out=3, use_bias=True))" in made
    assert "return concat(outs, axis=1)" in made


def test_a_run_time_loop() -> None:
    made = plan("""
net Net()(x: float[B, T, 4]) -> float[B, T, 4] {
  h = zeros([B, 4])
  scan x_t in x along 1 carry h {
    h = tanh(x_t + (h -> cell: Linear(4)))
    emit out = h
  }
  return out
}
""")
    assert "scan x_t in x along 1 length time carry h = h reads :" in made
    assert "emit out = h" in made


def test_the_unused_number_of_a_step_is_left_out() -> None:
    made = plan("""
net Net(steps: int = 3)(x: float[B, 4]) -> float[B, 4] {
  scan k in range(steps) carry x { x = tanh(x) }
  return x
}
""")
    assert "scan  along 0 length config.steps carry x = x reads :" in made


LAYERS = """
net Net(widths: list[int] = [3, 5], hidden: int = 4) {
  fcs = [Linear(hidden) for _ in widths]

  fn forward(x: float[B, 4]) -> float[B, 4] {
    for i, fc in enumerate(fcs) { x = x + fc(x)[:, i:i + 1] }
    return x
  }
  fn other(x: float[B, 4], z: float[B, 4]) -> float[B, 4] {
    for y, w in zip([x, z], widths) { x = x + w * y }
    for w, fc in zip(widths, reversed(fcs)) { x = x + w * fc(x) }
    return fcs[1](x)
  }
}
"""


def test_a_list_of_layers_has_the_name_of_its_variable() -> None:
    made = plan(LAYERS)
    assert "make fcs: for _(unused) in config.widths:" in made
    assert made.count("self.fcs = native Linear(out=config.hidden, use_bias=True, D=4)") == 1


def test_a_loop_over_layers_walks_them() -> None:
    made = plan(LAYERS)
    assert "for i, fcs in (0, 1) | self.fcs:" in made
    assert "('slice', i, (i + 1), None)" in made
    assert "for w, position in (3, 5) | (1, 0):" in made
    assert "self.fcs[position](x with" in made


def test_a_loop_over_tensors_and_numbers_walks_both() -> None:
    made = plan(LAYERS)
    assert "for w, y in (3, 5) | [x, z]:" in made


def test_one_result_that_is_read_is_picked() -> None:
    made = plan("""
net Net()(x: float[B, T, 4]) -> float[B, T, 4] {
  for _ in range(2) { x = (x -> rnn: LSTM(4)).out }
  return x
}
""")
    assert "x = rnn(x).out" in made


def test_optional_inputs_of_layers() -> None:
    made = plan("""
block Mix()(x: float[B, D], y: float[B, D]? = none) -> float[B, D] {
  if y != none { x = x + (y -> side: Linear(D)) }
  return x
}
net Net()(x: float[B, 4]) -> float[B, 4] {
  x = x -> a: Mix()
  return x -> b: Mix()(x)
}
""")
    assert "if given(y):" in made
    assert "if self.has_y:" in made
    assert "self.a = Mix(dim=4, has_y=False)" in made


def test_a_side_that_returns_ends_the_method() -> None:
    made = plan("""
block Two(n: int)(x: float[B, D]) -> float[B, D] {
  if n == 1 { return x -> fc: Linear(D) }
  parts = [x -> fc2: Linear(D), x]
  return parts[0] + parts[1]
}
net Net()(x: float[B, 4]) -> float[B, 4] { return x -> a: Two(1) -> b: Two(2) }
""")
    assert made.count("block Two") == 1
    body = lines(made, "def forward")
    assert body[1:3] == ["if (self.n == 1):", "return self.fc(x with out=self.dim, use_bias=True)"]
    assert body[-1] == "return (parts[0] + parts[1])"


def test_texts_that_cannot_be_one_unit_become_two() -> None:
    made = plan("""
block Sum(n: int)(x: float[B, D]) -> float[B, D] {
  parts = [x * 2.0 for _ in range(n)]
  return concat([p[:, 0:1] for p in parts] + [x[:, n:]], axis=1)
}
net Net()(x: float[B, 4]) -> float[B, 4] { return x -> a: Sum(1) -> b: Sum(2) }
""")
    assert "block Sum(n: int)" in made or ("block Sum(" in made and "block Sum2(" in made)


def test_records() -> None:
    made = plan("""
block Pair()(x: float[B, D]) -> (left: float[B, D], right: float[B, D]) {
  return x -> l: Linear(D), x -> r: Linear(D)
}
net Net()(x: float[B, 4]) -> float[B, 4] {
  p = x -> a: Pair()
  left, right = p.left -> b: Pair()
  return left + right + p.right + (x -> c: Pair()).left
}
""")
    assert "p = self.a(x with dim=4)" in made
    assert "left, right = self.b(p.left with dim=4)" in made
    assert "self.c(x with dim=4).left" in made


def test_names_that_python_or_the_file_needs() -> None:
    made = plan(
        """
block Linear2(training_: int)(x: float[B, 4]) -> float[B, 4] { return x -> type: Linear(training_) }
net Net()(x: float[B, 4]) -> float[B, 4] {
  torch = x -> half: Linear2(4)
  range = torch * 2.0
  return torch + range
}
""",
        reserved=frozenset({"torch"}),
        reserved_attributes=frozenset({"type", "half"}),
    )
    assert "self.half_ = Linear2" in made
    assert "self.type_ = native Linear" in made
    assert "torch_ = " in made
    assert "range_ = " in made


@pytest.mark.parametrize("natives", [NATIVES, frozenset()])
def test_sizes_are_read_where_they_are_used(natives: frozenset[str]) -> None:
    made = plan(
        """
block Heads(heads: int)(x: float[B, T, D]) -> float[B, T, D] {
  y = reshape(x, [B, T, heads, D // heads])
  return reshape(y, [B, T, D]) * T ** -0.5
}
net Net()(x: float[B, T, 8]) -> float[B, T, 8] { return x -> a: Heads(2) }
""",
        natives=natives,
    )
    assert "batch, time, dim = x.shape" in made
    assert "shape=(batch, time, self.heads, (dim // self.heads))" in made


def test_methods_stand_in_the_order_of_the_text() -> None:
    made = plan("""
net Net() {
  fc = Linear(4)
  fn forward(x: float[B, 4]) -> float[B, 4] { return fc(x) }
  fn beta(x: float[B, 4]) -> float[B, 4] { return relu(fc(x)) }
  fn alpha(x: float[B, 4]) -> float[B, 4] { return fc(relu(x)) }
}
""")
    assert made.index("forward(") < made.index("beta(") < made.index("alpha(")


def test_a_divisor_that_is_always_1_vanishes() -> None:
    made = plan(
        "net Net()(x: float[B, 4, H, W]) { return x -> a: Conv2d(6, 3) -> b: Conv2d(5, 3) }",
        natives=frozenset(),
    )
    assert "//" not in made


def test_sizes_that_shape_no_weight_are_no_arguments() -> None:
    made = plan(
        """
block Unit(width: int)(x: float[N, C, H, W]) { return x -> conv: Conv2d(width, 3, padding=1) -> relu }
net Net()(x: float[B, 4, 16, 16]) { return x -> a: Unit(4) -> b: Unit(8) -> max_pool2d(2) -> c: Unit(8) }
"""
    )
    assert "height" not in lines(made, "block Unit")[0]


def test_an_option_that_is_never_read_is_no_field_of_the_config() -> None:
    made = plan("""
net Net(double: bool = true, size: int = 6, classes: int = 3)(x: float[B, size]) {
  if double { x = x + x }
  return x -> up: Linear(4) -> head: Linear(classes)
}
""")
    assert [line for line in made.splitlines() if line.startswith("config")] == [
        "config size: int = 6",
        "config classes: int = 3",
    ]


def test_settings_that_decided_everything_while_compiling_vanish() -> None:
    made = plan("""
block Part(width: int, window: int?, plain: bool)(x: float[B, D]) -> float[B, width] {
  y = x -> fc: Linear(width, use_bias=not plain)
  return if window != none then y / window else y
}
net Net(width: int = 3, window: int? = none, plain: bool = true, twice: bool = false)
    (x: float[B, 4]) -> float[B, width] {
  y = x -> part: Part(width, window, plain)
  return if twice then 2.0 * y else y
}
""")
    assert "window" not in made
    assert "twice" not in made
    assert "config width: int = 3" in made

    assert "block Part(dim: int, width: int, plain: bool)" in made


def test_results_of_a_primitive_are_picked_by_name() -> None:
    made = plan("""
net Net()(x: float[B, 4]) -> float[B, 2] {
  best = top_k(x, 2)
  return best.values * cast(best.indices, float)
}
""")
    assert "best_values, best_indices = top_k(x, k=2)" in made
    assert "multiply(best_values, cast(best_indices" in made or "(best_values * cast(best_indices" in made


def test_a_product_divided_by_a_factor() -> None:
    made = plan("""
net Net(heads: int = 2, k: int = 3)(x: float[B, 4]) -> float[B, heads * (2 * heads * k // heads)] {
  return x -> fc: Linear(2 * k * heads // 2) -> out: Linear(heads * (2 * heads * k // heads))
}
""")
    assert "//" not in made


def test_values_that_grow_with_the_rounds_are_expressions() -> None:
    made = plan("""
block Wider(growth: int)(x: float[N, C, H, W]) {
  return concat([x, x -> conv: Conv2d(growth, 3, padding=1)], axis=1)
}
net Net(growth: int = 5, layers: int = 3, drop: float = 0.2, widths: list[int] = [4, 6, 9])
    (x: float[B, 3, H, W]) {
  for _ in range(layers) { x = x -> wide: Wider(growth) }
  y = global_avg_pool(x)
  done = 0
  for w in widths {
    for _ in range(2) {
      y = y -> dropout(drop * done / 6) -> fc: Linear(w)
      done = done + 1
    }
  }
  return y
}
""")
    assert "self.wide = Wider(channels=(3 + (index * config.growth)), growth=config.growth)" in made
    assert "p=((config.drop * index(p_table, index)) / 6)" in made
    assert "D=index(in_dim_table, index)" in made


def test_values_of_the_round_before_are_expressions() -> None:
    made = plan("""
net Net(widths: list[int] = [4, 6, 9, 5])(x: float[B, 3]) {
  for i, w in enumerate(widths) {
    if i > 0 { x = x -> more: Linear(w) }
    x = x -> fc: Linear(widths[i])
  }
  return x
}
""")
    assert "D=index(config.widths, (i - 1))" in made


def test_a_number_that_an_inner_loop_turns_into_a_tensor() -> None:
    made = plan("""
net Net(layers: int = 3)(x: float[B, 6]) -> float[] {
  balance = 0.0
  for i in range(layers) {
    total = 2.0 * i
    for j in range(2) {
      x = x -> fc: Linear(6) -> relu
      total = total + mean(x)
      balance = balance + total
    }
    x = x * total
  }
  return balance / layers
}
""")
    body = lines(made, "def forward")
    assert body.index("balance = 0.0") < body.index("total = (2.0 * i)")
    assert body.index("total = (2.0 * i)") < body.index("balance = (balance + total)")


def test_the_last_line_is_returned_where_the_rank_varies() -> None:
    made = plan(
        """
net Net()(x: float[B, T, 4]) -> float[B, 3] {
  y = x -> a: Linear(4)
  return y[:, 0] -> b: Linear(3)
}
""",
        natives=frozenset(),
    )
    assert "return ((x @ transpose(self.weight, axes=None)) + self.bias)" in made


def test_items_that_are_taken_one_after_the_other() -> None:
    made = plan("""
block Head(hidden: int, stride: int)(x: float[N, C]) -> float[N, hidden] {
  return (x -> a: Linear(hidden)) * (1.0 * stride)
}
net Net(widths: list[int] = [4, 6, 8], hidden: int = 5)(x: float[B, 3]) {
  a = x -> one: Linear(widths[0])
  b = a -> two: Linear(widths[1])
  c = b -> three: Linear(widths[2])
  return concat([y -> head: Head(hidden, s) for y, s in zip([a, b, c], [8, 16, 32])], axis=1)
}
""")
    assert "| (0, 1, 2):" in made
    assert "index(config.widths, " in made


def test_a_constructor_walks_the_numbers_of_a_loop_over_tensors_and_numbers() -> None:
    made = plan("""
block Head(hidden: int)(x: float[N, C]) -> float[N, hidden] { return x -> a: Linear(hidden) }
net Net(hidden: int = 5)(x: float[B, 4]) {
  found = []
  for y, s in zip([x, -x], [8, 16]) { found = found + [(y -> head: Head(hidden)) * (1.0 * s)] }
  return concat(found, axis=1)
}
""")
    assert "make head: for s(unused) in (8, 16):" in made
    assert "for s, head, y in (8, 16) | self.head | [x, y_kept]:" in made


def test_a_table_of_plain_numbers_needs_no_function() -> None:
    module, _ = open_text("""
block Head(hidden: int)(x: float[N, C]) -> float[N, hidden] { return x -> a: Linear(hidden) }
net Net(widths: list[int] = [4, 6, 8])(x: float[B, 3]) {
  a = x -> one: Linear(widths[0])
  b = a -> two: Linear(widths[1])
  c = b -> three: Linear(widths[2])
  for y, s in zip([a, b, c], [8, 16, 32]) { x = x * (1.0 * s * mean(y -> head: Head(5))) }
  return x
}
""")
    assert module is not None
    made = plan_file(module["Net"].program)
    assert not [table for unit in made.units for table in unit.tables]


STARTS = """
block Head(hidden: int, rare: float)(x: float[N, C]) -> float[N, hidden] {
  return x -> a: Linear(hidden, bias_init=constant(rare))
}
net Net(hidden: int = 5)(x: float[B, 4]) -> float[B, hidden] {
  y = x -> one: Head(hidden, 0.5)
  return y + (x -> two: Head(hidden, 0.25))
}
"""


@pytest.mark.parametrize("natives", [frozenset({"Linear"}), frozenset()])
def test_numbers_that_weights_start_with_are_arguments(natives: frozenset[str]) -> None:
    made = plan(STARTS, natives=natives)
    assert "self.one = Head(channels=4, hidden=config.hidden, bias_value=0.5)" in made
    assert "self.two = Head(channels=4, hidden=config.hidden, bias_value=0.25)" in made
    assert ("param bias[self.out] ~ constant(self.bias_value)" in made) == (not natives)


def test_numbers_that_weights_start_with_do_not_fix_the_rounds_of_a_loop() -> None:
    made = plan(
        """
net Net(rows: list[int] = [4, 6])(x: int[B]) {
  found = []
  for r in rows { found = found + [x -> table: Embedding(r, 3, init=uniform(-1.0 / r, 1.0 / r))] }
  return concat(found, axis=1)
}
""",
        natives=frozenset(),
    )
    assert "make table: for r in config.rows:" in made


def test_equal_parts_need_no_size() -> None:
    made = plan(
        """
block Half(hidden: int)(x: float[N, C]) {
  a, b = x -> a: Linear(2 * hidden) -> split(2)
  return a * b
}
net Net(hidden: int = 5)(x: float[B, 4]) { return x -> half: Half(hidden) -> again: Half(3) }
""",
        natives=frozenset(),
    )
    assert "return self.again(self.half(x))" in made
