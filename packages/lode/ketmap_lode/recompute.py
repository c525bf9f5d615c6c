"""Large intermediate arrays, computed again on the way back rather than kept."""

import torch
import torch.utils.checkpoint


def in_part(function, *arguments):
    """``function(*arguments)``, of whose inside nothing is kept for the derivatives."""
    if torch.is_grad_enabled() and any(isinstance(x, torch.Tensor) and x.requires_grad for x in arguments):
        return torch.utils.checkpoint.checkpoint(function, *arguments, use_reentrant=False)
    return function(*arguments)
