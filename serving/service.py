"""The HTTP service: ``POST /predict``, ``GET /livez``, ``GET /readyz``, ``GET /metrics``."""

import sys
from uuid import uuid4

import bentoml
from starlette.responses import JSONResponse

from pipelines.settings import Settings, quiet_environment
from pipelines.workers import die_with_parent
from serving.catalog import open_catalog
from serving.contracts import PredictRequest, PredictResponse, bars_frame, context_frames, error_response
from trading.errors import EngineError


@bentoml.service(
    name="signals",
    workers=1,
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
)
class SignalService:
    """Answers for every instrument that has a registered version.

    One worker: it remembers what callers bring, and two would remember different things. A restart forgets that and
    starts from the bars stored with the versions.
    """

    def __init__(self) -> None:
        quiet_environment()
        # The supervisor starts workers and ends them; one that was killed itself cannot.
        die_with_parent()
        self.catalog = open_catalog(Settings())
        print(self.catalog, file=sys.stderr, flush=True)

    @bentoml.api(route="/predict", output_spec=PredictResponse)
    def predict(self, request: PredictRequest, /) -> PredictResponse | JSONResponse:
        """A signal per horizon at the close of the newest bar.

        Bars and observations beside them are remembered; send those that closed or were published since. What is
        unproven is for paper trading only.
        """
        try:
            served = self.catalog.find(request.symbol, request.timeframe)
            newer = bars_frame(request.bars) if request.bars else None
            context = context_frames(request.context or {})
            signals, unavailable = served.answer(newer, context, request_id=str(uuid4()))
            return PredictResponse(signals=signals, unavailable=unavailable)
        except EngineError as error:
            status, body = error_response(error)
            return JSONResponse(body, status_code=status)
