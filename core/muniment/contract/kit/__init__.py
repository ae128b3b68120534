"""The conformance kit: every rule of the contract, tried on a driver, a real agent and a real engine.

    pytest -p muniment.contract.kit --driver NAME --client package.module:Class

`NAME` is that of an installed driver, or `package.module:MANIFEST`. The rules are in `rules/`, one file a capability; those
of capabilities that the driver does not claim are left out.
"""

from muniment.contract.kit.plugin import (
    client,
    machine,
    new_instance,
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_generate_tests,
    shared,
    subject,
    up,
)

__all__ = [
    "client", "machine", "new_instance", "pytest_addoption", "pytest_collection_modifyitems", "pytest_configure",
    "pytest_generate_tests", "shared", "subject", "up",
]  # fmt: skip
