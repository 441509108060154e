import signal
import subprocess
import sys
from pathlib import Path

import pytest

from relaxnet._files import check_targets, clear_temporaries, replacing, replacing_all, write_text

NAMES = ("mark.json", "map.nii.gz", "picture.png")


@pytest.fixture
def three(tmp_path):
    """Three files that belong together."""
    paths = [tmp_path / name for name in NAMES]
    for path in paths:
        path.write_text("old")
    return paths


def replace_all(paths, text="new"):
    with replacing_all(paths) as temporaries:
        for temporary in temporaries:
            temporary.write_text(text)


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_leaves_nothing_either(three, monkeypatch, number):
    remove, removed = Path.unlink, []

    def interrupted(path, **options):
        if not removed:
            signal.raise_signal(number)
        remove(path, **options)
        removed.append(path)

    def fail():
        with replacing_all(three) as temporaries:
            temporaries[0].write_text("half")
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", interrupted)
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fail()
    finally:
        signal.signal(number, before)
    assert [path.read_text() for path in three] == ["old"] * 3
    assert {path.name for path in three[0].parent.iterdir()} == set(NAMES)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", range(3))
def test_a_signal_while_files_move_waits_until_all_have(three, monkeypatch, number, at):
    class Stop(BaseException):
        pass

    def stop(*_):
        raise Stop

    move, moves = Path.replace, []

    def interrupted(temporary, path):
        if len(moves) == at:
            signal.raise_signal(number)
        moves.append(move(temporary, path))

    monkeypatch.setattr(Path, "replace", interrupted)
    before = signal.signal(number, stop)
    try:
        with pytest.raises(Stop):
            replace_all(three)
        assert signal.getsignal(number) is stop
    finally:
        signal.signal(number, before)
    assert [path.read_text() for path in three] == ["new"] * 3
    assert {path.name for path in three[0].parent.iterdir()} == set(NAMES)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("at", range(3))
def test_a_kill_while_files_move_leaves_no_mark_and_the_next_run_clears_up(three, at):
    code = (
        "import os, signal, sys; from pathlib import Path; from relaxnet._files import replacing_all\n"
        "move, moves = Path.replace, []\n"
        "def killed(*args):\n"
        f"    os.kill(os.getpid(), signal.SIGKILL) if len(moves) == {at} else moves.append(move(*args))\n"
        "Path.replace = killed\n"
        "with replacing_all([Path(path) for path in sys.argv[1:]]) as temporaries:\n"
        "    [temporary.write_text('new') for temporary in temporaries]"
    )
    assert subprocess.run([sys.executable, "-c", code, *three], check=False).returncode == -signal.SIGKILL
    folder = three[0].parent
    assert not three[0].exists()
    assert [path.read_text() for path in three[1:]] == ["new"] * at + ["old"] * (2 - at)
    assert len(list(folder.glob(".*.tmp-*"))) == 3 - at
    with pytest.raises(FileExistsError, match=r"map\.nii\.gz: the file exists without mark\.json"):
        check_targets(three, inputs=[], overwrite=False)
    replace_all(three, "newest")
    assert [path.read_text() for path in three] == ["newest"] * 3
    assert {path.name for path in folder.iterdir()} == set(NAMES)


def test_temporary_files_of_what_still_runs_are_kept(tmp_path):
    with replacing(tmp_path / "a") as temporary:
        write_text(tmp_path / "b", "b")
        clear_temporaries(tmp_path)
        assert temporary.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


@pytest.mark.parametrize("name", ["é" * 120 + ".nii.gz", "a." + "b" * 250])
def test_any_name_that_the_disk_allows_can_be_replaced(tmp_path, name):
    write_text(tmp_path / name, "text")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_name_that_is_too_long_is_refused_in_time(tmp_path):
    with pytest.raises(ValueError, match="257 bytes is too long"):
        check_targets([tmp_path / ("é" * 125 + ".nii.gz")], inputs=[], overwrite=False)


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
