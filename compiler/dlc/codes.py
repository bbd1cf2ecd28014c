"""What `dlc explain E01xx` prints: for each code of the checker a text, a wrong and a right program."""

from __future__ import annotations

from dlc_grammar.codes import Explanation


def _net(body: str, inputs: str = "x: float[B, 8]", result: str = "", params: str = "") -> str:
    arrow = f" -> {result}" if result else ""
    return f"net A({params})({inputs}){arrow} {{\n  {body}\n}}\n"


_IMAGE = "x: float[N, 3, H, W]"
_SEQUENCE = "x: float[B, T, 8]"
_DENSE = _net("return x -> fc: Linear(8)")
_IMPORTED = "from std.attention import MultiHeadAttention\n" + _net(
    "return x -> attn: MultiHeadAttention(2)", _SEQUENCE
)

_NAMES = (
    Explanation(
        "E0101",
        "an unknown name",
        "The name is not a parameter, a variable, a declaration of this file, an imported name or a name of the "
        "standard library. Lower-case names in a shape are parameters too: they never make a size.",
        _net("x = x -> norm: LayerNrom()\n  return x"),
        _net("x = x -> norm: LayerNorm()\n  return x"),
    ),
    Explanation(
        "E0102",
        "a name that is declared twice",
        "A name stands for one thing in a file, and for one thing among the parameters and inputs of a block. The "
        "order of declarations does not matter, so a later one does not replace an earlier one.",
        "const width = 8\nconst width = 16\n" + _DENSE,
        "const width = 8\nconst depth = 16\n" + _DENSE,
    ),
    Explanation(
        "E0103",
        "an import that is not found",
        "`from .name import` reads `name.dl` beside the file, `from ..name import` one folder up, and "
        "`from std.name import` a file of the standard library. There are no other libraries.",
        "from std.atention import rope\n" + _DENSE,
        _IMPORTED,
    ),
    Explanation(
        "E0104",
        "an imported name that does not exist",
        "The file was found, but it does not declare the name.",
        "from std.attention import ropes\n" + _DENSE,
        _IMPORTED,
    ),
    Explanation(
        "E0105",
        "a declaration that needs itself",
        "Blocks, functions, constants and files refer to each other without cycles, so that checking always ends. "
        "Repeat with `for` while compiling, or with `scan` while the model runs.",
        "block Tree(depth: int)(x: float[B, D]) -> float[B, D] {\n"
        "  return if depth == 0 then x else x -> inner: Tree(depth - 1)\n}\n" + _DENSE,
        _net("for _ in range(3) { x = x -> fc: Linear(8) -> relu }\n  return x"),
    ),
    Explanation(
        "E0106",
        "a program that expands to too much",
        "Loops, lists and nested blocks are run while compiling. A budget keeps a slip such as one zero too many from "
        "keeping the compiler busy for hours. `scan` loops while the model runs and costs nothing here.",
        _net("for i in range(10_000_000) { x = relu(x) }\n  return x"),
        _net("for _ in range(10) { x = relu(x) }\n  return x"),
    ),
    Explanation(
        "E0107",
        "two layers or parameters with one name",
        "The name of a layer, `param`, `state` or `sample` is its place in the file of weights, so it is unique in "
        "its block, over all methods. To use a layer twice, make it once: `fc = Linear(8)`, then `fc(x)`. The rounds "
        "of a loop number their layers themselves.",
        _net("x = x -> fc: Linear(8) -> relu\n  return x -> fc: Linear(8)"),
        _net("x = x -> fc1: Linear(8) -> relu\n  return x -> fc2: Linear(8)"),
    ),
    Explanation(
        "E0108",
        "the wrong case",
        "Capitalised names are blocks and, in shapes, size variables; everything else is lower case. So one sees what "
        "a name is without looking it up.",
        _net("Hidden = x -> fc: Linear(8)\n  return Hidden"),
        _net("hidden = x -> fc: Linear(8)\n  return hidden"),
    ),
    Explanation(
        "E0109",
        "a value that only one branch gives",
        "A name that is assigned in one branch of an `if` and used after it must have a value in the other branch too, "
        "even where the condition is known: another preset may decide otherwise.",
        _net("if deep { y = relu(x) }\n  return y", params="deep: bool = true"),
        _net("y = x\n  if deep { y = relu(x) }\n  return y", params="deep: bool = true"),
    ),
    Explanation(
        "E0110",
        "a size that no input binds",
        "A capital name in a shape gets its value from the shapes of the inputs. In a body it cannot be new.",
        _net("param w: float[D] ~ ones()\n  return x * w"),
        _net("param w: float[8] ~ ones()\n  return x * w"),
    ),
    Explanation(
        "E0111",
        "a name that is fixed",
        "Variables that hold tensors, numbers and lists may be assigned again; parameters, layers, `param`s, `state`s "
        "and `const`s may not: what they mean does not depend on the line.",
        _net("const scale = 2.0\n  scale = 3.0\n  return scale * x"),
        _net("scale = 2.0\n  scale = 3.0\n  return scale * x"),
    ),
    Explanation(
        "E0112",
        "a parameter in a loop",
        "A `param` or `state` has one name, and each round would need its own. Put the body of the loop into a block: "
        "the layers of a loop are numbered.",
        _net("for i in range(2) {\n    param w: float[8] ~ ones()\n    x = x * w\n  }\n  return x"),
        "block Scale()(x: float[B, D]) -> float[B, D] {\n  param w: float[D] ~ ones()\n  return x * w\n}\n"
        + _net("for _ in range(2) { x = x -> scale: Scale() }\n  return x"),
    ),
    Explanation(
        "E0113",
        "an update of something that is no state",
        "`update` gives a new value to a `state`: numbers that the model keeps and that are not trained, such as the "
        "running mean of a normalisation.",
        _net("param w: float[8] ~ ones()\n  if training { update w = 0.9 * w }\n  return x"),
        _net("state w: float[8] ~ ones()\n  if training { update w = 0.9 * w }\n  return x"),
    ),
    Explanation(
        "E0114",
        "a carried name without a value",
        "What a `scan` carries from step to step has a value before the first step, which also fixes its shape.",
        _net("scan x_t in x along 1 carry h { h = tanh(x_t + h) }\n  return h", _SEQUENCE),
        _net(
            "h = zeros([B, 8])\n  scan x_t in x along 1 carry h { h = tanh(x_t + h) }\n  return h", _SEQUENCE
        ),
    ),
    Explanation(
        "E0115",
        "a state that is read after its update",
        "In a body a state has the value from before. After an `update` it would not be clear which one is meant, "
        "and frameworks differ. Give the new value a name and use that.",
        _net("state m: float[8] ~ zeros()\n  if training { update m = 0.9 * m }\n  return x - m"),
        _net("state m: float[8] ~ zeros()\n  y = x - m\n  if training { update m = 0.9 * m }\n  return y"),
    ),
    Explanation(
        "E0116",
        "a function without a body",
        "Only the standard library declares primitives. Your functions are made of those.",
        "fn twice(x: float[*S]) -> float[*S]\n" + _net("return twice(x)"),
        "fn twice(x: float[*S]) -> float[*S] { return 2.0 * x }\n" + _net("return twice(x)"),
    ),
    Explanation(
        "E0117",
        "an import from outside the project",
        "A file reads files beside it, in folders below, and beside its own folder, links followed. So a model from "
        "elsewhere cannot make the compiler read other files.",
        "from ......secrets import key\n" + _DENSE,
        _IMPORTED,
    ),
    Explanation(
        "E0118",
        "a name of a loop or scan that is over",
        "The variable of a `for` exists in the loop; what a `scan` assigns exists in the step, unless it is carried or "
        "emitted.",
        _net(
            "h = zeros([B, 8])\n  scan x_t in x along 1 carry h {\n    y = h + x_t\n    h = y\n  }\n  return y",
            _SEQUENCE,
        ),
        _net(
            "h = zeros([B, 8])\n  scan x_t in x along 1 carry h {\n    h = h + x_t\n    emit y = h\n  }\n  return y",
            _SEQUENCE,
        ),
    ),
    Explanation(
        "E0119",
        "a name that is emitted twice",
        "`emit` collects one value for each step of a `scan` under a name. Two values need two names.",
        _net(
            "h = zeros([B, 8])\n  scan x_t in x along 1 carry h {\n    h = h + x_t\n    emit y = h\n    emit y = x_t\n"
            "  }\n  return y",
            _SEQUENCE,
        ),
        _net(
            "h = zeros([B, 8])\n  scan x_t in x along 1 carry h {\n    h = h + x_t\n    emit y = h\n    emit z = x_t\n"
            "  }\n  return y + z",
            _SEQUENCE,
        ),
    ),
)

_CALLS = (
    Explanation(
        "E0210",
        "an argument that does not exist",
        "The function or block has no parameter of this name.",
        _net("return x -> fc: Linear(8, use_bais=false)"),
        _net("return x -> fc: Linear(8, use_bias=false)"),
    ),
    Explanation(
        "E0211",
        "wrong arguments",
        "The call has more arguments than there are parameters, or of another form.",
        _net("return relu(x, x)"),
        _net("return relu(x)"),
    ),
    Explanation(
        "E0212",
        "an argument that is given twice",
        "By position and by name, or twice by name.",
        _net("return x -> fc: Linear(8, out=8)"),
        _net("return x -> fc: Linear(out=8)"),
    ),
    Explanation(
        "E0213",
        "an argument that is missing",
        "Parameters without a default must be given.",
        _net("return x -> conv: Conv2d(8)", _IMAGE),
        _net("return x -> conv: Conv2d(8, 3)", _IMAGE),
    ),
    Explanation(
        "E0214",
        "a body that returns nothing",
        "Every way through a body ends in a `return`.",
        _net("y = relu(x)"),
        _net("y = relu(x)\n  return y"),
    ),
    Explanation(
        "E0215",
        "another number of values",
        "A body returns as many tensors as its signature declares, and unpacking names each value once.",
        _net("return x, x", result="float[B, 8]"),
        _net("return x, x", result="(float[B, 8], float[B, 8])"),
    ),
    Explanation(
        "E0216",
        "a `return` where nothing can be returned",
        "A `scan` has no result of its own, and the members of a net with methods have none either.",
        _net("h = zeros([B, 8])\n  scan x_t in x along 1 carry h { return h }\n  return h", _SEQUENCE),
        _net("h = zeros([B, 8])\n  scan x_t in x along 1 carry h { h = h + x_t }\n  return h", _SEQUENCE),
    ),
    Explanation(
        "E0217",
        "an `emit` outside a scan",
        "`emit` collects a value for each step of a `scan`.",
        _net("emit y = x\n  return x"),
        _net("y = x\n  return y"),
    ),
    Explanation(
        "E0220",
        "something else where a tensor is needed",
        "Tensors are inputs, parameters, and what functions and applied layers return. Numbers count as scalars.",
        _net('return x * "2"'),
        _net("return x * 2.0"),
    ),
    Explanation(
        "E0221",
        "something that cannot be looped over",
        "`for` runs while compiling, over lists. To walk over an axis of a tensor, use `scan`.",
        _net("for i in 3 { x = relu(x) }\n  return x"),
        _net("for _ in range(3) { x = relu(x) }\n  return x"),
    ),
    Explanation(
        "E0222",
        "a tensor where the compiler needs a value",
        "Tensors are known when the model runs; `if`, `for`, shapes and the parameters of blocks are decided before. "
        "Choose between elements with `where(condition, a, b)`.",
        _net("if mean(x) > 0.0 { x = relu(x) }\n  return x"),
        _net("return where(mean(x) > 0.0, relu(x), x)"),
    ),
    Explanation(
        "E0223",
        "arithmetic that has no result",
        "Numbers, texts, lists and truth values known while compiling follow the rules of Python, and nothing is "
        "converted silently. Division by zero and results that are not finite are errors.",
        _net('return x -> fc: Linear("8" + 8)'),
        _net("return x -> fc: Linear(8 + 8)"),
    ),
    Explanation(
        "E0224",
        "a decision that depends on a size of the input",
        "The size is a variable: it has another value in each call, so the compiler cannot decide. `require` settles "
        "such a condition for all calls; or give the size a number.",
        _net("return if B > 4 then x else 2.0 * x"),
        _net("require B > 4\n  return if B > 4 then x else 2.0 * x"),
    ),
    Explanation(
        "E0225",
        "a part that does not exist",
        "A dot selects a result by name, a parameter or method of a layer, or a preset of a net. The parameters of a "
        "layer are known once it is applied: their sizes depend on its input.",
        _net("r = x -> rnn: LSTM(8)\n  return r.hidden", _SEQUENCE),
        _net("r = x -> rnn: LSTM(8)\n  return r.h", _SEQUENCE),
    ),
    Explanation(
        "E0226",
        "a block that is not built",
        "A block is built, then applied: `LayerNorm()` is a layer, `LayerNorm` is the recipe for one.",
        _net("return x -> LayerNorm"),
        _net("return x -> LayerNorm()"),
    ),
    Explanation(
        "E0227",
        "a layer that is not applied",
        "A layer is not a tensor. Apply it: `fc(x)`, or `x -> fc`.",
        _net("fc = Linear(8)\n  return x + fc"),
        _net("fc = Linear(8)\n  return x + fc(x)"),
    ),
    Explanation(
        "E0228",
        "something that cannot be called",
        "Functions, blocks, layers and methods can be called.",
        _net("y = relu(x)\n  return y(x)"),
        _net("y = relu(x)\n  return y * x"),
    ),
    Explanation(
        "E0229",
        "a label on something without weights",
        "A label in a pipe is the name of a layer in the file of weights. Functions have no weights.",
        _net("return x -> act: relu"),
        _net("return x -> relu"),
    ),
    Explanation(
        "E0230",
        "an argument of the wrong kind",
        "The parameter is declared with another type.",
        _net('return x -> fc: Linear("eight")'),
        _net("return x -> fc: Linear(8)"),
    ),
    Explanation(
        "E0231",
        "something else where a distribution is needed",
        "`param`, `state`, `sample` and `init` draw from a distribution: `normal(0.0, 0.02)`, `zeros()`, "
        "`fan_in_uniform()`. Its arguments are numbers.",
        _net("param w: float[8] ~ 0.5\n  return x * w"),
        _net("param w: float[8] ~ constant(0.5)\n  return x * w"),
    ),
    Explanation(
        "E0232",
        "a list of tensors for a function",
        "Only the primitives `concat`, `stack` and `einsum` take lists of tensors.",
        "fn join(xs: list[float[...]]) -> float[...] { return concat(xs, axis=1) }\n"
        + _net("return join([x, x])"),
        _net("return concat([x, x], axis=1)"),
    ),
    Explanation(
        "E0233",
        "a method in a body with inputs",
        "A net either has inputs and a body, or members and methods. A function inside the first kind belongs out "
        "into the file.",
        _net("fn twice(y: float[*S]) -> float[*S] { return 2.0 * y }\n  return twice(x)"),
        "fn twice(y: float[*S]) -> float[*S] { return 2.0 * y }\n" + _net("return twice(x)"),
    ),
    Explanation(
        "E0234",
        "a net without a method",
        "A net without inputs has methods; the main one is `fn forward(...)`.",
        "net A() {\n  fc = Linear(8)\n}\n",
        "net A() {\n  fc = Linear(8)\n  fn forward(x: float[B, 8]) -> float[B, 8] { return fc(x) }\n}\n",
    ),
    Explanation(
        "E0235",
        "a block argument with an open block parameter",
        "A block that is passed as an argument has no block parameter left to fill in. Otherwise it could be passed "
        "to itself, and checking might not end.",
        "block Wrap(Inner: block)(x: float[B, D]) -> float[B, D] { return x -> inner: Inner() }\n"
        + _net("return x -> one: Wrap(Wrap)"),
        "block Wrap(Inner: block)(x: float[B, D]) -> float[B, D] { return x -> inner: Inner() }\n"
        "block Normed = Wrap(LayerNorm)\n" + _net("return x -> one: Wrap(Normed)"),
    ),
    Explanation(
        "E0236",
        "something else where a block is needed",
        "`block Name = ...` gives a name to a block with parameters filled in, and `expect` asks about nets.",
        "block Act = relu\n" + _DENSE,
        "block Norm = GroupNorm(4)\n" + _DENSE,
    ),
)

_SHAPES = (
    Explanation(
        "E0301",
        "sizes that differ",
        "Two sizes must be equal for the operation to have a meaning, and they are not, or not for every input. With "
        "size variables the message shows an example, and where a divisibility rule would help it is proposed.",
        _net("return x -> max_pool2d(2) -> upsample2d(2)", _IMAGE, "float[N, 3, H, W]"),
        _net(
            "require H % 2 == 0 and W % 2 == 0\n  return x -> max_pool2d(2) -> upsample2d(2)",
            _IMAGE,
            "float[N, 3, H, W]",
        ),
    ),
    Explanation(
        "E0302",
        "another number of axes",
        "The tensor has more or fewer axes than the operation or the signature says.",
        _net("return x -> conv: Conv2d(8, 3)"),
        _net("return x -> conv: Conv2d(8, 3)", _IMAGE),
    ),
    Explanation(
        "E0303",
        "a tensor of another type",
        "int, float and bool tensors are not converted silently. Convert with `cast(x, float)`.",
        _net("return x -> embed: Embedding(100, 8)"),
        _net("return cast(x, int) -> embed: Embedding(100, 8)"),
    ),
    Explanation(
        "E0304",
        "a parameter whose size is not known",
        "Parameters exist before the model sees an input, so their sizes are numbers. A typical case is a flattened "
        "image of variable size: pool it to a fixed size first.",
        _net("return x -> flatten -> fc: Linear(10)", _IMAGE),
        _net("return x -> global_avg_pool -> fc: Linear(10)", _IMAGE),
    ),
    Explanation(
        "E0305",
        "an axis or position that does not exist",
        "Axes and positions count from 0, or from the end with -1. Slices may not be empty.",
        _net("return softmax(x, axis=2)"),
        _net("return softmax(x, axis=1)"),
    ),
    Explanation(
        "E0306",
        "a size that is no size",
        "A size is an integer from 1 on.",
        _net("return x -> conv: Conv2d(8, 7)", "x: float[N, 3, 4, 4]"),
        _net("return x -> conv: Conv2d(8, 3)", "x: float[N, 3, 4, 4]"),
    ),
    Explanation(
        "E0307",
        "types that cannot be combined",
        "Arithmetic takes tensors of one type, and logic takes bool. Numbers in the text adapt to the tensor, except a "
        "fraction to integers.",
        _net("return x + (x > 0.0)"),
        _net("return x + cast(x > 0.0, float)"),
    ),
    Explanation(
        "E0308",
        "a pattern that does not fit",
        "The patterns of `rearrange`, `repeat` and `einsum` name every axis of the tensors, in order.",
        _net('return rearrange(x, "b t d -> b (t d)")'),
        _net('return rearrange(x, "b (t d) -> b t d", d=2)'),
    ),
    Explanation(
        "E0309",
        "an accidental outer product",
        "Shapes are aligned from the right, and an axis of size 1 is repeated. Here the same size variable would "
        "land on two different axes: [B, 1] - [B] would be [B, B], a frequent mistake in losses.",
        _net("return (x -> fc: Linear(1)) - y", "x: float[B, 8], y: float[B]"),
        _net("return (x -> fc: Linear(1)) - y", "x: float[B, 8], y: float[B, 1]"),
    ),
    Explanation(
        "E0310",
        "a requirement that does not hold",
        "A `require` of the block is false for these parameters and sizes; its text says what is needed.",
        "from std.attention import MultiHeadAttention\n"
        + _net("return x -> attn: MultiHeadAttention(3)", _SEQUENCE),
        "from std.attention import MultiHeadAttention\n"
        + _net("return x -> attn: MultiHeadAttention(4)", _SEQUENCE),
    ),
    Explanation(
        "E0311",
        "nothing to join",
        "`concat` and `stack` need one tensor at least.",
        _net("return concat([], axis=0)"),
        _net("return concat([x], axis=0)"),
    ),
)

_REST = (
    Explanation(
        "E0401",
        "a training statement in a net",
        "`minimize` and `metric` belong to the `step` of a `train` section. A net computes; it does not train itself.",
        _net("minimize mean(x)\n  return x"),
        _net("return x"),
    ),
    Explanation(
        "E0402",
        "an update outside training",
        "States change while the model trains, never while it predicts.",
        _net("state m: float[8] ~ zeros()\n  update m = 0.9 * m\n  return x"),
        _net("state m: float[8] ~ zeros()\n  if training { update m = 0.9 * m }\n  return x"),
    ),
    Explanation(
        "E0501",
        "an expectation that does not hold",
        "`expect` compares what is written with what the compiler finds, such as a published parameter count.",
        _DENSE + "expect param_count(A()) == 64\n",
        _DENSE + "expect param_count(A()) == 72\n",
    ),
    Explanation(
        "E0502",
        "an expectation that is no comparison",
        "`expect` takes a comparison of numbers or shapes: `param_count(Net())`, `shape(Net(), x=[2, 8])`.",
        _DENSE + "expect 3\n",
        _DENSE + "expect shape(A(), x=[2, 8]) == [2, 8]\n",
    ),
    Explanation(
        "E0601",
        "a pattern that matches nothing",
        "A pattern over parameters selects one at least. `*` stands for one part of a path, `**` for any number of "
        "parts, `{a,b}` for either.",
        _net('y = x -> body: Linear(8)\n  init { "bodyy.weight" = zeros() }\n  return y'),
        _net('y = x -> body: Linear(8)\n  init { "body.weight" = zeros() }\n  return y'),
    ),
    Explanation(
        "E0603",
        "a preset that names no net",
        "A preset is written `preset Model.large { dim = 1024 }`.",
        _DENSE + "preset A { width = 8 }\n",
        _net("return x -> fc: Linear(width)", params="width: int = 8") + "preset A.wide { width = 64 }\n",
    ),
    Explanation(
        "E0604",
        "something else than settings in a preset",
        "A preset holds values of parameters, `name = value`.",
        _net("return x -> fc: Linear(width)", params="width: int = 8") + 'preset A.wide { "width" = 64 }\n',
        _net("return x -> fc: Linear(width)", params="width: int = 8") + "preset A.wide { width = 64 }\n",
    ),
    Explanation(
        "E0606",
        "an unknown section",
        "The sections of a file are `preset`, `train`, `parity`, `distribute`, `quantize` and `load`.",
        _DENSE + "prity { seeds = [0] }\n",
        _DENSE + "parity { seeds = [0] }\n",
    ),
)

_LOADED = 'load A from "other" { "dense.{p}" = "%s.{p}" }\n'

_LINTS = (
    Explanation(
        "W001",
        "a layer without a label, whose weights are kept by name",
        "A layer without a label is called after its class, with a number if there are several. In a network that is "
        "loaded or trained its weights are found by this name, and one more layer in front of it would shift it. "
        "`dlc check --fix` writes the present name as a label, so that nothing changes now or later.",
        _net("return x -> Linear(8)") + _LOADED % "linear",
        _net("return x -> linear: Linear(8)") + _LOADED % "linear",
    ),
    Explanation(
        "W002",
        "a name that is never used",
        "Nothing depends on this variable, loop variable, constant, weight, parameter, input or import: either it is "
        "superfluous, or another name was meant somewhere. Names that start with `_` are not reported, nor parameters "
        "of a block or function that is handed on as a value, nor what a file declares, as another one may import it.",
        _net("y = relu(x)\n  return x -> fc: Linear(8)"),
        _net("y = relu(x)\n  return y -> fc: Linear(8)"),
    ),
    Explanation(
        "W004",
        "a declaration that hides one of the standard library",
        "The file may use the name for something else, but everyone who reads it knows it from the library, and the "
        "library itself goes on with its own.",
        "fn gelu(x: float[*S]) -> float[*S] { return x * sigmoid(1.702 * x) }\n" + _net("return gelu(x)"),
        "fn quick_gelu(x: float[*S]) -> float[*S] { return x * sigmoid(1.702 * x) }\n"
        + _net("return quick_gelu(x)"),
    ),
    Explanation(
        "W005",
        "two sizes that are not known to be equal",
        "Equations between sizes are proved for all values, or refuted with numbers. Rarely, for long quotients of "
        "sums of products, neither is found in reasonable time. The program is then accepted, and if the sizes ever "
        "differ, only the framework will notice.",
        _net(
            "a = ones([(H * W + T * B) // 64])\n  b = ones([-((-H * W - T * B + 63) // 64)])\n"
            "  return x * mean(a * b)",
            "x: float[B, H, W, T]",
        ),
        _net(
            "n = (H * W + T * B) // 64\n  a = ones([n])\n  b = ones([n])\n  return x * mean(a * b)",
            "x: float[B, H, W, T]",
        ),
    ),
    Explanation(
        "W006",
        "a network that ends with dropout",
        "Dropout keeps a layer from relying on single values. After the last layer there is none: a share of the "
        "results is set to 0 in training, and the loss compares zeros with the truth.",
        _net("return x -> fc: Linear(8) -> dropout(0.1)"),
        _net("return x -> dropout(0.1) -> fc: Linear(8)"),
    ),
    Explanation(
        "W007",
        "a tolerance that is looser than the dtype needs",
        "`dlc parity` always compares float64 to 1e-10, and float32 to a multiple of the noise that rounding must "
        "cause. A tolerance in the file only adds to this, so that one that is looser checks nothing.",
        _DENSE + "parity { check forward { f64 = tol(rtol=1e-6) } }\n",
        _DENSE + "parity { check forward { f64 = tol(rtol=1e-12) } }\n",
    ),
)

EXPLANATIONS: dict[str, Explanation] = {
    explanation.code: explanation for explanation in (*_NAMES, *_CALLS, *_SHAPES, *_REST, *_LINTS)
}
"""Every code that reading, elaborating and checking a file can give, besides those of the grammar."""
