"""Mircate as its clients expect it; see ``README.md`` and ``openapi.yaml`` beside this file.

Everything is a call: ``/{project}/CALL/{Class}/{method}/{instance}``, by POST with a JSON body, or by GET with the same
object in the query. `transport` finds the arguments, holds them to the schema of the contract's request body, looks
whether the instance is the caller's project, and calls the method in a thread. A class of the protocol is a class with

    def methods(self) -> dict[str, Method]      # operation id of the POST → what answers it

and paths in an ``openapi.yaml``: of this folder, or of one below it, which joins it (its paths stand before these, its
components may refer to these). Each path has a ``post`` (``operationId: receive_stock``) and a ``get`` of the same with
``_get`` behind its id, the parameters `Data` and `IsBase64`, and no body; write the GET first, as an anchor, and merge
it into the POST. Both need ``security: [{key: [submit]}]`` or ``[read]``.

A method is blocking code, ``work(asked: Asked) -> Response``: ``asked.merchant``, ``asked.instance``,
``asked.arguments`` (decoded and valid), ``asked.content`` (as it came). It returns ``answer(words)``, ``answer()`` for
204, or any other response, and raises ``bad(message)`` (400), ``missing(message)`` (404) or ``busy()`` (570), which are
in `answers`. What must not run twice at once for a project goes inside ``with transport.exclusive(merchant, "what"):``,
which is 570 to others. Names that are called otherwise are in ``guesses.ALIASES``.
"""

from collections.abc import Mapping

from goodsgate.engine.outbox import Courier
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import WireProtocol, load_openapi
from goodsgate.http.known_settings import DeclaredSettings, Setting
from goodsgate.http.services import ProtocolServices
from goodsgate.protocols.mircate import exporting
from goodsgate.protocols.mircate.exports import Exports
from goodsgate.protocols.mircate.guesses import PREFIXES, aliases_of
from goodsgate.protocols.mircate.history import History
from goodsgate.protocols.mircate.jobs import Jobs
from goodsgate.protocols.mircate.pim import unused
from goodsgate.protocols.mircate.pim.classes import MERCHANT_RULES as MERCHANT_RULES
from goodsgate.protocols.mircate.pim.classes import pim_methods
from goodsgate.protocols.mircate.refusals import problem_response
from goodsgate.protocols.mircate.removals import Removals
from goodsgate.protocols.mircate.sales import Sales
from goodsgate.protocols.mircate.service import Service
from goodsgate.protocols.mircate.supplier import Supplier
from goodsgate.protocols.mircate.transport import Transport, aliased

SETTINGS = DeclaredSettings(keys={
    "project": Setting(
        description="Projects that the key may use beside the one named as its merchant, separated by commas.",
        pattern=r"[^\x00-\x1f\x7f/]{1,255}", expected="names of projects, separated by commas",
    ),
})


def key_of(headers: Mapping[bytes, bytes]) -> bytes | None:
    """What ``x-api-key`` holds; nothing where it is empty."""
    return headers.get(b"x-api-key") or None


def protocol(context: ServerContext) -> WireProtocol:
    """The protocol, ready to answer."""
    contract = load_openapi(__name__)
    transport = Transport(context, contract)
    exports = Exports(context)
    classes = (Supplier(context), History(context), exports, Removals(transport), Sales(context), Jobs(context))
    methods = {id: method for each in classes for id, method in each.methods().items()}
    methods.update(pim_methods(transport, contract))
    contract.paths = aliased(contract.paths, aliases_of(context.config.call_aliases))
    return WireProtocol(
        name="mircate", title="Mircate", openapi=contract,
        handlers={**Service(contract).handlers(), **exports.handlers(), **transport.handlers(methods)},
        serialize_refusal=problem_response, find_secret=key_of, prefixes=PREFIXES,
    )


def couriers(services: ProtocolServices) -> Mapping[str, Courier]:
    """Who makes the files of exports, and who lets go of images that no product has any more."""
    return {
        exporting.TOPIC: exporting.Courier(services.config, services.store),
        unused.TOPIC: unused.Courier(services.config, services.store),
    }
