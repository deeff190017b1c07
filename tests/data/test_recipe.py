import json
from pathlib import Path

import pytest
import yaml

from oceanx.data.readers import READERS, reader
from oceanx.data.recipe import Recipe, load_recipe
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.files import content

SHIPPED = sorted(content("recipes").glob("*.yaml"))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_shipped_recipe_loads_by_name_and_by_path(file):
    recipe = load_recipe(file.stem)
    assert recipe == load_recipe(file)
    assert Recipe.parse(recipe.dump()) == recipe
    assert load_recipe(recipe, {"for": "timeseries"}).purpose == "timeseries"


def test_what_is_asked_for_is_shipped():
    assert {"glorys12", "era5", "era5_daily", "era5_monthly", "oisst", "cf"} <= {file.stem for file in SHIPPED}


@pytest.mark.parametrize("name", READERS)
def test_every_reader_reads(name):
    assert callable(reader(name).read)
    assert callable(reader(name).parts)


def test_schema_is_published():
    """Write it anew: `json.dumps(Recipe.model_json_schema(), indent=1)`."""
    schema = json.loads(json.dumps(Recipe.model_json_schema()))
    published = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "recipe.schema.json").read_text())
    assert published == schema
    assert set(schema["properties"]["reader"]["enum"]) == set(READERS)
    assert {"title", "reader", "variables", "steps", "for"} <= set(schema["properties"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"titel": "x"}, "titel: unknown key 'titel'; did you mean 'title'"),
     ({"reader": "glorys21"}, "unknown reader 'glorys21'; did you mean 'glorys12'"),
     ({"variables": {"thetaoo": {}}}, "unknown variable 'thetaoo'; did you mean 'thetao'"),
     ({"variables": {"thetao": {"unit": "K"}}}, "unknown key 'unit'; did you mean 'units'"),
     ({"steps": [{"daily_men": {}}]}, "unknown step 'daily_men'; did you mean 'daily_mean'"),
     ({"steps": [{"daily_mean": {"endings": []}}]}, "unknown argument of daily_mean 'endings'; did you mean 'ending'"),
     ({"for": "fun"}, "for: .*'training' or 'timeseries'"),
     ({"max_missing": 2}, "max_missing")],
)  # fmt: skip
def test_a_wrong_key_names_its_nearest(tmp_path, changes, said):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"title": "Mine", "reader": "cf"} | changes))
    with pytest.raises(InputError, match=rf"mine\.yaml: .*{said}") as caught:
        load_recipe(path)
    assert "\n" not in str(caught.value)


def test_unknown_recipe_names_its_nearest():
    with pytest.raises(InputError, match="unknown recipe 'glorys'; did you mean 'glorys12'"):
        load_recipe("glorys")


def test_missing_recipe_file(tmp_path):
    with pytest.raises(InputError, match=r"no\.yaml: no such file"):
        load_recipe(tmp_path / "no.yaml")


def test_naming_variables_chooses_among_them_and_requires_them():
    recipe = load_recipe("glorys12", {"variables": ["uo", "mlotst"]})
    assert list(recipe.variables) == ["uo", "mlotst"]
    assert not recipe.variables["mlotst"].optional


def test_an_alias_is_the_variable_itself():
    assert list(load_recipe("cf", {"variables": ["votemper"]}).variables) == ["thetao"]


def test_the_hash_follows_the_content():
    assert load_recipe("oisst").hash() == load_recipe("oisst").hash()
    assert load_recipe("oisst").hash() != load_recipe("oisst", {"for": "timeseries"}).hash()
