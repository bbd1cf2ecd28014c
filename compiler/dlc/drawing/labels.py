"""What boxes are called, and what kind of step they are.

In: nodes and definitions of the IR. Out: short texts such as `3×3, 64, /2`, and a `Kind` (a colour).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from dlc import ir
from dlc.drawing.omissions import is_plain
from dlc.text import print_expression, print_value

CORE = "std/core.dl"

Kind: TypeAlias = Literal[
    "convolution",
    "linear",
    "norm",
    "attention",
    "embedding",
    "recurrent",
    "activation",
    "pooling",
    "shape",
    "sample",
    "loss",
    "block",
    "frame",
    "join",
    "value",
    "other",
]

_KINDS: dict[Kind, str] = {
    "convolution": "Conv1d Conv2d ConvTranspose2d conv1d conv2d conv2d_same conv2d_transpose",
    "linear": "Linear matmul einsum",
    "norm": """BatchNorm1d BatchNorm2d LayerNorm RMSNorm GroupNorm InstanceNorm2d local_response_norm
        l2_normalize""",
    "attention": "MultiHeadAttention attention",
    "embedding": "Embedding sinusoid rope alibi take one_hot gather gather_rows",
    "recurrent": "SimpleRNN LSTM GRU",
    "activation": """relu relu6 leaky_relu elu selu celu silu swish gelu hard_sigmoid hard_swish hard_tanh
        mish softsign log_sigmoid sigmoid tanh softplus glu softmax log_softmax masked_softmax PReLU exp log
        sqrt square power abs negative""",
    "pooling": """max_pool1d max_pool2d avg_pool1d avg_pool2d global_avg_pool global_max_pool upsample2d mean
        max min variance log_sum_exp""",
    "shape": """reshape rearrange transpose flatten index split pad flip pixel_shuffle channel_shuffle
        split_heads merge_heads expand_to shift_right sum cumsum repeat""",
    "loss": "cross_entropy nll bce_with_logits mse l1 huber smooth_l1 kl_div hinge",
}
KINDS: dict[str, Kind] = {name: kind for kind, names in _KINDS.items() for name in names.split()}

SYMBOLS = {"add": "+", "subtract": "−", "multiply": "×", "divide": "÷"}
JOINS = frozenset({"concat", "stack"})
LONGEST = 16


def kind_of(name: str) -> Kind:
    if name in KINDS:
        return KINDS[name]
    return "block" if name[:1].isupper() else "other"


def expression(expr: ir.Expr) -> str:
    """A compile-time number, as it stands in the program if that is short."""
    text = print_expression(expr)
    if len(text) <= LONGEST:
        return text
    value = expr.value
    return f"{value:.4g}" if isinstance(value, float) else print_value(value)


def compact(expr: ir.Expr) -> str:
    """The same in few letters: `4·width`."""
    return expression(expr).replace(" * ", "·").replace(" // ", "/")


def constant(node: ir.Apply, operands: Sequence[str]) -> str:
    """The name of a value that only depends on weights and constants."""
    if node.op == "transpose" and len(operands) == 1 and len(operands[0]) <= 2 * LONGEST:
        return f"{operands[0]}ᵀ"
    if is_plain(node) and operands:
        return operands[0]
    if node.op in SYMBOLS and len(operands) == 2 and sum(map(len, operands)) < LONGEST:
        return f"{operands[0]} {SYMBOLS[node.op]} {operands[1]}"
    inside = ", ".join(operands) or ", ".join(
        expression(e) for name, e in node.attrs.items() if name == "stop" and e.value is not None
    )
    if node.op == "full":
        return operands[-1] if operands else expression(node.attrs["value"])
    if node.op in ("zeros_like", "ones_like"):
        return "0.0" if node.op == "zeros_like" else "1.0"
    return f"{node.op}({inside if len(inside) <= LONGEST else '…'})"


def function_title(node: ir.Apply, texts: Sequence[str | None]) -> str:
    """`relu`, `× 0.5`, `1.0 −`, `matmul weightᵀ`: an operator with the operand that is no tensor."""
    symbol = SYMBOLS.get(node.op)
    given = [text for text in texts if text]
    if symbol and len(texts) == 2 and len(given) == 1:
        return f"{symbol} {given[0]}" if texts[1] else f"{given[0]} {symbol}"
    if symbol and not given:
        return {"multiply": "square", "add": "double"}.get(node.op, node.op)
    if node.op == "matmul" and given:
        return f"× {given[0]}"
    if node.op == "power" and given:
        return f"^ {given[0]}"
    if node.op == "index":
        return subscripts(node.attrs["subscripts"].value)
    if node.op in ("take", *JOINS) and given:
        return f"{node.op} {', '.join(given)}"
    return node.op


def subscripts(values: Sequence[object]) -> str:
    """`[:, 0]`."""
    texts = []
    for value in values:
        if isinstance(value, tuple) and value[0] == "slice":
            start, stop, step = ("" if part is None else str(part) for part in value[1:])
            texts.append(f"{start}:{stop}" + (f":{step}" if step else ""))
        else:
            texts.append(str(value))
    return f"[{', '.join(texts)}]"


def primitive_detail(node: ir.Apply) -> str:
    match node.op:
        case "rearrange":
            text = str(node.attrs["pattern"].value)
        case "einsum":
            text = str(node.attrs["equation"].value)
        case "sum" | "mean" | "max" | "min" | "prod" | "variance" if node.attrs["axis"].value is not None:
            text = f"axis {expression(node.attrs['axis'])}"
        case op:
            return pool_detail(op, {name: print_value(e.value) for name, e in node.attrs.items()})
    return text.replace(" -> ", " → ")


def layer_detail(definition: ir.Definition, given: Mapping[str, ir.Expr] | None = None) -> str:
    """What a reader wants to know of a layer: `3×3, 64, /2`; with `given`, as the text around it says."""
    values = {name: expr.value for name, expr in definition.statics.items()}
    texts = {name: print_value(value) for name, value in values.items()}
    open_ = {name for name, expr in (given or {}).items() if not isinstance(expr, ir.Const)}
    texts |= {name: compact(expr) for name, expr in (given or {}).items()}

    def unless(name: str, usual: object, text: str) -> list[str]:
        known = name in values and (values[name] != usual or name in open_)
        return [text.format(texts[name])] if known else []

    def some(name: str) -> str:
        """`8 heads`, or `heads` where that is all that is known."""
        return name if texts[name] == name else f"{texts[name]} {name}"

    core = definition.module == CORE
    match definition.name:
        case "Conv1d" | "Conv2d" | "ConvTranspose2d" if core:
            kernel = texts["kernel"]
            parts = [kernel if definition.name == "Conv1d" else f"{kernel}×{kernel}", texts["out"]]
            parts += unless("stride", 1, "×{}" if "Transpose" in definition.name else "/{}")
            channels = definition.sizes.get("C")
            if channels is not None and values.get("groups", 1) == channels.value != 1:
                parts.append("depthwise")
            else:
                parts += [some("groups")] if unless("groups", 1, "{}") else []
            return ", ".join(parts + unless("dilation", 1, "dilation {}"))
        case "Linear" if core:
            return texts["out"]
        case "Embedding" if core:
            return f"{texts['vocab']} × {texts['dim']}"
        case "GroupNorm" if core:
            return some("groups")
        case "SimpleRNN" | "LSTM" | "GRU" if core:
            return f"{texts['hidden']}{', reversed' if values.get('reverse') else ''}"
        case "MultiHeadAttention":
            return ", ".join([some("heads")] + (["causal"] if values.get("causal") else []))
        case "attention" | "split_heads":
            return "causal" if values.get("causal") else ""
        case name if definition.kind == "fn":
            return pool_detail(name, texts)
    # of a user's block the numbers that people give in figures
    first = next((item.tensor for item in definition.inputs if item.tensor), None)
    square = first is not None and first.type.rank == 4
    parts = []
    if "kernel" in values:
        parts.append(f"{texts['kernel']}×{texts['kernel']}" if square else texts["kernel"])
    parts += [texts[name] for name in ("out", "width") if isinstance(values.get(name), int)][:1]
    parts += [some("heads")] if "heads" in values else []
    return ", ".join(parts + unless("stride", 1, "/{}"))


def pool_detail(name: str, texts: Mapping[str, str]) -> str:
    if "pool" in name and "size" in texts:
        size, stride = texts["size"], texts["stride"]
        first = size if name.endswith("1d") else f"{size}×{size}"
        return first if stride == "1" else f"{first}, /{stride}"
    if name.startswith("upsample"):
        return f"×{texts['scale']}"
    return ""


def name_range(first: str, last: str) -> str:
    """`h.0` and `h.11` are `h.0-11`."""
    start, end = first.split("."), last.split(".")
    for number, (a, b) in enumerate(zip(start, end, strict=False)):
        if a != b:
            parts = [*start]
            parts[number] = f"{a.partition('-')[0]}-{b.rpartition('-')[2]}"
            return ".".join(parts)
    return first
