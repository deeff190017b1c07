"""Each kind of ensemble against its closed form: variances, correlations, eigenvectors, earlier forecasts."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_dataset
import xarray as xr
from scipy.stats import chi2, norm
from toy_members import DAY, DRIFTING, KINDS, SURFACE, WINDY, drifting, prepared

import oceanx as ox
from oceanx import seam
from oceanx.models.named_network import NamedNetwork
from oceanx.nn.unet import UNetConfig
from oceanx.ocean import grid
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES
from oceanx.workflows.ensembles import Members
from oceanx.workflows.model import Model
from oceanx.workflows.runs import Run, save_tensors, tensors
from oceanx.workflows.train_config import TrainConfig


@pytest.fixture(scope="module")
def month() -> xr.Dataset:
    return toy_dataset.ocean(40)


WORDS = {
    "kind": "gaussian", "amplitude": {"thetao": [0.5, 0.3, 0.1], "zos": 0.05}, "share": 0, "length": 120,
    "vertical": 40,
}  # fmt: skip


@pytest.fixture(scope="module")
def drawn() -> dict[str, np.ndarray]:
    """The perturbations of 600 members, [member, level, lat, lon]."""
    ds = toy_dataset.ocean(15)
    made = prepared(WORDS, ox.persistence(), ds, members=600)
    starts = np.repeat(ds.time.values[[12]], 600)
    begun = made.begin(starts, np.arange(600))
    truth = seam.to_fields(ds.isel(time=[12]), ox.persistence().task_for(ds).prognostic)
    return {name: (begun[name] - torch.nan_to_num(truth[name])).double().numpy() for name in begun}


class TestGaussian:
    def test_variance_is_what_was_asked_for(self, drawn: dict[str, np.ndarray]) -> None:
        """In each cell, Σ b²/σ² of n members is χ²(n): no cell outside the bounds that hold all with 99 %."""
        ds = toy_dataset.ocean(2)
        wet = ds.mask.values == 1
        for name, sigma in (("thetao", np.array([0.5, 0.3, 0.1])), ("zos", np.array([0.05]))):
            field, here = drawn[name], wet[: len(sigma)]
            np.testing.assert_array_equal(field[:, ~here], 0)
            squares = (field**2).sum(0) / sigma[:, None, None] ** 2
            share = 0.005 / here.sum()
            low, high = chi2.ppf([share, 1 - share], len(field))
            assert low < squares[here].min() < squares[here].max() < high
            total = field.mean(0) * np.sqrt(len(field)) / sigma[:, None, None]
            assert abs(total[here]).max() < norm.ppf(1 - share)

    def test_correlation_is_what_was_asked_for(self, drawn: dict[str, np.ndarray]) -> None:
        """Fisher's z of the sample correlation is within 4 standard errors of that of the closed form."""
        ds = toy_dataset.ocean(2)
        fields, error = drawn["thetao"], 1 / np.sqrt(600 - 3)

        def near(a: np.ndarray, b: np.ndarray, expected: float) -> None:
            found = np.corrcoef(a, b)[0, 1]
            assert abs(np.arctanh(found) - np.arctanh(expected)) < 4 * error + 0.02

        x = 6371.0 * np.cos(np.deg2rad(ds.latitude.values[6])) * np.deg2rad(0.5)
        y = 6371.0 * np.deg2rad(0.5)
        for cells in (1, 2, 3):
            at = fields[:, 0, 6, 4]
            near(at, fields[:, 0, 6, 4 + cells], np.exp(-((cells * x) ** 2) / (2 * 120**2)))
            near(at, fields[:, 0, 6 - cells, 4], np.exp(-((cells * y) ** 2) / (2 * 120**2)))
        near(fields[:, 0, 6, 4], drawn["zos"][:, 0, 6, 4], 0.0)

    def test_levels_are_correlated_over_the_vertical_scale(self, month: xr.Dataset) -> None:
        """exp(−z²/2H²) between any two levels: by 60 members of cells that know nothing of each other."""
        words = {"kind": "gaussian", "amplitude": {"thetao": 0.5}, "share": 0, "length": 1, "vertical": 50}
        starts = np.repeat(month.time.values[[12]], 60)
        begun = prepared(words, ox.persistence(), month).begin(starts, np.arange(60))["thetao"].double().numpy()
        wet = month.mask.values[2] == 1
        made = (begun - np.nan_to_num(month.thetao.values[12]))[:, :, wet].swapaxes(0, 1).reshape(3, -1)
        depth = np.array(toy_dataset.DEPTH)
        expected = np.exp(-((depth[:, None] - depth) ** 2) / (2 * 50**2))
        np.testing.assert_allclose(np.corrcoef(made), expected, atol=4 / np.sqrt(made.shape[1]))

    def test_what_has_no_amplitude_is_left_alone(self, drawn: dict[str, np.ndarray]) -> None:
        for name in ("uo", "vo", "mlotst"):
            np.testing.assert_array_equal(drawn[name], 0)

    def test_by_default_as_large_as_recent_changes(self, month: xr.Dataset) -> None:
        """Half the spread of the ten daily changes before the start; nothing after it matters."""
        words = {"kind": "gaussian", "share": 0.5, "length": 1, "vertical": 1}
        changed = xr.where(month.time > month.time[20], 3 * month, month).assign_coords(month.coords)
        starts = np.repeat(month.time.values[[20]], 200)
        begun, other = (prepared(words, ox.persistence(), ds).begin(starts, np.arange(200)) for ds in (month, changed))
        area, wet = month.cell_area.values, month.mask.values == 1
        for name in ("thetao", "zos"):
            np.testing.assert_array_equal(begun[name], other[name])
            days = np.nan_to_num(month[name].values[10:21].astype("float64")).reshape(11, -1, 10, 12)
            weight = area * wet[: days.shape[1]]
            spread = np.sqrt((np.diff(days, axis=0) ** 2 * weight).sum((0, 2, 3)) / weight.sum((1, 2)) / 10)
            made = begun[name].double().numpy() - days[-1]
            found = np.sqrt((made**2 * weight).sum((2, 3)).mean(0) / weight.sum((1, 2)))
            np.testing.assert_allclose(found, 0.5 * spread, rtol=0.03)  # 200 × 70 cells and more: 0.6 % is σ

    def test_by_default_as_large_as_a_trained_model_knows(self, month: xr.Dataset) -> None:
        """The spread of a step's change that its network is scaled by: no day has to be read."""
        where = seam.grid_of(month, WINDY.prognostic)
        known = {f"{n}_{kind}": torch.ones(WINDY.prognostic.levels(n)) for n in WINDY.names for kind in ("mean", "std")}
        known |= {"thetao_increment_std": torch.tensor([0.4, 0.2, 0.1])}
        known |= {"uo_increment_std": torch.full((3,), 0.03), "zos_increment_std": torch.tensor([0.02])}
        net = NamedNetwork(UNetConfig(widths=(4, 8), groups=2), WINDY, seam.geometry(where), known)
        made = prepared({"kind": "gaussian", "length": 1, "vertical": 1}, Model("m", net, task=WINDY), month)
        starts = np.repeat(month.time.values[[0]], 100)
        made.check(starts)
        begun = made.begin(starts, np.arange(100))
        wet = seam.wet_mask(where).bool()
        for name in ("thetao", "zos"):
            level = begun[name].var(0)
            for k, sigma in enumerate(known[f"{name}_increment_std"]):
                np.testing.assert_allclose(level[k][wet[k]].mean().sqrt(), sigma, rtol=0.05)

    def test_member_zero_can_be_the_control(self, month: xr.Dataset) -> None:
        starts = month.time.values[[20, 20]]
        analysis = prepared("lagged", DRIFTING, month).begin(starts, np.array([0, 0]))
        for kind in ("gaussian", "bred", "stochastic"):
            made = prepared({"kind": kind, "control": True, **KINDS[kind]}, DRIFTING, month)
            begun, after = made.begin(starts, np.array([0, 1])), analysis.map(lambda x: 1.5 * x)
            if made.amend is not None:
                begun = made.amend(analysis, after, starts, np.array([0, 1]), DAY)
            expected = after if made.amend is not None else analysis
            for name in begun:
                np.testing.assert_array_equal(begun[name][0], expected[name][0])
                assert not torch.equal(begun[name][1], expected[name][1])

    def test_nothing_becomes_impossible(self) -> None:
        """Ice that would be negative, or more than covers the sea, is held at the bound."""
        ds = toy_dataset.ocean(5)[["zos"]].rename(zos="siconc").assign_coords(toy_dataset.ocean(5).coords)
        ds["siconc"] = (
            xr.where(ds.siconc.notnull(), 0.02, np.nan).astype("float32").assign_attrs(VARIABLES["siconc"].attrs)
        )
        model = Model("ice", lambda state, forcing: state, task=Task(prognostic=Channels(surface=("siconc",))))
        made = prepared({"kind": "gaussian", "amplitude": {"siconc": 0.5}}, model, ds)
        begun = made.begin(ds.time.values[[3] * 20], np.arange(20))["siconc"]
        assert begun.min() == 0
        assert begun.max() == 1


def linear(matrix: np.ndarray, mask: torch.Tensor) -> Model:
    """A Model that multiplies the wet cells of zos by a matrix."""
    wet, by = mask[0].bool(), torch.from_numpy(matrix.T)

    def step(state: State, forcing: Forcing) -> State:
        made = state["zos"].clone()
        made[:, 0, wet] = (made[:, 0, wet].double() @ by).float()
        return State({"zos": made})

    return Model("linear", step, task=SURFACE)


class TestBred:
    def test_breeding_finds_the_leading_mode(self) -> None:
        """On a linear sea b turns to the eigenvector of the largest eigenvalue, as large as was asked for."""
        ds = toy_dataset.ocean(60, nlat=6, nlon=7)
        mask = seam.wet_mask(seam.grid_of(ds, SURFACE.prognostic))
        cells = int(mask.sum())
        rng = np.random.default_rng(0)
        modes, _ = np.linalg.qr(rng.standard_normal((cells, cells)))
        modes = modes + 0.2 * rng.standard_normal((cells, cells))  # not orthogonal, as those of a flow are not
        rates = np.append(1.1, np.linspace(0.8, 0.2, cells - 1))
        matrix = modes @ np.diag(rates) @ np.linalg.inv(modes)
        values, vectors = np.linalg.eig(matrix)
        leading = np.real(vectors[:, np.argmax(np.abs(values))])
        # An analysis that the sea holds: only then does clipping to what is possible not matter.
        made = prepared({"kind": "bred", "cycles": 40, "amplitude": {"zos": 0.02}}, linear(matrix, mask), ds)
        begun = made.begin(ds.time.values[[50, 50, 55]], np.array([0, 1, 2]))["zos"].double()
        analysis = torch.from_numpy(np.nan_to_num(ds.zos.values[[50, 50, 55]])).double()
        change = (begun[:, 0] - analysis)[:, mask[0].bool()].numpy()
        for one in change:
            assert abs(one @ leading) / np.linalg.norm(one) / np.linalg.norm(leading) > 0.9999
            weight = ds.cell_area.values[mask[0].bool().numpy()]
            np.testing.assert_allclose(np.sqrt((one**2 * weight).sum() / weight.sum()), 0.02, rtol=1e-5)
        np.testing.assert_allclose(change[0], -change[1], atol=1e-7)

    def test_its_norm_weighs_volume_and_levels(self, month: xr.Dataset) -> None:
        """The mean square of b/σ over area × thickness, then over the variables, is 1."""
        sigma = {"thetao": np.array([0.4, 0.2, 0.1]), "uo": np.full(3, 0.05), "zos": np.array([0.02])}
        words = {"kind": "bred", "cycles": 4, "cycle": "2D", "amplitude": {n: s.tolist() for n, s in sigma.items()}}
        made = prepared(words, DRIFTING, month)
        starts, members = month.time.values[[20, 30]], np.array([0, 3])
        begun, analysis = made.begin(starts, members), prepared("lagged", DRIFTING, month).begin(starts, members * 0)
        thickness, area = grid.thickness(month.depth).values, month.cell_area.values
        for row in range(2):
            means = []
            for name, spread in sigma.items():
                change = (begun[name][row] - analysis[name][row]).double().numpy() / spread[:, None, None]
                thick = thickness if len(spread) == 3 else np.ones(1)
                volume = thick[:, None, None] * area * (month.mask.values[: len(spread)] == 1)
                means.append((change**2 * volume).sum() / volume.sum())
            np.testing.assert_allclose(np.mean(means), 1.0, rtol=1e-4)

    def test_members_come_in_pairs(self, month: xr.Dataset) -> None:
        """Plus and minus one perturbation, then another; behind the control, if there is one."""
        starts, members = np.repeat(month.time.values[[20]], 5), np.arange(5)
        analysis = prepared("lagged", DRIFTING, month).begin(starts, 0 * members)
        for control in (False, True):
            made = prepared({"kind": "bred", "cycles": 2, "control": control}, DRIFTING, month, members=5)
            change = (made.begin(starts, members) - analysis)["thetao"][int(control) :].numpy()
            np.testing.assert_allclose(change[0], -change[1], atol=1e-5)
            np.testing.assert_allclose(change[2], -change[3], atol=1e-5)
            assert abs(np.corrcoef(change[0].ravel(), change[2].ravel())[0, 1]) < 0.9

    def test_a_model_that_forgets_is_refused(self, month: xr.Dataset) -> None:
        nothing = Model("nothing", lambda state, forcing: state.map(torch.zeros_like), task=SURFACE)
        with pytest.raises(InputError, match="nothing is left of the perturbation of 2001-12-21"):
            prepared("bred", nothing, month).begin(month.time.values[[20]], np.array([0]))


class TestLagged:
    @pytest.mark.parametrize("lag", [1, 3])
    def test_a_member_is_the_forecast_from_an_earlier_day(self, month: xr.Dataset, lag: int) -> None:
        """At the start and at each lead, with the forcing that was observed."""
        start = month.time.values[20]
        words = {"kind": "lagged", "lag": f"{lag}D"}
        fc = ox.forecast(DRIFTING, month, start, "4D", members=4, ensemble=words, forcing="observed", analysis=True)
        for member in range(4):
            plain = ox.forecast(
                DRIFTING, month, start - member * lag * DAY, f"{member * lag + 4}D", forcing="observed", analysis=True
            )
            for name in plain.data_vars:
                ours = fc[name].sel(member=member).isel(init_time=0)
                np.testing.assert_array_equal(ours, plain[name].isel(init_time=0)[member * lag :])

    def test_what_comes_after_the_start_does_not_matter(self, month: xr.Dataset) -> None:
        future = month.time > month.time[20]
        other = xr.where(future, 2 * month, month).assign_coords(month.coords)
        for kind, settings_ in KINDS.items():
            words = {"kind": kind, **settings_}
            a, b = (
                ox.forecast(DRIFTING, ds, month.time.values[20], "3D", members=3, ensemble=words)
                for ds in (month, other)
            )
            xr.testing.assert_equal(a.drop_attrs(), b.drop_attrs())


class TestStored:
    @pytest.fixture
    def analyses(self, month: xr.Dataset) -> xr.Dataset:
        """Five days with three members: the analysis made warmer, and left, and made colder, a day each in its way."""
        days = month.isel(time=slice(0, 5))
        factors = xr.DataArray([1.1, 1.0, 0.9], dims="member", coords={"member": [0, 1, 2]})
        members = {f"{name}_members": days[name] * factors for name in DRIFTING.task_for(days).prognostic.names}
        return days.assign({name: v.assign_attrs(days[name[:-8]].attrs) for name, v in members.items()})

    def test_each_member_is_the_forecast_from_its_own_state(self, analyses: xr.Dataset) -> None:
        dates, options = analyses.time.values[1:3], {"analysis": True}
        fc = ox.forecast(DRIFTING, analyses, dates, "2D", members=3, ensemble="stored", **options)
        for member, factor in enumerate((1.1, 1.0, 0.9)):
            own = analyses.assign({name: factor * analyses[name] for name in ("thetao", "uo", "zos")})
            plain = ox.forecast(DRIFTING, own.drop_dims("member"), dates, "2D", **options)
            for name in plain.data_vars:
                np.testing.assert_allclose(fc[name].sel(member=member), plain[name], rtol=1e-6)
        fewer = ox.forecast(DRIFTING, analyses, dates, "2D", members=2, ensemble="stored", **options)
        xr.testing.assert_equal(fewer.drop_attrs(), fc.sel(member=[0, 1]).drop_attrs())

    def test_what_is_not_stored_is_named(self, analyses: xr.Dataset) -> None:
        date = analyses.time.values[1]
        for ds in (analyses.drop_dims("member"), analyses.drop_vars("uo_members")):
            with pytest.raises(InputError, match=r"the Dataset has no \w+_members \(member, time, …\); let assimilate"):
                ox.forecast(DRIFTING, ds, date, "2D", members=2, ensemble="stored")
        with pytest.raises(InputError, match="4 members are asked for, 3 are stored"):
            ox.forecast(DRIFTING, analyses, date, "2D", members=4, ensemble="stored")
        gone = analyses.assign(uo_members=analyses.uo_members.where(analyses.member != 1))
        with pytest.raises(InputError, match="uo"):
            ox.forecast(DRIFTING, gone, date, "2D", members=2, ensemble="stored")


class TestStochastic:
    WORDS = {"kind": "stochastic", "spread": 0.2, "time": "4D", "length": 60}  # noqa: RUF012

    def factors(self, made: Members, ds: xr.Dataset, members: int, leads: int) -> np.ndarray:
        """r, [lead, member, lat, lon], from a change of 1."""
        starts, numbers = np.repeat(ds.time.values[[5]], members), np.arange(members)
        zero = State({"zos": torch.zeros(members, 1, 10, 12)})
        one = zero.map(lambda x: x + 1)
        amended = [made.amend(zero, one, starts, numbers, n * DAY)["zos"][:, 0] for n in range(1, leads + 1)]
        return torch.stack(amended).double().numpy() - 1

    def test_spread_and_memory_are_what_was_asked_for(self, month: xr.Dataset) -> None:
        """r has variance σ² at every lead, and correlation exp(−n/τ) between leads n apart."""
        made = prepared(self.WORDS | {"length": 1}, Model("still", drifting, task=SURFACE), month)
        r = self.factors(made, month, 60, 12)
        wet = month.mask.values[0] == 1
        np.testing.assert_array_equal(r[:, :, ~wet], 0)
        samples = r[:, :, wet].reshape(12, -1)  # cells that know nothing of each other
        low, high = chi2.ppf([0.005 / 12, 1 - 0.005 / 12], samples.shape[1])
        squares = (samples**2).sum(1) / 0.2**2
        assert low < squares.min() < squares.max() < high
        for apart in (1, 3, 8):
            found = np.corrcoef(samples[2], samples[2 + apart])[0, 1]
            assert abs(np.arctanh(found) - np.arctanh(np.exp(-apart / 4))) < 4 / np.sqrt(samples.shape[1] - 3)

    def test_the_pattern_is_wide(self, month: xr.Dataset) -> None:
        """Correlated in space by exp(−d²/2L²): neighbours in a row 50 km apart, L 100 km, 400 members."""
        made = prepared(self.WORDS | {"length": 100}, Model("still", drifting, task=SURFACE), month)
        r = self.factors(made, month, 400, 1)[0]
        x = 6371.0 * np.cos(np.deg2rad(month.latitude.values[6])) * np.deg2rad(0.5)
        for cells in (1, 3):
            found = np.corrcoef(r[:, 6, 4], r[:, 6, 4 + cells])[0, 1]
            expected = np.exp(-((cells * x) ** 2) / (2 * 100**2))
            assert abs(np.arctanh(found) - np.arctanh(expected)) < 4 / np.sqrt(397) + 0.02

    def test_leads_in_any_order_give_the_same(self, month: xr.Dataset) -> None:
        made, again = (prepared(self.WORDS, Model("still", drifting, task=SURFACE), month) for _ in range(2))
        in_order = self.factors(made, month, 2, 6)
        starts, numbers = np.repeat(month.time.values[[5]], 2), np.arange(2)
        zero = State({"zos": torch.zeros(2, 1, 10, 12)})
        for n in (6, 2, 3, 1):
            amended = again.amend(zero, zero.map(lambda x: x + 1), starts, numbers, n * DAY)["zos"][:, 0]
            np.testing.assert_array_equal(amended.double().numpy() - 1, in_order[n - 1])

    def test_a_change_never_turns_round(self, month: xr.Dataset) -> None:
        """|r| is held at its limit, and no variable or level has an r of its own."""
        made = prepared(self.WORDS | {"spread": 2.0, "limit": 0.7}, DRIFTING, month)
        starts = np.repeat(month.time.values[[5]], 30)
        before = made.begin(starts, np.arange(30))
        after = before.map(lambda x: x + 0.5)
        amended = made.amend(before, after, starts, np.arange(30), DAY)
        wet = month.mask.values == 1
        r = {n: ((amended[n] - before[n]) / 0.5 - 1).numpy()[:, wet[: before[n].shape[1]]] for n in before}
        assert abs(r["thetao"]).max() <= 0.7 + 1e-5
        assert (abs(r["thetao"]) > 0.699).any()
        both = wet[2]
        whole = ((amended["thetao"] - before["thetao"]) / 0.5 - 1).numpy()[:, :, both]
        height = ((amended["zos"] - before["zos"]) / 0.5 - 1).numpy()[:, :, both]
        np.testing.assert_allclose(whole, np.broadcast_to(height, whole.shape), atol=2e-5)


class TestCheckpoints:
    @pytest.fixture
    def runs(self, tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> list[str]:
        """A run, and another of the same Task with other weights."""
        one, other = ox.train(tiny, ocean, tmp_path / "one"), tmp_path / "other"
        shutil.copytree(one, other)
        weights = tensors(one / "weights.safetensors")
        (other / "weights.safetensors").unlink()
        save_tensors(other / "weights.safetensors", {name: 1.1 * value for name, value in weights.items()})
        return [str(one), str(other)]

    def test_each_member_is_its_runs_own_forecast(self, runs: list[str], ocean: xr.Dataset) -> None:
        words = {"kind": "checkpoints", "runs": runs}
        starts = ["2002-04-10", "2002-04-12"]
        fc = ox.forecast(ox.load(runs[0]), ocean, starts, "3D", members=2, ensemble=words)
        for member, run in enumerate(runs):
            own = ox.forecast(ox.load(run), ocean, starts, "3D")
            for name in own.data_vars:
                np.testing.assert_array_equal(fc[name].sel(member=member), own[name])
        assert float(abs(fc.thetao.diff("member")).max()) > 0
        assert [made["config"] for made in json.loads(fc.attrs["oceanx_members"])] == [
            ox.load(run).attrs["oceanx_config"] for run in runs
        ]

    def test_runs_that_do_not_belong_together_are_refused(
        self, runs: list[str], ocean: xr.Dataset, tmp_path: Path
    ) -> None:
        model = ox.load(runs[0])
        refused = partial(pytest.raises, InputError)
        with refused(match="2 runs for 4 members; give one run a member, or members=2"):
            prepared({"kind": "checkpoints", "runs": runs}, model, ocean, members=4)
        other = Run(runs[1])
        config, where = other.config, other.dataset("grid")
        other.save_dataset("grid", where.assign_coords(longitude=where.longitude + 2))
        with refused(match="longitude: grids differ"):
            prepared({"kind": "checkpoints", "runs": runs}, model, ocean, members=2)
        task = config.task.model_copy(update={"forcing": config.task.forcing.only(["u10"])})
        config.model_copy(update={"task": task}).save(other / "config.yaml")
        with refused(match="its task.forcing is .*; members must do one Task"):
            prepared({"kind": "checkpoints", "runs": runs}, model, ocean, members=2)
        with refused(match="nowhere"):
            prepared({"kind": "checkpoints", "runs": [runs[0], str(tmp_path / "nowhere")]}, model, ocean, members=2)
