"""The TensorMap of a field, cut from its dense arrays."""

import functools

import numpy as np
import torch
from ketmap_core import Batch
from ketmap_density.assembly import KEYS, Assembly
from ketmap_density.blocks import take
from ketmap_density.selection import Selection

from .expansion import Centers, FieldExpansion


class FieldAssembly(Assembly):
    """As for the density, but every atom of a system is a neighbour of all, and there may be several fields."""

    def __init__(self, expansion: FieldExpansion, batch: Batch, centers: Centers, selection: Selection):
        super().__init__(expansion, batch, centers, selection)
        self.expansion = expansion.up_to(self.wanted.l_max)  # no more than blocks need
        self.names = key_names(expansion)
        self.meshes = True  # may be used: where there are no explicit gradients

    def tensor(self, keys: list[tuple[int, ...]], gradients: tuple[str, ...] = ()):
        """The TensorMap with blocks for ``keys``, its gradients exactly those of its values."""
        self.meshes = not gradients
        return super().tensor(keys, gradients)

    def coefficients(self) -> torch.Tensor:  # -> [centre, channel, lm, (exponent, n)]
        """What the values of the blocks are cut from."""
        return self.expansion.coefficients(self.environments, self.batch, self.meshes)

    def choose_keys(self) -> list[tuple[int, ...]]:
        """Keys in the order (center_type, neighbor_type, o3_lambda, exponent), or as selected."""
        expansion, batch = self.expansion, self.batch
        types, kinds = np.unique(batch.types.cpu().numpy(), return_inverse=True)
        occurs = np.zeros((len(batch), len(types)))
        occurs[batch.system.cpu().numpy(), kinds] = 1
        wanted = self.selection.wanted("center_type") if self.selection.samples is None else None
        met = np.argwhere(occurs.T @ occurs).tolist()
        found = [(int(types[a]), int(types[b])) for a, b in met]
        found = [(a, b) for a, b in found if b in self.channel and (wanted is None or a in wanted)]
        fields = [(p,) for p in expansion.density.exponents] if expansion.density.several else [()]
        degrees = expansion.basis.angular_channels()
        keys = [(l, 1, a, b, *p) for a, b in found for l in degrees for p in fields]
        keys = self.selection.choose_keys(keys)
        for key in keys:
            if key[0] not in degrees or key[1] != 1 or key[4:] not in fields:
                raise ValueError(
                    f"selected key {dict(zip(self.names, key))} is not in this expansion: "
                    f"o3_lambda is one of {', '.join(map(str, degrees))}, o3_sigma 1, the exponent one of "
                    f"{list(expansion.density.exponents)}"
                )
        return keys

    def _field(self, key: tuple[int, ...]) -> list[int]:
        """Places in the last axis of what this key has: its exponent's, of the wanted n."""
        expansion = self.expansion
        field = expansion.density.exponents.index(key[4]) if expansion.density.several else 0
        return (field * (expansion.n_max + 1) + self.wanted.n[:, 0]).tolist()

    def _values(self, coefficients: torch.Tensor):  # -> function of the key: data and samples; components
        values = self.make.array(coefficients)  # -> [centre, channel, lm, (exponent, n)]

        def cut(key):
            rows, samples = self._rows(key)
            data = take(values[:, self.channel[key[3]]], rows)[..., _as_slice(self._field(key))]
            return data, self.make.labels(["system", "atom"], samples)

        return cut, []

    def _gradient(self, name: str):  # -> function of the key: data and samples; components
        if name == "positions":
            return self._position_gradient, [self.make.range("xyz", 0, 3)]
        components = ("xyz_1", "xyz_2") if name == "strain" else ("abc", "xyz")
        values = self.make.array(self._strain if name == "strain" else self._cell)

        def cut(key):
            rows, samples = self._rows(key)
            data = take(values[:, self.channel[key[3]]], rows)[..., _as_slice(self._field(key))]
            return data, self.make.range("sample", 0, len(samples))

        return cut, [self.make.range(component, 0, 3) for component in components]

    def _of_systems(self):
        """System, places of its centres, its terms."""
        for system in torch.unique(self.environments.system).tolist():
            here = torch.nonzero(self.environments.system == system)[:, 0]
            yield system, here, self.expansion.terms(self.batch, self.environments, [system], self.meshes)

    def _zeros(self, *shape: int) -> torch.Tensor:
        n_columns = self.expansion.n_exponents * (self.expansion.n_max + 1)
        shape = (len(self.environments), len(self.environments.types), *shape, (self.expansion.l_max + 1) ** 2)
        return self.batch.positions.new_zeros(*shape, n_columns)

    @functools.cached_property
    def _strain(self) -> torch.Tensor:  # -> [centre, channel, 3, 3, lm, (exponent, n)]
        out = self._zeros(3, 3)
        for _, here, terms in self._of_systems():
            out[here] = sum(term.strain() for term in terms)
        return out

    @functools.cached_property
    def _cell(self) -> torch.Tensor:  # -> [centre, channel, abc, xyz, lm, (exponent, n)]
        """Strain moves atoms and cell, r_x ∂/∂r_y + h_ax ∂/∂h_ay: what the atoms do not account for is the cell's."""
        out = self._zeros(3, 3)
        for system, here, terms in self._of_systems():
            pbc = self.batch.pbc[system]
            if not pbc.any():
                continue
            rows = self.batch.cells[system].detach()[pbc]
            inverse = torch.linalg.pinv(rows)  # -> [3, periodic]
            strain = sum(term.strain() for term in terms)
            first, last = int(self.batch.starts[system]), int(self.batch.starts[system + 1])
            positions = self.batch.positions[first:last].detach()
            every = torch.arange(strain.shape[1], device=here.device)
            members = (self.environments.channel[first:last] == every[:, None]).to(positions)
            for row, place in enumerate(here.tolist()):
                jacobian = sum(term.jacobian(torch.tensor([row])) for term in terms)[0]  # -> [atom, 3, lm, q]
                vectors = positions - self.batch.positions[self.environments.centers[place].long()].detach()
                moved = torch.einsum("ca,ax,ay...->cxy...", members, vectors, jacobian)
                out[place][:, pbc] = torch.einsum("xa,cxy...->cay...", inverse, strain[row] - moved)
        return out

    @functools.cached_property
    def _jacobians(self) -> dict[int, torch.Tensor]:  # -> by centre: [atom of its system, xyz, lm, (exponent, n)]
        found = {}
        for _, here, terms in self._of_systems():
            slopes = sum(term.jacobian(torch.arange(len(here))) for term in terms)
            found.update(zip(here.tolist(), slopes))
        return found

    def _n_moving(self, key) -> int:
        rows = self._rows(key)[0]
        rows = np.arange(len(self.environments))[rows] if isinstance(rows, slice) else rows[rows >= 0]
        channel = self.channel[key[3]]
        members = self.environments.members.cpu().numpy()[self.environments.system.cpu().numpy()[rows], channel]
        return int((members + (self.environments.own.cpu().numpy()[rows] != channel)).sum())

    def _position_gradient(self, key):  # -> data, samples
        rows, _ = self._rows(key)
        rows = np.arange(len(self.environments))[rows] if isinstance(rows, slice) else rows
        channel, columns = self.channel[key[3]], self._field(key)
        kinds, starts = self.environments.channel.cpu().numpy(), self.batch.starts.tolist()
        centers, systems = self.environments.centers.tolist(), self.environments.system.tolist()
        n_lm = (self.expansion.l_max + 1) ** 2
        data, labels = [self.batch.positions.new_zeros(0, 3, n_lm, len(columns))], []
        for sample, row in enumerate(rows.tolist()):
            if row < 0:
                continue
            system = systems[row]
            own = centers[row] - starts[system]
            moves = kinds[starts[system] : starts[system + 1]] == channel
            moves[own] = False
            atoms = np.flatnonzero(moves)
            slopes = self._jacobians[row][atoms][..., columns]
            place = int(np.searchsorted(atoms, own))
            data += [slopes[:place], -slopes.sum(dim=0, keepdim=True), slopes[place:]]
            atoms = np.insert(atoms, place, own)
            labels.append(np.stack([np.full(len(atoms), sample), np.full(len(atoms), system), atoms], axis=1))
        labels = np.concatenate([np.zeros((0, 3), dtype=int), *labels])
        return self.make.array(torch.cat(data)), self.make.labels(["sample", "system", "atom"], labels)


def key_names(expansion: FieldExpansion) -> tuple[str, ...]:
    """Dimensions of the keys; several exponents add one."""
    return (*KEYS, "exponent") if expansion.density.several else KEYS


def _as_slice(columns: list[int]):
    """A slice where the columns follow one another, so that blocks are views."""
    follow = columns and columns == list(range(columns[0], columns[0] + len(columns)))
    return slice(columns[0], columns[-1] + 1) if follow else columns
