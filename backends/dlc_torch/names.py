"""Names that a generated PyTorch file needs for itself."""

from __future__ import annotations

from dlc_torch.blocks import BLOCKS
from dlc_torch.helpers import HELPERS

RESERVED = frozenset(
    (
        *("torch", "nn", "F", "Tensor", "math", "dataclass", "NamedTuple", "Config", "load_file"),
        *("load_weights", "self", "config", "training", "device", "dtype"),
        *(name for name, block in BLOCKS.items() if block.text),
        *HELPERS,
    )
)
"""Names at the top of a file, and parameters that functions get beside those of the specification."""

RESERVED_ATTRIBUTES = frozenset(
    (
        *("T_destination", "add_module", "apply", "bfloat16", "buffers", "call_super_init", "children"),
        *("compile", "config", "cpu", "cuda", "double", "dump_patches", "eval", "extra_repr", "float"),
        *("forward", "get_buffer", "get_extra_state", "get_parameter", "get_submodule", "half", "ipu"),
        *("load_state_dict", "modules", "mtia", "named_buffers", "named_children", "named_modules"),
        *("named_parameters", "names", "parameters", "register_backward_hook", "register_buffer"),
        *("register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"),
        *("register_full_backward_pre_hook", "register_load_state_dict_post_hook"),
        *("register_load_state_dict_pre_hook", "register_module", "register_parameter"),
        *("register_state_dict_post_hook", "register_state_dict_pre_hook", "requires_grad_"),
        *("set_extra_state", "set_submodule", "share_memory", "state_dict", "to", "to_empty", "train"),
        *("training", "type", "xpu", "zero_grad"),
    )
)
"""What every `nn.Module` has."""


def method_name(name: str) -> str:
    """A method: one that every module has (`apply`) gets another name."""
    return f"{name}_" if name in RESERVED_ATTRIBUTES - {"forward"} else name
