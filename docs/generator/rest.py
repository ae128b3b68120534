"""The page of the REST API: every route."""

from collections.abc import Iterator

from docs.generator.markdown import GENERATED, code, paragraph, table

from muniment_api.policy import POLICY, Who
from muniment_api.resources.catalogue import ROUTES
from muniment_api.settings import ApiSettings
from muniment_api.versions import open_routes

__all__ = ["OPEN", "rest_page"]

OPEN = {
    "/": "the versions that are served",
    "/v1.0": "the version document",
    "/v1.0/": "the version document",
    "/healthcheck": "`OK` while the process answers",
    "/healthz": "what each role does, by name: `ok` or `failing`; 503 when one fails",
}
"""The routes that need no token; their handlers are made at start and have nothing to say of themselves."""


def rest_page() -> str:
    """Every route with its rule, and every rule with the least role."""
    return "\n\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield GENERATED
    yield "# The REST API"
    yield (
        "The API is that of OpenStack Trove v1.0, with additions of ours (`operations`, `events`). Paths begin with "
        "`/v1.0/{project_id}`; a request shows a token in `X-Auth-Token` or a password by HTTP Basic. Every answer has "
        "`X-Openstack-Request-Id`. Resources of other projects are answered 404, except to an admin. How to get a token is in "
        "[identity](identity.md), what errors look like in [errors](errors.md). `Idempotency-Key` is not honoured yet: a "
        "request that is sent again is a new one."
    )
    yield table(
        ("method", "path", "rule", "does"),
        (
            (route.method, code(route.path), code(route.rule), paragraph(route.handler.__doc__))
            for route in ROUTES
        ),
    )
    yield "## Without a token"
    paths = [route.path for route in open_routes(ApiSettings(), {})]
    assert set(paths) == set(OPEN), f"not the same paths: {set(paths) ^ set(OPEN)}"
    yield table(("method", "path", "answers"), (("GET", code(path), OPEN[path]) for path in paths))
    yield "## Rules"
    yield paragraph(Who.__doc__)
    yield table(
        ("rule", "least role"), ((code(rule), who.name.lower()) for rule, who in sorted(POLICY.items()))
    )
