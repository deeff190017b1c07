"""The table of names against the CF standard name table: every name exists there with that dimension of unit."""

from __future__ import annotations

import pytest

from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import DIMENSION_ALIASES, DIMENSIONS, VARIABLES, ours, variable

# Canonical units of the CF standard name table.
CF = {
    "sea_water_potential_temperature": "K",
    "sea_water_potential_temperature_at_sea_floor": "K",
    "sea_surface_temperature": "K",
    "sea_water_salinity": "1e-3",
    "sea_water_temperature": "K",
    "surface_geostrophic_eastward_sea_water_velocity": "m s-1",
    "surface_geostrophic_northward_sea_water_velocity": "m s-1",
    "surface_geostrophic_eastward_sea_water_velocity_assuming_mean_sea_level_for_geoid": "m s-1",
    "surface_geostrophic_northward_sea_water_velocity_assuming_mean_sea_level_for_geoid": "m s-1",
    "eastward_sea_water_velocity": "m s-1",
    "northward_sea_water_velocity": "m s-1",
    "sea_surface_height_above_geoid": "m",
    "sea_surface_height_above_sea_level": "m",
    "ocean_mixed_layer_thickness_defined_by_sigma_theta": "m",
    "sea_ice_area_fraction": "1",
    "sea_ice_thickness": "m",
    "eastward_sea_ice_velocity": "m s-1",
    "northward_sea_ice_velocity": "m s-1",
    "eastward_wind": "m s-1",
    "northward_wind": "m s-1",
    "wind_speed": "m s-1",
    "air_temperature": "K",
    "dew_point_temperature": "K",
    "air_pressure_at_mean_sea_level": "Pa",
    "surface_net_downward_shortwave_flux": "W m-2",
    "surface_net_downward_longwave_flux": "W m-2",
    "surface_downwelling_longwave_flux_in_air": "W m-2",
    "surface_downward_latent_heat_flux": "W m-2",
    "surface_downward_sensible_heat_flux": "W m-2",
    "lwe_precipitation_rate": "m s-1",
    "precipitation_flux": "kg m-2 s-1",
    "surface_air_pressure": "Pa",
    "surface_downwelling_shortwave_flux_in_air": "W m-2",
    "sea_water_sigma_theta": "kg m-3",
    "sea_water_density": "kg m-3",
    "ocean_relative_vorticity": "s-1",
    "sea_water_speed": "m s-1",
    "integral_wrt_depth_of_sea_water_potential_temperature_expressed_as_heat_content": "J m-2",
    "surface_downward_eastward_stress": "Pa",
    "surface_downward_northward_stress": "Pa",
    "water_evapotranspiration_flux": "kg m-2 s-1",
    "sea_binary_mask": "1",
    "cell_area": "m2",
    "sea_area_fraction": "1",
    "cell_thickness": "m",
    "sea_floor_depth_below_geoid": "m",
    "model_level_number_at_sea_floor": "1",
    "ground_level_altitude": "m",
    "region": "1",
}
CANONICAL = {"degrees_C": "K"}  # of the units that we prefer to CF's own


@pytest.mark.parametrize("row", VARIABLES.values(), ids=VARIABLES)
def test_standard_name_and_unit_go_together(row):
    if row.standard_name:
        assert row.standard_name in CF
        assert CANONICAL.get(row.units, row.units) == CF[row.standard_name]
        assert row.attrs["standard_name"] == row.standard_name
    else:
        assert "standard_name" not in row.attrs
    assert row.attrs["units"] == row.units
    assert row.long_name


def test_no_two_variables_answer_to_one_name():
    everyone = [name for row in VARIABLES.values() for name in (row.name, *row.aliases)]
    assert len(everyone) == len(set(everyone))


def test_no_two_dimensions_answer_to_one_name():
    everyone = [name for dim, aliases in DIMENSION_ALIASES.items() for name in (dim, *aliases)]
    assert len(everyone) == len(set(everyone))
    assert set(DIMENSION_ALIASES) <= set(DIMENSIONS)


@pytest.mark.parametrize("row", VARIABLES.values(), ids=VARIABLES)
def test_every_alias_leads_home(row):
    for name in (row.name, *row.aliases):
        assert ours(name) == row.name
        assert variable(name) is row


def test_valid_ranges_are_ranges_and_stand_in_the_variable_s_unit():
    for row in VARIABLES.values():
        assert row.valid is None or row.valid[0] < row.valid[1]
    # Boiling oceans and freezing kelvins: what a wrong unit would look like.
    assert VARIABLES["thetao"].valid[1] < 100
    assert VARIABLES["t2m"].valid[0] > 100
    assert VARIABLES["siconc"].valid == (0.0, 1.0)


def test_names_known_from_elsewhere():
    assert ours("votemper") == "thetao"
    assert ours("2m_temperature") == "t2m"
    assert ours("nonsense") is None


def test_an_unknown_variable_gets_its_nearest_match():
    with pytest.raises(InputError, match="did you mean 'thetao'"):
        variable("theta0")
