"""Takes secrets and personal names out of what is kept as evidence, before it is hashed.

Better one word too many than a token in a file that is published with the results.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

GONE = "[redacted]"
SECRET_KEY = re.compile(
    r"(?:^|[_\-. ])(?:token|password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|account[_-]?key"
    r"|private[_-]?key|authorization|credentials?|cookie)$",
    re.IGNORECASE,
)
_WORDS = (
    # Keys in PEM, with or without their end.
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S), GONE),
    # Tokens that tell by their beginning whose they are.
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|hf_|sk-|sk_live_|xox[abprs]-|glpat-|pypi-|dckr_pat_|AKIA|ASIA|AIza|npm_)"
                r"[A-Za-z0-9_\-]{12,}"), GONE),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{0,1000}"), GONE),
    (re.compile(r"(?i)\b(bearer|basic)\s+(?=\S*[0-9=])[A-Za-z0-9+/=._~-]{12,}"), rf"\1 {GONE}"),
    # Signed addresses: the query of a shared access signature, of S3 and of anything with a secret's name.
    (re.compile(r"(?i)([?&](?:sig|signature|se|sp|sv|sr|st|skoid|sktid|token|access_token|api_?key|key|password"
                r"|x-amz-(?:signature|credential|security-token))=)[^&\s\"'<>]+"), rf"\1{GONE}"),
    (re.compile(r"(?i)\b(AccountKey|SharedAccessSignature|SharedAccessKey)=[^;\s\"']+"), rf"\1={GONE}"),
    # NAME_TOKEN=value and "password: value", as environments and logs write them.
    (re.compile(r"(?i)\b([A-Z0-9_-]{0,40}?(?:TOKEN|PASSWORD|PASSWD|SECRET|API_?KEY|ACCESS_?KEY|CREDENTIAL))"
                r"([\"']?\s*[=:]\s*)(?!\[redacted\])(\"[^\"\n]{3,}\"|'[^'\n]{3,}'|[^\s\"',;]{6,})"),
     rf"\1\2{GONE}"),
    # https://user:password@host
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://)[^/\s:@]{1,200}(?::[^/\s@]{0,500})?@"), rf"\1{GONE}@"),
    # user@host, but not a package's scope and not an image's digest.
    (re.compile(r"(?<![\w./@-])(?!git@)[A-Za-z0-9_][\w.+-]{0,63}@(?!sha256:)"
                r"(?=[A-Za-z\[]|\d{1,3}(?:\.\d{1,3}){3})"), f"{GONE}@"),
    # In JSON the backslash is doubled; a Windows name may hold spaces, so a path ends with its folder.
    (re.compile(r"(?i)(?<!\w)[a-z]:(?:\\{1,2}|/)Users(?:\\{1,2}|/)"
                r"(?:[^\\/\"'<>|:*?\n]{1,64}(?=[\\/])|[^\\/\s\"']+)"), "~"),
    (re.compile(r"(?<![\w.~])/(?:home|Users)/[^/\s\"':]+|(?<![\w.~/])/root(?=[/\s\"':]|$)"), "~"),
    # Homes elsewhere: Windows' drives inside WSL, ostree's /var/home, WSL's folders seen from Windows.
    (re.compile(r"(?<![\w.~/])(?:/mnt)?/[a-z]/Users/[^/\s\"':]+|(?<![\w.~/])/var/home/[^/\s\"':]+"), "~"),
    (re.compile(r"(?i)(\\{2,4}wsl(?:\$|\.localhost)\\{1,2}[\w.-]{1,64}\\{1,2}home\\{1,2})[^\\\s\"']+"),
     r"\1~"),
)  # fmt: skip


def redact(text: str) -> str:
    """The text without tokens, keys, passwords, signatures, user names before a host and home folders."""
    for pattern, kept in _WORDS:
        text = pattern.sub(kept, text)
    return text


def redacted(value: Any, name: str = "") -> Any:
    """A JSON-like value with every text in it redacted; texts under a secret's name go as a whole."""
    if isinstance(value, str):
        return GONE if value and SECRET_KEY.search(name) else redact(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): redacted(each, str(key)) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(each, name) for each in value]
    return value
