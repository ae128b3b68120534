"""The gateway: what guests talk to. It holds no key, sees sealed bytes, and touches three tables."""

from muniment_api.gateway.app import Gateway
from muniment_api.gateway.settings import GatewaySettings

__all__ = ["Gateway", "GatewaySettings"]
