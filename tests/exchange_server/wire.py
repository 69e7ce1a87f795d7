"""What every format shares: the market, the faults, and how an answer goes out."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from aiohttp import web

from tests.exchange_server.faults import Fault, Faults
from tests.exchange_server.market import Market


@dataclass
class Wire:
    """State of the server.

    Parameters
    ----------
    most
        Rows in an answer, at most.
    windowed
        Whether an answer covers a window from the start, instead of the first rows after it.
    silent
        Whether sockets say nothing, though they are open.
    late
        Closes that finished bars are corrected to over the socket, by open in milliseconds.
    refuse_sockets
        Whether new sockets are refused.
    dated
        Whether answers carry a ``Date``: the exchange's time, in whole seconds.
    """

    market: Market
    faults: Faults = field(default_factory=Faults)
    most: int = 1000
    windowed: bool = False
    silent: bool = False
    refuse_sockets: bool = False
    dated: bool = True
    late: dict[int, float] = field(default_factory=dict)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)

    async def answer(
        self, request: web.Request, endpoint: str, make: Callable[[Fault | None], Any]
    ) -> web.StreamResponse:
        """Answer a request, or do what the plan has for it."""
        fault = self.faults.next(endpoint, dict(request.query))
        headers = {"Date": formatdate(self.market.millis() / 1000, usegmt=True) if self.dated else ""}
        match fault:
            case Fault("status"):
                said = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
                return web.Response(status=fault.status, text=fault.body, headers={**headers, **said})
            case Fault("html"):
                return web.Response(text="<html>back soon</html>", content_type="text/html", headers=headers)
            case Fault("drop"):
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            case Fault("slow"):
                await asyncio.sleep(fault.seconds)
        body = json.dumps(make(fault)).encode()
        if fault and fault.kind == "cut":
            body = body[: len(body) // 2]
        if fault and fault.kind == "cut_short":
            return await _short(request, body)
        return web.Response(body=body, content_type="application/json", headers=headers)


async def _short(request: web.Request, body: bytes) -> web.StreamResponse:
    """Announce the whole body, send half of it, hang up."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    assert request.transport is not None
    request.transport.close()
    return response
