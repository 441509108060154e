"""Diffusion weighting."""

from relaxnet.signals._exponential_decay import ExponentialDecay
from relaxnet.signals._parameter import ADC
from relaxnet.times import B_VALUE


class Diffusion(ExponentialDecay):
    r"""Signal loss by diffusion, :math:`S(b) = m_0\, e^{-b D}`.

    The images differ in their b-value, in s/mm². What is mapped is the apparent diffusion coefficient D (ADC) in mm²/s,
    about 0.001 in tissue.

    References
    ----------
    Le Bihan et al., *MR imaging of intravoxel incoherent motions*, Radiology 161:401 (1986).

    Examples
    --------
    >>> adc = rx.Contrast("adc", times_ms=(0, 400, 800), model=rx.signals.Diffusion())
    >>> images = adc.model(torch.tensor([100.0]), torch.tensor([0.0011]), adc)
    >>> images.round(decimals=1)
    tensor([[100.0000,  64.4000,  41.5000]])
    >>> rx.fit(images, adc).maps["adc"]
    tensor([0.0011])
    """

    axis = B_VALUE
    parameter = ADC
    power = -1.0
