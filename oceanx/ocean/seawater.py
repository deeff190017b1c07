"""What instruments measure as what models carry: pressure as depth, in-situ as potential temperature (TEOS-10)."""

from __future__ import annotations

from typing import Any

import gsw
import numpy as np


def depth(pressure: Any, latitude: Any) -> np.ndarray:
    """Depth in m, positive down, of sea pressure in dbar: −z of the 75-term hydrostatic relation at S_A 35.16504 g/kg.

    References
    ----------
    IOC, SCOR and IAPSO (2010), The international thermodynamic equation of seawater – 2010.
    Roquet et al. (2015), https://doi.org/10.1016/j.ocemod.2015.04.002
    """
    return -np.asarray(gsw.z_from_p(pressure, latitude))


def pressure(depth: Any, latitude: Any) -> np.ndarray:
    """Sea pressure in dbar of depth in m, positive down; the inverse of `depth`."""
    return np.asarray(gsw.p_from_z(-np.asarray(depth, np.float64), latitude))


def potential_temperature(temperature: Any, salinity: Any, pressure: Any, longitude: Any, latitude: Any) -> np.ndarray:
    """Potential temperature θ in °C referred to the surface.

    θ(S_A, t, p) has the entropy of the water at (S_A, t, p); S_A is had from practical salinity with the local
    anomaly of composition.

    Parameters
    ----------
    temperature
        In situ, °C (ITS-90).
    salinity
        Practical salinity.
    pressure
        dbar, 0 at the surface.

    References
    ----------
    IOC, SCOR and IAPSO (2010), The international thermodynamic equation of seawater – 2010.
    McDougall et al. (2012), https://doi.org/10.5194/os-8-1123-2012
    """
    absolute = gsw.SA_from_SP(salinity, pressure, longitude, latitude)
    return np.asarray(gsw.pt0_from_t(absolute, temperature, pressure))
