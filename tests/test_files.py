import pytest

from relaxnet._files import check_targets, replacing, write_text


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "new" / "maps.nii.gz"
    write_text(path, "old")
    with replacing(path) as temporary:
        assert temporary.name.endswith("maps.nii.gz")
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "maps.json"
    write_text(path, "old")

    def fail():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    (tmp_path / "ordinary").touch()
    write_text(tmp_path / "ours", "text")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_a_target_that_is_a_folder(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        check_targets([tmp_path / "a"], inputs=[], overwrite=True)


def test_a_broken_link_counts_as_a_file(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        check_targets([tmp_path / "link"], inputs=[], overwrite=False)
    check_targets([tmp_path / "link"], inputs=[], overwrite=True)


def test_an_input_is_never_a_target(tmp_path):
    scan, link, twin = tmp_path / "scan", tmp_path / "link", tmp_path / "twin"
    scan.write_text("mine")
    link.symlink_to(scan)
    twin.hardlink_to(scan)
    for target in (scan, link, twin, tmp_path / "x" / ".." / "scan"):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(ValueError, match="input"):
            check_targets([target], inputs=[scan], overwrite=True)
