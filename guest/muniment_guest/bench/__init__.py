"""The conformance kit's workbench: a real agent process on a machine of its own, spoken to through real envelopes.

For tests alone; an agent never imports it.
"""

from muniment_guest.bench.workbench import AgentWorkbench

__all__ = ["AgentWorkbench"]
