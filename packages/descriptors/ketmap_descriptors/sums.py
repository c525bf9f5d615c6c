"""Sums over consecutive rows, and over rows wherever they are: products with sparse matrices of ones."""

import warnings

import torch

with warnings.catch_warnings():  # torch says once in a process that sparse CSR tensors are in beta; not to our users
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor(torch.tensor([0, 1]), torch.tensor([0]), torch.ones(1), (1, 1))


def segments(starts: torch.Tensor) -> torch.Tensor:
    """The segment of each element, of segments that begin at ``starts``. -> int64 [element]"""
    every = torch.arange(len(starts) - 1, device=starts.device)
    return torch.repeat_interleave(every, torch.diff(starts))


def segment_sum(values: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:  # [row, ...] -> [segment, ...]
    """Sums of ``values[starts[i]:starts[i + 1]]``; differentiable any number of times.

    :param starts: int64, ascending. -> [segment + 1]
    """
    summed = _Sum.apply(values.flatten(1) if values.ndim > 1 else values[:, None], starts)
    return summed.reshape(len(starts) - 1, *values.shape[1:])


def sparse_sum(
    starts: torch.Tensor, places: torch.Tensor, weights: torch.Tensor, values: torch.Tensor
) -> torch.Tensor:  # -> [segment, ...]
    """Σ ``weights[k] · values[places[k]]`` over k = ``starts[i]`` … ``starts[i + 1]``; no gradients."""
    flat = values.flatten(1)
    shape = (len(starts) - 1, *values.shape[1:])
    if len(places) == 0 or flat.shape[1] == 0 or len(starts) == 1:
        return values.new_zeros(shape)
    matrix = torch.sparse_csr_tensor(starts, places, weights, (len(starts) - 1, len(values)), check_invariants=False)
    return (matrix @ flat).reshape(shape)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, starts):
        ctx.starts = starts
        every = torch.arange(len(values), device=values.device)
        return sparse_sum(starts, every, values.new_ones(len(values)), values)

    @staticmethod
    def backward(ctx, gradient):
        return _Spread.apply(gradient, ctx.starts), None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, starts):
        ctx.starts = starts
        return torch.repeat_interleave(values, torch.diff(starts), dim=0)

    @staticmethod
    def backward(ctx, gradient):
        return _Sum.apply(gradient, ctx.starts), None
