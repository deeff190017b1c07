"""Maps that move: one frame a date or a lead, on one colour scale."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import xarray as xr
from matplotlib.animation import FFMpegWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, to_rgb
from matplotlib.figure import Figure
from PIL import Image

from ..vocabulary.errors import InputError
from . import maps, style, words
from .cells import PLANE, Cells, cells_of
from .colours import Kind, scale

ALONG = ("lead_time", "time", "init_time", "member", "depth")
MOST_FRAMES = 400
SAMPLE = 2_000_000  # values of all frames together, of which the colour scale is found
INKS = 32  # greys for words and lines in a GIF's 256 colours


class Film:
    """An animation: `save("film.gif")` keeps it, a notebook shows it by itself."""

    def __init__(
        self,
        figure: Figure,
        field: xr.DataArray,
        along: str,
        cells: Cells,
        mesh: ScalarMappable,
        title: str | None,
        rate: float,
    ):
        self.figure, self.field, self.along, self.rate = figure, field, along, rate
        self._cells, self._mesh, self._title = cells, mesh, title

    def __len__(self) -> int:
        return int(self.field.sizes[self.along])

    def __repr__(self) -> str:
        return f"<oceanx film of {self.field.name}: {len(self)} frames along {self.along}, {self.rate:g} a second>"

    def _repr_html_(self) -> str:
        buffer = io.BytesIO()
        self.write_gif(buffer)
        return (
            f'<img alt="{self.field.name}" src="data:image/gif;base64,{base64.b64encode(buffer.getvalue()).decode()}">'
        )

    def save(self, to: Path | str, *, format: Literal["gif", "mp4"] | None = None) -> None:
        """Write a GIF, or where ffmpeg is installed an MP4, by the ending of the name unless `format` says.

        Frames are read and drawn one at a time. A GIF is held in memory as a byte a pixel and frame until it is whole.

        Raises
        ------
        InputError
            For another ending, or an MP4 without ffmpeg.
        """
        kind = format or Path(to).suffix.lstrip(".").lower()
        if kind == "gif":
            with Path(to).open("wb") as file:
                self.write_gif(file)
        elif kind == "mp4":
            self._mp4(Path(to))
        else:
            raise InputError(f"{to}: an animation is written as .gif or .mp4")

    def draw(self, number: int) -> None:
        """Put one frame on the figure."""
        frame = self.field.isel({self.along: number}).load()
        maps.repaint(self._mesh, frame, self._cells)
        said = words.heading(frame) if self._title is None else f"{self._title}\n{words.when(frame)}"
        self.figure.axes[0].set_title(said, loc="left")

    def _frames(self) -> Iterator[Image.Image]:
        """Each frame in the colours of all."""
        canvas, palette = FigureCanvasAgg(self.figure), _palette(self._mesh)
        for number in range(len(self)):
            self.draw(number)
            canvas.draw()
            pixels = np.asarray(canvas.buffer_rgba())[..., :3]
            yield Image.fromarray(pixels).quantize(palette=palette, dither=Image.Dither.NONE)

    def write_gif(self, file: Any) -> None:
        """Write a GIF into an open binary file."""
        frames = self._frames()
        first = next(frames)
        first.save(file, "GIF", save_all=True, append_images=frames, duration=round(1000 / self.rate), loop=0)

    def _mp4(self, to: Path) -> None:
        if not FFMpegWriter.isAvailable():
            raise InputError("an MP4 needs the program ffmpeg, which is not installed; write a .gif")
        writer = FFMpegWriter(fps=cast(int, self.rate), extra_args=["-f", "mp4", "-pix_fmt", "yuv420p", "-vf", _EVEN])
        with writer.saving(self.figure, str(to), style.DPI):
            for number in range(len(self)):
                self.draw(number)
                writer.grab_frame()


_EVEN = "crop=trunc(iw/2)*2:trunc(ih/2)*2"  # what players of MP4 want


@style.look()
def animation(
    field: xr.DataArray,
    *,
    along: str | None = None,
    rate: float = 5,
    mask: xr.DataArray | None = None,
    title: str | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
    kind: Kind | None = None,
) -> Film:
    """A film of maps: every lead, date, member or depth of a field, each with its date, on one scale of colours.

    The scale holds 98 % of the values of all frames. Land is what the mask says, or what has no value in any frame.

    Parameters
    ----------
    field
        Dimensions `latitude`, `longitude` and one more; lazy ones are read frame by frame.
    along
        The dimension of the frames; of several, where the others have one label, without it the first of lead_time,
        time, init_time, member and depth.
    rate
        Frames a second.
    mask, vmin, vmax, cmap, kind
        As in `map`.
    title
        In place of the variable's name; the date stays.

    Raises
    ------
    InputError
        For other dimensions, more than 400 frames, or a field without a finite value.

    Examples
    --------
    >>> ox.plot.animation(fc.thetao.isel(init_time=0, depth=0)).save("film.gif")    # doctest: +SKIP
    """
    field, along = _along(field, along)
    if not 0 < rate <= 50:
        raise InputError(f"rate: found {rate:g} frames a second; expected more than 0 and at most 50")
    sample, wet = _sample(field, along)
    cells = cells_of(wet, mask)
    shades = scale(sample, kind=kind, vmin=vmin, vmax=vmax, cmap=cmap)
    first = field.isel({along: 0}).load()
    lines = max(words.heading(first).count("\n") + 1, 2 if title else 1)
    ax = maps.axes_for(cells, lines=lines)
    mesh = maps.draw(ax, first, cells, shades)
    maps.bar(ax, mesh, shades, field)
    film = Film(cast(Figure, ax.figure), field, along, cells, mesh, title, rate)
    film.draw(0)
    return film


def _along(field: xr.DataArray, along: str | None) -> tuple[xr.DataArray, str]:
    """The field without dimensions of a single label, and the dimension of its frames."""
    if not isinstance(field, xr.DataArray):
        words.expect(field, PLANE, "an animation")
    if along is not None and along not in field.dims:
        raise InputError(
            f"along: {field.name or 'the field'} has no dimension {along!r}; it has {', '.join(map(str, field.dims))}"
        )
    single = {d: 0 for d in field.dims if d not in (*PLANE, along) and field.sizes[d] == 1}
    field = field.isel(single)
    along = along or next((dim for dim in ALONG if dim in field.dims), ALONG[0])
    words.expect(field, (along, *PLANE), "an animation")
    if field.sizes[along] > MOST_FRAMES:
        raise InputError(
            f"{along}: {field.sizes[along]} frames are too many (at most {MOST_FRAMES}); select some, or every n-th"
        )
    return field.transpose(along, *PLANE), along


def _sample(field: xr.DataArray, along: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Values of every frame, evenly taken; and a field that has a value wherever some frame has one."""
    frames = field.sizes[along]
    step = max(1, -(-field.size // SAMPLE))
    values, wet = [], np.zeros(field.shape[1:], bool)
    for number in range(frames):
        frame = field.isel({along: number}).values
        finite = np.isfinite(frame)
        wet |= finite
        values.append(frame[finite][::step].copy())  # a slice would keep the whole frame
    sample = field.isel({along: 0, "latitude": 0}, drop=True)
    flat = xr.DataArray(np.concatenate(values), dims="value", name=sample.name, attrs=field.attrs)
    return flat, field.isel({along: 0}).copy(data=np.where(wet, 1.0, np.nan))


def _palette(mesh: ScalarMappable) -> Image.Image:
    """The 256 colours of a GIF: those of the field, of land and of missing values, and greys for words."""
    fixed = [to_rgb(colour) for colour in (style.LAND, style.NO_DATA, style.COAST)]
    greys = [(grey, grey, grey) for grey in np.linspace(0, 1, INKS)]
    assert mesh.cmap is not None
    shades = mesh.cmap(np.linspace(0, 1, 256 - INKS - len(fixed)))[:, :3]
    colours = np.concatenate([shades, greys, fixed])
    image = Image.new("P", (1, 1))
    image.putpalette(np.round(255 * colours).astype(np.uint8).ravel().tolist())
    return image
