"""What the Keystone surface answers: the documents, as the clients read them."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from uuid import NAMESPACE_URL, uuid5

from muniment_api.auth.embedded import Session
from muniment_api.auth.keystone_bodies import DEFAULT_DOMAIN_ID, DEFAULT_DOMAIN_NAME
from muniment_api.auth.users import Project, User

__all__ = ["collection", "domain", "error", "project", "token", "user", "version"]

Document = dict[str, object]

_DOMAIN: Document = {"id": DEFAULT_DOMAIN_ID, "name": DEFAULT_DOMAIN_NAME}


def version(base: str) -> Document:
    """The version document; gophercloud follows its link."""
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{base}/identity/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


def token(session: Session, owned: Project | None, *, base: str, region: str) -> Document:
    """A token's document; scoped to a project it holds roles and the catalogue."""
    about = session.token
    document: Document = {
        "methods": list(about.methods),
        "audit_ids": [about.audit_id],
        "issued_at": _instant(about.issued_at),
        "expires_at": _instant(about.expires_at),
        "user": {
            "id": session.user.id,
            "name": session.user.name,
            "domain": _DOMAIN,
            "password_expires_at": None,
        },
    }
    if owned is not None:
        document["project"] = {"id": owned.id, "name": owned.name, "domain": _DOMAIN}
        document["is_domain"] = False
        document["roles"] = [
            {"id": _id("role", name), "name": name} for name in sorted(session.user.roles_in(owned.id))
        ]
        document["catalog"] = [
            _service("identity", "keystone", f"{base}/identity/v3", region),
            _service("database", "trove", f"{base}/v1.0/{owned.id}", region),
        ]
    return {"token": document}


def project(shown: Project, base: str) -> Document:
    """A project."""
    return {
        "id": shown.id,
        "name": shown.name,
        "description": "",
        "domain_id": DEFAULT_DOMAIN_ID,
        "parent_id": DEFAULT_DOMAIN_ID,
        "enabled": True,
        "is_domain": False,
        "options": {},
        "tags": [],
        "links": {"self": f"{base}/identity/v3/projects/{shown.id}"},
    }


def user(shown: User, base: str) -> Document:
    """A user."""
    return {
        "id": shown.id,
        "name": shown.name,
        "domain_id": DEFAULT_DOMAIN_ID,
        "default_project_id": shown.default_project_id,
        "enabled": True,
        "options": {},
        "password_expires_at": None,
        "links": {"self": f"{base}/identity/v3/users/{shown.id}"},
    }


def domain(base: str) -> Document:
    """The one domain."""
    return {
        **_DOMAIN,
        "description": "",
        "enabled": True,
        "options": {},
        "tags": [],
        "links": {"self": f"{base}/identity/v3/domains/{DEFAULT_DOMAIN_ID}"},
    }


def collection(kind: str, items: Sequence[Document], href: str) -> Document:
    """A list, always whole."""
    return {kind: items, "links": {"self": href, "next": None, "previous": None}}


def error(status: int, message: str) -> Document:
    """Keystone's fault body."""
    return {"error": {"code": status, "title": HTTPStatus(status).phrase, "message": message}}


def _service(kind: str, name: str, url: str, region: str) -> Document:
    endpoints = [
        {
            "id": _id("endpoint", f"{kind}/{interface}"),
            "interface": interface,
            "region": region,
            "region_id": region,
            "url": url,
        }
        for interface in ("public", "internal", "admin")
    ]
    return {"id": _id("service", kind), "type": kind, "name": name, "endpoints": endpoints}


def _id(kind: str, name: str) -> str:
    """The same id at every start; no client reads it, each expects one."""
    return uuid5(NAMESPACE_URL, f"muniment/{kind}/{name}").hex


def _instant(at: datetime) -> str:
    """With a `Z`: an offset ends tempest."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
