"""Feed relaxnet's readers with damaged files, and see whether they keep their word.

A reader returns something that can be used, or raises a ValueError or an OSError whose message is one line below 2,000
characters that can be printed and names the file or its folder. It takes less than 5 s of processor time and 2 GiB of
memory. Everything else is a finding. Files are damaged blindly (bytes changed, lost, doubled, cut off) or field by
field: headers of NIfTI files, values and keys of JSON, cells of tables, tensors and metadata of networks, the content
of saved runs. Each case follows from the seed and its number.
"""

import argparse
import itertools
import json
import queue
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import nibabel
import numpy as np
import torch
from common import say, table, write
from damage import blindly, knowingly

import relaxnet as rx
from relaxnet.io._protocol import describe_protocol

SECONDS, BYTES, LETTERS = 5, 2 * 2**30, 2000
SILENCE = 120  # seconds of no answer, after which a reader hangs
KEPT = 3  # files of one kind of finding
ROOT = Path(__file__).parents[1]

# --- what is read -----------------------------------------------------------------------------------------------------

PROTOCOL = rx.Protocol(
    (rx.Contrast("t1rho", (0, 10, 30)), rx.Contrast("t1", (2, 10, 30), rx.signals.VariableFlipAngle(tr_ms=5.0))),
    shared_first=False,
)
COHORT = rx.phantom.liver_cohort(2, 1, (32, 32))
ONE_EPOCH = rx.training.Preset(shape=(32, 32), epochs=1, base=2, depth=2)


@dataclass(frozen=True)
class Reader:
    """A reader, and files for it."""

    make: Callable[[Path], object]
    """Writes good files into a folder."""
    read: Callable[[Path], object]
    """Reads the folder, and uses what came."""
    share: int = 20
    """How often it is tried, against others."""


def _image(shape: tuple[int, ...], path: Path) -> None:
    image = nibabel.Nifti1Image(np.ones(shape, np.uint8), np.diag((1.5, 2, 7, 1)))
    image.set_qform(image.affine, 1)
    image.to_filename(path)


def _images(folder: Path) -> None:
    _image((4, 3, 2, 4), folder / "scan.nii")
    _image((4, 3, 2, 4), folder / "scan.nii.gz")


def _masked(folder: Path) -> None:
    _image((4, 3, 2, 4), folder / "scan.nii")
    _image((4, 3, 2), folder / "mask.nii.gz")


def _mask(folder: Path) -> None:
    mask = rx.io.read_mask(folder / "mask.nii.gz", like=rx.io.read_nifti(folder / "scan.nii"))
    assert mask.shape == (4, 3, 2)


def _scans(folder: Path) -> None:
    for path in folder.iterdir():
        assert rx.io.as_slices(rx.io.read_nifti(path)).ndim == 4


def _text(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def _cohort(folder: Path) -> None:
    cohort = rx.io.read_cohort(folder)
    for subject in cohort:
        assert torch.is_tensor(subject) or subject.images.shape[1] == cohort.protocol.n_images


def _network(folder: Path) -> None:
    trained = rx.training.load(folder / "network.safetensors")
    n = trained.net.protocol.n_images
    with np.errstate(all="ignore"):
        assert set(trained.predict(torch.rand(1, n, 32, 32) + 1)) >= {*trained.net.protocol.names}


def _train(folder: Path) -> rx.training.Trained:
    return rx.training.train(COHORT, preset=ONE_EPOCH, out=folder, progress=False)


def _save(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as run:
        _train(Path(run)).save(folder / "network.safetensors")


def _cached(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        _experiment(Path(place))
        (folder / ".cache").mkdir()
        for path in Path(place, ".cache").glob("*.json"):
            shutil.copy(path, folder / ".cache")


def _experiment(folder: Path) -> None:
    rx.experiments.run("table4", preset="smoke", seeds=1, out=folder, jobs=1)


def _results(folder: Path) -> None:
    for name in ("table3.json", "fig3.json"):
        shutil.copy(ROOT / "results" / "laptop-smooth" / name, folder)


READERS = {
    "scan": Reader(_images, _scans),
    "mask": Reader(_masked, _mask),
    "label map": Reader(
        lambda folder: _image((4, 3, 2), folder / "map.nii.gz"),
        lambda folder: rx.io.read_label_map(folder / "map.nii.gz"),
    ),
    "tissue table": Reader(
        _text("tissues.tsv", "label\ttissue\n0\tair\n5\tliver\n7\tfat\n"),
        lambda folder: rx.io.read_tissue_table(folder / "tissues.tsv"),
    ),
    "sidecar": Reader(
        _text(
            "scan.json", json.dumps({"EchoTime": 0.01, "SpinLockTime": [0, 0.01, 0.03], "T2PreparationTime": [0, 0.1]})
        ),
        lambda folder: [rx.io.read_times(folder / "scan.nii", name) for name in ("t1rho", "t2")],
    ),
    "protocol": Reader(
        _text("scan.json", json.dumps(describe_protocol(PROTOCOL))),
        lambda folder: rx.io.read_protocol(folder / "scan.json").n_images,
    ),
    "cohort": Reader(lambda folder: rx.io.write_cohort(COHORT, folder), _cohort, share=5),
    "network": Reader(_save, _network),
    "saved run": Reader(_train, _train, share=2),
    "cached step": Reader(_cached, _experiment, share=5),
    "result": Reader(_results, rx.experiments.render, share=5),
}


def damaged(originals: Path, seed: int, case: int) -> tuple[str, Path, bytes]:
    """Choose the reader, the file and its damaged content of a case."""
    chance = random.Random(f"{seed}-{case}")
    (name,) = chance.choices([*READERS], [reader.share for reader in READERS.values()])
    files = sorted(path for path in (originals / name).rglob("*") if path.is_file() and path.stat().st_size)
    path = chance.choice(files)
    change = blindly if chance.random() < 0.3 else lambda content, _: knowingly(path.name, content, chance)
    return name, path.relative_to(originals / name), change(path.read_bytes(), chance)


# --- what has to hold -------------------------------------------------------------------------------------------------


class TooLong(BaseException):
    """A reader took too long. Not an Exception, so that nothing on the way takes it for one."""


def attempt(read: Callable[[Path], object], folder: Path) -> tuple[str, str]:
    """Read a folder; return ``"usable"``, ``"refused"`` or the kind of the finding, and more words."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        read(folder)
    except (ValueError, OSError) as error:
        kind, said = _flaw(str(error), folder), repr(str(error))[:LETTERS]
    except (Exception, TooLong) as error:  # noqa: BLE001 (that is what is looked for)
        package = ROOT / "relaxnet"
        ours = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(package)]
        where = f"{Path(ours[-1].filename).relative_to(ROOT)}, {ours[-1].name}" if ours else "the campaign"
        kind, said = f"{type(error).__name__} in {where}", repr(str(error))[:LETTERS]
    else:
        kind, said = "usable", ""
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return kind, said


def _flaw(message: str, folder: Path) -> str:
    if "\n" in message:
        return "a message of several lines"
    if len(message) >= LETTERS:
        return "a long message"
    if not message.isprintable():
        return "a message that cannot be printed"
    return "refused" if str(folder) in message else "a message that names no file"


def work(originals: Path, folder: Path, seed: int, first: int) -> None:
    """Try one case after the other, and print what came of each."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        del number, frame
        raise TooLong(f"{SECONDS} s are over")

    torch.set_num_threads(1)
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", UserWarning)
    for name, reader in READERS.items():  # good files are read, and whatever is loaded on the way is loaded now
        shutil.copytree(originals / name, folder / "good" / name)
        reader.read(folder / "good" / name)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES,) * 2)
    signal.signal(signal.SIGPROF, stop)
    for case in itertools.count(first):
        name, file, content = damaged(originals, seed, case)
        given = folder / "damaged"
        shutil.copytree(originals / name, given)
        (given / file).write_bytes(content)
        print(json.dumps([case, name, *attempt(READERS[name].read, given)]), flush=True)
        shutil.rmtree(given)


def answers(originals: Path, seed: int, end: float) -> Iterator[tuple[int, str, str, str]]:
    """Yield number, reader, outcome and words of each case; start the process that reads anew where it dies."""
    case = 0
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                __file__,
                "--work",
                str(originals),
                folder,
                "--seed",
                str(seed),
                "--first",
                str(case),
            ]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            lines: queue.Queue[str] = queue.Queue()
            threading.Thread(target=_pass_on, args=(process.stdout, lines), daemon=True).start()
            how = ""
            while not how and time.monotonic() < end:
                try:
                    line = lines.get(timeout=SILENCE)
                except queue.Empty:
                    line, how = "", "it hangs"
                if line:
                    answer = json.loads(line)
                    yield tuple(answer)
                    case = answer[0] + 1
                else:
                    how = how or f"the process dies, {process.wait()}"
            process.kill()
            process.wait()
        if how:
            yield case, damaged(originals, seed, case)[0], how, ""
            case += 1


def _pass_on(stream: Any, lines: "queue.Queue[str]") -> None:
    for line in stream:
        lines.put(line)
    lines.put("")


def main() -> None:
    """Damage, read, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long to go on (default: 600)")
    parser.add_argument("--seed", type=int, default=0, help="of the damages (default: 0)")
    parser.add_argument("--keep", type=Path, help="folder for the files that were findings")
    parser.add_argument("--first", type=int, default=0, help="number of the first case (default: 0)")
    parser.add_argument("--work", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*options.work, options.seed, options.first)
    outcomes = {name: Counter[str]() for name in READERS}
    told = []
    with tempfile.TemporaryDirectory() as folder:
        originals = Path(folder)
        for name, reader in READERS.items():
            (originals / name).mkdir()
            reader.make(originals / name)
        for case, name, outcome, said in answers(originals, options.seed, time.monotonic() + options.seconds):
            outcomes[name][outcome] += 1
            if outcome in ("usable", "refused"):
                continue
            if outcomes[name][outcome] == 1:
                told.append((name, outcome))
                say(f"case {case}, {name}: {outcome}: {said[:300]}")
            if options.keep and outcomes[name][outcome] <= KEPT:
                _, file, content = damaged(originals, options.seed, case)
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / f"{case}-{name.replace(' ', '_')}-{file.name}").write_bytes(content)
    rows = []
    for name, counts in {**outcomes, "all": sum(outcomes.values(), Counter())}.items():
        kinds = len(told) if name == "all" else len(counts.keys() - {"usable", "refused"})
        good = counts["usable"] + counts["refused"]
        rows.append([name, counts.total(), counts["usable"], counts["refused"], counts.total() - good, kinds])
    found = "".join(f"- {name}: {outcome}, {outcomes[name][outcome]} times\n" for name, outcome in told)
    header = ["reader", "files", "usable", "refused", "findings", "kinds"]
    write("fuzz", table(header, rows) + (f"\n{found}" if found else ""), options.seed)
    sys.exit(bool(told))


if __name__ == "__main__":
    main()
