"""The training step, for Lightning. Importing this module imports Lightning."""

import math
from collections.abc import Iterator
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler, TensorDataset

from relaxnet.losses import PairwiseConstraint, Weighting
from relaxnet.nets import RelaxationNet
from relaxnet.training._augment import random_affine
from relaxnet.training._presets import Preset

VALIDATION = "val_residual"


class RelaxationModule(lightning.LightningModule):
    """Teach a network by the decay law.

    What is minimised is the weighted residual; what is watched is the plain one, because a weighted loss also falls
    when a scale does.

    Parameters
    ----------
    net
        The network to train.
    weighting
        How its tasks are balanced.
    preset
        Settings of the optimiser.
    seed
        Of the augmentation, which depends on nothing but the seed and the number of the step.
    """

    def __init__(self, net: RelaxationNet, weighting: Weighting, preset: Preset, seed: int) -> None:
        super().__init__()
        self.net = net
        self.constraint = PairwiseConstraint(net.protocol)
        self.weighting = weighting
        self.preset = preset
        self.seed = seed

    def _residual(self, images: Tensor) -> Tensor:
        inputs = images[:, self.net.input_channels]
        # In units of the network's own normalisation a strong receiver weighs no more than a weak one.
        residual: Tensor = self.constraint(self.net(inputs).maps_ms, images / self.net.scale(inputs))
        return residual

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Compute the loss of a batch.

        Parameters
        ----------
        batch
            All images of some slices, and the numbers of these slices.
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
        images, slices = batch
        if self.preset.max_degrees or self.preset.max_shift:
            images = random_affine(
                images,
                max_degrees=self.preset.max_degrees,
                max_shift=self.preset.max_shift,
                generator=torch.Generator().manual_seed(_mix(self.seed, self.current_epoch, batch_idx)),
            )
        loss: Tensor = self.weighting(self._residual(images))
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"The loss is {loss.item()} in epoch {self.current_epoch}, batch {batch_idx}, training slices "
                f"{slices.tolist()}. Look for images that are not finite or all zero, or lower the learning rate."
            )
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        """Note the unweighted residual of a batch.

        Parameters
        ----------
        batch
            All images of some slices, and the numbers of these slices.
        batch_idx
            Number of the batch.
        """
        del batch_idx
        residual = self._residual(batch[0])
        for k, name in enumerate(self.net.protocol.names):
            self.log(f"{VALIDATION}_{name}", residual[:, k].mean(), batch_size=len(residual))
        self.log(VALIDATION, residual.mean(), batch_size=len(residual))

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
        optimizer = torch.optim.Adam([network, *self.weighting.parameter_groups(lr=preset.weighting_rate)])

        def factor(epoch: int) -> float:
            return 0.5 * (1 + math.cos(math.pi * epoch / preset.epochs)) if preset.schedule == "cosine" else 1.0

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}


class Slices(lightning.LightningDataModule):
    """The slices to learn from and those to watch, in memory.

    Parameters
    ----------
    training, validation
        Images (slice, image, height, width).
    batch_size
        Slices in a step.
    seed
        Of the order, which depends on nothing but the seed and the epoch, so that a resumed run sees what it would
        have.
    """

    def __init__(self, training: Tensor, validation: Tensor, batch_size: int, seed: int) -> None:
        super().__init__()
        self.training = TensorDataset(training, torch.arange(len(training)))
        self.validation = TensorDataset(validation, torch.arange(len(validation)))
        self.batch_size = batch_size
        self.seed = seed

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Shuffle the training slices anew for each epoch.

        Returns
        -------
        DataLoader
            Batches of an epoch.
        """
        return DataLoader(self.training, self.batch_size, sampler=_Shuffled(len(self.training), self.seed))

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Take the validation slices in order.

        Returns
        -------
        DataLoader
            Batches.
        """
        return DataLoader(self.validation, self.batch_size)


class _Shuffled(Sampler[int]):
    """An order that depends on nothing but the seed and the epoch, which Lightning sets."""

    def __init__(self, n: int, seed: int) -> None:
        self.n = n
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(_mix(self.seed, self.epoch))
        yield from torch.randperm(self.n, generator=generator).tolist()

    def __len__(self) -> int:
        return self.n


def _mix(*numbers: int) -> int:
    """Make one seed of several numbers; Python hashes tuples of integers alike on all machines."""
    return hash(numbers) & 0x7FFF_FFFF_FFFF_FFFF
