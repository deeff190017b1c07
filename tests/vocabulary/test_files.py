"""Files: a target is whole or as it was; nothing half-written keeps its name."""

from __future__ import annotations

import pytest

from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.files import content, partial, publish, refuse_existing, remove, replacing


def everything(folder):
    """Every file below a folder with its text."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def write(path, text, kind):
    if kind == "folder":
        path.mkdir()
        path = path / "chunk"
    path.write_text(text)


@pytest.fixture(params=["file", "folder"])
def kind(request):
    return request.param


def test_a_new_target_appears_when_the_block_ends(tmp_path, kind):
    with replacing(tmp_path / "target") as path:
        write(path, "new", kind)
        assert not (tmp_path / "target").exists()
        assert path.parent == tmp_path  # a neighbour: the rename is atomic
    assert list(everything(tmp_path).values()) == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("new_kind", ["file", "folder"])
def test_an_old_target_is_replaced_and_leaves_nothing_behind(tmp_path, kind, new_kind):
    write(tmp_path / "target", "old", kind)
    with replacing(tmp_path / "target", overwrite=True) as path:
        write(path, "new", new_kind)
        assert (tmp_path / "target" / "chunk" if kind == "folder" else tmp_path / "target").read_text() == "old"
    assert list(everything(tmp_path).values()) == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt])
def test_a_failure_inside_the_block_leaves_the_old_target_and_no_partial(tmp_path, kind, stop):
    write(tmp_path / "target", "old", kind)
    before = everything(tmp_path)

    def fail():
        with replacing(tmp_path / "target", overwrite=True) as path:
            write(path, "half", kind)
            raise stop

    with pytest.raises(stop):
        fail()
    assert everything(tmp_path) == before


def test_a_block_that_writes_nothing_leaves_the_old_target(tmp_path, kind):
    write(tmp_path / "target", "old", kind)
    before = everything(tmp_path)
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "target", overwrite=True):
        pass
    assert everything(tmp_path) == before


def test_what_an_interrupted_run_left_is_not_in_the_way(tmp_path, kind):
    write(partial(tmp_path / "target"), "stale", kind)
    with replacing(tmp_path / "target") as path:
        assert not path.exists()
        write(path, "new", kind)
    assert list(everything(tmp_path).values()) == ["new"]


def test_an_existing_target_is_refused_before_anything_is_written(tmp_path, kind):
    write(tmp_path / "target", "old", kind)
    with pytest.raises(InputError, match=r"target: exists already.*--overwrite"), replacing(tmp_path / "target"):
        pytest.fail("the block ran")
    assert refuse_existing(tmp_path / "target", overwrite=True) == tmp_path / "target"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere does not exist"):
        refuse_existing(tmp_path / "nowhere" / "target", overwrite=True)


def test_publish_replaces_a_folder_whole(tmp_path):
    write(tmp_path / "old", "old", "folder")
    (tmp_path / "old" / "more").write_text("old")
    write(tmp_path / "built", "new", "folder")
    publish(tmp_path / "built", tmp_path / "old")
    assert everything(tmp_path) == {"old/chunk": "new"}


def test_remove_takes_a_link_but_not_what_it_points_to(tmp_path):
    write(tmp_path / "data", "mine", "folder")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    remove(tmp_path / "link")
    remove(tmp_path / "never-there")
    assert everything(tmp_path) == {"data/chunk": "mine"}


def test_the_shipped_presets_are_found():
    assert any(path.suffix == ".yaml" for path in content("presets").iterdir())
