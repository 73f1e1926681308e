"""The routes of the neighbours, and what they share."""

import time

from aiohttp import web

from antiphon_gateway.decoders import Decoders
from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.door import Door
from antiphon_gateway.neighbours.chat import Chat
from antiphon_gateway.neighbours.entrance import Entrance
from antiphon_gateway.neighbours.jobs import Jobs
from antiphon_gateway.neighbours.model_names import ModelNames
from antiphon_gateway.neighbours.refusals import RequestRefused
from antiphon_gateway.neighbours.speech import Speech
from antiphon_gateway.neighbours.transcriptions import Transcriptions
from antiphon_gateway.running_models import RunningModels
from antiphon_gateway.vad import Vad
from antiphon_proto.config import Config


class Neighbours:
    """What OpenAI's clients ask for beside `/v1/realtime`, over the same workers."""

    def __init__(
        self,
        config: Config,
        dispatcher: Dispatcher,
        vad: Vad,
        door: Door,
        decoders: Decoders,
        running: RunningModels,
    ) -> None:
        self._entrance = Entrance(config.gateway, door, dispatcher)
        self._models = ModelNames(running, int(time.time()))
        self._chat = Chat(config.llm, running)
        self._speech = Speech(running)
        self._transcriptions = Transcriptions(config.stt, vad, decoders)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add all of them."""
        guarded = self._entrance.guarded
        router.add_get("/v1/models", guarded(self._list_models))
        router.add_get("/v1/models/{name:.+}", guarded(self._show_model))
        router.add_post("/v1/chat/completions", guarded(self._chat.answer, "llm"))
        router.add_post("/v1/audio/speech", guarded(self._speech.answer, "tts"))
        router.add_post("/v1/audio/transcriptions", guarded(self._transcriptions.answer, "stt"))

    async def _list_models(self, _: web.Request, __: Jobs) -> web.Response:
        return web.json_response(self._models.listing())

    async def _show_model(self, request: web.Request, _: Jobs) -> web.Response:
        name = request.match_info["name"]
        found = self._models.find(name)
        if found is None:
            text = f"there is no model {name[:100]!r}; GET /v1/models lists them"
            raise RequestRefused(404, text, code="model_not_found", param="model")
        return web.json_response(found)
