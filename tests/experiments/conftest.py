import pytest

import relaxnet as rx


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """All experiments, once, at their smallest."""
    out = tmp_path_factory.mktemp("results")
    said = []
    results = rx.experiments.run(rx.experiments.EXPERIMENTS, preset="smoke", seeds=2, out=out, jobs=2, say=said.append)
    return out, results, said
