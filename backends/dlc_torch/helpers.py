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
    "segment_sum": '''\
def segment_sum(x: Tensor, ids: Tensor, count: int) -> Tensor:
    """Return the sum of each segment's rows, 0 where it has none."""
    return x.new_zeros(count, *x.shape[1:]).index_add(0, ids, x)
''',
    "segment_max": '''\
def segment_max(x: Tensor, ids: Tensor, count: int) -> Tensor:
    """Return the largest element of each segment's rows, 0 where it has none."""
    one_per_row = (-1, *[1] * (x.dim() - 1))
    index = ids.view(one_per_row).expand_as(x)
    lowest = x.new_full((count, *x.shape[1:]), -torch.inf)
    largest = lowest.scatter_reduce(0, index, x, "amax")
    rows = torch.bincount(ids, minlength=count).view(one_per_row)
    return torch.where(rows > 0, largest, 0.0)
''',
}
