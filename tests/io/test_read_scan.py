"""A scan may be one file or several, with its times beside it, above it, in a text file, or given."""

import json

import nibabel
import numpy as np
import pytest

import relaxnet as rx
from relaxnet.cli import main

TE = (12.0, 24.0, 36.0, 48.0, 120.0)
AFFINE = np.array([[2.0, 0, 0, -20], [0, 2, 0, -30], [0, 0, 3, -10], [0, 0, 0, 1]])


@pytest.fixture
def decay():
    t = np.linspace(30, 80, 60).reshape(5, 4, 3, 1)
    return (1000 * np.exp(-np.array(TE) / t)).astype(np.float32)


@pytest.fixture
def save(tmp_path):
    def save(name, data, affine=AFFINE, **sidecar):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(np.asarray(data), affine), path)
        if sidecar:
            path.with_name(path.name.removesuffix(".nii.gz") + ".json").write_text(json.dumps(sidecar))
        return path

    return save


@pytest.fixture
def echoes(save, decay):
    """One file an echo, the last one first: the order of names is not that of times."""
    return [save(f"sub-7_echo-{5 - k}_MESE.nii.gz", decay[..., k], EchoTime=TE[k] / 1000) for k in (4, 1, 3, 0, 2)]


def refused(paths, problem, contrast="t2", error=ValueError, **options):
    with pytest.raises(error, match=problem) as caught:
        rx.io.read_scan(paths, contrast, **options)
    assert "\n" not in str(caught.value)


# --- several files ----------------------------------------------------------------------------------------------------


def test_files_of_one_echo_are_sorted_by_the_times_of_their_sidecars(echoes, decay, tmp_path):
    scan = rx.io.read_scan(echoes, contrast="t2")
    assert scan.times_ms == TE
    np.testing.assert_array_equal(scan.data, decay)
    np.testing.assert_allclose(scan.affine, AFFINE)
    assert scan.path == tmp_path / "sub-7_MESE.nii.gz"
    assert scan.files == tuple(echoes)


def test_given_times_are_in_the_order_of_the_files(echoes, decay):
    times = [TE[k] for k in (4, 1, 3, 0, 2)]
    scan = rx.io.read_scan(echoes, times_ms=times)
    assert scan.times_ms == tuple(times)
    np.testing.assert_array_equal(scan.data, decay[..., (4, 1, 3, 0, 2)])
    refused(echoes, "it says.*but times_ms=.*was given", times_ms=TE)


def test_files_in_the_order_of_their_letters_are_told(save):
    names = ["e10.nii", "e11.nii", *(f"e{k}.nii" for k in range(1, 10))]  # as a shell lists them
    files = [save(name, np.ones((3, 2, 2))) for name in names]
    times = [10.0 * k for k in range(1, 12)]
    refused(files, r"are those of e10.nii, e11.nii, e1.nii, .* in that of the numbers", times_ms=times)
    of_files = [100.0, 110.0, *(10.0 * k for k in range(1, 10))]
    assert rx.io.read_scan(files, times_ms=of_files).times_ms == tuple(of_files)
    assert rx.io.read_scan(files[:1:-1], times_ms=times[8::-1]).times_ms == tuple(times[8::-1])
    others = [save(name, np.ones((3, 2, 2))) for name in ("b.nii", "a.nii")]  # whose names say nothing
    assert rx.io.read_scan(others, times_ms=(10, 20)).times_ms == (10, 20)


def test_the_command_takes_files(echoes, tmp_path, capsys):
    assert main(["fit", "t2", *map(str, echoes), "--out", str(tmp_path / "out")]) == 0
    (found,) = (path for path in (tmp_path / "out").rglob("*_T2map.nii.gz") if "desc" not in path.name)
    assert found.name.startswith("sub-7_")
    assert "echo" not in found.name
    values = nibabel.load(found).get_fdata()
    np.testing.assert_allclose(values.ravel(), np.linspace(0.03, 0.08, 60), rtol=1e-3)
    capsys.readouterr()
    assert main(["fit", "t2", *map(str, echoes), "--te-ms", "12,24,36,48,120", "--out", str(tmp_path / "no")]) == 1
    assert "--te-ms (12, 24, 36, 48, 120) was given" in capsys.readouterr().err


def test_files_that_do_not_fit_together(save, decay, tmp_path):
    one = save("a_1.nii.gz", decay[..., 0], EchoTime=0.012)
    refused([one, one], "given twice")
    refused([], "names no file")
    refused([one, save("a_2.nii.gz", decay[:4, ..., 1], EchoTime=0.02)], r"a_2.*shape \(4, 4, 3\)")
    refused([one, save("a_2.nii.gz", decay[..., :2], EchoTime=0.02)], "one volume")
    refused([one, save("a_2.nii.gz", decay[..., 1], AFFINE + np.eye(4, k=3), EchoTime=0.02)], "another affine")
    refused([one, save("a_2.nii.gz", decay[..., 1], EchoTime=0.012)], "all the same")
    refused([one, save("a_2.nii.gz", decay[..., 1], EchoTime=[0.01, 0.02])], r"a_2.json.*not one number.*times_ms")
    refused([one, save("a_2.nii.gz", decay[..., 1], EchoTime=24)], "milliseconds")
    two, three = save("a_2.nii.gz", decay[..., 1], EchoTime=0.024), save("a_3.nii.gz", decay[..., 2], EchoTime=0.012)
    refused([one, two, three], "a_1.nii.gz: it and a_3.nii.gz are both of 12 ms")
    (tmp_path / "a_2.json").write_text("{}")
    refused([one, two], "a_2.json: the key EchoTime or T2PreparationTime is missing, the time of a_2")
    (tmp_path / "a_2.json").unlink()
    refused([one, two], "a_2.json: there is no such file", error=FileNotFoundError)
    assert rx.io.read_scan([one, two], times_ms=(12, 24)).data.shape == (5, 4, 3, 2)


@pytest.mark.parametrize(
    ("names", "called"),
    [
        (["sub-1_echo-1_part-mag_MEGRE.nii", "sub-1_echo-2_part-mag_MEGRE.nii.gz"], "sub-1_part-mag_MEGRE"),
        (["leg_e1.nii.gz", "leg_e10.nii.gz"], "leg"),
        (["echo-1.nii.gz", "echo-2.nii.gz"], "echo"),
        (["1.nii", "2.nii"], "scan"),
        (["te1/knee.nii.gz", "te2/knee.nii.gz"], "knee"),
        (["knee.v2.PAR"], "knee.v2"),
    ],
)
def test_maps_are_named_after_the_common_part(names, called):
    assert rx.io.scan_path(names).name == f"{called}.nii.gz"


# --- sidecars ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "above", ["MESE.json", "acq-a_MESE.json", "sub-7/sub-7_MESE.json", "sub-7/anat/sub-7_MESE.json"]
)
def test_a_sidecar_of_a_folder_above_counts(save, decay, tmp_path, above):
    path = save("sub-7/anat/sub-7_acq-a_MESE.nii.gz", decay)
    (tmp_path / above).write_text(json.dumps({"EchoTime": [t / 1000 for t in TE], "FlipAngle": 90}))
    assert rx.io.read_scan(path, "t2").times_ms == TE
    assert rx.io.read_times(path, "t2") == TE
    (tmp_path / "sub-8_MESE.json").write_text("not even JSON")  # describes other files


def test_the_more_specific_sidecar_wins(save, decay, tmp_path):
    path = save("sub-7/anat/sub-7_MESE.nii.gz", decay, EchoTime=[t / 1000 for t in TE])
    (tmp_path / "MESE.json").write_text(json.dumps({"EchoTime": [0.1, 0.2, 0.3, 0.4, 0.5]}))
    assert rx.io.read_scan(path, "t2").times_ms == TE


def test_sidecars_that_contradict_each_other(save, decay, tmp_path):
    path = save("sub-7/anat/sub-7_acq-a_MESE.nii.gz", decay)
    for name, shift in (("sub-7", 0), ("acq-a", 1)):
        sidecar = {"EchoTime": [(t + shift) / 1000 for t in TE]}
        (tmp_path / "sub-7" / f"{name}_MESE.json").write_text(json.dumps(sidecar))
    refused(path, "sub-7_MESE.json: its EchoTime contradicts")


def test_no_sidecar_is_inherited_outside_of_a_data_set(save, decay, tmp_path):
    path = save("folder/run-1_MESE.nii.gz", decay)
    (tmp_path / "MESE.json").write_text(json.dumps({"EchoTime": [t / 1000 for t in TE]}))
    refused(path, "run-1_MESE.json", error=FileNotFoundError)


def test_given_times_may_not_contradict_the_sidecar(save, decay):
    path = save("scan.nii.gz", decay, EchoTime=[t / 1000 for t in TE])
    refused(path, "correct the one", times_ms=(10, 24, 36, 48, 120))
    assert rx.io.read_scan(path, "t2", times_ms=(12.1, 24, 36, 48, 120)).times_ms == (12.1, 24, 36, 48, 120)


def test_times_under_another_key_are_pointed_out(save, decay, capsys):
    path = save("scan.nii.gz", decay, EchoTime=[t / 1000 for t in TE])
    refused(path, "SpinLockTime is missing; EchoTime is an array of 5 and may hold them", contrast="t1rho")
    assert main(["fit", "t1rho", str(path)]) == 1
    assert "give the times (--tsl-ms ...)" in capsys.readouterr().err


def test_times_below_1_ms_whose_unit_was_said(save, tmp_path):
    te = (0.03, 0.2, 0.5, 0.9)
    data = np.exp(-np.array(te) / np.full((2, 2, 1, 1), 0.6)).astype(np.float32)
    path = save("ute.nii.gz", data, EchoTime=[t / 1000 for t in te])
    assert rx.io.read_scan(path, "t2").times_ms == pytest.approx(te)
    assert main(["fit", "t2", str(path), "--bounds-ms", "0.05,20", "-q"]) == 0
    np.testing.assert_allclose(nibabel.load(tmp_path / "ute_T2map.nii.gz").get_fdata(), 0.0006, rtol=1e-3)


# --- text files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "12\n24\n36\n48\n120\n",
        "12, 24, 36, 48, 120",
        "TE [ms]\r\n12;\r\n24\r\n36\r\n48\r\n120",
        "12 24 36\t48 120 # ms",
    ],
)
def test_times_in_a_text_file(save, decay, tmp_path, text):
    (tmp_path / "te.txt").write_text(text)
    assert rx.io.read_times_file(tmp_path / "te.txt") == TE
    assert rx.io.read_scan(save("scan.nii", decay), times_ms=tmp_path / "te.txt").times_ms == TE
    assert main(["fit", "t2", str(tmp_path / "scan.nii"), "--te-ms", str(tmp_path / "te.txt"), "-q"]) == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "0 time"),
        ("12\ntwelve", "line 2: 'twelve' is no number"),
        ("12ms 24ms", "line 1: '12ms' is no number"),
        ("1,12\n2,24", "columns"),
        ("0.01 0.02", "seconds"),
        ("12 -3", "negative"),
        (b"\xff\xfe\x00", "not text"),
    ],
)
def test_text_files_that_are_refused(tmp_path, text, problem):
    path = tmp_path / "te.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=problem) as caught:
        rx.io.read_times_file(path)
    assert str(path) in str(caught.value)


def test_spaces_between_times_and_messages_of_the_command(save, decay, capsys):
    path = str(save("scan.nii.gz", decay))
    for given in ("12 24 36 48 120", "12; 24;36;48;120", "[12, 24, 36, 48, 120]"):
        assert main(["fit", "t2", path, "--te-ms", given, "-q", "--overwrite"]) == 0
    capsys.readouterr()
    for given, problem in (("0.01,0.02", "Multiply by 1000"), ("te.txt", "numbers with commas or spaces")):
        assert main(["fit", "t2", path, "--te-ms", given]) == 2
        error = capsys.readouterr().err
        assert problem in error
        assert "unit='s'" not in error
        assert "--te-ms" in error
    assert main(["fit", "t2", path, "--te-ms", "12,24,36", "--overwrite"]) == 1
    assert "5 volumes, but --te-ms gives 3 times" in capsys.readouterr().err


# --- volumes and axes -------------------------------------------------------------------------------------------------


def test_a_choice_of_volumes(save, decay, capsys):
    path = save("scan.nii.gz", decay, EchoTime=[t / 1000 for t in TE])
    scan = rx.io.read_scan(path, "t2", volumes=(0, 2, 3, 4), skip_first=1)
    assert scan.times_ms == (36, 48, 120)
    np.testing.assert_array_equal(scan.data, decay[..., 2:])
    assert rx.io.read_scan(path, volumes=(0, 2), times_ms=(12, 36)).times_ms == (12, 36)
    refused(path, "it says", volumes=(0, 2), times_ms=(12, 24))
    refused(path, "volumes=0,5 are not rising numbers from 0 to 4", volumes=(0, 5))
    refused(path, "rising", volumes=(1, 0))
    refused(path, "skip_first=5 leaves nothing", skip_first=5)
    assert main(["fit", "t2", str(path), "--volumes", "0,2-4", "--skip-first", "1", "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["times_ms"] == [36, 48, 120]
    for given, status in (("0,9", 1), ("2-x", 2), ("", 2)):
        assert main(["fit", "t2", str(path), "--volumes", given, "--overwrite"]) == status
        assert "--volumes" in capsys.readouterr().err


def test_time_on_another_axis(save, decay, capsys):
    slices = save("xyt.nii.gz", decay[:, :, 0])
    refused(slices, r"\(5, 4, 5\) has no time axis.*; axis 2 has as many.*time_axis=2", times_ms=TE)
    scan = rx.io.read_scan(slices, times_ms=TE, time_axis=2)
    np.testing.assert_array_equal(scan.data, decay[:, :, :1])
    first = save("txyz.nii.gz", np.moveaxis(decay, -1, 0)[:, :3])
    refused(
        first,
        "3 volumes, but times_ms gives 5 times; axis 0 has as many entries: if it is time, use time_axis=0",
        times_ms=TE,
    )
    np.testing.assert_array_equal(rx.io.read_scan(first, times_ms=TE, time_axis=0).data, decay[:3])
    stacked = save("z.nii.gz", np.concatenate(list(np.moveaxis(decay[:4], -1, 0)), 2))
    refused(stacked, "axis 2 has 15 = 5 x 3 entries", times_ms=TE)
    refused(slices, "time_axis=3 is not one of the 3 axes", times_ms=TE, time_axis=3)
    refused(save("volume.nii.gz", decay[..., 0]), "if it is one of several files, pass all of them", contrast=None)
    assert main(["fit", "t2", str(slices), "--te-ms", "12,24,36,48,120"]) == 1
    assert "use --time-axis 2" in capsys.readouterr().err
    assert main(["fit", "t2", str(slices), "--te-ms", "12,24,36,48,120", "--time-axis", "2", "-q"]) == 0


def test_a_joint_fit_of_a_choice_of_files(save, tmp_path):
    truth = np.full((4, 3, 2, 1), 40.0)
    images = 1000 * np.exp(-np.array((0, 10, 30, 50, 18, 34, 51)) / truth)
    files = [save(f"v{k}.nii.gz", images[..., k].astype(np.float32)) for k in range(7)]
    options = ["--tsl-ms", "0 10 30 50", "--te-ms", "0 18 34 51", "-q"]
    assert main(["fit", "joint", *map(str, files), *options]) == 0
    assert (tmp_path / "v_T1rho.nii.gz").exists()
    whole = save("all.nii.gz", np.concatenate([images[..., :1], images], -1).astype(np.float32))
    assert main(["fit", "joint", str(whole), "--skip-first", "1", *options]) == 0
