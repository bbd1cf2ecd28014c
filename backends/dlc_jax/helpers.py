"""Small functions that a generated file defines where it needs them: JAX has no name for these.

Each is the text of a function over `jax`, `jnp` and `Array`.
"""

from __future__ import annotations

from collections.abc import Mapping

HELPERS: Mapping[str, str] = {
    "absolute": '''\
def absolute(x: Array) -> Array:
    """Return |x|, with gradient 0 at 0 (where that of jnp.abs is 1)."""
    return x * jnp.sign(x)
''',
    "conv_transpose": '''\
def conv_transpose(
    x: Array, weight: Array, stride: int = 1, padding: int = 0, output_padding: int = 0
) -> Array:
    """Apply the transpose of a convolution with weight [in, out, height, width]."""
    edges = [size - 1 - padding for size in weight.shape[2:]]
    return jax.lax.conv_general_dilated(
        x,
        jnp.flip(weight, (2, 3)),
        window_strides=(1, 1),
        padding=[(edge, edge + output_padding) for edge in edges],
        lhs_dilation=(stride, stride),
        dimension_numbers=("NCHW", "IOHW", "NCHW"),
    )
''',
    "max_pool": '''\
def max_pool(x: Array, size: int, stride: int, padding: int = 0) -> Array:
    """Return the maximum of each window of images [batch, channels, ...]."""
    axes = x.ndim - 2
    return jax.lax.reduce_window(
        x,
        -jnp.inf,
        jax.lax.max,
        window_dimensions=(1, 1, *[size] * axes),
        window_strides=(1, 1, *[stride] * axes),
        padding=[(0, 0), (0, 0), *[(padding, padding)] * axes],
    )
''',
    "avg_pool": '''\
def avg_pool(x: Array, size: int, stride: int, padding: int = 0) -> Array:
    """Return the mean of each window of images [batch, channels, ...].

    Padding does not count.
    """
    axes = x.ndim - 2

    def total(x: Array) -> Array:
        return jax.lax.reduce_window(
            x,
            0.0,
            jax.lax.add,
            window_dimensions=(1, 1, *[size] * axes),
            window_strides=(1, 1, *[stride] * axes),
            padding=[(0, 0), (0, 0), *[(padding, padding)] * axes],
        )

    return total(x) / total(jnp.ones((1, 1, *x.shape[2:]), x.dtype))
''',
    "upsample_nearest": '''\
def upsample_nearest(x: Array, scale: int) -> Array:
    """Repeat each row and column of images [batch, channels, height, width]."""
    return x.repeat(scale, axis=2).repeat(scale, axis=3)
''',
    "upsample_bilinear": '''\
def upsample_bilinear(x: Array, scale: int) -> Array:
    """Enlarge images [batch, channels, height, width]; corners are not aligned."""
    batch, channels, height, width = x.shape
    shape = (batch, channels, scale * height, scale * width)
    return jax.image.resize(x, shape, "bilinear", antialias=False)
''',
    "local_response_norm": '''\
def local_response_norm(
    x: Array, size: int, alpha: float, beta: float, k: float
) -> Array:
    """Divide images by a power of the mean square over `size` neighbouring channels."""
    total = jax.lax.reduce_window(
        x * x,
        0.0,
        jax.lax.add,
        window_dimensions=(1, size, 1, 1),
        window_strides=(1, 1, 1, 1),
        padding=[(0, 0), (size // 2, (size - 1) // 2), (0, 0), (0, 0)],
    )
    return x * (k + alpha / size * total) ** -beta
''',
    "segment_max": '''\
def segment_max(x: Array, ids: Array, count: int) -> Array:
    """Return the largest element of each segment's rows, 0 where it has none."""
    largest = jax.ops.segment_max(x, ids, count)
    rows = jnp.bincount(ids, length=count).reshape(-1, *[1] * (x.ndim - 1))
    return jnp.where(rows > 0, largest, 0.0)
''',
    "expand_to": '''\
def expand_to(x: Array, like: Array) -> Array:
    """Add axes of size 1 behind x until it has as many as `like`."""
    return x.reshape(*x.shape, *[1] * (like.ndim - x.ndim))
''',
    "dropout": '''\
def dropout(x: Array, rate: float, *, training: bool, key: Array) -> Array:
    """Zero each element with probability `rate` while training."""
    if not training or rate == 0.0:
        return x
    keep = jax.random.bernoulli(key, 1.0 - rate, x.shape)
    return jnp.where(keep, x / (1.0 - rate), 0.0)
''',
    "stochastic_depth": '''\
def stochastic_depth(x: Array, rate: float, *, training: bool, key: Array) -> Array:
    """Zero each example with probability `rate` while training."""
    if not training or rate == 0.0:
        return x
    keep = jax.random.bernoulli(key, 1.0 - rate, x.shape[:1])
    keep = keep.reshape(-1, *[1] * (x.ndim - 1))
    return jnp.where(keep, x / (1.0 - rate), 0.0)
''',
    "gaussian_noise": '''\
def gaussian_noise(x: Array, std: float, *, training: bool, key: Array) -> Array:
    """Add normal noise while training."""
    if not training or std == 0.0:
        return x
    return x + std * jax.random.normal(key, x.shape, x.dtype)
''',
    "fan_in_uniform": '''\
def fan_in_uniform(key: Array, shape: tuple[int, ...]) -> Array:
    """Draw a weight [out, in, ...] between -1 / sqrt(fan_in) and 1 / sqrt(fan_in)."""
    bound = math.prod(shape[1:] or shape) ** -0.5
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)
''',
}
