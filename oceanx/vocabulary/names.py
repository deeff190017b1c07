"""One table of variables and one of dimensions: our word, its CF name and unit, and what others call it.

Our words are GLORYS12's short names for the ocean and ERA5's for the atmosphere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .errors import unknown

Realm = Literal["ocean", "ice", "atmosphere", "derived", "static"]


@dataclass(frozen=True)
class Variable:
    """What oceanx calls a variable, and the CF attributes it carries everywhere."""

    name: str
    standard_name: str
    long_name: str
    units: str
    realm: Realm
    volume: bool = False  # has a depth dimension
    valid: tuple[float, float] | None = None  # what is physically possible, in `units`
    aliases: tuple[str, ...] = ()

    @property
    def attrs(self) -> dict[str, str]:
        """CF attributes, ready for an xarray variable; `standard_name` is left out where CF has none."""
        named = {"standard_name": self.standard_name} if self.standard_name else {}
        return named | {"long_name": self.long_name, "units": self.units} | self._scale

    @property
    def _scale(self) -> dict[str, str]:
        """Whether kelvins or degrees are those of a thermometer, or between two readings of it."""
        if self.units not in ("K", "degrees_C"):
            return {}
        return {"units_metadata": f"temperature: {'difference' if self.name.endswith('_error') else 'on_scale'}"}


_OCEAN = (
    Variable("thetao", "sea_water_potential_temperature", "Potential temperature", "degrees_C", "ocean", True,
             (-3.0, 45.0), ("votemper", "TEMP", "temperature", "water_temp", "theta")),
    Variable("so", "sea_water_salinity", "Salinity", "1e-3", "ocean", True,
             (0.0, 50.0), ("vosaline", "PSAL", "salinity", "salt", "s_an")),
    Variable("uo", "eastward_sea_water_velocity", "Eastward velocity", "m s-1", "ocean", True,
             (-5.0, 5.0), ("vozocrtx", "water_u", "eastward_eulerian_current_velocity")),
    Variable("vo", "northward_sea_water_velocity", "Northward velocity", "m s-1", "ocean", True,
             (-5.0, 5.0), ("vomecrty", "water_v", "northward_eulerian_current_velocity")),
    Variable("zos", "sea_surface_height_above_geoid", "Sea surface height", "m", "ocean", False,
             (-5.0, 5.0), ("sossheig", "ssh", "adt", "surf_el")),
    Variable("mlotst", "ocean_mixed_layer_thickness_defined_by_sigma_theta", "Mixed layer thickness", "m", "ocean",
             False, (0.0, 6000.0), ("mld", "somxlr10")),
    Variable("bottomT", "sea_water_potential_temperature_at_sea_floor", "Sea floor potential temperature",
             "degrees_C", "ocean", False, (-3.0, 45.0), ("tob",)),
    Variable("sst", "sea_surface_temperature", "Sea surface temperature", "degrees_C", "ocean", False,
             (-3.0, 45.0), ("tos", "analysed_sst", "sea_surface_temperature", "oisst")),
    Variable("sst_error", "", "Standard error of the sea surface temperature", "K", "ocean", False,
             (0.0, 50.0), ("analysis_error",)),
    Variable("t_insitu", "sea_water_temperature", "In-situ temperature", "degrees_C", "ocean", True,
             (-3.0, 45.0), ("t_an",)),
    Variable("sla", "sea_surface_height_above_sea_level", "Sea level anomaly", "m", "ocean", False, (-5.0, 5.0)),
    Variable("ugosa", "surface_geostrophic_eastward_sea_water_velocity_assuming_mean_sea_level_for_geoid",
             "Geostrophic eastward velocity anomaly", "m s-1", "ocean", False, (-5.0, 5.0)),
    Variable("vgosa", "surface_geostrophic_northward_sea_water_velocity_assuming_mean_sea_level_for_geoid",
             "Geostrophic northward velocity anomaly", "m s-1", "ocean", False, (-5.0, 5.0)),
    Variable("siconc", "sea_ice_area_fraction", "Sea ice concentration", "1", "ice", False,
             (0.0, 1.0), ("sic", "sea_ice_fraction", "ileadfra", "sea_ice_cover")),
    Variable("sithick", "sea_ice_thickness", "Sea ice thickness", "m", "ice", False, (0.0, 50.0), ("sit",)),
    Variable("usi", "eastward_sea_ice_velocity", "Eastward ice velocity", "m s-1", "ice", False, (-5.0, 5.0)),
    Variable("vsi", "northward_sea_ice_velocity", "Northward ice velocity", "m s-1", "ice", False, (-5.0, 5.0)),
)  # fmt: skip

_ATMOSPHERE = (
    Variable("u10", "eastward_wind", "10 m eastward wind", "m s-1", "atmosphere", False,
             (-120.0, 120.0), ("10m_u_component_of_wind",)),
    Variable("v10", "northward_wind", "10 m northward wind", "m s-1", "atmosphere", False,
             (-120.0, 120.0), ("10m_v_component_of_wind",)),
    Variable("si10", "wind_speed", "10 m wind speed", "m s-1", "atmosphere", False,
             (0.0, 150.0), ("10m_wind_speed",)),
    Variable("t2m", "air_temperature", "2 m air temperature", "K", "atmosphere", False,
             (150.0, 350.0), ("2m_temperature",)),
    Variable("d2m", "dew_point_temperature", "2 m dew point temperature", "K", "atmosphere", False,
             (120.0, 350.0), ("2m_dewpoint_temperature",)),
    Variable("msl", "air_pressure_at_mean_sea_level", "Mean sea level pressure", "Pa", "atmosphere", False,
             (8.0e4, 1.2e5), ("mean_sea_level_pressure",)),
    Variable("sp", "surface_air_pressure", "Surface pressure", "Pa", "atmosphere", False,
             (4.0e4, 1.2e5), ("surface_pressure",)),
    Variable("ssrd", "surface_downwelling_shortwave_flux_in_air", "Short-wave radiation, downward", "W m-2",
             "atmosphere", False, (0.0, 1400.0), ("surface_solar_radiation_downwards",)),
    Variable("ssr", "surface_net_downward_shortwave_flux", "Net short-wave radiation, downward", "W m-2",
             "atmosphere", False, (0.0, 1400.0), ("surface_net_solar_radiation",)),
    Variable("str", "surface_net_downward_longwave_flux", "Net long-wave radiation, downward", "W m-2",
             "atmosphere", False, (-600.0, 300.0), ("surface_net_thermal_radiation",)),
    Variable("strd", "surface_downwelling_longwave_flux_in_air", "Long-wave radiation, downward", "W m-2",
             "atmosphere", False, (0.0, 700.0), ("surface_thermal_radiation_downwards",)),
    Variable("slhf", "surface_downward_latent_heat_flux", "Latent heat flux, downward", "W m-2",
             "atmosphere", False, (-2500.0, 500.0), ("surface_latent_heat_flux",)),
    Variable("sshf", "surface_downward_sensible_heat_flux", "Sensible heat flux, downward", "W m-2",
             "atmosphere", False, (-2500.0, 1500.0), ("surface_sensible_heat_flux",)),
    Variable("tp", "lwe_precipitation_rate", "Total precipitation", "m s-1", "atmosphere", False,
             (0.0, 1.0e-4), ("total_precipitation",)),
    Variable("mtpr", "precipitation_flux", "Mean total precipitation rate", "kg m-2 s-1", "atmosphere", False,
             (0.0, 0.1), ("avg_tprate", "mean_total_precipitation_rate")),
)  # fmt: skip

# Calculated from the others, with gaps of their own: they do not speak for the wet mask.
_DERIVED = (
    Variable("sigma0", "sea_water_sigma_theta", "Potential density anomaly", "kg m-3", "derived", True,
             (-10.0, 60.0), ("sigma_theta",)),
    Variable("rho", "sea_water_density", "Density in situ", "kg m-3", "derived", True, (980.0, 1100.0)),
    Variable("heat_content", "integral_wrt_depth_of_sea_water_potential_temperature_expressed_as_heat_content",
             "Heat content", "J m-2", "derived", False),
    Variable("vorticity", "ocean_relative_vorticity", "Relative vorticity", "s-1", "derived", True),
    Variable("speed", "sea_water_speed", "Speed of the current", "m s-1", "derived", True, (0.0, 10.0)),
    Variable("eke", "", "Eddy kinetic energy per mass", "m2 s-2", "derived", True, (0.0, 50.0)),
    Variable("ugos", "surface_geostrophic_eastward_sea_water_velocity", "Geostrophic eastward velocity", "m s-1",
             "derived", False, (-10.0, 10.0)),
    Variable("vgos", "surface_geostrophic_northward_sea_water_velocity", "Geostrophic northward velocity", "m s-1",
             "derived", False, (-10.0, 10.0)),
    Variable("tauuo", "surface_downward_eastward_stress", "Eastward wind stress", "Pa", "derived", False,
             (-20.0, 20.0), ("iews", "metss", "avg_iews", "instantaneous_eastward_turbulent_surface_stress",
                             "mean_eastward_turbulent_surface_stress")),
    Variable("tauvo", "surface_downward_northward_stress", "Northward wind stress", "Pa", "derived", False,
             (-20.0, 20.0), ("inss", "mntss", "avg_inss", "instantaneous_northward_turbulent_surface_stress",
                             "mean_northward_turbulent_surface_stress")),
    Variable("evs", "water_evapotranspiration_flux", "Evaporation, upward", "kg m-2 s-1", "derived", False,
             (-2.0e-4, 1.0e-3)),
    Variable("t_below", "", "Temperature below the mixed layer", "degrees_C", "derived", False, (-3.0, 45.0)),
    Variable("w_entrain", "", "Velocity of water entering the mixed layer from below", "m s-1", "derived", False,
             (-0.1, 0.1)),
)  # fmt: skip

_STATIC = (
    Variable("mask", "sea_binary_mask", "Wet cells", "1", "static", True),
    Variable("cell_area", "cell_area", "Area of a grid cell", "m2", "static"),
    Variable("wet_fraction", "sea_area_fraction", "Wet part of a grid cell", "1", "static", True),
    Variable("thickness", "cell_thickness", "Thickness of a layer", "m", "static"),
    Variable("deptho", "sea_floor_depth_below_geoid", "Sea floor depth", "m", "static"),
    Variable("deptho_lev", "model_level_number_at_sea_floor", "Number of the lowest wet level", "1", "static"),
    Variable("e1t", "", "Length of a cell along its latitude", "m", "static"),
    Variable("e2t", "", "Length of a cell along its longitude", "m", "static"),
    Variable("e3t", "cell_thickness", "Thickness of a cell, which the sea floor may cut", "m", "static", True),
    Variable("mdt", "", "Mean dynamic topography above the geoid", "m", "static"),
    Variable("relief", "ground_level_altitude", "Height of land and sea floor above the geoid", "m", "static"),
    Variable("basin", "region", "Code of the ocean basin", "1", "static", True),
)

VARIABLES: dict[str, Variable] = {v.name: v for v in (*_OCEAN, *_ATMOSPHERE, *_DERIVED, *_STATIC)}

DIMENSIONS: dict[str, dict[str, str]] = {
    "time": {"standard_name": "time", "long_name": "Time", "axis": "T", "units_metadata": "leap_seconds: none"},
    "depth": {"standard_name": "depth", "long_name": "Depth", "units": "m", "positive": "down", "axis": "Z"},
    "latitude": {"standard_name": "latitude", "long_name": "Latitude", "units": "degrees_north", "axis": "Y"},
    "longitude": {"standard_name": "longitude", "long_name": "Longitude", "units": "degrees_east", "axis": "X"},
    "init_time": {"standard_name": "forecast_reference_time", "long_name": "Time of the analysis"},
    "lead_time": {"standard_name": "forecast_period", "long_name": "Time since the analysis"},
    "valid_time": {"standard_name": "time", "long_name": "Time the forecast is valid for"},
    "member": {"standard_name": "realization", "long_name": "Ensemble member", "units": "1"},
}

DIMENSION_ALIASES: dict[str, tuple[str, ...]] = {
    "time": ("valid_time", "time_counter", "TIME", "T"),
    "depth": ("lev", "deptht", "zlev", "z", "DEPTH", "Z", "elevation"),
    "latitude": ("lat", "nav_lat", "LATITUDE", "y"),
    "longitude": ("lon", "nav_lon", "LONGITUDE", "x"),
}

_BY_ALIAS = {alias: v.name for v in VARIABLES.values() for alias in (v.name, *v.aliases)}


def variable(name: str) -> Variable:
    """The table's row for `name`, which may be our own word or anyone's alias; `InputError` if nobody knows it."""
    if name not in _BY_ALIAS:
        raise unknown("variable", name, VARIABLES)
    return VARIABLES[_BY_ALIAS[name]]


def ours(name: str) -> str | None:
    """Our word for anyone's variable name, or None."""
    return _BY_ALIAS.get(name)
