import numpy as np
import pytest
from series import simulated_series

import relaxnet as rx
from relaxnet.experiments._harness.abdomen import label_map_file
from relaxnet.experiments._harness.series import PHOTOGRAPHS, SERIES


@pytest.fixture(scope="package", autouse=True)
def data(tmp_path_factory):
    """Put small simulated series in the place of the real ones."""
    folder, labels = tmp_path_factory.mktemp("data"), label_map_file()
    if labels is not None:
        (folder / labels.name).symlink_to(labels)
    np.savez(folder / SERIES["prostate"].file, **simulated_series(20, 20))
    np.savez(folder / SERIES["leg"].file, **simulated_series(20, 20, 2, n=17))
    photographs = simulated_series(20, 20)
    truth = photographs.pop("truth")
    own = {f"ref_{name}_t2_ms": np.float32(truth + error) for name, error in (("true", 0), ("cnn", 1), ("nlls", 2))}
    np.savez(folder / PHOTOGRAPHS.file, **photographs, **own, ref_true_s0=np.full((20, 20), 1000, np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RELAXNET_TEST_DATA", str(folder))
        yield folder


@pytest.fixture(scope="package")
def smoke(tmp_path_factory, data):  # noqa: ARG001 (where the real series are looked for)
    """All experiments, once, at their smallest."""
    out = tmp_path_factory.mktemp("results")
    said = []
    results = rx.experiments.run(rx.experiments.EXPERIMENTS, preset="smoke", seeds=2, out=out, jobs=2, say=said.append)
    return out, results, said
