"""Certificates that servers of tests show over TLS: self-signed, so that nobody trusts them who is not told to.

Their key guards nothing: it is the same for everybody who reads this.
"""

from __future__ import annotations

from pathlib import Path

_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg4k3Oq35YZdJtpX/0
WdxpUsK3tpAJKmhOtMXXKPST+ZehRANCAASqGVwVL3qhz05zh9Iy086lg0wGkLI/
9n6RoyPHXEOHxVMJxXWUNGIwkgoSHxJ6CDkx0s42QHRt/MlOoGF9k/A+
-----END PRIVATE KEY-----
"""
OURS = f"""\
-----BEGIN CERTIFICATE-----
MIIBmTCCAT6gAwIBAgIUPAtBjbRjcjbZKk1HO3pvAc8MTiQwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNZWRnZWJlZCB0ZXN0czAgFw0yNjExMzAxNTU0MTBaGA8yMTI2
MTEwNjE1NTQxMFowGDEWMBQGA1UEAwwNZWRnZWJlZCB0ZXN0czBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABKoZXBUveqHPTnOH0jLTzqWDTAaQsj/2fpGjI8dcQ4fF
UwnFdZQ0YjCSChIfEnoIOTHSzjZAdG38yU6gYX2T8D6jZDBiMB0GA1UdDgQWBBSU
weQ/n4pNV1np+IB7O8drN0mD0zAfBgNVHSMEGDAWgBSUweQ/n4pNV1np+IB7O8dr
N0mD0zAPBgNVHRMBAf8EBTADAQH/MA8GA1UdEQQIMAaHBH8AAAEwCgYIKoZIzj0E
AwIDSQAwRgIhAM0i8CCiFkWrO+3lunxg37gEO8gGNp1kPuL7pYKF2WPLAiEAjss2
pqA2QBluS23AA5XgYbqHtMHZYlEgCaZKlL1UBBk=
-----END CERTIFICATE-----
{_KEY}"""
"""Of 127.0.0.1."""
ANOTHERS = f"""\
-----BEGIN CERTIFICATE-----
MIIBtjCCAVugAwIBAgIUc8h2fiyQfAcR+qWFJNwQwf1umaQwCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWZWRnZWJlZCB0ZXN0cywgYW5vdGhlcjAgFw0yNjExMzAxNTU0
MTBaGA8yMTI2MTEwNjE1NTQxMFowITEfMB0GA1UEAwwWZWRnZWJlZCB0ZXN0cywg
YW5vdGhlcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKoZXBUveqHPTnOH0jLT
zqWDTAaQsj/2fpGjI8dcQ4fFUwnFdZQ0YjCSChIfEnoIOTHSzjZAdG38yU6gYX2T
8D6jbzBtMB0GA1UdDgQWBBSUweQ/n4pNV1np+IB7O8drN0mD0zAfBgNVHSMEGDAW
gBSUweQ/n4pNV1np+IB7O8drN0mD0zAPBgNVHRMBAf8EBTADAQH/MBoGA1UdEQQT
MBGCD2Fub3RoZXIuZXhhbXBsZTAKBggqhkjOPQQDAgNJADBGAiEAjLqUU/sQ5d8R
TcWtD/Pl+YzI4DZ4Z7GPwQh7f/tNii0CIQD8rwdrN59Uhx8VrT5KTEklph81MoqQ
yTy+py4X6QVKIw==
-----END CERTIFICATE-----
{_KEY}"""
"""Of another.example."""


def written(folder: Path, certificate: str) -> Path:
    """A certificate and its key, in a file."""
    file = folder / "certificate.pem"
    file.write_text(certificate)
    return file
