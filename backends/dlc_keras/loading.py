"""The end of a generated file: finding the weights by their paths in the specification, and loading them."""

from __future__ import annotations

from dlc.emit.expressions import literal
from dlc.emit.printer import FileWriter
from dlc_keras.file import File
from dlc_keras.natives import LAYERS

TABLE_COMMENT = """\
How Keras keeps the weights of its own layers: for each name in the specification,
the attribute and the order of its axes; and the shape of an input to build with."""

WALK = '''\
def walk(part: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every {yielded} of a model, with its path."""
    if {test}:
        yield path[1:], part
    elif isinstance(part, (list, tuple)):
        for index, item in enumerate(part):
            yield from walk(item, f"{path}.{index}")
    elif isinstance(part, layers.Layer):
        attributes = vars(part) | vars(part).get("_modules", {})  # Keras on torch
        for name, item in attributes.items():
            if not name.startswith("_"):
                yield from walk(item, f"{path}.{segment}")
'''

NAMED_WEIGHTS = '''\
def named_weights(
    model: keras.Model,
) -> dict[str, tuple[keras.Variable, tuple[int, ...]]]:
    """Return the weights of a built model by path, with their axes in the spec."""
'''

OWN_WEIGHTS = """\
    return {path: (part, tuple(range(len(part.shape)))) for path, part in walk(model)}
"""

LAYER_WEIGHTS = """\
    found = {}
    for path, part in walk(model):
        if isinstance(part, keras.Variable):
            found[path] = (part, tuple(range(len(part.shape))))
            continue
        for name, (attribute, axes) in LAYERS[type(part)][0].items():
            variable = getattr(part, attribute, None)
            if variable is not None:
                found[f"{path}.{name}"] = (variable, axes)
    return found
"""

LOAD_WEIGHTS = '''\
def load_weights(model: keras.Model, path: str) -> None:
    """Load a safetensors file whose tensors are named and laid out as in the spec."""
    tensors = load_file(path)
'''

BUILD = """\
    for name, part in walk(model):
        if type(part) in LAYERS and not part.built:
            part.build(LAYERS[type(part)][1](part, tensors[f"{name}.weight"]))
"""

ASSIGN = """\
    for name, (variable, axes) in named_weights(model).items():
        variable.assign(tensors[name].transpose(axes))
"""


def write_loading(writer: FileWriter, file: File) -> None:
    """`LAYERS`, `walk`, `named_weights` and `load_weights`."""
    if file.layers:
        write_table(writer, file)
    if file.renamed:
        writer.blank(2 if not file.layers else 1)
        names = ", ".join(f"{literal(a)}: {literal(b)}" for a, b in sorted(file.renamed.items()))
        writer.comment("Attributes whose names in the specification Keras uses itself.")
        writer.statement(f"RENAMED = {{{names}}}")
    functions = (
        walk_text(file),
        NAMED_WEIGHTS + (LAYER_WEIGHTS if file.layers else OWN_WEIGHTS),
        LOAD_WEIGHTS + (BUILD if file.layers else "") + ASSIGN,
    )
    for text in functions:
        writer.blank(2)
        writer.raw(text.rstrip("\n"))


def write_table(writer: FileWriter, file: File) -> None:
    writer.blank(2)
    writer.raw("\n".join(f"# {line}" for line in TABLE_COMMENT.split("\n")))
    entries: list[str] = []
    for name in sorted(file.layers):
        native = LAYERS[name]
        weights = ", ".join(f"{literal(k)}: {literal(v)}" for k, v in native.weights.items())
        value = f"({{{weights}}}, lambda layer, weight: {native.shape})"
        classes = [f"layers.{native.keras}"] if name in file.plain else []
        classes += [f"Padded{native.keras}"] if native.keras in file.padded else []
        entries += [f"{each}: {value}" for each in classes]
    writer.statement(f"LAYERS = {{{', '.join(entries)}}}")


def walk_text(file: File) -> str:
    test, yielded = "isinstance(part, keras.Variable)", "weight"
    if file.layers:
        test, yielded = f"{test} or type(part) in LAYERS", "weight, and every layer of Keras,"
    segment = "{RENAMED.get(name, name)}" if file.renamed else "{name}"
    text = WALK.replace("{test}", test).replace("{yielded}", yielded)
    return text.replace("{segment}", segment)
