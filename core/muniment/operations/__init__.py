"""Durable processes: small named steps, one pure decision."""
