"""How strongly a column mixes: published values, limits, the shear it is told, and its gradients. In float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_coasts import basin, field

from oceanx.physics.vertical_coefficients import convection, pacanowski_philander, shear_squared

few = settings(max_examples=15, deadline=None)


def at(*values):
    return torch.tensor(values, dtype=torch.float64)[None, :, None, None]


@given(st.floats(0.0, 100.0), st.floats(1e-6, 1e-2))
@few
def test_mixing_falls_with_the_richardson_number(richardson, shear2):
    found = pacanowski_philander(at(richardson * shear2), at(shear2), least=0.0)
    nu = 1e-2 / (1 + 5 * richardson) ** 2 + 1e-4
    assert found.viscosity.item() == pytest.approx(nu, rel=1e-12)
    assert found.diffusivity.item() == pytest.approx(nu / (1 + 5 * richardson) + 1e-5, rel=1e-12)


def test_an_unstable_column_and_one_at_rest_are_neutral_and_a_stable_one_at_rest_is_not_mixed():
    found = pacanowski_philander(at(-1e-4, 0.0, 1e-4), at(1e-4, 0.0, 0.0))
    assert found.viscosity.flatten().tolist() == pytest.approx([1.01e-2, 1.01e-2, 1e-4])
    assert found.diffusivity.flatten().tolist() == pytest.approx([1.011e-2, 1.011e-2, 1e-5])


def test_single_precision_tells_the_same():
    N2, shear2 = at(0.0, 1e-6, 1e-5, 1e-4), at(0.0, 1e-7, 1e-5, 1e-3)
    single, double = pacanowski_philander(N2.float(), shear2.float()), pacanowski_philander(N2, shear2)
    for one, other in zip(single, double, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-6, atol=0)


def test_gradients_are_finite_at_rest_and_in_neutral_water():
    N2, shear2 = (at(0.0, -1e-5, 1e-5).requires_grad_(), at(0.0, 0.0, 0.0).requires_grad_())
    found = pacanowski_philander(N2, shear2)
    (found.viscosity.sum() + found.diffusivity.sum() + convection(N2).sum()).backward()
    assert N2.grad.isfinite().all()
    assert shear2.grad.isfinite().all()


def test_gradients_are_those_of_finite_differences():
    inputs = [at(-0.3, 0.2, 1.5), at(0.4, 0.7, 1e-2)] + [torch.tensor(v, dtype=torch.float64) for v in (1e-2, 5.0, 2.0)]
    inputs = [each.requires_grad_() for each in inputs]
    assert torch.autograd.gradcheck(lambda *given: tuple(1e3 * each for each in pacanowski_philander(*given)), inputs)
    unstable = at(0.2, -0.2, -0.7, -1.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda N2: convection(N2, 2.0, width=1.0), unstable)


def test_convection_begins_where_water_is_unstable():
    N2 = at(1e-4, 1e-12, 0.0, -2.5e-9, -5e-9, -1e-8, -1e-4)
    assert convection(N2, 2.0).flatten().tolist() == pytest.approx([0, 0, 0, 2 * 0.15625, 1.0, 2.0, 2.0])


def test_the_shear_of_a_linear_profile():
    """u falls by 0.02 m/s in a metre, v by 0.01 m/s: S² = 5e-4 s-2 wherever four faces are open."""
    geometry = basin(land=0.0, north=60.0)
    u = (1 - 0.02 * (geometry.interfaces[1:] - geometry.thickness.flatten() / 2))[:, None, None] * geometry.mask_x
    v = 0.5 * (1 + u) * geometry.mask_y
    found = shear_squared(u[None], v[None], geometry)[0]
    assert found[:-1, 1:-1].flatten().tolist() == pytest.approx([5e-4] * found[:-1, 1:-1].numel())
    assert not found[-1].any()
    deeper = shear_squared(u[None], v[None], geometry, 2 * geometry.thickness)[0]
    torch.testing.assert_close(deeper, found / 4)


def test_the_shear_is_seen_only_between_open_faces_and_has_gradients():
    geometry = basin(2)
    u, v = field(1) * geometry.mask_x, field(2) * geometry.mask_y
    found = shear_squared(u, v, geometry)
    assert (found >= 0).all()
    assert not found[:, geometry.mask_z == 0].any()
    alone = torch.zeros_like(u)
    alone[..., 1, :, :] = 1.0
    step = geometry.mask_x[0] * geometry.mask_x[1]
    apart = 0.5 * (geometry.thickness[0] + geometry.thickness[1])
    known = 0.5 * (step + step.roll(1, -1)) * geometry.mask_z[0] / apart**2
    torch.testing.assert_close(shear_squared(alone * geometry.mask_x, 0 * v, geometry)[0, 0], known)
    inputs = [u.requires_grad_(), v.requires_grad_()]
    assert torch.autograd.gradcheck(lambda u, v: shear_squared(u, v, geometry), inputs, fast_mode=True)


def test_compiled_it_is_one_graph():
    def mixing(N2, shear2):
        found = pacanowski_philander(N2, shear2)
        return found.viscosity, found.diffusivity + convection(N2)

    given = at(-1e-5, 0.0, 1e-5), at(0.0, 1e-4, 1e-4)
    compiled = torch.compile(mixing, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*given), mixing(*given))
