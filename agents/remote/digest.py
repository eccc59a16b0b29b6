"""SHA-256 without OpenSSL: importing hashlib costs a host 3.7 MB of memory."""

try:
    from _sha2 import sha256  # Python >= 3.12
except ImportError:
    try:
        from _sha256 import sha256
    except ImportError:
        from hashlib import sha256

__all__ = ["sha256"]
