"""Both ends of a TLS connection to ourselves, with a certificate made for it and forgotten.

For the rehearsal (warm.py) only: imports what nothing else needs while it trades.
"""

import datetime as dt
import os
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["secure_both"]

_NAME: Final = "rehearsal.invalid"
_VALID: Final = dt.timedelta(days=3650)
_STEPS_MAX: Final = 100


def secure_both(
    client: socket.socket, server: socket.socket
) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Take both ends of a non-blocking connection over into TLS. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix="lowlat-") as folder:
        path = Path(folder) / "certificate.pem"
        path.touch(mode=0o600)
        path.write_bytes(_certificate())
        trusting = ssl.create_default_context(cafile=os.fspath(path))
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(path)
    # What arrives late would be read as an answer.
    serving.num_tickets = 0
    ends = (
        trusting.wrap_socket(client, server_hostname=_NAME, do_handshake_on_connect=False),
        serving.wrap_socket(server, server_side=True, do_handshake_on_connect=False),
    )
    waiting = list(ends)
    for _ in range(_STEPS_MAX):
        for end in tuple(waiting):
            try:
                end.do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                continue
            waiting.remove(end)
        if not waiting:
            return ends
    raise OSError("a TLS handshake with ourselves did not end")


def _certificate() -> bytes:
    """Make a key and a certificate of our own for it, in one PEM text."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _VALID)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(_NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + made.public_bytes(serialization.Encoding.PEM)
