"""What the server keeps of a password: made here, so that the password itself never goes to it."""

from muniment.secret import Secret
from muniment_postgresql.session import Session

__all__ = ["verifier"]


def verifier(connection: Session, role: str, password: Secret) -> str:
    """The SCRAM-SHA-256 verifier of a password, with a fresh salt; computed by libpq, nothing is sent."""
    made: bytes = connection.pgconn.encrypt_password(password.reveal(), role.encode(), b"scram-sha-256")
    return made.decode()
