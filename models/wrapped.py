"""What stands in front of a model and chooses or adds columns, and is a model of all features from outside."""

from models.base import SignalModel


class Wrapped(SignalModel):
    """A model behind a choice of its columns; subclasses keep the unfitted one in ``model``.

    Attributes
    ----------
    model_
        The fitted model.
    """

    model: SignalModel
    model_: SignalModel

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.model.name

    @property
    def window(self) -> int:
        """Window of the model."""
        return self.model.window


def innermost(model: SignalModel) -> SignalModel:
    """The learner in a fitted model, behind whatever stands in front of it."""
    while isinstance(model, Wrapped):
        model = model.model_
    return model
