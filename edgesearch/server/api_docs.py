"""The paths of the server as a page, made of its OpenAPI description; nothing is loaded from elsewhere."""

from collections.abc import Mapping
from typing import Any

from ..html.markup import Markup, joined, tag

STYLE = "docs.css"


def page(described: Mapping[str, Any]) -> str:
    """HTML; described: OpenAPI 3.1."""
    title = f"{described['info']['title']} {described['info']['version']}"
    paths = [_operation(path, verb, one) for path, verbs in described["paths"].items() for verb, one in verbs.items()]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width"),
        tag("title", title),
        Markup(f'<link rel="stylesheet" href="/{STYLE}">'),
    )
    body = tag("main", tag("h1", title), tag("p", described["info"]["description"]), *paths)
    return "<!doctype html>" + tag("html", head, tag("body", body), lang="en")


def _operation(path: str, verb: str, operation: Mapping[str, Any]) -> Markup:
    asked = [_parameter(one) for one in operation.get("parameters", [])]
    body = ", ".join(operation.get("requestBody", {}).get("content", {}))
    return tag(
        "section",
        tag("h2", tag("code", verb.upper()), " ", tag("code", path)),
        tag("p", operation.get("description", "")),
        tag("p", "Body: ", tag("code", body)) if body else None,
        tag("dl", *asked) if asked else None,
    )


def _parameter(parameter: Mapping[str, Any]) -> Markup:
    schema = parameter["schema"]
    kinds = [one.get("type", "") for one in schema.get("anyOf", [schema])]
    kind = " or ".join(one for one in kinds if one != "null")
    default = f", else {schema['default']}" if "default" in schema else ""
    said = f"{kind}{default}{'' if parameter.get('required') else ', optional'}"
    return joined(tag("dt", tag("code", parameter["name"])), tag("dd", said, *_said(parameter)))


def _said(parameter: Mapping[str, Any]) -> list[str]:
    return [f"; {parameter['description']}"] if parameter.get("description") else []
