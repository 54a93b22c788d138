"""Mircate; see ``README.md`` and ``openapi.yaml`` in this package.

Everything is a call: ``/{project}/CALL/{Class}/{method}/{instance}``, by POST with a JSON body, or by GET with the same
object in the query. `dispatcher` decodes the arguments, validates them against the schema of the contract's request
body, checks that the instance is a project of the caller, and runs the method in a thread. Methods are defined in
classes with

    def methods(self) -> dict[str, CallMethod]      # operation id of the POST → implementation

and in paths of an ``openapi.yaml`` of this package or of a package below it. The contracts are joined: the paths of the
lower one come first, and its components may refer to those of the upper one. Each path has a ``post``
(``operationId: receive_stock``) and a ``get`` with the same id and the suffix ``_get``, the parameters `Data` and
`IsBase64`, and no body; the GET is written first, as an anchor, and merged into the POST. Both need
``security: [{key: [submit]}]`` or ``[read]``.

A method is blocking code, ``work(call: MethodCall) -> Response``. It reads ``call.merchant``, ``call.instance``,
``call.arguments`` (decoded and valid) and ``call.content`` (as received). It returns ``json_response(document)``,
``json_response()`` for 204, or any other response, and raises ``bad_request(message)`` (400), ``not_found(message)``
(404) or ``instance_busy()`` (570) of `responses`. What must not run twice at the same time for a merchant goes inside
``with dispatcher.exclusive(merchant, "what"):``; other callers get 570. Other names are the
business of `aliases`.
"""

from collections.abc import Mapping

from goodsgate.engine.outbox import MessageSender
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import WireProtocol, load_openapi
from goodsgate.http.known_settings import DeclaredSettings, Setting
from goodsgate.http.services import ProtocolServices
from goodsgate.protocols.mircate import export_files
from goodsgate.protocols.mircate.aliases import with_call_aliases
from goodsgate.protocols.mircate.batch_status import BatchStatusMethods
from goodsgate.protocols.mircate.dispatcher import CallDispatcher
from goodsgate.protocols.mircate.export_files import ExportWriter
from goodsgate.protocols.mircate.exports import ExportMethods
from goodsgate.protocols.mircate.history import HistoryMethods
from goodsgate.protocols.mircate.pim import batch_end, webhooks
from goodsgate.protocols.mircate.pim.batch_end import EndOfBatch
from goodsgate.protocols.mircate.pim.methods import MERCHANT_RULES as MERCHANT_RULES
from goodsgate.protocols.mircate.pim.methods import pim_methods
from goodsgate.protocols.mircate.pim.webhooks import ProductWebhookSender
from goodsgate.protocols.mircate.removals import RemovalMethods
from goodsgate.protocols.mircate.responses import problem_response
from goodsgate.protocols.mircate.sales import SalesMethods
from goodsgate.protocols.mircate.service import ContractHandlers
from goodsgate.protocols.mircate.supplier import SupplierMethods
from goodsgate.protocols.mircate.unpublished import PREFIXES

SETTINGS = DeclaredSettings(keys={
    "project": Setting(
        description="Projects that the key may use in addition to the one named like its merchant.",
        pattern=r"[^\x00-\x1f\x7f/]{1,255}", expected="names of projects, separated by commas",
    ),
}, merchants={
    webhooks.URL: Setting(
        description="Address to which changes of products are sent, as their status says.",
        pattern=r"https?://[!-~]{1,1000}", expected="an address like `https://host/path`",
    ),
    webhooks.KEY: Setting(
        description="Key that these requests carry as `x-api-key`.", pattern=r"[!-~]{1,200}",
        expected="1 to 200 letters, digits or signs without spaces",
    ),
})


def find_api_key(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Return the value of ``x-api-key``; None if it is missing or empty."""
    return headers.get(b"x-api-key") or None


def protocol(context: ServerContext) -> WireProtocol:
    """Build the protocol with all its handlers."""
    contract = load_openapi(__name__)
    dispatcher = CallDispatcher(context, contract)
    exports = ExportMethods(context)
    classes = (
        SupplierMethods(context), HistoryMethods(context), exports, RemovalMethods(dispatcher), SalesMethods(context),
        BatchStatusMethods(context),
    )
    methods = {id: method for each in classes for id, method in each.methods().items()}
    methods.update(pim_methods(dispatcher, contract))
    contract.paths = with_call_aliases(contract.paths, context.services.settings.call_aliases)
    return WireProtocol(
        name="mircate", title="Mircate", openapi=contract,
        handlers={**ContractHandlers(contract).handlers(), **exports.handlers(), **dispatcher.handlers(methods)},
        serialize_refusal=problem_response, find_secret=find_api_key, prefixes=PREFIXES,
    )


def message_senders(services: ProtocolServices) -> Mapping[str, MessageSender]:
    """Return what writes the files of exports, what follows a batch of products, and what sends webhooks."""
    return {
        export_files.TOPIC: ExportWriter(services), batch_end.TOPIC: EndOfBatch(services),
        webhooks.TOPIC: ProductWebhookSender(services),
    }
