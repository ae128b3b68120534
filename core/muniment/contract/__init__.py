"""The taskmanager-guest interface: what third parties build on."""
