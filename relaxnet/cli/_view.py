"""``relaxnet view``: its options, and what it prints."""

from pathlib import Path
from typing import Annotated

import typer

from relaxnet.cli._common import Answer
from relaxnet.cli._console import say


def view(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of maps, as fit and predict write it.")],
    scan: Annotated[
        Path | None, typer.Option(metavar="SCAN", help="The scan. [default: found by its name in or beside DIR]")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the server; 0 for any that is free.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Whether to open the browser.")] = True,
) -> Answer:
    """Show the slices of maps in the browser, and the decay of a clicked voxel with its fit.

    The page comes from a server on this machine, which no other machine reaches and which serves nothing but the maps
    of DIR. Ctrl-C ends it. The page needs the package relaxnet-viewer, which no extra brings.
    """
    from relaxnet.workflows import serve_maps  # noqa: PLC0415 (it needs torch, which takes seconds)

    with serve_maps(folder, scan=scan, port=port) as server:
        print(server.address, flush=True)
        say("Ctrl-C ends it")
        if browser:
            import webbrowser  # noqa: PLC0415

            webbrowser.open(server.address)
        server.serve_forever()
    return Answer("")
