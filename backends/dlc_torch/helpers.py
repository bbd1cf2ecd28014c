"""Functions that a generated file defines where it uses them: what PyTorch has no name for."""

from __future__ import annotations

from collections.abc import Mapping

HELPERS: Mapping[str, str] = {
    "pad_same": '''\
def pad_same(x: Tensor, kernel: torch.Size, stride: int, dilation: int) -> Tensor:
    """Pad images so that a convolution gives ceil(size / stride) rows and columns."""
    pads = []
    for size, width in zip(x.shape[:1:-1], reversed(kernel), strict=True):
        used = (-(-size // stride) - 1) * stride + dilation * (width - 1) + 1
        total = max(used - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)
''',
}
