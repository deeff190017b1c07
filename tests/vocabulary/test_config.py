"""Config: it refuses what it does not know, says where and what to write instead, and survives YAML."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from oceanx.vocabulary.config import Config, override, parse_overrides, read_yaml
from oceanx.vocabulary.errors import InputError


class Net(Config):
    widths: tuple[int, ...] = (8, 16)


class Plain(Config):
    kind: Literal["plain"] = "plain"
    net: Net = Net()


class Clever(Config):
    kind: Literal["clever"] = "clever"
    net: Net = Net()
    substeps: int = 4


class Preset(Config):
    model: Annotated[Plain | Clever, Field(discriminator="kind")]
    rate: float = 1.0
    name: str = ""
    weights: dict[str, float] = Field(default_factory=dict)
    many: tuple[Net, ...] = ()


def said(values) -> str:
    with pytest.raises(InputError) as error:
        Preset.parse(values, where="small.yaml")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_unknown_key_names_its_nearest_match():
    assert said({"model": {"kind": "plain"}, "rat": 2}) == "small.yaml: rat: unknown key 'rat'; did you mean 'rate'?"


def test_unknown_key_far_from_all_lists_them():
    assert said({"model": {"kind": "plain"}, "zzz": 2}).endswith("choose from: many, model, name, rate, weights")


def test_inside_a_union_the_dotted_name_is_the_one_that_override_takes():
    message = said({"model": {"kind": "clever", "substep": 2}})
    assert message == "small.yaml: model.substep: unknown key 'substep'; did you mean 'substeps'?"
    assert Preset.parse(override({"model": {"kind": "clever"}}, {"model.substeps": 2})).model.substeps == 2


def test_a_key_of_another_member_of_the_union_is_not_offered():
    assert said({"model": {"kind": "plain", "substeps": 2}}).endswith("choose from: kind, net")


def test_below_a_union_and_inside_a_list_too():
    message = said({"model": {"kind": "clever", "net": {"width": [1]}}})
    assert message == "small.yaml: model.net.width: unknown key 'width'; did you mean 'widths'?"
    message = said({"model": {"kind": "plain"}, "many": [{}, {"widht": [1]}]})
    assert message == "small.yaml: many.1.widht: unknown key 'widht'; did you mean 'widths'?"


def test_a_wrong_value_is_shown_beside_its_dotted_name():
    message = said({"model": {"kind": "clever", "substeps": "often"}})
    assert message.startswith("small.yaml: model.substeps: ")
    assert "'often'" in message


def test_a_missing_key_and_a_wrong_tag_are_named():
    assert said({}).startswith("small.yaml: model: ")
    message = said({"model": {"kind": "cleverer"}})
    assert "'plain', 'clever'" in message


def test_a_config_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Net().widths = (1,)


finite = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
models = st.one_of(
    st.builds(Plain, net=st.builds(Net, widths=st.lists(st.integers(), max_size=3).map(tuple))),
    st.builds(Clever, substeps=st.integers()),
)


@given(
    st.builds(
        Preset,
        model=models,
        rate=finite,
        name=words,
        weights=st.dictionaries(words, finite, max_size=3),
        many=st.just(()),
    )
)
@settings(max_examples=100, deadline=None)
def test_saved_and_loaded_it_is_the_same(tmp_path_factory, config):
    path = tmp_path_factory.mktemp("config") / "preset.yaml"
    config.save(path)
    assert Preset.load(path) == config


def test_override_sets_dotted_names_and_leaves_the_original_alone():
    values = {"model": {"kind": "clever", "substeps": 4}, "rate": 1.0}
    changed = override(values, {"model.substeps": 12, "rate": 2.0, "new.group.key": [1]})
    assert changed == {"model": {"kind": "clever", "substeps": 12}, "rate": 2.0, "new": {"group": {"key": [1]}}}
    assert values == {"model": {"kind": "clever", "substeps": 4}, "rate": 1.0}


def test_override_below_a_value_is_refused():
    with pytest.raises(InputError, match="'rate' is a value"):
        override({"rate": 1.0}, {"rate.slow": 2.0})


def test_overrides_on_the_command_line_are_yaml():
    words = ["rollout=[1, 2]", "seed=3", "model.kind=plain", "rate=1.0e-3", "name=a=b"]
    assert parse_overrides(words) == {
        "rollout": [1, 2],
        "seed": 3,
        "model.kind": "plain",
        "rate": 1e-3,
        "name": "a=b",
    }


@pytest.mark.parametrize("word", ["seed", "=3", ""])
def test_an_override_without_a_key_is_refused(word):
    with pytest.raises(InputError, match="key=value"):
        parse_overrides([word])


@pytest.mark.parametrize(("text", "why"), [("[1, 2]", "found list"), ("a: [", "not YAML"), ("", "found NoneType")])
def test_a_file_that_holds_no_mapping_is_refused_in_one_line(tmp_path, text, why):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(InputError, match=why) as error:
        read_yaml(tmp_path / "bad.yaml")
    assert "bad.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml: no such file"):
        Preset.load(tmp_path / "nowhere.yaml")


def test_overrides_are_laid_over_the_file(tmp_path):
    Preset(model=Clever()).save(tmp_path / "a.yaml")
    loaded = Preset.load(tmp_path / "a.yaml", {"model.substeps": 9, "rate": 0.5})
    assert loaded == Preset(model=Clever(substeps=9), rate=0.5)
