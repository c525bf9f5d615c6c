"""Contractions: principal components hold most, smooth functions are eigenstates of the Laplacian, files, costs."""

import ase
import ase.build
import ase.io
import numpy as np
import pytest
import torch
from ketmap_core import UnknownTypesError, load_tensor, save_tensor
from ketmap_density import (
    AlchemicalChannels,
    ByNeighborType,
    Contracted,
    Cutoff,
    Explicit,
    Gaussian,
    Gto,
    LaplacianEigenstate,
    Monomials,
    ShiftedCosine,
    SphericalBessel,
    SphericalExpansion,
    TensorProduct,
    contracted_basis,
    density_norms,
    pca_contraction,
    smooth_contraction,
)
from ketmap_density.radial import bessel_zeros
from ketmap_soap import SoapPowerSpectrum
from ketmap_testing import check_calculator, default_systems

R = 4.0


def expansion(basis, sigma=0.4):
    return SphericalExpansion(cutoff=Cutoff(R, smoothing=ShiftedCosine(0.5)), density=Gaussian(sigma), basis=basis)


@pytest.fixture(scope="module")
def molecules():
    return [ase.build.molecule(name) for name in ("CH3OH", "CH3CH2OH", "C6H6", "H2O", "CH3COCH3")]


@pytest.fixture(scope="module")
def primitive():
    return expansion(TensorProduct(max_angular=3, radial=Gto(max_radial=7)))


@pytest.fixture(scope="module")
def pca(primitive, molecules):
    return pca_contraction(primitive, molecules)


def coefficients(calculator, systems):
    from ketmap_core import as_batch

    batch = as_batch(systems)
    return calculator.expansion.coefficients(calculator.expansion.environments(batch), batch)


@pytest.mark.parametrize("max_radial", [2, [3, 2, 0, 1], None])
def test_contracted_coefficients_are_combinations_of_the_primitive_ones(primitive, pca, molecules, max_radial):
    """Evaluated directly, from splines of their own, as many as were asked for."""
    contracted = expansion(contracted_basis(pca, max_radial))
    sizes = contracted.expansion.sizes
    c, d = coefficients(primitive, molecules), coefficients(contracted, molecules)
    assert d.shape[3] == max(sizes) == contracted.expansion.table.shape[2]  # it costs what its size says
    for l, size in enumerate(sizes):
        u = torch.tensor(np.asarray(pca.block(dict(l=l)).values)[:, :size])
        here = slice(l * l, (l + 1) ** 2)
        torch.testing.assert_close(d[:, :, here, :size], c[:, :, here] @ u, rtol=0, atol=1e-9 * float(c.abs().max()))
        assert (d[:, :, here, size:] == 0).all()


def test_principal_components_hold_most(primitive, pca, molecules):
    """The norm that the first q hold is the sum of their eigenvalues, and any other q functions hold less."""
    whole = density_norms(primitive, molecules)
    rng = np.random.default_rng(0)
    before = np.zeros(4)
    for q in (0, 1, 4, 7):
        held = density_norms(expansion(contracted_basis(pca, q)), molecules)
        for l in range(4):
            values = np.array(_spectrum(pca)[str(l)])
            assert held[l] == pytest.approx(values[: q + 1].sum(), rel=1e-8, abs=1e-8)
        assert np.all(held >= before - 1e-9)
        before = held
        other = np.linalg.qr(rng.normal(size=(8, q + 1)))[0]
        basis = TensorProduct(max_angular=3, radial=Contracted(Gto(max_radial=7, radius=R), other))
        assert np.all(density_norms(expansion(basis), molecules) <= held * (1 + 1e-9))
    np.testing.assert_allclose(before, whole, rtol=1e-8)


def _spectrum(tensor):
    from ketmap_core import info

    return info(tensor)["hypers"]["spectrum"]


def reconstruction_errors(basis, systems, whole):
    """Share of the squared norm of the densities that a basis does not hold."""
    return 1 - density_norms(expansion(basis), systems).sum() / whole.sum()


@pytest.mark.slow
def test_reconstruction_on_real_data(data):
    """Errors fall with n; principal components lose least, then smooth functions and GTOs (Goscinski et al. 2021)."""
    systems = ase.io.read(data("qm7/qm7_train.xyz.gz"), ":600:20")
    train, test = systems[::2], systems[1::2]
    reach = R + 3.0
    complete = Explicit(by_angular={l: SphericalBessel(l, 24, reach) for l in range(3)}, spline_accuracy=1e-6)
    whole = density_norms(expansion(complete), test)
    primitive = TensorProduct(max_angular=2, radial=Gto(max_radial=11))
    assert 0 < reconstruction_errors(primitive, test, whole) < 1e-3
    pca = pca_contraction(expansion(primitive), train)
    smooth = smooth_contraction(primitive, R)
    before = None
    for n in (2, 6):
        errors = [
            reconstruction_errors(basis, test, whole)
            for basis in (
                contracted_basis(pca, n - 1),
                TensorProduct(max_angular=2, radial=Gto(max_radial=n - 1)),
                contracted_basis(smooth, n - 1),
            )
        ]
        assert errors[0] < errors[1] and errors[0] < errors[2]
        assert before is None or all(now < past for now, past in zip(errors, before))
        before = errors


@pytest.mark.parametrize("l", [0, 1, 4])
def test_smooth_functions_are_eigenstates_of_the_laplacian(l):
    """In a nearly complete basis the stationary values are (z_ln/r_c)², and the functions j_l(z_ln r/r_c)."""
    contraction = smooth_contraction(Explicit(by_angular={l: Monomials(l, 7)}), R)
    expected = (bessel_zeros(l, 3) / R) ** 2
    np.testing.assert_allclose(_spectrum(contraction)[str(l)][:3], expected, rtol=1e-3)
    np.testing.assert_allclose(_spectrum(contraction)[str(l)][:2], expected[:2], rtol=1e-6)
    r = np.linspace(0, R, 50)
    basis = contracted_basis(contraction, 2)
    values, exact = basis.functions(r)[:, l], LaplacianEigenstate(9, R, max_angular=l).functions(r)[:, l, :3]
    signs = np.sign(np.sum(values[:, :3] * exact, axis=0))
    np.testing.assert_allclose(values[:, :3], signs * exact, atol=2e-2)


def test_smooth_functions_of_gtos_vanish_at_the_radius_and_are_smoother_than_any_other():
    basis = TensorProduct(max_angular=2, radial=Gto(max_radial=8))
    contraction = smooth_contraction(basis, R)
    found = contracted_basis(contraction)
    assert found.sizes == (8, 8, 8)
    np.testing.assert_allclose(found.functions(np.array([R, R + 0.1])), 0.0, atol=1e-9)
    for l in range(3):
        values = np.array(_spectrum(contraction)[str(l)])
        exact = (bessel_zeros(l, 8) / R) ** 2
        assert np.all(np.diff(values) > 0) and np.all(values >= exact * (1 - 1e-9))  # Rayleigh-Ritz: from above
        assert values[0] == pytest.approx(exact[0], rel=1e-3)


def test_files(pca, primitive, molecules, tmp_path):
    save_tensor(tmp_path / "pca.mts", pca)
    again = load_tensor(tmp_path / "pca.mts")
    basis = contracted_basis(pca, 2)
    assert contracted_basis(again, 2) == basis and hash(basis) == hash(contracted_basis(again, 2))
    rho = expansion(basis)
    other = SphericalExpansion.from_dict(rho.to_dict())
    assert other.basis == basis
    assert torch.equal(coefficients(other, molecules), coefficients(rho, molecules))


@pytest.mark.parametrize("law", ["rotation", "positions_gradient", "strain_gradient", "smooth_at_cutoff", "autograd"])
def test_laws_of_contracted_power_spectra(law, pca):
    basis = contracted_basis(pca, [2, 1, 1, 0])
    soap = SoapPowerSpectrum(cutoff=Cutoff(3.5, smoothing=ShiftedCosine(0.5)), density=Gaussian(0.4), basis=basis)
    assert law in check_calculator(soap, systems=default_systems()[:2], laws=[law]).deviations


@pytest.mark.parametrize("kind", ["apart", "mixed"])
def test_contractions_by_neighbour_type(primitive, molecules, kind, tmp_path):
    """Functions for every type, with tables of their own; mixed: all types add up in one channel."""
    contraction = pca_contraction(primitive, molecules, kind)
    save_tensor(tmp_path / "contraction.mts", contraction)
    basis = contracted_basis(load_tensor(tmp_path / "contraction.mts"), 2)
    assert isinstance(basis, ByNeighborType) and basis.types == (1, 6, 8) and basis.sizes == (3, 3, 3, 3)
    species = AlchemicalChannels((1, 6, 8), np.ones((3, 1))) if kind == "mixed" else None
    calculator = SphericalExpansion(cutoff=primitive.cutoff, density=primitive.density, basis=basis, species=species)
    assert calculator.basis == SphericalExpansion.from_dict(calculator.to_dict()).basis
    c, d = coefficients(primitive, molecules), coefficients(calculator, molecules)
    for l in range(4):
        here, each = slice(l * l, (l + 1) ** 2), []
        for place, t in enumerate((1, 6, 8)):
            u = torch.tensor(np.asarray(contraction.block(dict(l=l, neighbor_type=t)).values)[:, :3])
            each.append(c[:, place, here] @ u)
        expected = torch.stack(each, dim=1) if kind == "apart" else sum(each)[:, None]
        torch.testing.assert_close(d[:, :, here], expected, rtol=0, atol=1e-9 * float(c.abs().max()))
        held = (d[:, :, here] ** 2).sum()
        values = [_spectrum(contraction)[f"{l} {t}"][:3] for t in ((1, 6, 8) if kind == "apart" else (1,))]
        assert float(held) == pytest.approx(np.sum(values), rel=1e-8)


@pytest.mark.parametrize("law", ["rotation", "positions_gradient", "strain_gradient", "autograd"])
@pytest.mark.parametrize("kind", ["apart", "mixed"])
def test_laws_of_contractions_by_neighbour_type(law, kind, primitive, molecules):
    basis = contracted_basis(pca_contraction(primitive, molecules, kind), 1, max_angular=2)
    species = AlchemicalChannels((1, 6, 8), np.ones((3, 1))) if kind == "mixed" else None
    soap = SoapPowerSpectrum(
        cutoff=Cutoff(3.5, smoothing=ShiftedCosine(0.5)), density=Gaussian(0.4), basis=basis, species=species
    )
    assert law in check_calculator(soap, systems=default_systems()[:2], laws=[law]).deviations


def test_errors(pca, primitive, molecules):
    with pytest.raises(ValueError, match="no densities to contract: the structures have no atoms"):
        pca_contraction(primitive, [])
    with pytest.raises(ValueError, match="l=0 has one function, which cannot vanish at 4 Å: raise max_radial"):
        smooth_contraction(TensorProduct(max_angular=0, radial=Gto(max_radial=0)), R)
    with pytest.raises(ValueError, match=r"max_radial=8, but l=0 has 8 functions: 0 … 7"):
        contracted_basis(pca, 8)
    with pytest.raises(ValueError, match=r"expected a contraction .* got a TensorMap of SphericalExpansion"):
        contracted_basis(primitive.compute(ase.Atoms("H")))
    with pytest.raises(ValueError, match=r"a row for each of the 3 primitive functions; got shape \[2, 2\]"):
        Contracted(Gto(max_radial=2), np.eye(2))
    with pytest.raises(ValueError, match="did you mean 'together'"):
        pca_contraction(primitive, molecules, "togeter")
    with pytest.raises(ValueError, match="the same numbers of functions"):
        ByNeighborType({1: LaplacianEigenstate(2), 8: LaplacianEigenstate(3)})
    with pytest.raises(ValueError, match="differ between neighbour types: a basis by neighbour type is no use here"):
        ByNeighborType({1: LaplacianEigenstate(2)}).radial_basis(0)
    with pytest.raises(ValueError, match=r"by_type must be a dictionary {atomic number: basis}, got \[\]"):
        ByNeighborType([])
    with pytest.raises(UnknownTypesError, match="ByNeighborType has 1"):
        expansion(ByNeighborType({1: LaplacianEigenstate(2)})).compute(molecules)
