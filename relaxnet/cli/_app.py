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
app.command("demo", epilog=examples("demo"))(command(_demo.demo))
app.command("simulate", epilog=examples("simulate"))(command(_simulate.simulate))
app.command("train", epilog=examples("train"))(command(_train.train))
app.command("predict", epilog=examples("predict"))(command(_predict.predict))
app.command("evaluate", epilog=examples("evaluate"))(command(_evaluate.evaluate))
app.command("design", epilog=examples("design"))(command(_design.design))
app.command("view", epilog=examples("view"))(command(_view.view))
app.command("experiment", epilog=examples("experiment"))(command(_experiment.experiment))
app.command("bids", epilog=examples("bids"))(command(_bids.bids))
app.command("info", epilog=examples("info"))(command(_info.info))


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
