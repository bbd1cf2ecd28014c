"""safetensors files, one or several shards: read and written tensor by tensor.

Tensors travel as raw bits (`uint16` for a `BF16`), so nothing is rounded on the way. Files that would have to
be unpickled are refused (E0810). The format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import difflib
import json
import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np

from dlc.ir import WeightSpec
from dlc.trouble import stop
from dlc.weights.layout import Array, Shape
from dlc_grammar.diagnostics import DiagnosticError

SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "C64": 8, "F64": 8, "I64": 8, "U64": 8,
}  # fmt: skip
"""Bytes of an element, in the order in which the safetensors library sorts dtypes."""
FLOATS = ("F16", "BF16", "F32", "F64")
NAMES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64"}
BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
MOST_HEADER = 100_000_000

TORCH = (
    'convert it once, where torch is: python -c "import torch; from safetensors.torch import save_file; '
    "save_file({{k: v.clone() for k, v in torch.load('{path}', map_location='cpu', "
    "weights_only=True).items()}}, '{out}')\""
)
KERAS = (
    "convert it once, where keras is: after model.load_weights('{path}') write safetensors.numpy.save_file("
    "{{v.path: numpy.asarray(v) for v in model.weights}}, '{out}')"
)
REFUSED = {
    **dict.fromkeys((".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".th"), TORCH),
    **dict.fromkeys((".h5", ".hdf5", ".keras"), KERAS),
}
MAGIC = ((b"\x89HDF", KERAS), (b"PK\x03\x04", TORCH), (b"\x80", TORCH))
"""How files start that are not safetensors whatever their name is: HDF5, a zip of pickles, a pickle."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor in a file."""

    name: str
    dtype: str
    shape: Shape
    file: Path
    start: int
    stop: int

    @property
    def is_float(self) -> bool:
        return self.dtype in FLOATS

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


@dataclass
class Checkpoint:
    """Tensors by name, from one file or several."""

    path: Path
    tensors: Mapping[str, Stored]

    def read(self, name: str) -> Array:
        """The bits of a tensor: a view of the file, mapped as long as it is used."""
        found = self.tensors[name]
        dtype = BITS[SIZES[found.dtype]]
        if found.stop == found.start:
            return np.empty(found.shape, dtype)
        data = np.memmap(found.file, np.uint8, "r", found.start, (found.stop - found.start,))
        bits: Array = np.asarray(data).view(dtype).reshape(found.shape)
        return bits

    @cached_property
    def shown(self) -> str:
        return f"`{self.path}`"


# ---------------------------------------------------------------- reading


def open_checkpoints(paths: Sequence[Path]) -> Checkpoint:
    """Files that are one checkpoint together. Raises DiagnosticError (E0810)."""
    opened = [open_checkpoint(path) for path in paths]
    if len(opened) == 1:
        return opened[0]
    found: dict[str, Stored] = {}
    for each in opened:
        for name, stored in each.tensors.items():
            if name in found:
                text = f"`{name}` is in `{found[name].file}` and in `{stored.file}`"
                raise stop("E0810", text, "give the shards of one checkpoint")
            found[name] = stored
    return Checkpoint(paths[0].parent, found)


def open_checkpoint(path: Path) -> Checkpoint:
    """A safetensors file, an index of shards, or a folder that holds either.

    Raises DiagnosticError (E0810).
    """
    if path.is_dir():
        path = _in_folder(path)
    if path.name.endswith(".index.json"):
        return _sharded(path)
    return Checkpoint(path, read_header(path))


def misfits(weights: Iterable[WeightSpec], stored: Checkpoint) -> list[str]:
    """What keeps a file from being the weights of a network, in words."""
    problems = []
    wanted = {spec.path: spec.shape for spec in weights}
    for path, shape in wanted.items():
        found = stored.tensors.get(path)
        if found is None:
            near = difflib.get_close_matches(path, [n for n in stored.tensors if n not in wanted], n=1)
            problems.append(f"`{path}` is missing" + (f" (it has `{near[0]}`)" if near else ""))
        elif found.shape != shape:
            problems.append(f"`{path}` is {list(found.shape)}, not {list(shape)}")
        elif not found.is_float:
            problems.append(f"`{path}` is {found.dtype}")
    return problems + [f"`{name}` is not of this network" for name in stored.tensors if name not in wanted]


def _in_folder(folder: Path) -> Path:
    for name in (INDEX, SINGLE):
        if (folder / name).is_file():
            return folder / name
    found = sorted(p for p in folder.iterdir() if p.name.endswith((".safetensors", ".index.json")))
    if len(found) == 1:
        return found[0]
    others = sorted(p for p in folder.iterdir() if p.suffix in REFUSED)
    if not found and others:
        raise refuse(others[0], REFUSED[others[0].suffix])
    if not found:
        raise stop("E0810", f"`{folder}` holds no safetensors file", "name the file")
    raise stop(
        "E0810", f"`{folder}` holds {len(found)} safetensors files and no index", f"name one: {found[0]}"
    )


def refuse(path: Path, how: str) -> DiagnosticError:
    """A file that holds pickled objects or HDF5 is never opened: loading it could run its code."""
    help = how.format(path=path, out=path.with_suffix(".safetensors").name)
    return stop("E0810", f"`{path}` is not a safetensors file; dlc does not load pickles or HDF5", help)


def unreadable(path: Path, reason: str) -> DiagnosticError:
    return stop("E0810", f"`{path}` cannot be read: {reason}", "checkpoints are safetensors files")


def read_header(path: Path) -> dict[str, Stored]:
    """The tensors of one file. Raises DiagnosticError (E0810)."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            if path.suffix in REFUSED:
                raise refuse(path, REFUSED[path.suffix])
            for magic, how in MAGIC:
                if start.startswith(magic) and not _plausible(start, path):
                    raise refuse(path, how)
            if not _plausible(start, path):
                raise unreadable(path, "it is not a safetensors file")
            (length,) = struct.unpack("<Q", start)
            header = json.loads(file.read(length))
    except FileNotFoundError:
        raise unreadable(path, "there is no such file") from None
    except OSError as error:
        raise unreadable(path, (error.strerror or str(error)).lower()) from None
    except (ValueError, RecursionError):
        raise unreadable(path, "its header is damaged") from None
    try:
        return _tensors(path, header, 8 + length)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise unreadable(path, "its header is damaged") from None


def _plausible(start: bytes, path: Path) -> bool:
    """Whether the first eight bytes are the length of a header that fits into the file."""
    if len(start) < 8:
        return False
    (length,) = struct.unpack("<Q", start)
    return bool(2 <= length <= min(MOST_HEADER, path.stat().st_size - 8))


def _tensors(path: Path, header: Mapping[str, Any], data: int) -> dict[str, Stored]:
    found = {}
    total = path.stat().st_size
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        dtype, shape = entry["dtype"], tuple(entry["shape"])
        first, last = entry["data_offsets"]
        whole = all(type(n) is int and n >= 0 for n in (*shape, first, last))
        if not whole or last - first != math.prod(shape) * SIZES[dtype]:
            raise ValueError(name)
        if data + last > total:
            raise unreadable(path, "it ends too early; was it downloaded completely?")
        found[name] = Stored(name, dtype, shape, path, data + first, data + last)
    return found


def _sharded(path: Path) -> Checkpoint:
    """The tensors that an index lists, from the files beside it."""
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        names = {str(name): Path(str(file)) for name, file in files.items()}
    except FileNotFoundError:
        raise unreadable(path, "there is no such file") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise unreadable(path, "it is no index of shards") from None
    headers = {}
    for shard in dict.fromkeys(names.values()):
        if shard.name != str(shard):
            raise unreadable(path, f"its shard `{shard}` is not beside it")
        headers[shard] = read_header(path.parent / shard)
    found = {}
    for name, shard in names.items():
        if name not in headers[shard]:
            raise unreadable(path, f"its shard `{shard}` does not hold `{name}`")
        found[name] = headers[shard][name]
    return Checkpoint(path, found)


# ---------------------------------------------------------------- bits and numbers


def numbers(bits: Array, dtype: str) -> np.ndarray[Any, Any]:
    """Floats as float32, or as float64 where they are."""
    if dtype == "F64":
        return bits.view(np.float64)
    if dtype == "F16":
        return bits.view(np.float16).astype(np.float32)
    if dtype == "BF16":
        return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return bits.view(np.float32)


def to_bits(values: np.ndarray[Any, Any], dtype: str) -> Array:
    """Numbers rounded to the nearest of a dtype, ties to even."""
    if dtype == "F64":
        return values.astype(np.float64).view(np.uint64)
    if dtype == "F16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).view(np.uint16)
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    if dtype == "F32":
        return single.view(np.uint32)
    whole = np.atleast_1d(single).view(np.uint32)
    rounded = (whole + np.uint32(0x7FFF) + ((whole >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    quiet = (whole >> np.uint32(16)) | np.uint32(0x40)
    found = np.where(np.isnan(np.atleast_1d(single)), quiet, rounded).astype(np.uint16)
    return found.reshape(values.shape)


def convert(bits: Array, dtype: str, wanted: str) -> Array:
    """The same numbers in another dtype; the same bits in the same one."""
    return bits if dtype == wanted else to_bits(numbers(bits, dtype), wanted)


# ---------------------------------------------------------------- writing


@dataclass(frozen=True, slots=True)
class Planned:
    """A tensor to write."""

    name: str
    dtype: str
    shape: Shape

    @property
    def size(self) -> int:
        return math.prod(self.shape) * SIZES[self.dtype]


def in_order(tensors: Iterable[Planned]) -> list[Planned]:
    """The order of the safetensors library: large elements first, so that all are aligned; then by name."""
    rank = {dtype: number for number, dtype in enumerate(SIZES)}
    return sorted(tensors, key=lambda t: (-rank[t.dtype], t.name))


def write_tensors(file: IO[bytes], tensors: Iterable[Planned], make: Callable[[str], Array]) -> None:
    """Writes a safetensors file; `make` gives the bits of one tensor at a time."""
    ordered = in_order(tensors)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for tensor in ordered:
        header[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.size],
        }
        offset += tensor.size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    for tensor in ordered:
        bits = np.ascontiguousarray(make(tensor.name))
        assert bits.nbytes == tensor.size, tensor
        file.write(bits.data.cast("B") if bits.size else b"")


def shards(tensors: Iterable[Planned], most: int) -> list[list[Planned]]:
    """Tensors in files of at most so many bytes, in order; a larger tensor has a file of its own."""
    found: list[list[Planned]] = []
    size = 0
    for tensor in tensors:
        if not found or size + tensor.size > most:
            found.append([])
            size = 0
        found[-1].append(tensor)
        size += tensor.size
    return found
