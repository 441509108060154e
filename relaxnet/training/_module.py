"""The training step, for Lightning. Importing this module imports Lightning."""

import math
from collections.abc import Iterator
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Sampler

from relaxnet.losses import DynamicWeightAverage, FixedWeights, HeteroscedasticLaplace, Weighting
from relaxnet.nets import RelaxationNet, UNet
from relaxnet.signals import add_noise
from relaxnet.training._augment import faster, random_affine, random_flip, slower
from relaxnet.training._data import Batch, Slices, mix
from relaxnet.training._objectives import Comparison, Loss, usable
from relaxnet.training._presets import Preset

VALIDATION = "val_residual"
WATCHED = Loss("pairwise", unseen=True, remove_bias=True)
"""What tells how good a network is without the truth: the images that it does not see have a noise of their own, and
orthogonal pairs have no bias."""


class RelaxationModule(lightning.LightningModule):
    """Teach a network.

    What is minimised is the weighted residual. What is watched is another one, the same for all losses and weightings:
    a weighted loss also falls when a scale does, and a residual of images that the network sees also falls when it
    learns to reproduce their noise.

    Parameters
    ----------
    net
        The network to train.
    loss
        What it is taught by.
    weighting
        How its tasks are balanced.
    preset
        Settings of the optimiser.
    seed
        Of the augmentation, which depends on nothing but the seed and the number of the step.
    fresh_noise
        Whether to add noise to the training images, new in each step.
    """

    def __init__(
        self, net: RelaxationNet, loss: Loss, weighting: Weighting, preset: Preset, seed: int, *, fresh_noise: bool
    ) -> None:
        super().__init__()
        self.net = net
        self.compare = Comparison(loss, net, weighting)
        self.watch = Comparison(watched(net), net)
        self.weighting = weighting
        first = net.protocol.contrasts[0].times_ms[0]
        if preset.rate_shift and net.protocol.shared_first and len(net.protocol.names) > 1 and first:
            raise ValueError(
                f"rate_shift={preset.rate_shift} needs a shared image at 0 ms, not at {first:g}: use a preset without."
            )
        # A task of weight 0 is not learnt, and says nothing of when to stop.
        fixed = isinstance(weighting, FixedWeights)
        tasks = range(len(net.protocol.names))
        self.taught = [k for k in tasks if not fixed or weighting.weights[k] > 0] or list(tasks)
        self.preset = preset
        self.seed = seed
        self.fresh_noise = fresh_noise
        if isinstance(net.backbone, UNet) and net.backbone.dims == 2:
            # 1.3 times faster on a processor.
            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
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
        generator = torch.Generator().manual_seed(mix(self.seed, self.current_epoch, batch_idx))
        batch = self._augmented(batch, generator)
        images = batch["images"]
        seen = None
        if self.net.any_subset:
            # In turns rather than at random: a normalisation over the batch should always meet the same mixture.
            sets = list(self.net.protocol.input_sets)
            order = torch.randperm(len(sets), generator=generator).tolist()
            seen = [sets[order[k % len(sets)]] for k in range(len(images))]
        inputs = images[:, self.net.input_channels]
        shifts = self._rate_shifts(len(images), generator).to(images)
        output = self.net(faster(inputs, shifts, self.net.protocol, self.net.input_channels), seen)
        output = output._replace(maps_ms=slower(output.maps_ms, shifts))
        scale = self.net.scale(inputs, seen)
        compared = self._moved(images, generator)
        residual = self.compare(output, compared, scale, batch["sigma"], batch.get("labels"), seen)
        mask = usable(output, images)
        if "labelled" in batch:
            low, high = self.net.bounds_ms  # beyond, as in fluid, the network has no answer
            reachable = ((batch["labels"] >= low) & (batch["labels"] <= high)).all(1)
            mask = mask & (batch["labelled"] > 0.99) & reachable
        finite = bool(torch.isfinite(residual).all())
        if finite:
            if isinstance(self.weighting, HeteroscedasticLaplace):
                log_scale = output.log_scale - torch.log(scale) + self._begin_scales(residual.detach(), mask)
                loss: Tensor = self.weighting(residual, log_scale, mask=mask)
            else:
                loss = self.weighting(residual, mask=mask)
            finite = bool(torch.isfinite(loss))
        if not finite:
            raise FloatingPointError(
                f"The loss is not finite in epoch {self.current_epoch}, batch {batch_idx}, training slices "
                f"{batch['slice'].tolist()}. Look for images that are all zero, or lower the learning rate."
            )
        self.log("residual", residual.detach().abs().mean(), on_step=False, on_epoch=True, batch_size=len(images))
        return loss

    def _begin_scales(self, residual: Tensor, mask: Tensor) -> Tensor:
        """Let the scales that a new network predicts begin at the mean residuals of the first batch that has any.

        However strong the receiver of a contrast, the network then has the same way to go.
        """
        means = residual.transpose(0, 1)[:, mask].mean(1)
        if self.net.first_log_scale.any() or not (means > 0).all():
            return torch.zeros(())
        self.net.first_log_scale.copy_(torch.log(means))
        return self.net.first_log_scale.reshape(-1, *(1,) * (residual.ndim - 2))

    def _augmented(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Rotate, shift and flip the slices, all that belongs to one alike; add noise last, which must stay white."""
        preset, images = self.preset, batch["images"]
        if preset.max_degrees or preset.max_shift or preset.flips:
            extra = [batch[name].to(images) for name in ("labels", "labelled") if name in batch]
            stack = torch.cat([images, *(x if x.ndim == images.ndim else x.unsqueeze(1) for x in extra)], dim=1)
            if preset.max_degrees or preset.max_shift:
                stack = random_affine(
                    stack, max_degrees=preset.max_degrees, max_shift=preset.max_shift, generator=generator
                )
            if preset.flips:
                stack = random_flip(stack, generator=generator)
            n = images.shape[1]
            batch = {**batch, "images": stack[:, :n]}
            if extra:
                batch |= {"labels": stack[:, n:-1], "labelled": stack[:, -1]}
        if self.fresh_noise:
            source = torch.Generator(images.device).manual_seed(int(torch.randint(2**62, (), generator=generator)))
            sigma = batch["sigma"].reshape(-1, *(1,) * (images.ndim - 1))
            batch = {**batch, "images": add_noise(batch["images"], sigma, generator=source)}
        return batch

    def _rate_shifts(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw changes of the relaxation rates in 1/ms, (slice, task)."""
        spread = self.preset.rate_shift / 1e3
        return spread * (2 * torch.rand(n, len(self.net.protocol.names), generator=generator) - 1)

    def _moved(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Move the later images of those contrasts that the loss wants moved, each by itself."""
        loss, moved = self.compare.loss, images
        for name in loss.moved:
            for channel in self.net.protocol.images_of(name)[1:]:
                image = random_affine(
                    images[:, [channel]],
                    max_degrees=loss.motion_degrees,
                    max_shift=loss.motion_shift,
                    generator=generator,
                )
                moved = moved.index_copy(1, torch.tensor([channel], device=images.device), image)
        return moved

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

    def on_train_epoch_start(self) -> None:
        """Tell a weighting that goes by epochs; not at their end, by when the run has been saved."""
        if isinstance(self.weighting, DynamicWeightAverage):
            self.weighting.step()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Note the watched residual of a batch; for a network that takes any input set, over all of them.

        Parameters
        ----------
        batch
            All images of some slices, and what belongs to them.
        batch_idx
            Number of the batch.
        """
        del batch_idx
        images, net = batch["images"], self.best_guess
        inputs = images[:, net.input_channels]
        means = []
        for name in net.protocol.input_sets if net.any_subset else (None,):
            seen = None if name is None else [name] * len(images)
            output, scale = net(inputs, seen), net.scale(inputs, seen)
            residual = self.watch(output, images, scale, batch["sigma"], seen=seen)
            means.append(residual.transpose(0, 1).flatten(1).mean(1))
        mean = torch.stack(means).mean(0)
        for k, name in enumerate(net.protocol.names):
            self.log(f"{VALIDATION}_{name}", mean[k], batch_size=len(images))
        self.log(VALIDATION, mean[self.taught].mean(), batch_size=len(images))

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


class SliceModule(lightning.LightningDataModule):
    """The slices to learn from and those to watch, for Lightning.

    Parameters
    ----------
    training, validation
        Slices.
    batch_size
        Slices in a step.
    seed
        Of the order, which depends on nothing but the seed and the epoch, so that a resumed run sees what it would
        have.
    """

    def __init__(self, training: Slices, validation: Slices | None, batch_size: int, seed: int) -> None:
        super().__init__()
        self.training = training
        self.validation = validation
        self.batch_size = batch_size
        self.seed = seed

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffle the training slices anew for each epoch.

        Returns
        -------
        DataLoader
            Batches of an epoch.
        """
        return DataLoader(self.training, self.batch_size, sampler=_Shuffled(len(self.training), self.seed))

    def val_dataloader(self) -> DataLoader[Batch] | list[Any]:
        """Take the validation slices in order.

        Returns
        -------
        DataLoader
            Batches; none where nothing is watched.
        """
        return [] if self.validation is None else DataLoader(self.validation, self.batch_size)


class _Shuffled(Sampler[int]):
    """An order that depends on nothing but the seed and the epoch, which Lightning sets."""

    def __init__(self, n: int, seed: int) -> None:
        self.n = n
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(mix(self.seed, self.epoch))
        yield from torch.randperm(self.n, generator=generator).tolist()

    def __len__(self) -> int:
        return self.n


def watched(net: RelaxationNet) -> Loss:
    """Choose what to watch: unseen images, or all of them where too few are unseen.

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
        Comparison(WATCHED, net)
    except ValueError:
        return Loss("pairwise", remove_bias=True)
    return WATCHED
