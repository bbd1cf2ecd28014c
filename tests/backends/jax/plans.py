"""Plans written by hand: a convolutional net, a loop with dropout, running statistics, a scan."""

from __future__ import annotations

from typing import Any

from dlc.emit import plan as p
from dlc.ir import Const, Distribution, Expr, Location, Operation, Ref, TensorType

AT = Location(file="test.dl", line=1, column=1, start=0, stop=0)
WHERE: dict[str, Any] = {"origin": 0, "at": AT}


def const(value: Any) -> Const:
    return Const(value=value)


def own(name: str, value: Any = None) -> Ref:
    return Ref(name=name, value=value, scope="self")


def config(name: str, value: Any) -> Ref:
    return Ref(name=name, value=value, scope="config")


def tensor(*shape: Any, dtype: Any = "float") -> TensorType:
    sizes = [size if isinstance(size, (Const, Ref, Operation)) else const(size) for size in shape]
    return TensorType(dtype=dtype, shape=tuple(sizes))


def variable(name: str, *shape: Any, dtype: Any = "float") -> p.Variable:
    return p.Variable(name=name, type=tensor(*shape, dtype=dtype))


def primitive(op: str, *args: p.Code, type: TensorType | None = None, **attrs: Any) -> p.Primitive:
    given = {
        key: value if isinstance(value, (Const, Ref, Operation)) else const(value)
        for key, value in attrs.items()
    }
    return p.Primitive(op=op, args=args, attrs=given, type=type or tensor())


def native(name: str, x: p.Code, random: bool = False, **statics: Expr) -> p.FunctionCall:
    return p.FunctionCall(
        name=name,
        native=True,
        args={"x": x},
        statics=statics,
        type=x.type,
        random=random,
        training=random,
    )


def weight(name: str, *shape: Any, init: str = "fan_in_uniform", state: bool = False) -> p.MakeWeight:
    sizes = tuple(size if isinstance(size, (Const, Ref, Operation)) else const(size) for size in shape)
    return p.MakeWeight(name=name, state=state, shape=sizes, init=Distribution(name=init), at=AT)


def read(name: str, *shape: Any, state: bool = False) -> p.WeightRead:
    return p.WeightRead(layer=(), name=name, state=state, type=tensor(*shape))


def assign(target: str, value: p.Code, comment: str = "") -> p.Assign:
    return p.Assign(targets=(target,), value=value, comment=comment, **WHERE)


def returned(*values: p.Code, names: tuple[str | None, ...] | None = None) -> p.Return:
    return p.Return(values=values, names=names or (None,) * len(values), **WHERE)


def method(*body: p.Statement, inputs: Any = (), **options: Any) -> p.MethodPlan:
    given = {
        "outputs": ((None, tensor("batch"), ("batch",)),),
        "statics": (),
        "training": False,
        "random": False,
        "stateful": False,
        "name": "forward",
        **options,
    }
    arguments = tuple(
        p.TensorArgument(name=name, type=type_, optional=False, shape=("batch", "dim"))
        for name, type_ in inputs
    )
    return p.MethodPlan(inputs=arguments, body=body, **given)


def unit(name: str, *construction: p.Construction, methods: Any, **options: Any) -> p.Unit:
    given = {"kind": "block", "doc": "", "arguments": (), "stateful": False, **options}
    return p.Unit(name=name, construction=construction, methods=methods, at=AT, **given)


def layer_call(layer: str, unit_name: str, x: p.Code, **options: Any) -> p.LayerCall:
    given: dict[str, Any] = {
        "local": False,
        "native": False,
        "method": "forward",
        "statics": {},
        **options,
    }
    return p.LayerCall(layer=layer, unit=unit_name, args={"x": x}, type=x.type, **given)


def make(name: str, unit_name: str, **arguments: Expr) -> p.MakeLayer:
    return p.MakeLayer(name=name, unit=unit_name, native=False, arguments=arguments, at=AT)


def file(*units: p.Unit, fields: Any = ()) -> p.FilePlan:
    return p.FilePlan(
        network=units[-1].name, preset=None, source="test.dl", doc="", units=units,
        parameter_count=0,
        config=tuple(p.ConfigField(name=n, annotation=a, value=v) for n, a, v in fields),
    )  # fmt: skip


X = variable("x", "batch", 4)

LINEAR = unit(
    "Linear",
    weight("weight", own("out"), own("dim")),
    weight("bias", own("out"), init="zeros"),
    arguments=(
        p.Argument(name="dim", annotation="int", source="D", size=True),
        p.Argument(name="out", annotation="int", source="out"),
    ),
    methods=(
        method(
            returned(
                primitive(
                    "add",
                    primitive("matmul", X, primitive("transpose", read("weight", 4, 4))),
                    read("bias", 4),
                )
            ),
            inputs=(("x", tensor("batch", 4)),),
        ),
    ),
)

BATCH_NORM = unit(
    "BatchNorm",
    weight("weight", own("dim"), init="ones"),
    weight("running_mean", own("dim"), init="zeros", state=True),
    weight("running_var", own("dim"), init="ones", state=True),
    arguments=(p.Argument(name="dim", annotation="int", source="D", size=True),),
    stateful=True,
    methods=(
        method(
            assign("mu", read("running_mean", 4, state=True)),
            assign("var", read("running_var", 4, state=True)),
            p.Conditional(
                condition=Ref(name="training", value=True, scope="training"),
                body=(
                    assign("mu", primitive("mean", X, axis=0)),
                    assign("var", primitive("variance", X, axis=0)),
                    *(
                        p.UpdateState(
                            name=name,
                            value=primitive(
                                "add",
                                primitive("multiply", p.Number(expr=const(0.9)), read(name, 4, state=True)),
                                primitive("multiply", p.Number(expr=const(0.1)), variable(new, 4)),
                            ),
                            **WHERE,
                        )
                        for name, new in (("running_mean", "mu"), ("running_var", "var"))
                    ),
                ),
                **WHERE,
            ),
            returned(
                primitive(
                    "multiply",
                    primitive("multiply", primitive("subtract", X, variable("mu", 4)), read("weight", 4)),
                    primitive("rsqrt", primitive("add", variable("var", 4), p.Number(expr=const(1e-5)))),
                )
            ),
            inputs=(("x", tensor("batch", 4)),),
            training=True,
            stateful=True,
        ),
    ),
)


def lenet() -> p.FilePlan:
    image = variable("x", "batch", 3, 8, 8)
    conv = primitive(
        "conv2d", image, read("kernel", 5, 3, 3, 3), type=tensor("batch", 5, 8, 8),
        stride=1, padding=1, dilation=1, groups=1,
    )  # fmt: skip
    pooled = primitive("max_pool2d", native("relu", conv), type=tensor("batch", 5, 4, 4), size=2, stride=2)
    flat = native("flatten", pooled)
    net = unit(
        "LeNet",
        weight("kernel", 5, 3, 3, 3),
        make("fc", "Linear", dim=const(80), out=config("classes", 10)),
        kind="net",
        methods=(
            method(
                assign("x", flat, "[batch, 80]"),
                returned(layer_call("fc", "Linear", variable("x", "batch", 80))),
                inputs=(("x", tensor("batch", 3, 8, 8)),),
            ),
        ),
    )
    return file(LINEAR, net, fields=(("classes", "int", 10),))


def mlp() -> p.FilePlan:
    """A loop over layers with dropout; running statistics in the loop and behind it."""
    layers = config("layers", 3)
    rounds = Operation(op="range", args=(layers,), value=(0, 1, 2))
    body = (
        assign("x", layer_call("layer", "Linear", X, local=True)),
        assign("x", layer_call("norm", "BatchNorm", X, local=True, training=True, stateful=True)),
        assign("x", native("dropout", native("relu", X), random=True, p=config("drop", 0.5))),
    )
    net = unit(
        "MLP",
        p.MakeLoop(
            targets=("_",),
            unused=frozenset("_"),
            iterable=rounds,
            columns=(),
            lists=("fc", "norms"),
            body=(
                make("fc", "Linear", dim=const(4), out=const(4)),
                make("norms", "BatchNorm", dim=const(4)),
            ),
            rounds=3,
        ),
        make("last", "BatchNorm", dim=const(4)),
        kind="net",
        stateful=True,
        methods=(
            method(
                p.Loop(
                    targets=("_",),
                    unused=frozenset("_"),
                    static_only=frozenset(),
                    iterable=rounds,
                    layers=(
                        p.LoopLayer(source="fc", local=False, element="layer", unit="Linear", native=False),
                        p.LoopLayer(
                            source="norms",
                            local=False,
                            element="norm",
                            unit="BatchNorm",
                            native=False,
                        ),
                    ),
                    columns=(),
                    body=body,
                    rounds=3,
                    **WHERE,
                ),
                returned(native("relu", layer_call("last", "BatchNorm", X, training=True, stateful=True))),
                inputs=(("x", tensor("batch", 4)),),
                training=True,
                random=True,
                stateful=True,
            ),
        ),
    )
    return file(LINEAR, BATCH_NORM, net, fields=(("layers", "int", 3), ("drop", "float", 0.5)))


def recurrent() -> p.FilePlan:
    """A scan over time with a noisy state."""
    batch = Ref(name="batch", value=2, scope="local")
    x_t, h = variable("x_t", "batch", 4), variable("h", "batch", 4)
    noise = p.Draw(
        name="noise",
        distribution=Distribution(name="normal", args={"mean": const(0.0), "std": const(0.1)}),
        type=tensor(batch, 4),
    )
    shape = Operation(op="tuple", args=(batch, const(4)), value=(2, 4))
    zeros = primitive("full", type=tensor(batch, 4), shape=shape, value=0.0)
    scan = p.ScanLoop(
        sources=(p.ScanSource(inside="x_t", value=variable("x", "batch", "time", 4)),),
        axis=1,
        length=Ref(name="time", value=3, scope="local"),
        carried=(("h", zeros),),
        body=(
            assign("h", native("silu", primitive("add", layer_call("cell", "Linear", h), x_t))),
            assign("h", primitive("add", h, noise)),
        ),
        emitted=(("out", h),),
        reads=("x",),
        random=True,
        **WHERE,
    )  # fmt: skip
    net = unit(
        "Recurrent",
        make("cell", "Linear", dim=const(4), out=const(4)),
        kind="net",
        methods=(
            method(
                p.ReadSizes(names=("batch", "time", None), tensor="x", **WHERE),
                scan,
                returned(variable("out", "batch", "time", 4), h),
                inputs=(("x", tensor("batch", "time", 4)),),
                outputs=(
                    ("out", tensor("batch", "time", 4), ("batch", "time", "dim")),
                    ("h", tensor("batch", 4), ("batch", "dim")),
                ),
                random=True,
            ),
        ),
    )
    return file(LINEAR, net)


PLANS = {"lenet": lenet, "mlp": mlp, "recurrent": recurrent}
