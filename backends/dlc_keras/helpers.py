"""Small functions that a generated file defines where it uses them: what Keras has no exact name for.

Each is the text of a function over `keras`, `np`, `ops` and `KerasTensor`. Images are channels last.
"""

from __future__ import annotations

from collections.abc import Mapping

from dlc_keras.distributions import SCALED

HELPERS: Mapping[str, str] = {
    **SCALED,
    "avg_pool": '''\
def avg_pool(x: KerasTensor, size: int, stride: int, padding: int) -> KerasTensor:
    """Return the mean of each window; padding does not count."""
    pads = [(0, 0), *[(padding, padding)] * (len(x.shape) - 2), (0, 0)]
    live = ops.pad(ops.ones_like(x[:1, ..., :1]), pads)
    total = ops.average_pool(ops.pad(x, pads), size, stride)
    return total / ops.average_pool(live, size, stride)
''',
    "conv_transpose": '''\
def conv_transpose(
    x: KerasTensor,
    weight: KerasTensor,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
) -> KerasTensor:
    """Apply the transpose of a convolution with weight [in, out, height, width]."""
    sizes = [
        (size - 1) * stride + kernel - padding + output_padding
        for size, kernel in zip(x.shape[1:3], weight.shape[2:])
    ]
    x = ops.conv_transpose(x, ops.transpose(weight, (2, 3, 1, 0)), stride)
    x = ops.pad(x, [(0, 0), (0, output_padding), (0, output_padding), (0, 0)])
    return x[:, padding : sizes[0], padding : sizes[1]]
''',
    "cumulative_product": '''\
def cumulative_product(x: KerasTensor, axis: int) -> KerasTensor:
    """Return running products, with the right gradient at zeros too."""
    x = ops.moveaxis(x, axis, -1)
    reached = np.tri(x.shape[-1], dtype=bool)
    x = ops.prod(ops.where(reached, x[..., None, :], 1.0), axis=-1)
    return ops.moveaxis(x, -1, axis)
''',
    "dropout": '''\
def dropout(
    x: KerasTensor, rate: float, seed: keras.random.SeedGenerator, training: bool
) -> KerasTensor:
    """Zero each element with probability `rate`, and divide the others by 1 - rate."""
    return keras.random.dropout(x, rate, seed=seed) if training else x
''',
    "expand_to": '''\
def expand_to(x: KerasTensor, like: KerasTensor) -> KerasTensor:
    """Add axes of size 1 behind, until `x` has as many as `like`."""
    ones = [1] * (len(like.shape) - len(x.shape))
    return ops.reshape(x, (*ops.shape(x), *ones))
''',
    "flatten": '''\
def flatten(x: KerasTensor) -> KerasTensor:
    """Join all axes but the first."""
    return ops.reshape(x, (ops.shape(x)[0], -1))
''',
    "local_response_norm": '''\
def local_response_norm(
    x: KerasTensor, size: int, alpha: float, beta: float, k: float
) -> KerasTensor:
    """Divide images by a power of the mean square over `size` neighbouring channels."""
    channels = x.shape[-1]
    squares = ops.pad(x * x, [(0, 0)] * 3 + [(size // 2, (size - 1) // 2)])
    total = sum(squares[..., i : i + channels] for i in range(size))
    return x * (k + alpha / size * total) ** -beta
''',
    "max_pool": '''\
def max_pool(x: KerasTensor, size: int, stride: int, padding: int) -> KerasTensor:
    """Return the maximum of each window; padding never wins."""
    pads = [(0, 0), *[(padding, padding)] * (len(x.shape) - 2), (0, 0)]
    return ops.max_pool(ops.pad(x, pads, constant_values=float("-inf")), size, stride)
''',
    "scan": '''\
def scan(
    step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, inputs: Any
) -> tuple[Any, Any]:
    """Run `carry, output = step(carry, input)` along the first axis, and stack outputs.

    The first step runs outside the loop, where layers can be built. TensorFlow has a
    loop of its own, for that of `ops.scan` has no gradient under XLA.
    """
    carry, output = step(carry, tree.map_structure(lambda x: x[0], inputs))
    outputs = tree.map_structure(lambda x: x[None], output)
    if tree.flatten(inputs)[0].shape[0] == 1:
        return carry, outputs
    if keras.backend.backend() == "tensorflow":
        return tensorflow_scan(step, carry, inputs, output)
    rest = tree.map_structure(lambda x: x[1:], inputs)
    carry, others = ops.scan(step, carry, rest)
    return carry, tree.map_structure(
        lambda a, b: ops.concatenate([a, b]), outputs, others
    )


def tensorflow_scan(
    step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, inputs: Any, output: Any
) -> tuple[Any, Any]:
    """Run the steps after the first in a loop that XLA can differentiate."""
    import tensorflow as tf

    length = ops.shape(tree.flatten(inputs)[0])[0]
    sources = [tf.TensorArray(x.dtype, length).unstack(x) for x in tree.flatten(inputs)]
    results = [
        tf.TensorArray(x.dtype, length, element_shape=x.shape).write(0, x)
        for x in tree.flatten(output)
    ]

    def body(i: Any, carry: Any, results: Any) -> tuple[Any, Any, Any]:
        slices = [source.read(i) for source in sources]
        carry, output = step(carry, tree.pack_sequence_as(inputs, slices))
        flat = zip(results, tree.flatten(output))
        return i + 1, carry, [result.write(i, x) for result, x in flat]

    _, carry, results = tf.while_loop(
        lambda i, *_: i < length,
        body,
        (1, carry, results),
        maximum_iterations=length,
    )
    return carry, tree.pack_sequence_as(output, [one.stack() for one in results])
''',
    "segment_max": '''\
def segment_max(x: KerasTensor, ids: KerasTensor, count: int) -> KerasTensor:
    """Return the largest element of each segment's rows, 0 where it has none."""
    rows = ops.segment_sum(ops.ones_like(ids), ids, count)
    rows = ops.reshape(rows, (-1, *[1] * (len(x.shape) - 1)))
    return ops.where(rows > 0, ops.segment_max(x, ids, count), 0.0)
''',
    "upsample_bilinear": '''\
def upsample_bilinear(x: KerasTensor, scale: int) -> KerasTensor:
    """Enlarge images; corners are not aligned."""
    for axis in (1, 2):
        size = x.shape[axis]
        source = np.maximum((np.arange(scale * size) + 0.5) / scale - 0.5, 0.0)
        low = source.astype("int32")
        high = np.minimum(low + 1, size - 1)
        share = (source - low).reshape((-1, 1, 1) if axis == 1 else (-1, 1))
        share = ops.convert_to_tensor(share, dtype=x.dtype)
        a, b = ops.take(x, low, axis=axis), ops.take(x, high, axis=axis)
        x = a + share * (b - a)
    return x
''',
}

PADDED_CONVOLUTION = '''\
class Padded{name}(layers.{name}):
    """A convolution with zeros on each side of its input: `padding` is how many."""

    def __init__(
        self, filters: int, kernel_size: int, *, padding: int, **options: Any
    ) -> None:
        super().__init__(filters, kernel_size, **options)
        self.zeros = padding

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, *sizes, channels = input_shape
        padded = [size and size + 2 * self.zeros for size in sizes]
        return super().compute_output_shape((batch, *padded, channels))

    def call(self, inputs: KerasTensor) -> KerasTensor:
        sides = [(self.zeros, self.zeros)] * self.rank
        return super().call(ops.pad(inputs, [(0, 0), *sides, (0, 0)]))
'''
"""Keras' own layer pads by modes only."""
