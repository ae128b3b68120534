"""The part of Keystone's v3 API that OpenStack clients need, over the embedded identity."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from muniment.domain.refused import NotFound, Refused
from muniment.secret import Secret
from muniment_api.auth import keystone_views as views
from muniment_api.auth.embedded import EmbeddedIdentity, Session
from muniment_api.auth.identity import ADMIN, unauthorized
from muniment_api.auth.keystone_bodies import (
    DEFAULT_DOMAIN_ID,
    DEFAULT_DOMAIN_NAME,
    Auth,
    LogIn,
    ProjectRef,
    is_default,
)
from muniment_api.auth.users import Project, User
from muniment_api.bodies import decode, read_content
from muniment_api.faults import fault_handlers
from muniment_api.responses import JsonResponse, no_content
from muniment_api.settings import ApiSettings
from muniment_api.urls import base_url, challenge

__all__ = ["keystone_app"]

_LOG_IN_BYTES_MAX = 16 * 1024

Endpoint = Callable[[Request], Awaitable[Response]]


def keystone_app(identity: EmbeddedIdentity, settings: ApiSettings) -> Starlette:
    """The application that answers `/identity` and everything below it; its paths begin with that."""
    keystone = _Keystone(identity, settings)
    table: list[tuple[str, str, Endpoint]] = [
        ("GET", "", keystone.versions),
        ("GET", "/v3", keystone.version),
        ("POST", "/v3/auth/tokens", keystone.log_in),
        ("GET", "/v3/auth/tokens", keystone.show_token),
        ("DELETE", "/v3/auth/tokens", keystone.revoke_token),
        ("GET", "/v3/auth/projects", keystone.own_projects),
        ("GET", "/v3/projects", keystone.list_projects),
        ("GET", "/v3/projects/{id}", keystone.show_project),
        ("GET", "/v3/users", keystone.list_users),
        ("GET", "/v3/users/{id}", keystone.show_user),
        ("GET", "/v3/users/{id}/projects", keystone.projects_of_user),
        ("GET", "/v3/domains", keystone.list_domains),
        ("GET", "/v3/domains/{id}", keystone.show_domain),
    ]
    routes = [
        Route(f"/identity{path}{slash}", endpoint, methods=[method])
        for method, path, endpoint in table
        for slash in ("", "/")
    ]
    app = Starlette(routes=[*routes], exception_handlers=dict(fault_handlers(keystone.fault)))
    app.router.redirect_slashes = False
    app.router.default = Route("/{rest:path}", keystone.nothing_here).app
    return app


class _Keystone:
    """The endpoints. Each that needs a token begins by asking for the session."""

    def __init__(self, identity: EmbeddedIdentity, settings: ApiSettings) -> None:
        self.identity = identity
        self.settings = settings

    async def versions(self, request: Request) -> Response:
        """The discovery document; 300 as Keystone has it."""
        return JsonResponse({"versions": {"values": [views.version(self.base(request))]}}, 300)

    async def version(self, request: Request) -> Response:
        """The document of v3."""
        return JsonResponse({"version": views.version(self.base(request))})

    async def log_in(self, request: Request) -> Response:
        """Trade a password, or a token, for a token. By content: curl says its JSON is a form."""
        auth = decode(await read_content(request, bytes_max=_LOG_IN_BYTES_MAX), LogIn).auth
        match auth.method:
            case "password":
                value, session = await self._by_password(request, auth)
            case "token":
                value, session = self._by_token(auth)
            case _:
                raise unauthorized()
        return self._told(request, session, value, 201)

    async def show_token(self, request: Request) -> Response:
        """Validate a token; HEAD answers the same without the body."""
        value, subject = self._subject(request)
        return self._told(request, subject, value, 200)

    async def revoke_token(self, request: Request) -> Response:
        """End a token."""
        value, _ = self._subject(request)
        self.identity.revoke(value)
        return no_content()

    async def own_projects(self, request: Request) -> Response:
        """The caller's projects, also with a token that has none."""
        return self._projects(request, self.identity.directory.projects_of(self.session(request).user))

    async def projects_of_user(self, request: Request) -> Response:
        """The same by the user's id; only one's own."""
        session = self.session(request)
        if _path_id(request) != session.user.id:
            raise _forbidden()
        return self._projects(request, self.identity.directory.projects_of(session.user))

    async def list_projects(self, request: Request) -> Response:
        """The projects that the caller may see; never a refusal, since clients look up names here."""
        visible = [p for p in self._visible_projects(self.session(request)) if _wanted(request, p.name)]
        return self._projects(request, visible)

    async def show_project(self, request: Request) -> Response:
        """A project by id; clients send a name here first and go on after the 404."""
        project_id = _path_id(request)
        for project in self._visible_projects(self.session(request)):
            if project.id == project_id:
                return JsonResponse({"project": views.project(project, self.base(request))})
        raise NotFound("project", project_id)

    async def list_users(self, request: Request) -> Response:
        """Every user; for admins."""
        if not self._is_admin(self.session(request)):
            raise _forbidden()
        users = [user for user in self.identity.directory.users if _wanted(request, user.name)]
        base = self.base(request)
        return JsonResponse(
            views.collection("users", [views.user(user, base) for user in users], f"{base}/identity/v3/users")
        )

    async def show_user(self, request: Request) -> Response:
        """A user by id: oneself, and for admins anyone."""
        session = self.session(request)
        user_id = _path_id(request)
        user: User | None = session.user
        if user_id != session.user.id:
            user = self.identity.directory.by_id(user_id) if self._is_admin(session) else None
        if user is None:
            raise NotFound("user", user_id)
        return JsonResponse({"user": views.user(user, self.base(request))})

    async def list_domains(self, request: Request) -> Response:
        """The one domain, unless another name is asked for."""
        self.session(request)
        base = self.base(request)
        domains = [views.domain(base)] if _wanted(request, DEFAULT_DOMAIN_NAME) else []
        return JsonResponse(views.collection("domains", domains, f"{base}/identity/v3/domains"))

    async def show_domain(self, request: Request) -> Response:
        """The one domain by its id."""
        self.session(request)
        if _path_id(request) != DEFAULT_DOMAIN_ID:
            raise NotFound("domain", _path_id(request))
        return JsonResponse({"domain": views.domain(self.base(request))})

    async def nothing_here(self, request: Request) -> Response:
        """Every other path: 401 without a token comes before 404."""
        self.session(request)
        raise Refused("not-found", "The resource could not be found.", status=404)

    def base(self, request: Request) -> str:
        """Scheme and host of links and of the catalogue."""
        return base_url(request, self.settings)

    def session(self, request: Request) -> Session:
        """The session of the request's own token; raises 401."""
        value = request.headers.get("x-auth-token")
        if value is None:
            raise unauthorized()
        return self.identity.session(Secret(value))

    def fault(self, request: Request, status: int, message: str, headers: Mapping[str, str]) -> Response:
        """An error in Keystone's form."""
        if status == 401:
            headers = {**headers, "WWW-Authenticate": challenge(request, self.settings)}
        return JsonResponse(views.error(status, message), status, headers)

    async def _by_password(self, request: Request, auth: Auth) -> tuple[Secret, Session]:
        assert auth.identity.password is not None
        claim = auth.identity.password.user
        # A user of another domain is one that nobody has: looked up, hashed and refused like any unknown name.
        known = claim.id is not None or is_default(claim.domain)
        user = await self.identity.log_in(
            name=claim.name if known else "",
            user_id=claim.id,
            password=claim.password,
            address=request.client.host if request.client is not None else "",
        )
        return self.identity.issue(user, self._scope(auth, user), methods=("password",))

    def _by_token(self, auth: Auth) -> tuple[Secret, Session]:
        """A token traded for another lasts no longer than it, or nobody would ever have to log in again."""
        assert auth.identity.token is not None
        old = self.identity.session(auth.identity.token.id)
        methods = tuple(dict.fromkeys((*old.token.methods, "token")))
        project_id = self._scope(auth, old.user)
        return self.identity.issue(old.user, project_id, methods=methods, expires_at=old.token.expires_at)

    def _scope(self, auth: Auth, user: User) -> str | None:
        """The project that a token shall be for; whether it is the user's is decided where the token is issued."""
        scope = auth.scope
        if scope is None:
            return user.default_project_id
        if isinstance(scope, str):
            if scope == "unscoped":
                return None
            raise Refused("bad-request", 'The scope is an object or "unscoped".', status=400)
        if scope.project is None:
            raise unauthorized()
        return self._project_id(scope.project)

    def _project_id(self, ref: ProjectRef) -> str:
        if ref.id is not None:
            return ref.id
        for project in self.identity.directory.projects.values():
            if project.name == ref.name and is_default(ref.domain):
                return project.id
        raise unauthorized()

    def _told(self, request: Request, session: Session, value: Secret, status: int) -> Response:
        owned = self.identity.directory.projects.get(session.token.project_id or "")
        document = views.token(session, owned, base=self.base(request), region=self.settings.region)
        headers = {"X-Subject-Token": value.reveal_text(), "Vary": "X-Auth-Token"}
        return JsonResponse(document, status, headers)

    def _subject(self, request: Request) -> tuple[Secret, Session]:
        """The token that a request is about: one's own, or for admins anyone's."""
        session = self.session(request)
        value = Secret(request.headers.get("x-subject-token", ""))
        try:
            subject = self.identity.session(value)
        except Refused as error:
            raise Refused("not-found", "The token cannot be found.", status=404) from error
        if subject.user.id != session.user.id and not self._is_admin(session):
            raise _forbidden()
        return value, subject

    def _is_admin(self, session: Session) -> bool:
        return ADMIN in session.caller.roles

    def _visible_projects(self, session: Session) -> list[Project]:
        directory = self.identity.directory
        return (
            list(directory.projects.values())
            if self._is_admin(session)
            else directory.projects_of(session.user)
        )

    def _projects(self, request: Request, projects: list[Project]) -> Response:
        base = self.base(request)
        documents = [views.project(project, base) for project in projects]
        return JsonResponse(views.collection("projects", documents, f"{base}/identity/v3/projects"))


def _path_id(request: Request) -> str:
    return unquote(request.path_params["id"])


def _wanted(request: Request, name: str) -> bool:
    """Whether a thing of this name is among those that a list was asked for."""
    asked = request.query_params
    return asked.get("name", name) == name and asked.get("domain_id", DEFAULT_DOMAIN_ID) == DEFAULT_DOMAIN_ID


def _forbidden() -> Refused:
    return Refused("forbidden", "You are not authorized to perform the requested action.", status=403)
