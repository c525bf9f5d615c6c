"""Points and periodic meshes: cardinal B-splines carry values from the one to the other.

Hockney, Eastwood, Computer Simulation Using Particles (1988); Essmann et al., J. Chem. Phys. 103, 8577 (1995).
"""

import torch

from .library import native
from .reference import mesh as reference

#: of splines, inclusive
ORDERS = (3, 10)


def mesh_spread(values, places, shape: tuple[int, int, int], order: int) -> torch.Tensor:
    """What points add to a mesh, Σ_i M(x_i − k) values_i at every knot k, periodic; M: the spline in three dimensions.

    Splines stand on the knots ⌊x⌋ − order + 1 … ⌊x⌋, so that ``mesh_gather`` of what was spread lies where the points
    are. Differentiable in ``values`` and ``places``, any number of times (from the second on by the torch reference).

    :param values: ``[point, f]``, float32 or float64
    :param places: in units of the mesh's spacing, ``[point, 3]``; anywhere, also outside
    :param shape: knots along each direction, each at least ``order``
    :param order: of the splines, 3 … 10: they are order − 2 times continuously differentiable
    :return: ``[*shape, f]``
    """
    road = torch.ops.ketmap.mesh_spread if native(places) else reference.mesh_spread
    return road(values.contiguous(), places.contiguous(), *shape, order)


def mesh_gather(mesh, places, order: int) -> torch.Tensor:
    """What points see of a mesh, Σ_k M(x_i − k) mesh_k: the transpose of :func:`mesh_spread`.

    Differentiable in ``mesh`` ``[n1, n2, n3, f]`` and ``places``, any number of times.

    :return: ``[point, f]``
    """
    road = torch.ops.ketmap.mesh_gather if native(places) else reference.mesh_gather
    return road(mesh.contiguous(), places.contiguous(), order)


def mesh_slopes(grad, mesh, places, order: int) -> torch.Tensor:
    """Gradient with respect to ``places``, ``[point, 3]``, from ``grad``, the one of what :func:`mesh_gather` gives."""
    road = torch.ops.ketmap.mesh_slopes if native(places) else reference.mesh_slopes
    return road(grad.contiguous(), mesh.contiguous(), places.contiguous(), order)


def _setup_spread(ctx, inputs, output):
    values, places, *_, ctx.order = inputs
    ctx.save_for_backward(values, places)


def _backward_spread(ctx, grad):
    values, places = ctx.saved_tensors
    to_values = mesh_gather(grad, places, ctx.order) if ctx.needs_input_grad[0] else None
    to_places = mesh_slopes(values, grad, places, ctx.order) if ctx.needs_input_grad[1] else None
    return to_values, to_places, *[None] * 4


def _setup_gather(ctx, inputs, output):
    mesh, places, ctx.order = inputs
    ctx.save_for_backward(mesh, places)


def _backward_gather(ctx, grad):
    mesh, places = ctx.saved_tensors
    to_mesh = mesh_spread(grad, places, tuple(mesh.shape[:3]), ctx.order) if ctx.needs_input_grad[0] else None
    to_places = mesh_slopes(grad, mesh, places, ctx.order) if ctx.needs_input_grad[1] else None
    return to_mesh, to_places, None


def _setup_slopes(ctx, inputs, output):
    *tensors, ctx.order = inputs
    ctx.save_for_backward(*tensors)


def _backward_slopes(ctx, to_slopes):
    third = torch.is_grad_enabled()  # only then the result is part of a graph
    with torch.enable_grad():
        # new nodes, since ``grad`` may depend on the others further up: partial derivatives are asked for here
        own = [x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in ctx.saved_tensors]
        slopes = reference.mesh_slopes(*own, ctx.order)
        found = torch.autograd.grad(slopes, own, to_slopes, create_graph=third)
    return *found, None


if hasattr(torch.ops.ketmap, "mesh_spread"):
    torch.library.register_autograd("ketmap::mesh_spread", _backward_spread, setup_context=_setup_spread)
    torch.library.register_autograd("ketmap::mesh_gather", _backward_gather, setup_context=_setup_gather)
    torch.library.register_autograd("ketmap::mesh_slopes", _backward_slopes, setup_context=_setup_slopes)
    torch.library.register_fake(
        "ketmap::mesh_spread", lambda values, places, *rest: values.new_empty(*rest[:3], values.shape[1])
    )
    torch.library.register_fake(
        "ketmap::mesh_gather", lambda mesh, places, order: mesh.new_empty(places.shape[0], mesh.shape[3])
    )
    torch.library.register_fake("ketmap::mesh_slopes", lambda grad, mesh, places, order: torch.empty_like(places))
