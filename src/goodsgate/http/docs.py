"""The documentation pages, rendered from the OpenAPI documents, without scripts and external resources."""

import html
import json
import re
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from goodsgate import __version__
from goodsgate.engine.refusal import REFUSALS
from goodsgate.http.endpoints import WireProtocol
from goodsgate.http.openapi import METHODS, OpenApiDocument
from goodsgate.http.problems import HTTP_REFUSALS, STATUSES, refuse
from goodsgate.model.issue import CODES
from goodsgate.model.remedies import REMEDIES

PAGES = files(__package__) / "pages"
POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class OperationSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An operation as the page of its protocol shows it."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    permission: str
    parameters: list[dict[str, Any]]
    bodies: list[dict[str, Any]]
    responses: list[dict[str, Any]]
    command: str


class DocumentationPages:
    """Pages under ``/docs``, each rendered at the first request."""

    def __init__(self, protocols: Sequence[WireProtocol]) -> None:
        self._protocols = protocols
        self._rendered: dict[str, bytes] = {}
        self._templates = Environment(
            loader=FileSystemLoader(str(PAGES)), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["prose"] = prose
        self._templates.globals.update(version=__version__, protocols=protocols)

    def routes(self) -> list[Route]:
        """Return the routes of the pages."""
        pages = {"/docs": self._page, "/docs/style.css": self._style, "/docs/{page}": self._page}
        return [Route(path, PageEndpoint(render)) for path, render in pages.items()]

    def _page(self, page: str = "start") -> Response:
        if page not in self._rendered:
            self._rendered[page] = self._render(page)
        return Response(self._rendered[page], media_type="text/html", headers={"content-security-policy": POLICY})

    def _style(self) -> Response:
        return Response((PAGES / "style.css").read_bytes(), media_type="text/css")

    def _render(self, page: str) -> bytes:
        protocol = next((protocol for protocol in self._protocols if protocol.name == page), None)
        if protocol is not None:
            text = self._templates.get_template("protocol.html").render(page=page, **protocol_page(protocol))
        elif page == "start":
            text = self._templates.get_template("start.html").render(page=page)
        elif page == "problems":
            text = self._templates.get_template("problems.html").render(page=page, problems=problem_rows())
        elif page == "issues":
            text = self._templates.get_template("issues.html").render(page=page, codes=CODES, remedies=REMEDIES)
        else:
            raise refuse("not_found")
        return text.encode()


class PageEndpoint:
    """Endpoint of one page; answers GET and HEAD."""

    template = "/docs"
    """Label of the requests in metrics."""

    def __init__(self, page: Callable[..., Response]) -> None:
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the page. Raises method_not_allowed, not_found."""
        if scope["method"] not in ("GET", "HEAD"):
            raise refuse("method_not_allowed", allow="GET, HEAD")
        await self._page(**scope["path_params"])(scope, receive, send)


def problem_rows() -> list[tuple[str, int, str]]:
    """Return code, status and title of every refusal, ordered by status."""
    titles = REFUSALS | HTTP_REFUSALS
    return sorted(((code, STATUSES[code], title) for code, title in titles.items()), key=lambda row: (row[1], row[0]))


def prose(markdown: str | None) -> Markup:
    """Return HTML of the Markdown that the OpenAPI documents use: paragraphs, `code`, **strong**."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", (markdown or "").strip()):
        text = html.escape(paragraph)
        text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
        text = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
        paragraphs.append(f"<p>{text}</p>")
    return Markup("".join(paragraphs))  # noqa: S704 – escaped above


def protocol_page(protocol: WireProtocol) -> dict[str, Any]:
    """Return the variables of the page of one protocol."""
    openapi = protocol.openapi
    document = openapi.document
    operations = [*_operations(openapi)]
    tags = [
        {**tag, "operations": [operation for name, operation in operations if name == tag["name"]]}
        for tag in document["tags"]
    ]
    schemas = [
        {
            "name": name, "kind": kind_of(node), "description": node.get("description"),
            "rows": _properties(openapi, node),
        }
        for name, node in document["components"]["schemas"].items()
    ]
    contracts = [path.template for path in openapi.paths if "/openapi." in path.template]
    return {"protocol": protocol, "info": document["info"], "tags": tags, "schemas": schemas, "contracts": contracts}


def _operations(openapi: OpenApiDocument) -> Iterator[tuple[str, OperationSummary]]:
    for path, item in openapi.document["paths"].items():
        shared = item.get("parameters", [])
        for method in METHODS:
            if method in item:
                node = item[method]
                parameters = [openapi.resolved(each) for each in (*shared, *node.get("parameters", []))]
                yield node["tags"][0], _operation(openapi, path, method, node, parameters)


def _operation(openapi: OpenApiDocument, path: str, method: str, node: dict[str, Any],
           parameters: list[dict[str, Any]]) -> OperationSummary:
    needed = [permission for way in node["security"] for permissions in way.values() for permission in permissions]
    schemes = openapi.document["components"]["securitySchemes"]
    scheme: dict[str, Any] = next((schemes[name] for way in node["security"] for name in way), {})
    bodies = _bodies(openapi.resolved(node.get("requestBody", {})))
    return OperationSummary(
        id=node["operationId"], method=method.upper(), path=path, summary=node["summary"],
        description=node.get("description", ""), permission=needed[0] if needed else "",
        parameters=[_parameter(openapi, each) for each in parameters], bodies=bodies,
        responses=[
            _response(status, openapi.resolved(each)) for status, each in sorted(node["responses"].items())
        ],
        command=_command(path, method, parameters, bodies, scheme=scheme),
    )


def _parameter(openapi: OpenApiDocument, node: dict[str, Any]) -> dict[str, Any]:
    schema = openapi.resolved(node["schema"])
    return {
        "name": node["name"], "where": node["in"], "kind": kind_of(schema), "default": schema.get("default"),
        "description": node.get("description") or schema.get("description", ""),
    }


def _bodies(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"media_type": media_type, "kind": kind_of(content["schema"]), "example": _example(content.get("example"))}
        for media_type, content in body.get("content", {}).items()
    ]


def _response(status: str, node: dict[str, Any]) -> dict[str, Any]:
    content = node.get("content", {})
    kinds = [(media_type, kind_of(each["schema"])) for media_type, each in content.items()]
    headers = sorted(node.get("headers", {}))
    examples = [(media_type, _example(each["example"])) for media_type, each in content.items() if "example" in each]
    return {
        "status": status, "description": node["description"], "kinds": kinds, "headers": headers, "examples": examples
    }


def _example(example: object) -> str:
    if example is None:
        return ""
    return example if isinstance(example, str) else json.dumps(example, ensure_ascii=False, indent=1)


def _command(path: str, method: str, parameters: list[dict[str, Any]], bodies: list[dict[str, Any]], *,
             scheme: dict[str, Any]) -> str:
    """Return the request as a curl command; path parameters take their examples."""
    for parameter in parameters:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter.get("example", f"<{parameter['name']}>")))
    arguments = ["curl"] + ([f"-X {method.upper()}"] if method != "get" else [])
    if scheme:
        is_header = scheme["type"] == "apiKey"
        arguments.append(f'-H "{scheme["name"]}: $TOKEN"' if is_header else '-H "Authorization: Bearer $GOODSGATE_KEY"')
    if bodies:
        arguments.append(f'-H "Content-Type: {bodies[0]["media_type"]}"')
        is_json = bodies[0]["example"] and bodies[0]["media_type"] == "application/json"
        data = f"'{' '.join(bodies[0]['example'].split())}'" if is_json else "@file"
        arguments.append(f"--data-binary {data}")
    return " ".join([*arguments, f'"$GOODSGATE_URL{path}"'])


def kind_of(schema: dict[str, Any]) -> Markup:
    """Return a short description of the values of a schema, with links to named schemas."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    if "allOf" in schema or "oneOf" in schema:
        parts = [kind_of(each) for each in schema.get("allOf", schema.get("oneOf", []))]
        return (Markup(" and ") if "allOf" in schema else Markup(" or ")).join(parts)
    if "enum" in schema:
        values = ["null" if each is None else each for each in schema["enum"]]
        return Markup(" ").join(Markup("<code>{}</code>").format(value) for value in values)
    if "const" in schema:
        return Markup("<code>{}</code>").format(schema["const"])
    kind = schema.get("type", "any")
    kind = kind if isinstance(kind, str) else " or ".join(kind)
    if kind.startswith("array"):
        return Markup("{} of {}").format(kind, kind_of(schema.get("items", {})))
    bounds = [f"{word} {schema[name]}" for name, word in BOUNDS.items() if name in schema]
    return Markup("{}").format(", ".join([schema.get("format", kind) if kind == "string" else kind, *bounds]))


BOUNDS = {"minimum": "≥", "maximum": "≤", "minLength": "characters ≥", "maxLength": "characters ≤", "pattern": "like"}


def _properties(openapi: OpenApiDocument, node: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for part in node.get("allOf", [node]):
        required = part.get("required", [])
        for name, schema in part.get("properties", {}).items():
            rows.append({
                "name": name, "kind": kind_of(schema), "required": name in required,
                "description": schema.get("description") or openapi.resolved(schema).get("description", ""),
            })
    return rows
