"""One authenticated request, as a resource's handler sees it."""

from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request

from muniment.domain.event import About
from muniment.domain.refused import Refused
from muniment_api import policy
from muniment_api.auth.identity import Caller
from muniment_api.bodies import decode
from muniment_api.services import Services
from muniment_api.settings import ApiSettings
from muniment_api.urls import base_url
from muniment_projections.documents import Site

__all__ = ["Call"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, with what, and what there is to answer it with. The caller may do what the route's rule names."""

    caller: Caller
    request: Request
    content: bytes
    services: Services
    settings: ApiSettings
    request_id: str

    @property
    def base_url(self) -> str:
        """Where links begin: scheme, host and port."""
        return base_url(self.request, self.settings)

    @property
    def site(self) -> Site:
        """Where the request came in: what fills the links of ready-made documents."""
        return Site(self.base_url, self.caller.project_id)

    @property
    def query(self) -> QueryParams:
        """The query string."""
        return self.request.query_params

    @property
    def about(self) -> About:
        """The authorship of what this request causes."""
        return About(
            project_id=self.caller.project_id,
            actor=f"user:{self.caller.user_id}",
            request_id=self.request_id,
        )

    def path(self, name: str) -> str:
        """A part of the path; names may hold dots, and slashes that were sent as `%2F`.

        Raises:
            Refused: 404, it is not UTF-8, so nothing is named so.
        """
        try:
            return unquote(self.request.path_params[name], errors="strict")
        except UnicodeDecodeError as error:
            raise Refused("not-found", "The resource could not be found.", status=404) from error

    def filled(self, document: bytes) -> msgspec.Raw:
        """A ready-made document with this request's links, to be put into an answer."""
        return msgspec.Raw(self.site.fill(document))

    def filled_list(self, documents: bytes) -> msgspec.Raw:
        """A JSON array of the ready-made documents of a page with this request's links."""
        return msgspec.Raw(self.site.fill_list(documents))

    def body(self, kind: type[T]) -> T:
        """The request's JSON body; raises as `bodies.decode`."""
        return decode(self.content, kind)

    def require(self, rule: str) -> None:
        """Check a further rule, for requests whose body decides what they do; raises as `policy.enforce`."""
        policy.enforce(rule, self.caller)
