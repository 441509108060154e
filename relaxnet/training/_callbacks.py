"""What happens at the end of an epoch: the best weights are kept, the run is saved, progress is shown."""

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from relaxnet._files import replacing
from relaxnet.nets import RelaxationNet
from relaxnet.training._module import VALIDATION, RelaxationModule
from relaxnet.training._presets import ONLY_RUNS, Preset

_STATE = ("residual", "waited", "weights", "history")


class BestWeights(Callback):
    """Keep the weights of the epoch with the smallest validation residual, and the history; stop when it is time.

    All of this is part of a saved run, so that a resumed one forgets nothing, and a finished one stays as it is.
    Lightning's early stopping would decide after the run has been saved. Where nothing is watched, the last epoch
    counts as the best.

    Parameters
    ----------
    patience
        Training stops after this number of epochs without an improvement.
    each_epoch
        Is called with the number of each epoch, the network as it is then, and what was recorded.
    """

    def __init__(
        self, patience: int, each_epoch: Callable[[int, RelaxationNet, dict[str, float]], None] | None = None
    ) -> None:
        self.patience = patience
        self.each_epoch = each_epoch
        self.residual = float("inf")
        self.waited = 0
        self.weights: dict[str, Any] = {}
        self.history: list[dict[str, float]] = []

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Train no further if the saved run has stopped.

        Parameters
        ----------
        trainer, pl_module
            What Lightning passes.
        """
        del pl_module
        trainer.should_stop = self.waited >= self.patience

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Record the epoch; keep its weights if they are the best so far; stop if they have not been for long enough.

        Parameters
        ----------
        trainer, pl_module
            What Lightning passes.
        """
        if not isinstance(pl_module, RelaxationModule):
            return
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        scales = zip(pl_module.net.protocol.names, pl_module.weighting.scales.tolist(), strict=True)
        self.history.append({"epoch": pl_module.current_epoch, **metrics, **{f"scale_{k}": v for k, v in scales}})
        self.waited += 1
        if metrics.get(VALIDATION, -float("inf")) < self.residual or VALIDATION not in metrics:
            self.residual, self.waited = metrics.get(VALIDATION, self.residual), 0
            self.weights = copy.deepcopy(pl_module.best_guess.state_dict())
        trainer.should_stop = self.waited >= self.patience
        if self.each_epoch is not None:
            self.each_epoch(pl_module.current_epoch, pl_module.best_guess, self.history[-1])

    def state_dict(self) -> dict[str, Any]:
        """Describe the callback for a saved run.

        Returns
        -------
        dict
            Plain values and tensors.
        """
        return {name: getattr(self, name) for name in _STATE}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a saved run stopped.

        Parameters
        ----------
        state_dict
            What :meth:`state_dict` returned.
        """
        vars(self).update(state_dict)


class StepWeighting(Callback):
    """End the epoch of the weighting, before the run is saved."""

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Call its hook.

        Parameters
        ----------
        trainer, pl_module
            What Lightning passes.
        """
        del trainer
        if isinstance(pl_module, RelaxationModule):
            pl_module.weighting.step()


class SaveRun(Callback):
    """Save the whole run after every epoch, in one step, so that it can be interrupted at any moment.

    Parameters
    ----------
    path
        The file to write.
    settings
        Settings of the run, which are part of the file.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self.settings = settings

    def state_dict(self) -> dict[str, Any]:
        """Describe the run for :func:`~relaxnet.training._run_folder.open_run`.

        Returns
        -------
        dict
            Plain values.
        """
        return {"settings": json.loads(json.dumps(self.settings))}  # plain: tuples, for one, become lists

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the file.

        Parameters
        ----------
        trainer, pl_module
            What Lightning passes.
        """
        del pl_module
        if trainer.is_global_zero:
            with replacing(self.path) as temporary:
                trainer.save_checkpoint(temporary)
        else:
            trainer.save_checkpoint(self.path)  # takes part, and writes nothing


class ShowProgress(Callback):
    """Show epochs, residual and time left on standard error: a bar on a terminal, now and then a line elsewhere.

    Parameters
    ----------
    n_slices
        Number of training slices.
    preset
        The preset, which may be too short to learn anything.
    """

    def __init__(self, n_slices: int, preset: Preset) -> None:
        self.n_slices = n_slices
        self.preset = preset
        self.console = Console(file=sys.stderr)
        self.bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs, residual {task.fields[residual]}"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Begin.

        Parameters
        ----------
        trainer, pl_module
            What Lightning passes.
        """
        del pl_module
        epochs, steps = trainer.max_epochs or 0, int(trainer.num_training_batches)
        self.console.print(
            f"training: {self.n_slices} slices, {steps} steps in an epoch, {epochs * steps} in {epochs} epochs",
            highlight=False,
            soft_wrap=True,
        )
        if self.preset.only_runs:
            self.console.print(f"training: the preset 'smoke' {ONLY_RUNS}", highlight=False, soft_wrap=True)
        self.bar.start()
        self.task = self.bar.add_task(
            "train", total=trainer.max_epochs, completed=trainer.current_epoch, residual="..."
        )

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Advance.

        Parameters
        ----------
        trainer, pl_module
            What Lightning passes.
        """
        del pl_module
        done, total = trainer.current_epoch + 1, trainer.max_epochs or 0
        what = VALIDATION if VALIDATION in trainer.callback_metrics else "residual"
        residual = f"{float(trainer.callback_metrics[what]):.4f}"
        self.bar.update(self.task, completed=done, residual=residual)
        if not self.console.is_terminal and (done % max(1, total // 10) == 0 or done == total):
            self.console.print(f"training: epoch {done} of {total}, {what.replace('val_', 'validation ')} {residual}")

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Finish.

        Parameters
        ----------
        trainer, pl_module
            What Lightning passes.
        """
        del trainer, pl_module
        self.bar.stop()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Give the terminal back.

        Parameters
        ----------
        trainer, pl_module, exception
            What Lightning passes.
        """
        del trainer, pl_module, exception
        self.bar.stop()
