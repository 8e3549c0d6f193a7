"""Show the server's paths as a page made from its OpenAPI description. The page loads nothing from other servers."""

from collections.abc import Mapping
from typing import Any

from ..html.markup import Markup, join, tag

STYLE = "docs.css"


def page(openapi: Mapping[str, Any]) -> str:
    """Return the page as HTML, made from an OpenAPI 3.1 description."""
    title = f"{openapi['info']['title']} {openapi['info']['version']}"
    paths = [
        _operation(path, verb, operation)
        for path, operations in openapi["paths"].items()
        for verb, operation in operations.items()
    ]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width"),
        tag("title", title),
        Markup(f'<link rel="stylesheet" href="/{STYLE}">'),
    )
    body = tag("main", tag("h1", title), tag("p", openapi["info"]["description"]), *paths)
    return "<!doctype html>" + tag("html", head, tag("body", body), lang="en")


def _operation(path: str, verb: str, operation: Mapping[str, Any]) -> Markup:
    parameters = [_parameter(parameter) for parameter in operation.get("parameters", [])]
    body = ", ".join(operation.get("requestBody", {}).get("content", {}))
    return tag(
        "section",
        tag("h2", tag("code", verb.upper()), " ", tag("code", path)),
        tag("p", operation.get("description", "")),
        tag("p", "Body: ", tag("code", body)) if body else None,
        tag("dl", *parameters) if parameters else None,
    )


def _parameter(parameter: Mapping[str, Any]) -> Markup:
    schema = parameter["schema"]
    types = [option.get("type", "") for option in schema.get("anyOf", [schema])]
    text = " or ".join(name for name in types if name != "null")
    if not parameter.get("required"):
        text += ", optional"
    if "default" in schema:
        text += f" (default: {schema['default']})"
    if parameter.get("description"):
        text += f"; {parameter['description']}"
    return join(tag("dt", tag("code", parameter["name"])), tag("dd", text))
