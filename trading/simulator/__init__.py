"""What a market does to an account that follows target positions."""

from trading.simulator.rules import Lots, Margin, Rules, Stops
from trading.simulator.simulation import Simulation, simulate
from trading.simulator.sweep import Run, sweep

__all__ = ["Lots", "Margin", "Rules", "Run", "Simulation", "Stops", "simulate", "sweep"]
