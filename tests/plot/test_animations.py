"""Films: how many frames, how long, on which scale, with which dates."""

from __future__ import annotations

import io
import tracemalloc

import dask.array
import numpy as np
import pytest
import xarray as xr
from matplotlib.animation import FFMpegWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from PIL import Image

from oceanx import plot
from oceanx.plot import animations, maps, style
from oceanx.vocabulary.errors import InputError


@pytest.fixture
def leads(forecast) -> xr.DataArray:
    return forecast["zos"].isel(init_time=0, lead_time=slice(0, 4))


def test_a_gif_has_a_frame_for_each_lead_and_its_duration(leads, tmp_path):
    film = plot.animation(leads, rate=4)
    film.save(tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as image:
        assert (image.format, image.n_frames, image.info["loop"]) == ("GIF", 4, 0)
        for number in range(4):
            image.seek(number)
            assert image.info["duration"] == 250
    assert len(film) == 4


def test_every_frame_has_its_date_and_lead(leads):
    film = plot.animation(leads)
    titles = []
    for number in range(len(film)):
        film.draw(number)
        titles.append(film.figure.axes[0].get_title(loc="left"))
    assert titles == [
        f"Sea surface height\n2020-06-0{day + 1}, lead {day} day{'s' * (day > 1)} from 2020-06-01"
        for day in (1, 2, 3, 4)
    ]
    film = plot.animation(leads, title="Biscay")
    assert film.figure.axes[0].get_title(loc="left").startswith("Biscay\n2020-06-02, lead 1 day")


def test_one_scale_holds_for_all_frames(ocean):
    rising = (ocean["zos"] * 0 + xr.DataArray(np.arange(16.0), dims="time")).assign_attrs(ocean["zos"].attrs)
    film = plot.animation(rising.rename("so"))
    mesh = film.figure.axes[0].collections[0]
    limits = (mesh.norm.vmin, mesh.norm.vmax)
    assert limits == (0, 15)
    for number in (0, 15):
        film.draw(number)
        assert (mesh.norm.vmin, mesh.norm.vmax) == limits
        assert np.allclose(mesh.get_array().compressed(), number)


def test_the_frames_differ_as_the_field_does_and_land_stays(leads):
    buffer = io.BytesIO()
    plot.animation(leads).write_gif(buffer)
    with Image.open(buffer) as image:
        frames = []
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB")).astype(int))
    changed = (frames[0] != frames[3]).any(axis=-1)
    assert 0.05 < changed.mean() < 0.9
    land = np.round(255 * np.array(to_rgb(style.LAND)))
    for frame in frames:
        assert (np.abs(frame - land).max(axis=-1) <= 2).mean() > 0.05


def test_water_that_is_missing_in_one_frame_is_no_land(ocean):
    field = ocean["zos"].isel(time=slice(0, 3)).copy(deep=True)
    wet = int(field[0].notnull().sum())
    field[0] = field[0].where(field.longitude < -60)
    film = plot.animation(field)
    land = next(c for c in film.figure.axes[0].collections if c.get_gid() == "land")
    assert land.get_array().count() == field[0].size - wet
    film.draw(2)
    assert film.figure.axes[0].collections[0].get_array().count() == wet


def test_a_lazy_field_is_read_a_frame_at_a_time(ocean):
    counts: list[int] = []

    def read(block):
        counts.append(block.shape[0])
        return block

    lazy = ocean["zos"].copy(data=dask.array.from_array(ocean["zos"].values, chunks=(1, -1, -1)).map_blocks(read))
    counts.clear()
    film = plot.animation(lazy)
    assert set(counts) == {1}
    made = len(counts)
    assert made <= 2 * 16 + 3
    film.draw(5)
    assert len(counts) == made + 1


def test_any_one_dimension_can_be_run_along(ocean):
    by_depth = ocean["thetao"].isel(time=0)
    assert len(plot.animation(by_depth)) == 5
    assert "0.49 m" in plot.animation(by_depth).figure.axes[0].get_title(loc="left")
    assert plot.animation(ocean["zos"].expand_dims(member=[0])).along == "time"


def test_what_makes_no_film_is_refused(ocean, leads, tmp_path):
    with pytest.raises(InputError, match="select depth first"):
        plot.animation(ocean["thetao"])
    with pytest.raises(InputError, match="along: zos has no dimension 'member'"):
        plot.animation(leads, along="member")
    with pytest.raises(InputError, match="rate: found 0 frames"):
        plot.animation(leads, rate=0)
    many = leads.isel(lead_time=np.zeros(401, int)).assign_coords(lead_time=np.arange(401) * np.timedelta64(1, "D"))
    with pytest.raises(InputError, match="401 frames are too many"):
        plot.animation(many)
    with pytest.raises(InputError, match=r"written as \.gif or \.mp4"):
        plot.animation(leads).save(tmp_path / "film.avi")


def test_an_mp4_needs_ffmpeg(leads, tmp_path, monkeypatch):
    film = plot.animation(leads)
    monkeypatch.setattr(animations.FFMpegWriter, "isAvailable", classmethod(lambda cls: False))
    with pytest.raises(InputError, match="ffmpeg, which is not installed"):
        film.save(tmp_path / "film.mp4")
    assert not (tmp_path / "film.mp4").exists()


@pytest.mark.skipif(not FFMpegWriter.isAvailable(), reason="ffmpeg is not installed")
def test_an_mp4_is_written_where_ffmpeg_is(leads, tmp_path):
    plot.animation(leads).save(tmp_path / "film.mp4")
    assert (tmp_path / "film.mp4").read_bytes()[4:8] == b"ftyp"


def test_a_notebook_shows_the_film(leads):
    assert plot.animation(leads)._repr_html_().startswith('<img alt="zos" src="data:image/gif;base64,R0lGOD')


def test_the_scale_is_found_with_a_frame_or_two_in_memory(monkeypatch):
    monkeypatch.setattr(animations, "SAMPLE", 10_000)
    at = {"latitude": np.linspace(0, 30, 300), "longitude": np.linspace(0, 30, 300), "time": np.arange(60)}
    values = dask.array.ones((60, 300, 300), chunks=(1, -1, -1)) * np.linspace(0, 1, 60)[:, None, None]
    field = xr.DataArray(values, at, ("time", "latitude", "longitude"), "thing")
    tracemalloc.start()
    sample, wet = animations._sample(field, "time")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * field[0].nbytes
    assert sample.size <= 10_000 * 1.1
    assert (float(sample.min()), float(sample.max())) == (0, 1)
    assert int(wet.sum()) == 300 * 300


def test_many_cells_are_an_image_with_the_same_colours(leads, monkeypatch):
    few = plot.animation(leads)
    monkeypatch.setattr(maps, "MANY", 10)
    many = plot.animation(leads)
    assert many.figure.axes[0].images
    assert not few.figure.axes[0].images
    for number in (0, 3):
        drawn = []
        for film in (few, many):
            film.draw(number)
            canvas = FigureCanvasAgg(film.figure)
            canvas.draw()
            drawn.append(np.asarray(canvas.buffer_rgba())[..., :3].astype(int))
        assert (np.abs(drawn[0] - drawn[1]).max(axis=-1) <= 1).mean() > 0.97  # but at the cells' edges
