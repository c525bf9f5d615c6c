"""Torch reference of meshes: any device, any float, differentiable any number of times."""

import torch


def cardinal_splines(t: torch.Tensor, order: int) -> torch.Tensor:  # [...] -> [..., order]
    """M_order(t + order − 1 − j), j = 0 … order − 1, of the cardinal B-spline M with support (0, order), 0 ≤ t < 1."""
    w = torch.stack([1 - t, t], dim=-1)
    for p in range(3, order + 1):
        j = torch.arange(p, device=t.device, dtype=t.dtype)
        x = t[..., None]
        below = torch.nn.functional.pad(w, (1, 0))  # M_{p−1} one knot further
        here = torch.nn.functional.pad(w, (0, 1))
        w = ((x + p - 1 - j) * below + (1 - x + j) * here) / (p - 1)
    return w


def _stencil(places, shape, order):  # -> row of the flat mesh, weight; [point, order³] each
    low = places.detach().floor()
    weights = cardinal_splines(places - low, order)  # -> [point, 3, order]
    sides = torch.tensor(shape, device=places.device)
    knots = low.long()[..., None] + torch.arange(1 - order, 1, device=places.device)
    knots = knots % sides[:, None]
    x, y, z = knots.unbind(1)
    rows = (x[:, :, None, None] * shape[1] + y[:, None, :, None]) * shape[2] + z[:, None, None, :]
    u, v, w = weights.unbind(1)
    return rows.flatten(1), (u[:, :, None, None] * v[:, None, :, None] * w[:, None, None, :]).flatten(1)


def mesh_spread(values, places, n1, n2, n3, order):
    rows, weights = _stencil(places, (n1, n2, n3), order)
    mesh = values.new_zeros(n1 * n2 * n3, values.shape[1])
    terms = weights[:, :, None] * values[:, None]  # -> [point, knot, f]
    return mesh.index_add(0, rows.flatten(), terms.flatten(0, 1)).unflatten(0, (n1, n2, n3))


def mesh_gather(mesh, places, order):
    rows, weights = _stencil(places, mesh.shape[:3], order)
    return torch.einsum("pk,pkf->pf", weights, mesh.flatten(0, 2)[rows])


def mesh_slopes(grad, mesh, places, order):
    with torch.enable_grad():
        # gradients flow on to what they are asked for
        r = places if places.requires_grad else places.detach().requires_grad_()
        total = (grad * mesh_gather(mesh, r, order)).sum()
        graph = any(x.requires_grad for x in (grad, mesh, places))
        (result,) = torch.autograd.grad(total, r, create_graph=graph)
    return result
