"""TLS of the gateway's own port. Behind a proxy that speaks TLS it is not needed."""

import ssl

from xylem.shared.runtime.service import StartupError


def server_context(certificate: str, key: str) -> ssl.SSLContext | None:
    """From PEM files; None when neither is given. TLS 1.2 and 1.3. Raises StartupError.

    certificate: the server's own first, then those that link it to an authority that clients know.
    """
    if not certificate and not key:
        return None
    if not certificate or not key:
        raise StartupError("TLS needs both --tls-cert-file and --tls-key-file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Asked for a password, OpenSSL would wait for a terminal.
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise StartupError(f"TLS with {certificate} and {key} can't be had: {reason}") from None
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted; a key without a password is needed")
