"""`GET /v1/models` and `GET /v1/models/{model}`."""

from __future__ import annotations

from typing import Any

from serve_apps.gateway.admission import Admission
from serve_apps.gateway.http import Exchange


async def list_models(admission: Admission, exchange: Exchange) -> None:
    """The models of the testbed."""
    admission.authorise(exchange)
    cards = [_card(spec.id) for spec in admission.dispatcher().run.testbed.models]
    await exchange.json({"object": "list", "data": cards})


async def show_model(admission: Admission, exchange: Exchange) -> None:
    """One of them; its id may hold slashes."""
    admission.authorise(exchange)
    await exchange.json(_card(admission.model(exchange.scope["path_params"]["model"]).id))


def _card(model_id: str) -> dict[str, Any]:
    return {"id": model_id, "object": "model", "created": 0, "owned_by": "edgebed"}
