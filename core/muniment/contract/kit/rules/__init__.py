"""The rules, one file a capability; `protocol.py` tries each op, `control.py` needs no engine."""
