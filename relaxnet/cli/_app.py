"""The tree of commands. It imports typer, so only :func:`~relaxnet.cli.main` imports it."""

from typing import Annotated

import typer

from relaxnet._version import __version__
from relaxnet.cli import (
    _bids,
    _demo,
    _design,
    _evaluate,
    _experiment,
    _fit,
    _info,
    _predict,
    _simulate,
    _train,
    _view,
)
from relaxnet.cli._common import command
from relaxnet.cli._examples import examples

SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    help="Relaxation-time maps from a handful of weighted MR images. RELAXNET_DEBUG=1, or --debug anywhere in the "
    "line, adds the traceback to an error message.",
    rich_markup_mode=None,  # plain text: it is quick, and every terminal and log file has its letters
    context_settings=SETTINGS,
)
app.add_typer(_fit.app, name="fit", help="Fit a relaxation time to every voxel of a scan.")
for run in (
    _demo.demo,
    _simulate.simulate,
    _train.train,
    _predict.predict,
    _evaluate.evaluate,
    _design.design,
    _view.view,
    _experiment.experiment,
    _bids.bids,
    _info.info,
):
    app.command(run.__name__, epilog=examples(run.__name__))(command(run))


def _print_version(asked: bool) -> bool:
    if asked:
        print(f"relaxnet {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    del version
