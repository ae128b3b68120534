"""Servers, volumes and ports."""
