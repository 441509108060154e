"""The training step, for Lightning. Importing this module imports Lightning."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import lightning
import torch
from einops import rearrange, reduce
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Sampler

from relaxnet.losses import PairwiseConstraint, Weighting
from relaxnet.nets import RelaxationNet
from relaxnet.training._augment import Augmentation, shift_rates, undo_rate_shift
from relaxnet.training._comparison import complete, to_maps, usable
from relaxnet.training._data import Batch, Slices, collate, mix
from relaxnet.training._input_sets import at_random, in_turns
from relaxnet.training._loss import Loss
from relaxnet.training._presets import Preset
from relaxnet.training._run_folder import seal

VALIDATION = "val_residual"
WATCHED = Loss("pairwise", held_out=True, remove_bias=True)
"""The validation loss, which measures a network without the truth: held-out images have a noise of their own, and
orthogonal pairs have no bias."""


class RelaxationModule(lightning.LightningModule):
    """Train a network.

    What is minimised is the weighted residual. What validates is another one, the same for all losses and weightings: a
    weighted loss also falls when a scale does, and a residual of input images also falls when the network learns to
    reproduce their noise.

    Parameters
    ----------
    net
        The network to train.
    loss
        The training loss.
    weighting
        How its tasks are balanced.
    preset
        Settings of optimiser and augmentation.
    seed
        Of the augmentation, which depends on nothing but the seed and the number of the step.
    random_inputs
        Whether a network of any subset is trained with random ones, rather than with the input sets of its protocol.
    """

    def __init__(
        self,
        net: RelaxationNet,
        loss: Loss,
        weighting: Weighting,
        preset: Preset,
        seed: int,
        *,
        random_inputs: bool = False,
    ) -> None:
        super().__init__()
        self.net = net
        self.compare = loss.comparison(net, weighting)
        self.validate = validation_loss(net).comparison(net)
        self.weighting = weighting
        self.augment = Augmentation(preset, net.protocol)
        # A task of weight 0 is not trained, and says nothing of when to stop.
        tasks = range(len(net.protocol.names))
        self.trained_tasks = [k for k in tasks if weighting.weights[k] != 0] or list(tasks)
        self.preset = preset
        self.seed = seed
        held_out = PairwiseConstraint.at_least if loss.held_out else 0
        self.choose_inputs = partial(at_random, held_out=held_out) if random_inputs else in_turns
        self.averaged = AveragedModel(net, multi_avg_fn=self._average, use_buffers=True) if preset.averaging else None
        if self.averaged is not None:
            self.averaged.requires_grad_(requires_grad=False)

    @property
    def best_guess(self) -> RelaxationNet:
        """The network to be used: that of the averaged weights, where there is one."""
        net = self.net if self.averaged is None else self.averaged.module
        assert isinstance(net, RelaxationNet)  # noqa: S101 (for the type checker)
        return net

    def _average(self, means: Any, news: Any, n: Tensor | int) -> None:
        # An average over few steps at first, which forgets the beginning.
        decay = min(self.preset.averaging, (1 + int(n)) / (10 + int(n)))
        get_ema_multi_avg_fn(decay)(means, news, n)  # type: ignore[no-untyped-call]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute the loss of a batch.

        Parameters
        ----------
        batch
            All images of some slices, and what belongs to them.
        batch_idx
            Number of the batch in the epoch.

        Returns
        -------
        Tensor
            The weighted loss.

        Raises
        ------
        FloatingPointError
            If the loss is not finite; the message names the slices.
        """
        number = batch_idx * self.trainer.world_size + self.global_rank  # among the batches of all processes
        generator = torch.Generator().manual_seed(mix(self.seed, self.current_epoch, number))
        batch = self.augment(batch, generator)
        net, images = self.net, batch["images"]
        inputs = self.choose_inputs(net.protocol, len(images), generator) if net.any_subset else None
        own = images[:, net.input_channels]
        shifts = self.augment.rate_shifts(len(images), generator).to(images)
        if self.preset.rate_shift:
            output = net(shift_rates(own, shifts, net.protocol, net.input_channels), inputs)
            output = output._replace(maps_ms=undo_rate_shift(output.maps_ms, shifts, net.protocol))
        else:
            output = net(own, inputs)
        scale = net.scale(own, inputs)
        residual = self.compare(
            output,
            _filled(images),
            scale,
            batch["sigma"],
            labels=batch.get("labels"),
            inputs=inputs,
            generator=generator,
        )
        mask = usable(net, images) & self._labelled(batch) & _chosen(batch)
        loss: Tensor = residual.new_tensor(math.nan)
        if torch.isfinite(residual).all():
            scales: tuple[Tensor, ...] = ()
            if self.weighting.needs == "scales":
                scales = (output.log_scale - torch.log(scale) + self._begin_scales(residual.detach(), mask),)
            loss = self.weighting(residual, *scales, mask=self._simplified(mask))
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"The loss is not finite in epoch {self.current_epoch}, batch {batch_idx}, training slices "
                f"{batch['slice'].tolist()}. Look for images that are all zero, or lower the learning rate."
            )
        self.log(
            "residual",
            residual.detach().abs().mean(),
            on_step=False,
            on_epoch=True,
            sync_dist=True,
            batch_size=len(images),
        )
        return loss

    def _labelled(self, batch: Batch) -> Tensor:
        """Find the voxels with labels that the network can output; all where there are no labels."""
        if "labels" not in batch:
            return torch.ones((), dtype=torch.bool, device=batch["images"].device)
        bounds = torch.tensor(list(self.net.bounds_ms.values())).T
        low, high = (to_maps(bound, batch["labels"]) for bound in bounds)
        reachable = (batch["labels"] >= low) & (batch["labels"] <= high)  # beyond is fluid, for one
        return (batch["labelled"] > 0.99) & reachable

    def _simplified(self, mask: Tensor) -> Tensor:
        """Return one mask for all contrasts where they agree, which each weighting takes, or are weighed together."""
        of_all = mask.all(1)
        together = self.weighting.needs == "signed" or torch.equal(mask, of_all[:, None].expand_as(mask))
        return of_all if together else mask

    def _begin_scales(self, residual: Tensor, mask: Tensor) -> Tensor:
        """Let the scales that a new network predicts begin at the mean residuals of the first batch that has any.

        However strong the receiver of a contrast, the network then has the same way to go.
        """
        first = self.net.first_log_scale
        if first.all():
            return torch.zeros(())
        sums = [reduce(part, "batch task ... -> task", "sum") for part in (torch.where(mask, residual, 0), mask)]
        # over all processes, which go the same way
        total, n = self.trainer.strategy.reduce(torch.stack([part.to(residual) for part in sums]), reduce_op="sum")
        begins = (first == 0) & (total > 0)
        more = torch.where(begins, torch.log(total / n), 0)
        first.add_(more)
        return to_maps(more, residual)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Average the weights.

        Parameters
        ----------
        outputs, batch, batch_idx
            What Lightning passes.
        """
        del outputs, batch, batch_idx
        if self.averaged is not None:
            self.averaged.update_parameters(self.net)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Seal the checkpoint, when it is complete.

        Parameters
        ----------
        checkpoint
            The checkpoint.
        """
        seal(checkpoint)

    def on_validation_epoch_start(self) -> None:
        """Forget the residuals of the last epoch."""
        self.sums = torch.zeros(2, len(self.net.protocol.names), device=self.device)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add up the validation residuals of a batch; for a network that takes any input set, over all of them.

        Parameters
        ----------
        batch
            All images of some slices, and what belongs to them.
        batch_idx
            Number of the batch.

        Raises
        ------
        FloatingPointError
            If the residual is not finite; the message names the slices.
        """
        del batch_idx
        images, net = batch["images"], self.best_guess
        own, target, known = images[:, net.input_channels], _filled(images), complete(net, images) & _chosen(batch)
        for name in net.protocol.input_sets if net.any_subset else (None,):
            inputs = None if name is None else [name] * len(images)
            residual = self.validate(net(own, inputs), target, net.scale(own, inputs), batch["sigma"], inputs=inputs)
            parts = (torch.where(known, residual, 0), known)
            self.sums += torch.stack([reduce(part, "batch task ... -> task", "sum").to(residual) for part in parts])
        if not torch.isfinite(self.sums).all():
            raise FloatingPointError(
                f"The validation residual is not finite in epoch {self.current_epoch}, validation slices "
                f"{batch['slice'].tolist()}. Look for images that are all zero, or lower the learning rate."
            )

    def on_validation_epoch_end(self) -> None:
        """Record the mean residual of each contrast that the validation subjects have, and over those trained.

        Raises
        ------
        FloatingPointError
            If they have none that is trained.
        """
        total, n = self.sums
        there = [k for k, own in enumerate(n.tolist()) if own > 0]
        trained = [k for k in there if k in self.trained_tasks]
        if not trained:
            raise FloatingPointError("The validation subjects have no voxel where all images of a contrast are finite.")
        for k in there:
            self.log(f"{VALIDATION}_{self.net.protocol.names[k]}", total[k] / n[k], sync_dist=True)
        self.log(VALIDATION, (total / n)[trained].mean(), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Set up Adam, with a rate of its own for the weighting.

        Returns
        -------
        object
            The optimiser and its schedule.
        """
        preset = self.preset
        network = {
            "params": list(self.net.parameters()),
            "lr": preset.learning_rate,
            "weight_decay": preset.weight_decay,
        }
        optimizer = torch.optim.Adam([network, *self.weighting.parameter_groups(lr=preset.weighting_rate)], fused=True)

        def factor(epoch: int) -> float:
            return 0.5 * (1 + math.cos(math.pi * epoch / preset.epochs)) if preset.schedule == "cosine" else 1.0

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}


def _filled(images: Tensor) -> Tensor:
    """Return images with zeros in place of what is not finite: a mask alone would not stop a NaN gradient."""
    return torch.where(torch.isfinite(images), images, 0)


def _chosen(batch: Batch) -> Tensor:
    """Return the voxels within the masks of the subjects, for all contrasts; all where there are no masks."""
    if "mask" not in batch:
        return torch.ones((), dtype=torch.bool, device=batch["images"].device)
    return rearrange(batch["mask"] > 0.99, "batch ... -> batch 1 ...")


class SliceModule(lightning.LightningDataModule):
    """Training and validation slices, for Lightning.

    Parameters
    ----------
    training, validation
        Slices.
    batch_size
        Slices in a step.
    steps
        Smallest number of steps in an epoch.
    seed
        Of the order, which depends on nothing but the seed and the epoch, so that a resumed run goes on as it would
        have.
    """

    def __init__(self, training: Slices, validation: Slices | None, batch_size: int, steps: int, seed: int) -> None:
        super().__init__()
        self.training = training
        self.validation = validation
        self.batch_size = batch_size
        self.steps = steps
        self.seed = seed

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffle the training slices anew for each epoch; the processes of a distributed training share them.

        Returns
        -------
        DataLoader
            Batches of an epoch.
        """
        rank, world = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        batches = _Batches(len(self.training), self.batch_size, self.steps, self.seed, rank, world)
        return DataLoader(self.training, batch_sampler=batches, collate_fn=collate)

    def val_dataloader(self) -> DataLoader[Batch] | list[Any]:
        """Take the validation slices in order; each process takes all of them.

        Returns
        -------
        DataLoader
            Batches; none without validation.
        """
        return [] if self.validation is None else DataLoader(self.validation, self.batch_size, collate_fn=collate)


class _Batches(Sampler[list[int]]):
    """Batches in an order that depends on nothing but the seed and the epoch; each process has its part of each pass.

    There are as many passes over the slices as make the smallest number of steps.
    """

    def __init__(self, n: int, batch_size: int, steps: int, seed: int, rank: int, world: int) -> None:
        self.n = n
        self.n_own = math.ceil(n / world)  # all processes take as many, or some would wait for the others
        self.batch_size = batch_size
        self.passes = math.ceil(steps / math.ceil(self.n_own / batch_size))
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0
        self.sampler = self  # whose epoch Lightning sets

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(mix(self.seed, self.epoch))
        for _ in range(self.passes):
            order = torch.randperm(self.n, generator=generator).tolist()
            own = [order[k % self.n] for k in range(self.rank, self.n_own * self.world, self.world)]
            yield from (own[k : k + self.batch_size] for k in range(0, self.n_own, self.batch_size))

    def __len__(self) -> int:
        return self.passes * math.ceil(self.n_own / self.batch_size)


def validation_loss(net: RelaxationNet) -> Loss:
    """Choose what validates: held-out images, or all of them where too few are held out.

    Parameters
    ----------
    net
        The network.

    Returns
    -------
    Loss
        A loss of orthogonal pairs.
    """
    try:
        WATCHED.comparison(net)
    except ValueError:
        return Loss("pairwise", remove_bias=True)
    return WATCHED
