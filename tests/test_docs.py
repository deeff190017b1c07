"""The documentation keeps its word: Python runs, commands parse, YAML loads, links lead somewhere.

`oceanx demo` takes minutes, so pages run on a miniature of it: the same places, names and dates.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import toy_dataset
import typer
import xarray as xr
import yaml
from command_line import exit_code
from filelock import FileLock

import oceanx as ox
from oceanx import cli
from oceanx.data.recipe import Recipe, load_recipe
from oceanx.data.shelf.catalog import Entry
from oceanx.ocean import grid
from oceanx.vocabulary.channels import Task
from oceanx.vocabulary.config import parse_overrides
from oceanx.vocabulary.names import DIMENSIONS, VARIABLES
from oceanx.workflows.demo import LEAD, LEVELS, STARTS, places
from oceanx.workflows.train_config import TrainConfig, load_config

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FENCE = re.compile(r"^(?P<before>[^\n]*)\n(?P<ticks>`{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=ticks)$", re.M | re.S)
COMMANDS = typer.main.get_command(cli.app)

every_page = pytest.mark.parametrize("page", PAGES, ids=NAMES)


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """The fenced blocks of a language: the line above each, and its text."""
    found = FENCE.finditer("\n" + page.read_text())
    return [(block["before"], block["body"]) for block in found if block["info"].split()[:1] == language.split()]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub(lambda block: block["before"], "\n" + page.read_text())


# Python


@pytest.fixture(scope="session")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `demo/` in it, made once, however many processes run the tests."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "miniature"
    with FileLock(f"{root}.lock"):
        if not root.exists():
            building = root.with_name("miniature.partial")
            shutil.rmtree(building, ignore_errors=True)
            make_demo(building / "demo")
            building.rename(root)
    return root


def make_demo(root: Path) -> None:
    """What `oceanx demo` leaves, small: red noise about a season, and a model that has hardly been trained."""
    made = places(root)
    ds = demo_dataset()
    air = [name for name in map(str, ds.data_vars) if VARIABLES[name].realm == "atmosphere"]
    ds.drop_vars(air).to_zarr(made.ocean, consolidated=False)
    ds[air].to_zarr(made.atmosphere, consolidated=False)
    ds = ox.open(made.ocean, made.atmosphere)
    quick = {
        "iterations": [3, 2],
        "batch_size": [2, 2],
        "model.net.widths": [8, 16],
        "train": ["2003-01-01", "2003-12-31"],
    }
    run = ox.train(ox.preset("hybrid_small", **quick), ds, made.run)
    learned = ds.sel(time="2003")
    models = {
        "hybrid": ox.load(run),
        "persistence": ox.persistence(),
        "damped_persistence": ox.damped_persistence(learned, task=run.config.task),
        "climatology": ox.climatology(learned, task=run.config.task),
    }
    made.forecasts["hybrid"].parent.mkdir()
    fcs = {
        name: ox.forecast(model, ds, list(STARTS), LEAD, forcing="observed", to=made.forecasts[name])
        for name, model in models.items()
    }
    ox.score(fcs, ds, variables=["thetao", "zos", "uo", "vo"]).to_netcdf(made.scores)


def demo_dataset() -> xr.Dataset:
    """Two years with the variables and levels of the demo's stores."""
    ds = toy_dataset.ocean(731, start="2003-01-01").drop_vars("thickness")
    deepest = ds.isel(depth=[-1]).assign_coords(depth=[LEVELS[-1]])
    ds = xr.concat([ds, deepest], "depth", data_vars="minimal", coords="minimal", compat="override")
    ds["depth"].attrs = DIMENSIONS["depth"]
    ds = ds.assign_coords(longitude=ds["longitude"] - 45.0)  # among the longitudes of the demo's own ocean
    like = {"so": "thetao", "v10": "u10", "msl": "t2m", "ssr": "t2m"}
    more = {name: ds[other].assign_attrs(VARIABLES[name].attrs) for name, other in like.items()}
    return grid.complete(ds.assign(more))


@pytest.mark.parametrize(
    "page", [p for p in PAGES if blocks(p, "python")], ids=lambda page: str(page.relative_to(ROOT))
)
def test_python_runs(page: Path, miniature: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in one namespace, in a folder of its own. What is not run says why on the line above."""
    shutil.copytree(miniature / "demo", tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "page"}
    for before, body in blocks(page, "python"):
        code = compile(body, f"{page.name}: {body.splitlines()[0]}", "exec")
        if not re.fullmatch(r"<!-- not run: \S.* -->", before):
            exec(code, namespace)


# Commands


def words_of(line: str) -> list[str] | None:
    """The words after `oceanx` in a line of shell, or None if it is another command."""
    words = shlex.split(line.removeprefix("$ "), comments=True)
    while words and re.fullmatch(r"\w+=\S*", words[0]):
        words.pop(0)
    if words[:1] == ["torchrun"] and "oceanx" in words:
        return words[words.index("oceanx") + 1 :]
    return words[1:] if words[:1] == ["oceanx"] else None


def quoted_commands(page: Path) -> list[list[str]]:
    """Every complete `oceanx …` line in the page's blocks of shell, and in those of no language."""
    shell = [*blocks(page, "bash"), *blocks(page, "")]
    lines = [line for _, body in shell for line in body.replace("\\\n", " ").splitlines()]
    return [words for line in lines if (words := words_of(line)) is not None]


def parsed(words: list[str]) -> tuple[str, dict[str, Any]]:
    """The command meant, and its arguments; raises what the command line would raise."""
    command, context, path = COMMANDS, None, "oceanx"
    words = [word for word in words if word != "--debug"]
    while True:
        name, command, words = (path, command, words) if context is None else command.resolve_command(context, words)  # type: ignore[attr-defined]
        context = command.make_context(name, list(words), parent=context)
        if not hasattr(command, "commands"):
            return command.callback.__name__, context.params
        words = [*getattr(context, "_protected_args", []), *context.args]


@every_page
def test_commands_parse(page: Path) -> None:
    for words in quoted_commands(page):
        try:
            name, arguments = parsed(words)
        except Exception as error:
            pytest.fail(f"oceanx {shlex.join(words)}: {getattr(error, 'message', error)}")
        changes = parse_overrides(arguments.get("overrides") or [])
        if "preset" in arguments and not arguments["preset"].startswith("./"):
            load_config(arguments["preset"], changes)
        if "recipe" in arguments and not arguments["recipe"].startswith("./"):
            load_recipe(arguments["recipe"], changes)
        if name == "plot":
            assert arguments["kind"] in cli.pictures.DRAWN


@every_page
def test_commands_named_in_prose_exist(page: Path) -> None:
    for quoted in re.findall(r"`oceanx ([^`]*)`", prose(page)):
        words = shlex.split(quoted)
        if words[0].isupper() or words[0] == "…":
            continue
        command = COMMANDS.commands[words[0]]  # type: ignore[attr-defined]
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options | {"--debug", "--help"}, quoted


def test_every_command_and_option_is_in_the_reference() -> None:
    text = (DOCS / "reference/cli.md").read_text()
    for name, command in COMMANDS.commands.items():  # type: ignore[attr-defined]
        section = text.split(f"\n## oceanx {name}\n")[1].split("\n## ")[0]
        for inner in getattr(command, "commands", {}):
            assert f"`{name} {inner} " in section or f"`check {inner} " in section, inner
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--"):
                    assert f"| `{option}` |" in section, f"{name} {option}"


# YAML


@every_page
def test_yaml_loads(page: Path) -> None:
    for _, body in blocks(page, "yaml"):
        values = yaml.safe_load(body)
        if "reader" in values:
            Recipe.parse(values, page.name)
        elif "model" in values:
            TrainConfig.parse(values, page.name)
        elif "prognostic" in values:
            Task.parse(values, page.name)
        elif {"path", "url"} & values.keys():
            Entry.parse(values, page.name)
        else:
            assert isinstance(values, dict), body


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == ox.__version__
    assert citation["license"] == "Apache-2.0"
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text()


# Links


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{target}: no such file"
        if anchor:
            assert anchor in anchors(there), f"{target}: no such heading; there are {sorted(anchors(there))}"


def test_every_page_is_in_the_navigation() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())

    def pages(entries: list[Any]) -> list[str]:
        values = [value for entry in entries for value in entry.values()]
        return [page for value in values for page in (pages(value) if isinstance(value, list) else [value])]

    assert sorted(pages(site["nav"])) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


# Names


@every_page
def test_tests_that_are_named_exist(page: Path) -> None:
    known = {
        name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    for name in re.findall(r"`(test_\w+)`", page.read_text()):
        assert name in known, name
    for path in re.findall(r"`((?:tests|oceanx|recipes|benchmarks)/[\w/.]+)`", page.read_text()):
        assert (ROOT / path).exists(), path


def test_the_python_reference_names_what_exists() -> None:
    for dotted in re.findall(r"^::: (\S+)$", (DOCS / "reference/api.md").read_text(), re.M):
        home, _, name = dotted.rpartition(".")
        try:
            found = getattr(import_module(home), name)
        except AttributeError:
            found = import_module(dotted)
        assert found.__doc__, dotted
    listed = (DOCS / "reference/api.md").read_text()
    for verb in ox.__all__:
        if callable(getattr(ox, verb)):
            assert f"::: oceanx.{verb}\n" in listed, verb


def test_every_variable_is_in_the_conventions() -> None:
    text = (DOCS / "reference/conventions.md").read_text()
    for variable in VARIABLES.values():
        assert f"| `{variable.name}` | `{variable.standard_name}` | `{variable.units}` |" in text, variable.name
        for alias in variable.aliases:
            assert f"`{alias}`" in text, alias


# The tutorial


@pytest.mark.real
def test_the_tutorial_runs(
    real: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its commands in order on the real file, with less training and fewer starts, but the same words."""
    data = real("mhw/oisst_tasman16_19820101-20101231.nc").parents[1]
    monkeypatch.chdir(tmp_path)
    for words in quoted_commands(DOCS / "tutorials/sst_tasman.md"):
        if "sst.day.mean" in " ".join(words):
            continue  # NOAA's own files
        words = [
            word.replace("$SHARED", str(data)).replace("2004-01-01:2010-12-21", "2010-02-01:2010-02-03")
            for word in words
        ]
        words += ["iterations=[3, 2]", "batch_size=[4, 2]"] if words[0] == "train" else []
        assert exit_code(*words) == 0, (words, capfd.readouterr().err)
    out = capfd.readouterr().out
    assert "oisst.zarr: 10592 time × 16 latitude × 16 longitude; sst" in out
    assert "10592 time × 16 latitude × 16 longitude; sst; 0 missing times" in out
    assert all(Path(made).stat().st_size > 5000 for made in ("scores.nc", "skill.png", "map.png"))
