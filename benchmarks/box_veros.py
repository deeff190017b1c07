"""The box of veros.py in Veros, in a process of its own: reads `steps`, `look` from standard input, answers in JSON.

Runs in Veros' own environment, where there is no oceanx, and with `python -I`, so that `import veros` finds Veros and
not the script of that name beside this file.
"""

from __future__ import annotations

import json
import os
import sys
import time

import numpy as np


def main() -> None:
    given = json.loads(sys.argv[1])
    os.sched_setaffinity(0, range(given["threads"]))
    from veros import runtime_settings

    runtime_settings.update(backend=given["backend"], float_type=given["precision"], loglevel="error")
    simulation = made(given)
    simulation.state.diagnostics.clear()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        word, *number = line.split()
        print(json.dumps(steps(simulation, int(number[0])) if word == "steps" else look(simulation)), flush=True)


def steps(simulation, number: int) -> float:
    """Seconds that so many steps take."""
    start = time.perf_counter()
    for _ in range(number):
        simulation.step(simulation.state)
    np.asarray(simulation.state.variables.temp)  # waits for what is under way
    return time.perf_counter() - start


def look(simulation) -> dict[str, float]:
    """Kinetic energy (m2 s-2), fastest current (m s-1), mean temperature (°C): that all solve the same."""
    v = simulation.state.variables
    u, w, t = (np.asarray(f)[2:-2, 2:-2, :, int(v.tau)] for f in (v.u, v.v, v.temp))
    volume = np.asarray(v.area_t)[2:-2, 2:-2, None] * np.asarray(v.dzt) * np.asarray(v.maskT)[2:-2, 2:-2]
    return {
        "kinetic energy": float((volume * 0.5 * (u**2 + w**2)).sum() / volume.sum()),
        "fastest": float(max(np.abs(u).max(), np.abs(w).max())),
        "temperature": float((volume * t).sum() / volume.sum()),
    }


def made(given):
    """The simulation, ready for its first step."""
    from veros import VerosSetup, veros_routine
    from veros.core.operators import at, update
    from veros.core.operators import numpy as npx

    box = np.load(given["box"])
    wet = box["wet"].T  # x before y, here and in every field; levels from the bottom up

    class Box(VerosSetup):
        @veros_routine
        def set_parameter(self, state):
            s = state.settings
            s.identifier = "box"
            s.nx, s.ny, s.nz = (*wet.shape, len(box["thickness"]))
            s.dt_mom = s.dt_tracer = given["step"]
            s.runlen = 0.0
            s.x_origin, s.y_origin = float(box["longitude"][1]), float(box["latitude"][1])  # of the first u and v
            s.coord_degree = s.enable_cyclic_x = True
            s.enable_conserve_energy = s.enable_tke = s.enable_eke = s.enable_neutral_diffusion = False
            s.enable_streamfunction = given["surface"] == "lid"
            s.enable_superbee_advection = given["advection"] == "limited"
            s.enable_hor_friction, s.A_h = True, given["viscosity"]
            s.enable_implicit_vert_friction = True
            s.kappaM_0, s.kappaH_0 = given["vertical_viscosity"], given["vertical_diffusivity"]
            s.enable_bottom_friction = True
            s.r_bot = given["drag"] / float(box["thickness"][-1])
            s.eq_of_state_type = 1

        @veros_routine
        def set_grid(self, state):
            v = state.variables
            v.dxt = update(v.dxt, at[...], float(np.diff(box["longitude"])[0]))
            v.dyt = update(v.dyt, at[...], float(np.diff(box["latitude"])[0]))
            v.dzt = npx.array(box["thickness"][::-1])

        @veros_routine
        def set_coriolis(self, state):
            v, s = state.variables, state.settings
            turning = 2 * s.omega * npx.sin(v.yt[npx.newaxis, :] / 180.0 * s.pi)
            v.coriolis_t = update(v.coriolis_t, at[...], turning)

        @veros_routine
        def set_topography(self, state):
            v = state.variables
            v.kbot = update(v.kbot, at[2:-2, 2:-2], npx.array(wet.astype(int)))

        @veros_routine
        def set_initial_conditions(self, state):
            v = state.variables
            warm = npx.array(box["thetao"].T[:, :, ::-1])[..., npx.newaxis]
            v.temp = update(v.temp, at[2:-2, 2:-2], warm * v.maskT[2:-2, 2:-2, :, npx.newaxis])
            v.salt = update(v.salt, at[...], 35.0 * v.maskT[..., npx.newaxis])
            wind = npx.array(np.broadcast_to(box["tauuo"], wet.shape))
            v.surface_taux = update(v.surface_taux, at[2:-2, 2:-2], wind * v.maskU[2:-2, 2:-2, -1])

        @veros_routine
        def set_forcing(self, state):
            pass

        @veros_routine
        def set_diagnostics(self, state):
            pass

        @veros_routine
        def after_timestep(self, state):
            pass

    simulation = Box(override={"restart_output_filename": None})
    simulation.setup()
    return simulation


if __name__ == "__main__":
    main()
