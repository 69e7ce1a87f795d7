"""Errors of promotions.

PromotionError              a move that may not be made, or that cannot be
├── SupersededError         another version is live than the one that the decision was about
└── ChainError              the log holds other lines than those that moves wrote
"""

from trading.errors import EngineError


class PromotionError(EngineError):
    """A move that may not be made, or that cannot be."""


class SupersededError(PromotionError):
    """Another version is live than the one that the decision was about."""


class ChainError(PromotionError):
    """The log holds other lines than those that moves wrote: one was changed, removed or put in."""
