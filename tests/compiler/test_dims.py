"""Size algebra: every operation agrees with integer arithmetic, and equations are decided."""

from __future__ import annotations

import copy
import itertools
import pickle
import subprocess
import sys
import time

import pydantic
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dlc.dims import Dim, DimError, Size, evaluate, parse, substitute, to_tree, variable, variables
from dlc.size_equations import Proved, Refuted, Unknown, decide_equal, repair
from dlc.size_order import compare

H, W, B, T = (variable(name) for name in "HWBT")
NAMES = ("B", "H", "W")


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def term(left: str, op: str, right: str) -> str:
        return f"({left} {op} {right})"

    return st.one_of(
        st.builds(term, inner, st.sampled_from(["+", "-", "*"]), inner),
        st.builds(term, inner, st.sampled_from(["//", "%"]), st.integers(1, 8).map(str)),
        inner.map(lambda x: f"(-{x})"),
        inner.map(lambda x: f"({x})**2"),
    )


LEAVES = st.sampled_from(NAMES) | st.integers(-9, 9).map(lambda k: f"({k})")
TEXTS = st.recursive(LEAVES, _grow, max_leaves=7)
VALUES = st.fixed_dictionaries({name: st.integers(-20, 60) for name in NAMES})
SYMBOLS = {name: variable(name) for name in NAMES}


def symbolic(text: str) -> Size:
    result = eval(text, {"__builtins__": {}}, dict(SYMBOLS))
    assert isinstance(result, (int, Dim))
    return result


def from_tree(tree: object, values: dict[str, int]) -> int:
    if isinstance(tree, int):
        return tree
    assert isinstance(tree, tuple)
    if tree[0] == "var":
        return values[tree[1]]
    first, *others = (from_tree(part, values) for part in tree[1:])
    for other in others:
        if tree[0] == "+":
            first += other
        elif tree[0] == "-":
            first -= other
        elif tree[0] == "*":
            first *= other
        elif tree[0] == "//":
            first //= other
        else:
            assert tree[0] == "**"
            first = int(first**other)
    return first


@settings(max_examples=400, deadline=None)
@given(TEXTS, VALUES)
def test_operations_agree_with_integers(text: str, values: dict[str, int]) -> None:
    expected = eval(text, {"__builtins__": {}}, dict(values))
    d = symbolic(text)
    assert evaluate(d, values) == expected
    assert substitute(d, values) == expected
    assert from_tree(to_tree(d), values) == expected
    assert eval(str(d), {"__builtins__": {}}, dict(values)) == expected
    assert parse(text) == d


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_normal_form_is_idempotent_and_text_is_faithful(text: str) -> None:
    d = symbolic(text)
    again = parse(str(d))
    assert again == d and type(again) is type(d)
    assert hash(again) == hash(d)
    assert str(again) == str(d)
    # Rebuilding by way of other names visits every rule again.
    there = substitute(d, {name: variable(name + "1") for name in NAMES})
    assert substitute(there, {name + "1": variable(name) for name in NAMES}) == d
    assert pickle.loads(pickle.dumps(d)) == d
    assert copy.deepcopy(d) == d


@settings(max_examples=200, deadline=None)
@given(TEXTS, TEXTS, VALUES)
def test_substitute_is_simultaneous_composition(f: str, g: str, values: dict[str, int]) -> None:
    d = substitute(symbolic(f), {"H": symbolic(g), "W": H})
    inner = {**values, "H": evaluate(symbolic(g), values), "W": values["H"]}
    assert evaluate(d, values) == evaluate(symbolic(f), inner)


SMALL = st.recursive(LEAVES, _grow, max_leaves=4)


@settings(max_examples=200, deadline=None)
@given(SMALL, SMALL)
def test_verdicts_are_true(f: str, g: str) -> None:
    a, b = symbolic(f), symbolic(g)
    verdict = decide_equal(a, b)
    points = [dict(zip(NAMES, p)) for p in itertools.product((1, 2, 3, 5, 8, 13, 16), repeat=3)]
    same = [evaluate(a, p) == evaluate(b, p) for p in points]
    if isinstance(verdict, Proved):
        assert all(same)
    elif isinstance(verdict, Refuted):
        assert evaluate(a, verdict.witness) == verdict.left
        assert evaluate(b, verdict.witness) == verdict.right
        assert verdict.left != verdict.right
        assert all(value >= 1 for value in verdict.witness.values())
        assert set(verdict.witness) == variables(a) | variables(b)
    else:
        assert all(same)


@settings(max_examples=200, deadline=None)
@given(SMALL, st.integers(1, 6), st.integers(1, 6), SMALL)
def test_identities_are_proved(f: str, m: int, n: int, g: str) -> None:
    a, b = symbolic(f), symbolic(g)
    equations = [
        (a - a // m, (a * (m - 1) + m - 1) // m),
        (-((-a) // m), (a + m - 1) // m),
        ((a // m + b) // n, (a + m * b) // (m * n)),
        ((a % m + b * m) // m, b),
    ]
    for left, right in equations:
        assert not isinstance(decide_equal(left, right), Refuted)


@settings(max_examples=300, deadline=None)
@given(SMALL, SMALL, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
def test_compare_never_lies(f: str, g: str, op: str) -> None:
    a, b = symbolic(f), symbolic(g)
    answer = compare(op, a, b)
    assume(answer is not None)
    for point in itertools.product((1, 2, 3, 4, 7, 12, 30), repeat=3):
        values = dict(zip(NAMES, point))
        x, y = evaluate(a, values), evaluate(b, values)
        assert eval(f"{x} {op} {y}") is answer


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (2 * (H // 2), "2*(H//2)"),
        ((H + 1) // 2, "(H + 1)//2"),
        (32 * (H // 2) * (W // 2), "32*(H//2)*(W//2)"),
        (B * T, "B*T"),
        (H - 1, "H - 1"),
        (1 - H, "1 - H"),
        (-H, "-H"),
        (-(H // 2), "-(H//2)"),
        (H - H // 2, "H - H//2"),
        (H**2 * W + 3, "H**2*W + 3"),
        ((H // 2) ** 2, "(H//2)**2"),
        (H * W // 2, "(H*W)//2"),
        ((H + 1) // 2 * B, "B*((H + 1)//2)"),
        (H % 4, "H - 4*(H//4)"),
        ((H // 2 + W // 2) // 3, "(H//2 + W//2)//3"),
    ],
)
def test_text(size: Size, text: str) -> None:
    assert str(size) == text
    assert repr(size) == f"Dim({text})"
    assert parse(text) == size


def test_floor_rules() -> None:
    assert (4 * H + 6) // 4 == H + 1
    assert (H // 2 + 3) // 4 == (H + 6) // 8
    assert (H // 2 + W) // 3 == (H + 2 * W) // 6
    assert (6 * H + 3) // 4 == H + (H + 1) // 2 + 0
    assert (2 * H + 1) // 4 == H // 2
    assert 3 * H // 3 == H
    assert 8 * H % 4 == 0
    assert (H - 1) // 2 == (H + 1) // 2 - 1
    assert H - H == 0 and isinstance(H - H, int)
    assert H // 1 == H
    assert H**0 == 1


def test_resnet_tower() -> None:
    """The three facts of the language design: tiny sizes, the shortcut, the stages."""

    def conv(size: Size, kernel: int, stride: int, pad: int) -> Size:
        return (size + 2 * pad - kernel) // stride + 1

    stem = conv(H, 7, 2, 3)
    pool = conv(stem, 3, 2, 1)
    stages = [pool]
    for _ in range(3):
        main = conv(conv(stages[-1], 3, 2, 1), 3, 1, 1)
        assert main == conv(stages[-1], 1, 2, 0)
        stages.append(main)
    assert [str(d) for d in (stem, *stages)] == [
        "(H + 1)//2",
        "(H + 3)//4",
        "(H + 7)//8",
        "(H + 15)//16",
        "(H + 31)//32",
    ]
    assert decide_equal((H + 2 * 3 - 7) // 2 + 1, (H - 1) // 2 + 1) == Proved()
    assert decide_equal(H - H // 2, (H + 1) // 2) == Proved()  # differ as normal forms


def test_deep_tower_is_small_and_fast() -> None:
    start = time.perf_counter()
    size: Size = H
    for _ in range(50):
        size = (size + 2 - 3) // 2 + 1
    assert size == (H + 2**50 - 1) // 2**50
    assert time.perf_counter() - start < 0.1
    # Sums of two floors do not flatten; nesting them must still stay in bounds.
    size = H
    for _ in range(50):
        size = (size * W + T // 3) // 2
    assert parse(str(size)) == size
    assert evaluate(size, {"H": 7, "W": 2, "T": 1}) == 7
    verdict = decide_equal((H + 2**50 - 1) // 2**50, (H + 2**50 - 2) // 2**50)
    assert verdict == Refuted({"H": 1}, 1, 0)


def test_refuted_and_repaired() -> None:
    assert decide_equal(2 * (H // 2), H) == Refuted({"H": 1}, 0, 1)
    assert repair(2 * (H // 2), H) == {"H": 2}
    assert decide_equal(H, W) == Refuted({"H": 2, "W": 1}, 2, 1)
    assert repair(H, W) is None
    assert decide_equal(H + 1, H) == Refuted({"H": 1}, 2, 1)
    assert decide_equal(3, 3) == Proved() and decide_equal(3, 4) == Refuted({}, 3, 4)
    assert repair(H, H) == {} and repair(3, 4) is None


def test_repair_of_several_variables() -> None:
    # A U-Net: down three times, up three times.
    down, wide = H // 2 // 2 // 2, W // 2 // 2 // 2
    assert repair(8 * down, H) == {"H": 8}
    assert repair(64 * B * down * wide, B * H * W) == {"H": 8, "W": 8}
    assert repair(8 * (H // 2) * (W // 4), H * W) == {"H": 2, "W": 4}
    assert repair((H * W) // 4 * 4, H * W) == {"H": 4}
    assert repair((H * W) // 4 * 4, H * W, ["W"]) == {"W": 4}
    assert repair(2 * (H // 2), H, ["W"]) is None
    assert repair((H + 1) // 2 * 2, H + 1) is None  # only odd H would do


def test_many_variables_are_decided_one_group_at_a_time() -> None:
    names = [variable(f"d{i}") for i in range(8)]
    left: Size = B
    right: Size = B
    for d in names:
        left = left * (d - d // 32)
        right = right * ((31 * d + 31) // 32)
    assert decide_equal(left, right) == Proved()
    three = [(d - d // 32) for d in names[:3]]
    ceil = [-((-31 * d) // 32) for d in names[:3]]
    a, b = three[0] * three[1] * three[2] * B, ceil[0] * ceil[1] * ceil[2] * B
    assert decide_equal(a, b) == Proved()
    verdict = decide_equal(a, b + (names[0] // 200) * (names[1] // 300))
    assert isinstance(verdict, Refuted) and verdict.left != verdict.right


def test_unknown_beyond_the_budget() -> None:
    a = (H * W + T * B) // 64
    b = -((-H * W - T * B + 63) // 64)
    start = time.perf_counter()
    assert decide_equal(a, b) == Unknown()
    assert time.perf_counter() - start < 10


def test_errors() -> None:
    for bad in (0, -2, H):
        with pytest.raises(DimError):
            H // bad  # type: ignore[operator]
        with pytest.raises(DimError):
            H % bad  # type: ignore[operator]
    with pytest.raises(DimError):
        4 // H
    with pytest.raises(DimError):
        4 % H
    with pytest.raises(DimError):
        H**-1
    with pytest.raises(DimError):
        2**H
    for compared in ("H < W", "H >= 1", "2 < H"):
        with pytest.raises(TypeError):
            eval(compared, {"H": H, "W": W})
    with pytest.raises(TypeError):
        H + "a"  # type: ignore[operator]
    with pytest.raises(TypeError):
        H * 1.5  # type: ignore[operator]
    with pytest.raises(DimError, match="W"):
        evaluate(H + W, {"H": 1})
    with pytest.raises(DimError):
        variable("2x")
    with pytest.raises(AttributeError):
        H.x = 1
    with pytest.raises(DimError):
        compare("=", H, W)


@pytest.mark.parametrize(
    "text",
    ["", " ", "H +", "* H", "(H", "H)", "()", "H W", "H // 0", "H // W", "3 // 0", "3 % -1",
     "2 ** W", "2 ** 99", "H / 2", "H $", "2H", "H(2)", "1" * 200],
)  # fmt: skip
def test_parse_rejects(text: str) -> None:
    with pytest.raises(DimError):
        parse(text)


def test_parse_follows_python() -> None:
    assert parse("-H**2") == -(H**2)
    assert parse("-H//2") == (-H) // 2
    assert parse("7 - 2 - 1") == 4
    assert parse("2**3**2") == 512
    assert parse("H - -H + +1") == 2 * H + 1
    assert parse("(" * 5000 + "H" + ")" * 5000) == H


def test_equality_and_hash() -> None:
    assert variable("H") == H and hash(H) == hash(variable("H"))
    assert H != W and H != 1 and (H == 1) is False
    assert {H * 2 + W: "x"}[W + H + H] == "x"


def test_pickle_between_processes() -> None:
    code = (
        "import pickle,sys; from dlc.dims import variable; H = variable('H');"
        "sys.stdout.buffer.write(pickle.dumps({H // 2 + 1: 'x'}))"
    )
    data = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        check=True,
        capture_output=True,
    ).stdout
    assert pickle.loads(data)[H // 2 + 1] == "x"


def test_order() -> None:
    assert compare(">=", H, 1) is True
    assert compare(">=", H - 1, 1) is None
    assert compare(">=", -H, 1) is False
    assert compare(">=", (H + 1) // 2, 1) is True
    assert compare(">=", H // 2, 1) is None
    assert compare(">=", B * ((H + 31) // 32) * ((W + 31) // 32), 1) is True
    assert compare(">=", 3, 1) is True and compare(">=", 0, 1) is False
    assert compare("<=", 2 * (H // 2), H) is True
    assert compare("<", H % 2, 2) is True
    assert compare(">=", H % 2, 0) is True
    assert compare("<", H // 2, H) is True
    assert compare(">", H // 2, H) is False
    assert compare("<=", H, W) is None
    assert compare("==", H, W) is None
    assert compare("==", 2 * H, 2 * W + 1) is False
    assert compare("!=", H, H + 1) is True
    assert compare("==", H - H // 2, (H + 1) // 2) is True
    assert compare("<=", H - H // 2, (H + 1) // 2) is True
    assert compare(">", H - H // 2, (H + 1) // 2) is False
    assert compare("<", 1, 2) is True and compare("==", 1, 2) is False


def test_trees() -> None:
    assert to_tree(2 * (H // 2) + 1) == ("+", ("*", 2, ("//", ("var", "H"), 2)), 1)
    assert to_tree(H - 1) == ("-", ("var", "H"), 1)
    assert to_tree(-H) == ("*", -1, ("var", "H"))
    assert to_tree(H**2 + H + 1) == ("+", ("**", ("var", "H"), 2), ("var", "H"), 1)
    assert to_tree(5) == 5
    d = 3 * H**2 - W // 2
    assert isinstance(d, Dim)
    assert list(d.terms()) == [
        (3, ((("var", "H"), 2),)),
        (-1, ((("//", ("var", "W"), 2), 1),)),
    ]


class Shape(pydantic.BaseModel):
    height: Dim
    sizes: list[int | Dim] = []


def test_pydantic() -> None:
    height = H // 2
    assert isinstance(height, Dim)
    shape = Shape(height=height, sizes=[3, H + 1])
    assert shape.model_dump(mode="json") == {"height": "H//2", "sizes": [3, "H + 1"]}
    assert Shape.model_validate_json(shape.model_dump_json()) == shape
    assert Shape.model_json_schema()["properties"]["height"]["type"] == "string"
    for bad in ("3", 3, "H //", None):
        with pytest.raises(pydantic.ValidationError):
            Shape.model_validate({"height": bad})
