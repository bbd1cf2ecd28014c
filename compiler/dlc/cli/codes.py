"""Explanations of the codes that the command line and the file side of dlc report."""

from __future__ import annotations

from dlc_grammar.codes import Explanation

_NET = (
    "net A(width: int = 4)(x: float[B, 8]) -> float[B, 8] {\n"
    "  x = x -> up: Linear(width)\n"
    "  return x -> down: Linear(8)\n"
    "}\n"
)


def _load(*rules: str) -> str:
    """A map of names for that network."""
    return _NET + 'load A from "other" {\n' + "".join(f"  {rule}\n" for rule in rules) + "}\n"


_UP = '"first.{p}" = "up.{p}"'
_DOWN = '"second.{p}" = "down.{p}"'

_ALL = (
    Explanation(
        "E0120",
        "the network to use is not clear",
        "The file has no network, or several. After a colon you say which one is meant: `dlc build "
        "models.dl:Generator`, or with a preset `dlc build gpt2.dl:GPT2.tiny`. A file with several "
        "networks may name one in its section `parity { net = ... }`; that one is then used.",
    ),
    Explanation(
        "E0121",
        "a size that is not understood",
        "Sizes are the capital names in the types of a network's inputs. Give them as `--size B=2`, "
        "whole numbers from 1 on.",
    ),
    Explanation(
        "E0122",
        "a setting without a value",
        "Parameters of the network are set as `--set dim=64`, with the value as it would be written "
        "in a file: numbers, `true`, `none`, `[1, 2]`, or text in quotes.",
    ),
    Explanation(
        "E0602",
        "a setting that does not exist",
        "A section takes only the settings that it knows, so that a slip of the pen is not ignored. A "
        "`parity` section has `net`, `targets`, `devices`, `seeds`, `dtypes`, and the groups `sizes`, "
        "`inputs` and `check forward`, `check gradient`, `check steps`; a `load` section has `ignore`, "
        "`missing`, `tied` and `sum` beside its rules.",
        "net A()(x: float[B, 8]) -> float[B, 8] { return x }\nparity { seed = [0] }\n",
        "net A()(x: float[B, 8]) -> float[B, 8] { return x }\nparity { seeds = [0] }\n",
    ),
    Explanation(
        "E0605",
        "a setting with a value of the wrong kind",
        "The setting exists, but its value is of another kind: `seeds = [0, 1]` and `sizes { B = [1, "
        "7] }` are whole numbers, `targets = [torch, jax]` are names, an input is drawn from a "
        "distribution such as `randint(0, 97)`, and a tolerance is written `tol(rtol=1e-5, "
        "atol=1e-6)`.",
        'net A()(x: float[B, 8]) -> float[B, 8] { return x }\nparity { seeds = "one" }\n',
        "net A()(x: float[B, 8]) -> float[B, 8] { return x }\nparity { seeds = [1] }\n",
    ),
    Explanation(
        "E0610",
        "a map that forgets a weight",
        "A map of names says for every weight of the network which tensor of the other library holds it. What "
        "they do not have is listed under `missing`; it then keeps its initial value.",
        _load(_UP),
        _load(_UP, _DOWN),
    ),
    Explanation(
        "E0611",
        "a map that gives something twice",
        "Each weight of the network comes from one place, and each tensor of the other library has one rule. A "
        "second copy in their file, such as the output matrix of a model with tied embeddings, belongs into "
        "`tied { }`; tensors whose sum is ours belong into `sum { }`.",
        _load(_UP, _DOWN, '"copy.weight" = "up.weight"'),
        _load(_UP, _DOWN, 'tied { "copy.weight" = "up.weight" }'),
    ),
    Explanation(
        "E0612",
        "a layout that cannot be undone",
        "The right side of a rule says how their tensor is made of ours: with `transpose`, `reshape`, "
        "`rearrange`, `concat`, `stack` and subscripts. These only move elements, so a checkpoint can be "
        "converted in both directions without losing a bit. Parts of a tensor are given by several rules.",
        _load(_UP, '"second.bias" = "down.bias"', '"second.weight" = softmax("down.weight")'),
        _load(_UP, '"second.bias" = "down.bias"', '"second.weight" = transpose("down.weight")'),
    ),
    Explanation(
        "E0613",
        "a name that is not understood",
        "In a name, `{i}` stands for a part that varies. On the right, where our weights are named, a new name "
        "captures a part of the path, and `{p:q,k,v}` one of these; digits are a number. On the left is what the "
        "other library calls it: any expression over the captures and the network's parameters, such as "
        "`{i+1}`, or `{model.,}` where there are two spellings.",
        _load('"first.{q}" = "up.{p}"', _DOWN),
        _load(_UP, _DOWN),
    ),
    Explanation(
        "E0614",
        "a load section without a network or a name",
        'A map of names is written `load Model from "huggingface" { ... }`: the network (or several that share '
        "the map), and what the layout is called.",
        _NET + 'load A { "first.{p}" = "up.{p}" }\n',
        _load(_UP, _DOWN),
    ),
    Explanation(
        "E0701",
        "the target is not installed",
        "Targets are found by the entry-point group `dlc.backends`. `dlc doctor` lists those that are "
        'installed; `pip install "dlc[torch]"` installs the framework of one.',
    ),
    Explanation(
        "E0702",
        "a target could not run",
        "The process that runs the generated code ended with an error of the framework. `dlc doctor "
        "--deep` starts every target and shows what works; `dlc parity` compares them.",
    ),
    Explanation(
        "E0801",
        "a file of weights that does not fit",
        "Weights are safetensors files with one tensor for each path of the network, as `dlc build "
        "--weights` writes them: every path must be there, no other, in the shape of the network.",
    ),
    Explanation(
        "E0802",
        "an input that does not fit",
        "Each input of the network is given as `--input NAME=FILE.npy`. Its dtype and shape must be "
        "those of the type in the file; sizes such as `B` may be any number that the network allows.",
    ),
    Explanation(
        "E0803",
        "a file that cannot be written",
        "Files are written whole or not at all, only inside the output folder, and a file that dlc "
        "did not generate is only replaced with `--force`.",
    ),
    Explanation(
        "E0804",
        "not enough memory",
        "The weights or values of this network do not fit into the memory of this machine. `dlc "
        "check`, `dlc view` and `dlc build` need no memory for weights and work for any size.",
    ),
    Explanation(
        "E0810",
        "a checkpoint that is not read",
        "Checkpoints are safetensors files. Files of pickled objects (.bin, .pt, .pth, .ckpt) are refused, because "
        "loading one runs whatever code is in it; so are HDF5 and .keras files. The message says how to convert "
        "one where its library is installed.",
    ),
    Explanation(
        "E0811",
        "a tensor of theirs without a rule",
        "Every tensor of the checkpoint is named by a rule of the map, or by a pattern of `ignore` (in the "
        "section, or `--ignore` for once). So nothing is dropped silently.",
    ),
    Explanation(
        "E0812",
        "a tensor that the checkpoint does not have",
        "A weight of the network comes from a tensor that is not in the checkpoint. Either the name is another "
        "one, or the network has a part that they do not have: then `missing = [...]` (in the section, or "
        "`--missing` for once) leaves it at its initial value.",
    ),
    Explanation(
        "E0813",
        "a tensor of another shape",
        "Their tensor, in the layout that the rule says, has another shape than ours. Most often the preset is "
        "another one, or a matrix is stored transposed.",
    ),
    Explanation(
        "E0814",
        "a tensor of another dtype",
        "Weights are floating-point numbers of 16, 32 or 64 bits. Tensors that are joined have one dtype; "
        "`--dtype` converts all.",
    ),
    Explanation(
        "E0815",
        "tied tensors that differ",
        "The network has one parameter where the checkpoint has two tensors, and these are not equal: the model "
        "was trained without the tie, so this network cannot hold it.",
    ),
    Explanation(
        "E0816",
        "an unknown map of names",
        'A map is a section `load Model from "huggingface" { ... }` of the file that declares the network, or of '
        "another file: `--map maps.dl:huggingface`.",
    ),
    Explanation(
        "E0817",
        "two spellings of one tensor",
        "The checkpoint holds a tensor under two of the names that the rule allows. Leave one out with `ignore`.",
    ),
    Explanation(
        "E0900",
        "an internal error",
        "dlc itself failed. This is never your mistake: please report it with the file that shows it. "
        "`DLC_DEBUG=1` prints the traceback.",
    ),
    Explanation(
        "E0901",
        "the formatter gave up",
        "The formatter checks that its result is the same program. It was not, so nothing was "
        "written. Please report the file.",
    ),
    Explanation(
        "W020",
        "a setting that has no effect yet",
        "The setting is understood and kept, but this version of dlc does nothing with it.",
    ),
)

EXPLANATIONS: dict[str, Explanation] = {e.code: e for e in _ALL}
