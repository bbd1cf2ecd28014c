"""Checkpoints in and out: equal to the byte, or refused with both sides named."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from dlc import api
from dlc.api import Net
from dlc.weights.checkpoint import convert, numbers, open_checkpoint, to_bits
from dlc.weights.convert import export_weights, import_weights, to_ours, to_theirs
from dlc.weights.maps import find_map
from dlc.weights.rules import Pattern
from dlc_grammar.diagnostics import DiagnosticError

TOWER = """\
block Attention()(x: float[B, T, D]) -> float[B, T, D] {
  q = x -> q: Linear(D)
  k = x -> k: Linear(D)
  return softmax(q @ transpose(k)) @ x -> out: Linear(D, use_bias=false)
}
block Experts(experts: int, hidden: int)(x: float[B, T, D]) -> float[B, T, hidden] {
  param w: float[experts, hidden, D] ~ normal(0.0, 0.02)
  return einsum("b t d, e h d -> b t h", x, w)
}
net Tower(dim: int = 4, layers: int = 2, vocab: int = 5, experts: int = 3)
    (tokens: int[B, T]) -> float[B, T, vocab] {
  word = Embedding(vocab, dim)
  x = word(tokens)
  for _ in range(layers) { x = x -> layer: Attention() -> moe: Experts(experts, dim) }
  r = x -> rnn: LSTM(dim)
  return r.out @ transpose(word.weight)
}
preset Tower.deep { layers = 3 }
load Tower from "other" {
  "{tower.,}wte.weight"            = "word.weight"
  "{tower.,}block_{i+1}.qk.{p}"    = concat(["layer.{i}.q.{p}", "layer.{i}.k.{p}"], axis=0)
  "{tower.,}block_{i+1}.o"         = "layer.{i}.out.weight" -> transpose
  "{tower.,}block_{i+1}.w{e}"      = "moe.{i}.w"[e]
  "{tower.,}rnn.kernel"            = rearrange("rnn.w_x", "(g h) d -> d g h", g=4)
  "{tower.,}rnn.recurrent"         =
    concat(["rnn.w_h"[g * dim : (g + 1) * dim] for g in [0, 1, 3, 2]], axis=0) -> transpose
  sum { "{tower.,}rnn.b{k}" = "rnn.b" }
  tied { "head.weight" = "word.weight" }
  ignore = ["**.mask"]
}
"""
TOWER = TOWER.replace(
    '  sum { "{tower.,}rnn.b{k}" = "rnn.b" }\n',
    '  sum { "{tower.,}rnn.b0" = "rnn.b"  "{tower.,}rnn.b1" = "rnn.b" }\n',
)
FLOATS = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}


def net_of(label: str = "Tower") -> Net:
    module, diagnostics = api.open_text(TOWER, "tower.dl")
    assert module is not None and not diagnostics
    return module[label]


@pytest.fixture
def tower() -> Net:
    return net_of()


def random_bits(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    """Any bits: NaNs with payloads, infinities, subnormals, negative zeros."""
    size = np.dtype(FLOATS[dtype]).itemsize
    data = rng.integers(0, 256, (*shape, size), np.uint8)
    return data.view(FLOATS[dtype]).reshape(shape)


def write_ours(net: Net, path: Path, dtype: str = "F32") -> dict[str, Any]:
    rng = np.random.default_rng(0)
    arrays = {name: random_bits(rng, spec.shape, dtype) for name, spec in net.params.items()}
    save_file(arrays, path, {"format": "pt"})
    return arrays


def theirs_of(net: Net, tmp_path: Path) -> dict[str, Any]:
    """A checkpoint of theirs with numbers."""
    rng = np.random.default_rng(0)
    ours = {name: rng.standard_normal(spec.shape).astype(np.float32) for name, spec in net.params.items()}
    return to_theirs(find_map(net), ours)


def test_the_maps_check(tower: Net) -> None:
    assert api.check_text(TOWER).diagnostics == ()


# ---------------------------------------------------------------- round trips


@pytest.mark.parametrize("dtype", list(FLOATS))
def test_a_round_trip_is_equal_to_the_byte(tower: Net, dtype: str, tmp_path: Path) -> None:
    first, theirs, back = (tmp_path / f"{name}.safetensors" for name in ("first", "theirs", "back"))
    write_ours(tower, first, dtype)
    tower.export_weights(first, theirs)
    if dtype == "BF16":  # a sum of NaNs is quiet: the one form that is not lossless
        first_bits, theirs_file = open_checkpoint(first), open_checkpoint(theirs)
        assert theirs_file.tensors["tower.rnn.b0"].dtype == "BF16"
        assert np.array_equal(theirs_file.read("tower.rnn.b0"), first_bits.read("rnn.b"))
    tower.import_weights(theirs, back)
    a, b = open_checkpoint(first), open_checkpoint(back)
    assert a.tensors.keys() == b.tensors.keys()
    for name, stored in a.tensors.items():
        assert stored.dtype == b.tensors[name].dtype == dtype
        if name != "rnn.b":
            assert a.read(name).tobytes() == b.read(name).tobytes(), name


def test_files_are_equal_to_the_byte(tower: Net, tmp_path: Path) -> None:
    """Header, order and alignment are those of the safetensors library."""
    theirs = theirs_of(tower, tmp_path)
    theirs["tower.rnn.b1"] = np.zeros_like(theirs["tower.rnn.b1"])
    save_file(theirs, tmp_path / "a.safetensors", {"format": "pt"})
    tower.import_weights(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    tower.export_weights(tmp_path / "b.safetensors", tmp_path / "c.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "c.safetensors").read_bytes()
    save_file(load_file(tmp_path / "b.safetensors"), tmp_path / "d.safetensors", {"format": "pt"})
    assert (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "d.safetensors").read_bytes()


def test_dtypes_may_be_mixed(tower: Net, tmp_path: Path) -> None:
    theirs = theirs_of(tower, tmp_path)
    theirs["tower.wte.weight"] = theirs["tower.wte.weight"].astype(np.float16)
    theirs["tower.block_1.o"] = theirs["tower.block_1.o"].astype(np.float64)
    theirs["tower.rnn.b1"] = np.zeros_like(theirs["tower.rnn.b1"])
    save_file(theirs, tmp_path / "a.safetensors", {"format": "pt"})
    tower.import_weights(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    with safe_open(tmp_path / "b.safetensors", "np") as file:
        assert file.get_slice("word.weight").get_dtype() == "F16"
        assert file.get_slice("layer.0.out.weight").get_dtype() == "F64"
    tower.export_weights(tmp_path / "b.safetensors", tmp_path / "c.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "c.safetensors").read_bytes()


def test_arrays_in_memory(tower: Net, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ours = {name: rng.standard_normal(spec.shape) for name, spec in tower.params.items()}
    map = find_map(tower)
    back = to_ours(map, to_theirs(map, ours))
    assert back.keys() == ours.keys()
    assert all(np.array_equal(back[name], array) for name, array in ours.items())


def test_the_values_are_where_they_belong(tower: Net, tmp_path: Path) -> None:
    theirs = theirs_of(tower, tmp_path)
    save_file(theirs, tmp_path / "a.safetensors")
    made = tower.import_weights(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    ours = load_file(tmp_path / "b.safetensors")
    dim = 4
    assert np.array_equal(ours["layer.1.k.weight"], theirs["tower.block_2.qk.weight"][dim:])
    assert np.array_equal(ours["layer.0.out.weight"], theirs["tower.block_1.o"].T)
    assert np.array_equal(ours["moe.1.w"][2], theirs["tower.block_2.w2"])
    assert np.array_equal(ours["rnn.w_h"][2 * dim : 3 * dim], theirs["tower.rnn.recurrent"][:, 3 * dim :].T)
    assert np.array_equal(ours["rnn.b"], theirs["tower.rnn.b0"] + theirs["tower.rnn.b1"])
    assert made.tensors == len(ours) and made.numbers == sum(a.size for a in ours.values())


def test_sums_are_written_with_zeros(tower: Net, tmp_path: Path) -> None:
    ours = write_ours(tower, tmp_path / "a.safetensors")
    tower.export_weights(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    theirs = load_file(tmp_path / "b.safetensors")
    assert theirs["tower.rnn.b0"].tobytes() == ours["rnn.b"].tobytes()
    assert not theirs["tower.rnn.b1"].any()
    assert "head.weight" not in theirs


def test_the_other_spelling(tower: Net, tmp_path: Path) -> None:
    theirs = theirs_of(tower, tmp_path)
    plain = {name.removeprefix("tower."): array for name, array in theirs.items()}
    save_file(plain, tmp_path / "a.safetensors")
    save_file(theirs, tmp_path / "b.safetensors")
    for name in "ab":
        tower.import_weights(tmp_path / f"{name}.safetensors", tmp_path / f"{name}2.safetensors")
    assert (tmp_path / "a2.safetensors").read_bytes() == (tmp_path / "b2.safetensors").read_bytes()


# ---------------------------------------------------------------- shards


def test_shards(tower: Net, tmp_path: Path) -> None:
    write_ours(tower, tmp_path / "a.safetensors")
    map = find_map(tower)
    made = export_weights(map, tmp_path / "a.safetensors", tmp_path / "out", shard=400)
    assert len(made.files) > 3 and made.files[-1].name == "model.safetensors.index.json"
    assert all(path.stat().st_size < 1200 for path in made.files[:-1])
    index = json.loads(made.files[-1].read_text())
    assert set(index["weight_map"].values()) == {path.name for path in made.files[:-1]}
    whole = export_weights(map, tmp_path / "a.safetensors", tmp_path / "whole.safetensors")
    assert index["metadata"]["total_size"] == 4 * whole.numbers
    for source in ("out", "out/model.safetensors.index.json", "whole.safetensors"):
        import_weights(map, tmp_path / source, tmp_path / "b.safetensors")
        assert (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "a.safetensors").read_bytes()
    large = export_weights(map, tmp_path / "a.safetensors", tmp_path / "large", shard=10**9)
    assert [path.name for path in large.files] == ["model.safetensors"]


def test_shards_that_fail_leave_nothing(tower: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ours(tower, tmp_path / "a.safetensors")
    from dlc.weights import convert as module

    calls = 0
    real = module.write_whole

    def failing(path: Path, fill: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError("full")
        real(path, fill)

    monkeypatch.setattr(module, "write_whole", failing)
    with pytest.raises(OSError, match="full"):
        export_weights(find_map(tower), tmp_path / "a.safetensors", tmp_path / "out", shard=400)
    assert not list((tmp_path / "out").iterdir())


# ---------------------------------------------------------------- what does not fit


def refused(net: Net, theirs: dict[str, Any] | Path, tmp_path: Path, **options: Any) -> list[Any]:
    """The diagnostics of an import; nothing is written."""
    source = theirs
    if isinstance(theirs, dict):
        source = tmp_path / "theirs.safetensors"
        save_file({name: np.ascontiguousarray(array) for name, array in theirs.items()}, source)
    with pytest.raises(DiagnosticError) as caught:
        net.import_weights(source, tmp_path / "out.safetensors", **options)
    assert not (tmp_path / "out.safetensors").exists()
    assert not list(tmp_path.glob(".out*"))
    return list(caught.value.diagnostics)


def test_a_tensor_without_a_rule(tower: Net, tmp_path: Path) -> None:
    theirs = theirs_of(tower, tmp_path)
    (found,) = refused(tower, theirs | {"tower.extra": np.zeros(3, np.float32)}, tmp_path)
    assert found.code == "E0811" and "`tower.extra` (F32 [3])" in found.message


def test_a_misspelt_tensor_is_named_on_both_sides(tower: Net, tmp_path: Path) -> None:
    theirs = theirs_of(tower, tmp_path)
    theirs["tower.block_1.qk.weihgt"] = theirs.pop("tower.block_1.qk.weight")
    missing, unknown = refused(tower, theirs, tmp_path)
    assert (missing.code, unknown.code) == ("E0812", "E0811")
    assert "`layer.0.q.weight`, `layer.0.k.weight` of `Tower`" in missing.message
    assert "did you mean their `tower.block_1.qk.weihgt`?" in missing.help
    assert "did you mean `tower.block_1.qk.weight`?" in unknown.help
    assert missing.span.text == '"{tower.,}block_{i+1}.qk.{p}"'


def test_other_shapes(tower: Net, tmp_path: Path) -> None:
    theirs = theirs_of(tower, tmp_path)
    theirs["tower.wte.weight"] = np.zeros((7, 4), np.float32)
    theirs["tower.block_1.qk.weight"] = np.zeros((3, 4), np.float32)
    theirs["tower.block_2.qk.weight"] = np.zeros((3, 4), np.float32)
    first, second = refused(tower, theirs, tmp_path)
    assert first.code == second.code == "E0813"
    assert "their `tower.wte.weight` is [7, 4], but `word.weight` of `Tower` is [5, 4]" in first.message
    assert "makes [8, 4] of `layer.0.q.weight` [4, 4], `layer.0.k.weight` [4, 4]" in second.message
    assert "1 more tensor of this rule" in second.notes[0].message


def test_a_transposed_matrix(tmp_path: Path) -> None:
    net = "net N()(x: float[B, 3]) -> float[B, 2] { return x -> fc: Linear(2) }\n"
    text = net + 'load N from "o" { "{p}" = "fc.{p}" }'
    module, _ = api.open_text(text)
    assert module is not None
    theirs = {"weight": np.zeros((3, 2), np.float32), "bias": np.zeros(2, np.float32)}
    (found,) = refused(module["N"], theirs, tmp_path)
    assert found.code == "E0813" and "-> transpose" in found.help


def test_other_dtypes(tower: Net, tmp_path: Path) -> None:
    theirs = theirs_of(tower, tmp_path)
    theirs["tower.wte.weight"] = theirs["tower.wte.weight"].astype(np.int8)
    (found,) = refused(tower, theirs, tmp_path)
    assert found.code == "E0814" and "I8 [5, 4]" in found.message
    theirs = theirs_of(tower, tmp_path)
    theirs["tower.block_1.w0"] = theirs["tower.block_1.w0"].astype(np.float16)
    (found,) = refused(tower, theirs, tmp_path)
    assert found.code == "E0814" and "`moe.0.w` is given in parts of F16 and F32" in found.message


def test_ties(tower: Net, tmp_path: Path) -> None:
    theirs = theirs_of(tower, tmp_path)
    word = theirs["tower.wte.weight"]
    save_file(theirs | {"head.weight": word}, tmp_path / "a.safetensors")
    made = tower.import_weights(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert made.tied == ("head.weight",)
    (found,) = refused(tower, theirs | {"head.weight": word + 1}, tmp_path)
    assert found.code == "E0815" and "`word.weight`" in found.message
    (found,) = refused(tower, theirs | {"head.weight": word.astype(np.float16)}, tmp_path)
    assert found.code == "E0815"


def test_a_part_that_is_lost(tower: Net, tmp_path: Path) -> None:
    theirs = theirs_of(tower, tmp_path)
    del theirs["tower.block_2.w1"]
    (found,) = refused(tower, theirs, tmp_path)
    assert found.code == "E0812" and "`moe.1.w`" in found.message


def test_two_spellings_at_once(tower: Net, tmp_path: Path) -> None:
    theirs = theirs_of(tower, tmp_path)
    theirs["wte.weight"] = theirs["tower.wte.weight"]
    (found,) = refused(tower, theirs, tmp_path)
    assert found.code == "E0817"


def test_ignore_and_missing(tower: Net, tmp_path: Path) -> None:
    from dataclasses import replace

    theirs = theirs_of(tower, tmp_path)
    theirs["tower.block_1.mask"] = np.zeros(3, np.int64)
    del theirs["tower.wte.weight"]
    (found,) = refused(tower, theirs, tmp_path)
    assert found.code == "E0812" and "missing" in found.help
    map = replace(find_map(tower), missing=(Pattern.of("word.*"),))
    save_file(theirs, tmp_path / "a.safetensors")
    made = import_weights(map, tmp_path / "a.safetensors", tmp_path / "b.safetensors", seed=3)
    assert made.ignored == ("tower.block_1.mask",) and made.initial == ("word.weight",)
    assert load_file(tmp_path / "b.safetensors")["word.weight"].std() > 0


def test_half_of_a_tensor_is_not_enough(tower: Net, tmp_path: Path) -> None:
    from dataclasses import replace

    theirs = theirs_of(tower, tmp_path)
    del theirs["tower.block_2.w1"]
    save_file(theirs, tmp_path / "a.safetensors")
    map = replace(find_map(tower), missing=(Pattern.of("moe.*.w"),))
    with pytest.raises(DiagnosticError, match=r"only a part of `moe\.1\.w`"):
        import_weights(map, tmp_path / "a.safetensors", tmp_path / "b.safetensors")


def test_our_file_does_not_fit(tower: Net, tmp_path: Path) -> None:
    arrays = write_ours(tower, tmp_path / "a.safetensors")
    arrays["word.wieght"] = arrays.pop("word.weight")
    save_file(arrays, tmp_path / "a.safetensors")
    with pytest.raises(DiagnosticError, match=r"it has `word\.wieght`") as caught:
        tower.export_weights(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert caught.value.diagnostics[0].code == "E0801"
    assert not (tmp_path / "b.safetensors").exists()


def test_joining_two_dtypes(tower: Net, tmp_path: Path) -> None:
    arrays = write_ours(tower, tmp_path / "a.safetensors")
    arrays["layer.0.q.weight"] = np.zeros((4, 4), np.float16)
    save_file(arrays, tmp_path / "a.safetensors")
    with pytest.raises(DiagnosticError, match="made of tensors of F16 and F32"):
        tower.export_weights(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    tower.export_weights(tmp_path / "a.safetensors", tmp_path / "b.safetensors", dtype="F32")


def test_unknown_maps(tower: Net) -> None:
    with pytest.raises(DiagnosticError, match="did you mean `other`"):
        find_map(tower, "othr")
    module, _ = api.open_text("net N()(x: float[B, 3]) -> float[B, 3] { return x -> fc: Linear(3) }")
    assert module is not None
    with pytest.raises(DiagnosticError, match="has no map of names"):
        find_map(module["N"])


# ---------------------------------------------------------------- files that are not read


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.bin", b"PK\x03\x04" + bytes(60), "torch.load"),
        ("a.pt", b"", "torch.load"),
        ("a.pth", b"\x80\x02}q\x00.", "torch.load"),
        ("a.ckpt", b"anything at all", "weights_only=True"),
        ("model.safetensors", b"\x80\x04\x95" + bytes(60), "torch.load"),
        ("model.safetensors", b"\x89HDF\r\n\x1a\n" + bytes(60), "load_weights"),
        ("a.weights.h5", b"\x89HDF\r\n\x1a\n", "v.path"),
        ("a.keras", b"PK\x03\x04" + bytes(60), "v.path"),
        ("a.safetensors", b"", "safetensors files"),
        ("a.safetensors", b"hello, this is a text", "safetensors files"),
        ("a.safetensors", struct.pack("<Q", 4) + b"{}}}", "safetensors files"),
        ("a.safetensors", struct.pack("<Q", 2) + b"[]", "safetensors files"),
        ("a.safetensors", struct.pack("<Q", 8) + b'{"a": 1}', "safetensors files"),
        ("a.safetensors", struct.pack("<Q", 1 << 60) + b"{}", "safetensors files"),
        ("x.index.json", b"{}", "safetensors files"),
        ("x.index.json", b'{"weight_map": {"a": "../secret.safetensors"}}', "safetensors files"),
        ("x.index.json", b'{"weight_map": {"a": "gone.safetensors"}}', "safetensors files"),
    ],
)
def test_files_that_are_not_read(tower: Net, tmp_path: Path, name: str, data: bytes, text: str) -> None:
    (tmp_path / name).write_bytes(data)
    (found,) = refused(tower, tmp_path / name, tmp_path)
    assert found.code == "E0810" and text in found.help


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]},
        {"dtype": "Q4", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 8, 16]},
        {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [200], "data_offsets": [0, 800]},
        {"dtype": "F32", "shape": "22", "data_offsets": [0, 16]},
    ],
)
def test_damaged_headers(tower: Net, tmp_path: Path, entry: dict[str, Any]) -> None:
    text = json.dumps({"a": entry}).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))
    (found,) = refused(tower, tmp_path / "a.safetensors", tmp_path)
    assert found.code == "E0810"


def test_folders(tower: Net, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no safetensors" in refused(tower, tmp_path / "empty", tmp_path)[0].message
    (tmp_path / "empty" / "pytorch_model.bin").write_bytes(b"")
    assert "torch.load" in refused(tower, tmp_path / "empty", tmp_path)[0].help
    save_file(theirs_of(tower, tmp_path), tmp_path / "empty" / "one.safetensors")
    tower.import_weights(tmp_path / "empty", tmp_path / "out.safetensors")
    (tmp_path / "out.safetensors").unlink()
    save_file({}, tmp_path / "empty" / "two.safetensors")
    assert "and no index" in refused(tower, tmp_path / "empty", tmp_path)[0].message
    assert "no such file" in refused(tower, tmp_path / "nowhere", tmp_path)[0].message


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize("dtype", list(FLOATS))
def test_rounding_is_that_of_the_dtypes(dtype: str) -> None:
    rng = np.random.default_rng(0)
    wide = np.concatenate(
        [rng.standard_normal(5000), rng.standard_normal(500) * 1e-40, [0.0, -0.0, 1e39, -1e39, 65520.0]]
    )
    with np.errstate(over="ignore"):
        single = wide.astype(np.float64 if dtype == "F64" else np.float32)
        expected = single.astype(FLOATS[dtype])
    bits = to_bits(single, dtype)
    assert bits.tobytes() == expected.tobytes()
    assert np.array_equal(numbers(bits, dtype), expected.astype(single.dtype))
    assert np.isnan(numbers(to_bits(np.array([np.nan], np.float32), dtype), dtype)).all()
    assert to_bits(np.array(1.5), dtype).shape == ()


def test_conversion(tower: Net, tmp_path: Path) -> None:
    save_file(theirs_of(tower, tmp_path), tmp_path / "a.safetensors")
    tower.import_weights(tmp_path / "a.safetensors", tmp_path / "b.safetensors", dtype="BF16")
    tower.export_weights(tmp_path / "b.safetensors", tmp_path / "c.safetensors", dtype="F32")
    a, c = load_file(tmp_path / "a.safetensors"), load_file(tmp_path / "c.safetensors")
    assert np.allclose(a["tower.wte.weight"], c["tower.wte.weight"], rtol=2**-8)
    assert not np.array_equal(a["tower.wte.weight"], c["tower.wte.weight"])
    assert convert(np.zeros(2, np.uint16), "BF16", "BF16").dtype == np.uint16
