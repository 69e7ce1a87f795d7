"""What is known at each bar's close, computed by one definition offline and online."""

from pipelines.features.engine import FeatureEngine
from pipelines.features.feature import Feature
from pipelines.features.stream import FeatureStream

__all__ = ["Feature", "FeatureEngine", "FeatureStream"]
