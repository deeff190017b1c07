"""Physical constants in SI units, and the standard vertical levels."""

from __future__ import annotations

EARTH_RADIUS = 6.371e6  # m, mean radius
ROTATION = 7.292115e-5  # s-1, angular velocity of the Earth
GRAVITY = 9.80665  # m s-2, standard gravity
REFERENCE_DENSITY = 1026.0  # kg m-3, sea water (Boussinesq)
HEAT_CAPACITY = 3991.86795711963  # J kg-1 K-1, TEOS-10 cp0
ZERO_CELSIUS = 273.15  # K
SECONDS_PER_DAY = 86400.0

# The air above the sea, as its bulk formulae have it (Large and Yeager 2004, doi:10.5065/D6KK98Q6).
KARMAN = 0.4
GAS_CONSTANT = 287.04  # J kg-1 K-1, of dry air
HEAT_CAPACITY_AIR = 1000.5  # J kg-1 K-1
LAPSE = 0.0098  # K m-1, adiabatic: makes a temperature at 2 m a potential temperature
MOISTURE = 0.608  # Tv = T (1 + 0.608 q)
OVER_SALT_WATER = 0.98  # vapour pressure lowered by salt
STEFAN_BOLTZMANN = 5.670374419e-8  # W m-2 K-4
WIND_HEIGHT, AIR_HEIGHT = 10.0, 2.0  # m: where ERA5 gives wind, and temperature and humidity
LEAST_WIND = 0.5  # m s-1: below, gusts carry the exchange
LARGEST_ZETA = 10.0  # of |ζ| = z / |L|

# GLORYS12's 50 levels in metres (Copernicus Marine, GLOBAL_MULTIYEAR_PHY_001_030).
GLORYS_LEVELS = (
    0.494025, 1.541375, 2.645669, 3.819495, 5.078224, 6.440614, 7.929560, 9.572997, 11.405000, 13.467140,
    15.810070, 18.495560, 21.598820, 25.211411, 29.444731, 34.434151, 40.344051, 47.373692, 55.764290, 65.807266,
    77.853851, 92.326073, 109.729301, 130.666000, 155.850693, 186.125595, 222.475204, 266.040314, 318.127411,
    380.213013, 453.937714, 541.088928, 643.566772, 763.333130, 902.339294, 1062.439941, 1245.291016, 1452.250977,
    1684.284058, 1941.892944, 2225.077881, 2533.335938, 2865.702881, 3220.820068, 3597.031982, 3992.483887,
    4405.224121, 4833.291016, 5274.784180, 5727.916992,
)  # fmt: skip

# The 23 levels shared by XiHe, WenHai, NeuralOM and HybridOM: every second of the first 21, then all to 643 m.
LEVELS_23 = GLORYS_LEVELS[:20:2] + GLORYS_LEVELS[20:33]

# The depths in metres at which OceanBench scores: GLORYS12's levels 1, 18, 22, 27, 29 and 32.
OCEANBENCH_LEVELS = (0.494025, 47.37369, 92.32607, 222.4752, 318.1274, 541.0889)
