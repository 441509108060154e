"""What a signal model measures: the name, unit and range of its one nonlinear parameter."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """The nonlinear parameter of a signal model, such as a relaxation time.

    Examples
    --------
    >>> rx.signals.Diffusion().parameter
    Parameter(name='ADC', unit='mm²/s', bounds=(1e-05, 0.1), network_bounds=(0.0001, 0.01), typical=0.001)
    """

    name: str = "T"
    """What it is called."""
    unit: str = "ms"
    """Unit of its maps."""
    bounds: tuple[float, float] = (1.0, 5000.0)
    """Where fits look for it unless told otherwise."""
    network_bounds: tuple[float, float] = (5.0, 400.0)
    """What networks can output unless told otherwise."""
    typical: float = 40.0
    """A plausible value, at which networks start."""


T1 = Parameter("T1", "ms", network_bounds=(50.0, 5000.0), typical=800.0)
ADC = Parameter("ADC", "mm²/s", bounds=(1e-5, 1e-1), network_bounds=(1e-4, 1e-2), typical=1e-3)
