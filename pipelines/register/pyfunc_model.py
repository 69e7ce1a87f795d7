"""The model that MLflow loads: this file is copied into each version and executed there, so nothing is pickled.

It imports only what travels with it (``models`` and ``trading``, given as code paths) and what ``requirements.txt`` of
the version names. Defining the model on import is what MLflow's models from code ask for.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from models.bundle import Bundle, load_bundle


class SignalBundle(PythonModel):
    """Probability of a positive return over the horizon, by ONNX Runtime."""

    _bundle: Bundle

    def load_context(self, context: PythonModelContext) -> None:
        """Open the graphs of the bundle."""
        self._bundle = load_bundle(Path(context.artifacts["bundle"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """A column per member and the ``vote``.

        Parameters
        ----------
        context, params
            MLflow's; not used.
        model_input
            Rows of features in time order, one per bar without holes. The first rows give sequence members their window
            and get NaN themselves.
        """
        return self._bundle.predict_members(model_input)


set_model(SignalBundle())
