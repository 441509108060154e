"""The command line as a process of its own. Each costs an import of torch, so there are few."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

RUN = (sys.executable, "-c", "import sys; from relaxnet.cli import main; sys.exit(main())")


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "scan.nii.gz"
    images = np.exp(-np.array([0.0, 10.0, 30.0, 50.0]) / np.full((6, 10, 2, 1), 40.0)).astype(np.float32)
    image = nibabel.Nifti1Image(images, np.eye(4))
    image.set_qform(np.eye(4), 1)
    image.to_filename(path)
    return path


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_help_does_not_wait_for_torch():
    code = (
        "import sys, typer.main; from relaxnet.cli import main; from relaxnet.cli._app import app\n"
        "commands = typer.main.get_command(app).commands; fits = commands['fit'].commands\n"
        "for line in ([], *([name] for name in commands), *(['fit', name] for name in fits)):\n"
        "    assert main([*line, '--help']) == 0\n"
        "slow = ('numpy', 'torch', 'nibabel', 'matplotlib', 'rich', 'pydantic', 'importlib.metadata')\n"
        "sys.exit(' '.join(name for name in slow if name in sys.modules) or None)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_wrong_option_does_not_wait_for_torch():
    wrong = "import sys; from relaxnet.cli import main; main(['fit', 't2', '--sigma', '0']); "
    code = wrong + "sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_fit_imports_nothing_that_it_does_not_use(scan, tmp_path):
    code = (
        "import sys; from relaxnet.cli import main\n"
        "assert main(['fit', 't1rho', sys.argv[1], '--tsl-ms', '0,10,30,50', '--out', sys.argv[2]]) == 0\n"
        "slow = ('sympy', 'scipy.optimize', 'scipy.special', 'scipy.stats', 'lightning', 'pandas')\n"
        "sys.exit(' '.join(name for name in slow if name in sys.modules) or None)"
    )
    noise = np.random.default_rng(0).rayleigh(1, (6, 5, 4, 4)).astype(np.float32)  # goes the way of the search, too
    nibabel.Nifti1Image(noise, np.eye(4)).to_filename(scan)
    run = subprocess.run([sys.executable, "-c", code, scan, tmp_path / "out"], capture_output=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_result_that_could_not_be_told_is_a_failure():
    with Path("/dev/full").open("w") as full:
        run = subprocess.run([*RUN, "--version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr == "relaxnet: error: No space left on device\n"


@pytest.mark.skipif(sys.platform == "win32", reason="file names are bytes on POSIX alone")
def test_a_bare_environment(scan, tmp_path):
    """No terminal, an ASCII locale, a home that cannot be written to, and a name that the locale cannot spell."""
    named = scan.rename(tmp_path / "Müller.nii.gz")
    bare = {
        "PATH": os.environ["PATH"],
        "HOME": "/proc/nowhere",
        "LANG": "C",
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    }
    command = [*RUN, "fit", "t1rho", str(named), "--tsl-ms", "0,10,30,50", "--out", str(tmp_path / "out")]
    run = subprocess.run(command, env=bare, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    assert run.returncode == 0, run.stderr
    assert b"CONVERGED" in run.stdout
    assert all(line.startswith(b"relaxnet: ") for line in run.stderr.splitlines())
    assert "Müller_T1rho.nii.gz" in names(tmp_path / "out")


@pytest.mark.skipif(sys.platform == "win32", reason="shells of Windows do not do that")
def test_the_tests_pass_in_the_background(pytestconfig):
    """A shell starts ``make test &`` with SIGINT ignored, which processes inherit."""
    code = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', *sys.argv[1:]])"
    )
    ignored = [f"-W{given}" for given in pytestconfig.getoption("pythonwarnings") or ()]
    tests = [Path(__file__).with_name("test_fit.py"), "-k", "half_done and computing", *ignored]
    run = subprocess.run([sys.executable, "-c", code, *tests], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_sigterm_ends_a_process_cleanly(scan, tmp_path):
    code = (
        "import sys, time; from relaxnet.workflows import _fit_scan; from relaxnet.cli import main\n"
        "_fit_scan.fit = lambda *_, **__: time.sleep(60)\n"
        "sys.exit(main())"
    )
    command = [sys.executable, "-c", code, "fit", "t1rho", scan, "--tsl-ms", "0,10,30,50", "--out", tmp_path / "out"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert "voxels" in process.stderr.readline()  # it has read the scan
        process.send_signal(signal.SIGTERM)
        assert process.stderr.read() == "relaxnet: interrupted by SIGTERM\n"
        assert process.wait() == 143
    assert names(tmp_path / "out") == set()
