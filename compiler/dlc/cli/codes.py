"""Explanations of the codes that the command line and the file side of dlc report."""

from __future__ import annotations

from dlc_grammar.codes import Explanation

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
        "`inputs` and `check forward`, `check gradient`, `check steps`.",
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
