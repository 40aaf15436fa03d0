"""Secrets that are told by the name before them: headers, cookies, key=value, JSON, .env lines, XML, URLs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from handrail.redact.kind import Kind, Span, matches

_LONGEST = 8192  # characters of a quoted value; what has no end by then is read as one without quotes

_PASSWORDS = r"pass(?:word|wd|phrase|code)|pwd|passwort|kennwort|contrase[nñ]a|mot[_ -]de[_ -]passe|senha"
_SECRETS = (
    r"secret|token|api[_ -]?key|(?:access|private|client|auth|signing|encryption|master|account|service)[_ -]?key"
    r"|shared[_ -]?access|signature|session[_-]?id|auth[_-]?(?:key|user-service-key|code)|dd-(?:api|application)-key"
    r"|connection[_ -]?string|credential"
)
_NAMED = rf"(?:(?P<password>{_PASSWORDS})|{_SECRETS})"
# A name, what may stand behind it in the same word, a quote around it, and a sign.
_FIELD = re.compile(
    rf"(?i){_NAMED}(?P<rest>[\w.-]{{0,32}})\\{{0,3}}[\"'`\]]{{0,2}}[ \t]{{0,8}}(?:=>|:=|=|:)[ \t\n]{{0,8}}"
)
_OPTION = re.compile(rf"(?i)(?<![\w-])--?[\w-]{{0,24}}{_NAMED}(?P<rest>[\w-]{{0,24}})[ =][ \t]{{0,4}}")
_ELEMENT = re.compile(rf"(?i)<[\w:.-]{{0,24}}{_NAMED}(?P<rest>[\w.-]{{0,24}})[^<>]{{0,80}}>")
# How n8n and many others write a header or a field: {"name": "X-Api-Key", "value": "…"}.
_PAIR = re.compile(
    rf"(?i)\\{{0,3}}[\"'](?:name|key|header|field)\\{{0,3}}[\"']\s{{0,4}}:\s{{0,4}}\\{{0,3}}[\"'][\w .-]{{0,32}}"
    rf"(?:{_NAMED}|authorization|cookie)(?P<rest>[\w .-]{{0,32}})\\{{0,3}}[\"']\s{{0,4}},\s{{0,4}}"
    r"\\{0,3}[\"']value\\{0,3}[\"']\s{0,4}:\s{0,4}"
)
_ENV_LINE = re.compile(
    r"(?m)^[ \t]{0,8}(?:export[ \t]{1,4}|set[ \t]{1,4})?([A-Z][A-Z0-9_]{1,80})[ \t]?=[ \t]?([^\n\x00]+)"
)
_ENV_NAME = re.compile(r"PASS|PWD|SECRET|TOKEN|CREDENTIAL|_DSN$|_KEY$|KEY_|APIKEY|PRIVATE|SALT|SIGNATURE")

_BARE = re.compile(r"(?:[^\s\"'`<>;&,\\\x00]|\\(?![nrt\"'])|[,&](?![\w.-]{0,40}=)(?=[^\s\"'<>\x00]))+")
_BETWEEN = re.compile(r"[^<\x00]{1,8192}")
_NO_SECRET = frozenset(
    (
        "required", "missing", "invalid", "incorrect", "wrong", "expired", "null", "none", "true", "false", "undefined",
        "empty", "reset", "changed", "must", "cannot", "is", "not", "the", "a", "an", "and", "or", "for", "in", "to",
        "of", "was", "has", "revoked", "unauthorized", "forbidden", "denied", "unknown", "unset", "optional", "hidden",
        "string", "bearer", "basic", "digest", "yes", "no", "ok", "error", "failed", "failure", "object", "number",
    )
)  # fmt: skip
_NUMBER = re.compile(r"[-+]?\d{1,9}(?:[.,]\d{1,6})?[%a-zA-Z]{0,3}")
# "tokens: 512", "token_type: prompt", "secret santa": counts and sorts of tokens are what tickets here are about.
_NOT_A_SECRETS_NAME = re.compile(
    r"(?i)^(?:s|[_.-]?(?:count|counts|usage|type|types|limit|limits|basis|total|increase|estimate|in|out|budget|s[_.].*|"
    r"name|names|expires.*|issued.*|ttl|length|status|url|file|env|error|errors|valid|required))$"
)


def _value(text: str, start: int) -> Span:
    """Where the value lies that begins at `start`: between its quotes, escaped ones too, or up to a space."""
    opening = re.compile(r"(\\{0,3})([\"'`])").match(text, start)
    if opening is None:
        found = _BARE.match(text, start)
        return found.span() if found else (start, start)
    escape, quote = opening.groups()
    body = text[opening.end() : opening.end() + _LONGEST]
    inside = rf"(?:[^{quote}\\\x00]|\\[^\x00])*" if not escape else rf"(?:(?!{re.escape(escape + quote)})[^\x00])*"
    found = re.compile(inside, re.DOTALL).match(body)
    length = found.end() if found else 0
    if body[length : length + len(escape) + 1] != escape + quote:
        found = _BARE.match(text, opening.end())
        return found.span() if found else (start, start)
    return opening.end(), opening.end() + length


def _is_secret(value: str, *, password: bool) -> bool:
    """Whether a value under a secret's name is one, and not a number of tokens or a word about it."""
    word = value.strip().strip(".!?)(").lower()
    if word in _NO_SECRET or not word.strip("*•xX.…-_"):
        return False
    if password:
        return len(word) >= 3
    return len(word) >= 6 and not _NUMBER.fullmatch(word) and (len(word) >= 20 or not word.isalpha())


_WHOLE_NAME = re.compile(rf"(?i)[\w .-]{{0,32}}{_NAMED}(?P<rest>[\w.-]{{0,32}})")


def is_secret_field(name: str, value: str) -> bool:
    """Whether a field of that name holds a secret, and this value is one."""
    match = _WHOLE_NAME.fullmatch(name)
    if match is None or (not match["password"] and _NOT_A_SECRETS_NAME.match(match["rest"])):
        return False
    return _is_secret(value, password=bool(match["password"]))


def _named(pattern: re.Pattern[str]) -> Callable[[str], Iterator[Span]]:
    def find(text: str) -> Iterator[Span]:
        end = 0
        for match in pattern.finditer(text):
            if match.end() < end:  # within the value of the name before
                continue
            if not match["password"] and _NOT_A_SECRETS_NAME.match(match["rest"]):
                continue
            start, stop = _between(text, match.end()) if pattern is _ELEMENT else _value(text, match.end())
            if start < stop and _is_secret(text[start:stop], password=bool(match["password"])):
                yield start, stop
                end = stop

    return find


def _between(text: str, start: int) -> Span:
    found = _BETWEEN.match(text, start)
    return found.span() if found else (start, start)


def _env_lines(text: str) -> Iterator[Span]:
    for match in _ENV_LINE.finditer(text):
        password = "PASS" in match[1] or "PWD" in match[1]
        plain = match[1].endswith(("_URL", "TOKENS", "_FILE", "_NAME", "_ID"))
        if _ENV_NAME.search(match[1]) and not plain and _is_secret(match[2].strip("\"' "), password=password):
            yield match.span(2)


def _mixed(value: str) -> bool:
    """Looks made by a machine: digits, padding, or both cases within, and not a word."""
    return any(c.isdigit() or c in "=/+" for c in value) or (len(value) >= 16 and not value.islower())


_REST_OF_LINE = r"[^\n\r\x00]{3,}"
_QUOTED_LINE = r"[^\n\r\"'\\\x00]{3,}"

_SIGN = r"\\{0,3}[\"']?\s{0,4}[:=]\s{0,4}\\{0,3}[\"']?"

FIELDS: tuple[Kind, ...] = (
    Kind(
        "AUTH_HEADER",
        matches(
            rf"(?i)authorization{_SIGN}((?:bearer|basic|token|apikey|negotiate|ntlm)\s{{1,4}}[^\s\"'\\\x00]+"
            rf"|(?<=[\"']){_QUOTED_LINE}|[^\s\"'\\\x00]{{8,}})",
            group=1,
            accepts=_mixed,
        ),
        ("authorization",),
    ),
    Kind(
        "DIGEST_HEADER",
        matches(
            r"(?i)(?:digest|hawk|oauth|aws4-hmac-sha256)\s{1,4}"
            rf"((?:username|id|oauth_\w{{2,20}}|realm|credential)=(?:{_REST_OF_LINE}))",
            group=1,
        ),
        ("digest ", "hawk ", "oauth ", "aws4-hmac"),
    ),
    Kind(
        "BEARER_TOKEN",
        matches(r"(?i)(?:bearer|basic)(?:\s|%20|\+){1,4}\\{0,3}[\"']?([\w.~+/=%-]{8,})", group=1, accepts=_mixed),
        ("bearer", "basic"),
    ),
    Kind(
        "COOKIE",
        matches(
            rf"(?i)cookie2?\\{{0,3}}[\"']?\s{{0,4}}[:=]\s{{0,4}}\\{{0,3}}[\"']?([\w.-]{{1,64}}=(?:{_QUOTED_LINE}))",
            group=1,
        ),
        ("cookie",),
    ),
    Kind(
        "GLOBAL_API_KEY",
        matches(r"(?i)x-auth-key\\{0,3}[\"']?\s{0,4}[:=]\s{0,4}\\{0,3}[\"']?([^\s\"',;\\\x00]{8,})", group=1),
        ("x-auth-key",),
    ),
    Kind(
        "URL_PASSWORD", matches(r"://[^\s/:@?#\"'<>\x00]{0,128}:([^\s/\"'<>\x00]{1,256})@(?=[\w\[])", group=1), ("://",)
    ),
    Kind("URL_USER", matches(r"://([^\s/:@?#\"'<>\x00]{16,})@", group=1), ("://",)),
    Kind(
        "URL_TOKEN",
        matches(
            r"(?i)[?&#](?:amp;)?[\w.-]{0,32}(?:token|key|secret|sig|signature|credential|password|passwd|pwd|auth|jwt|session|sid|code|ticket|otp)"
            r"=([^&\s\"'<>#\\\x00]{6,})",
            group=1,
            accepts=_mixed,
        ),
        ("=",),
    ),
    Kind(
        "ONE_TIME_CODE",
        matches(
            r"(?i)(?:one[- ]time (?:code|password|pin)|otp|(?:verification|security|mfa|pin) code|2fa(?: code)?|cvv2?"
            r"|cvc)[^\w\n\x00]{0,4}(?:is|:)?[^\w\n\x00]{0,4}(\d{3,8})(?!\d)",
            group=1,
        ),
        ("code", "otp", "2fa", "one", "cvv", "cvc"),
    ),
    Kind("ENV_SECRET", _env_lines, ("=",)),
    Kind("SECRET", _named(_PAIR), ("value",)),
    Kind("SECRET", _named(_FIELD)),
    Kind("SECRET", _named(_OPTION), ("-",)),
    Kind("SECRET", _named(_ELEMENT), ("<",)),
    Kind(
        "PASSWORD",
        matches(
            rf"(?i)(?:{_PASSWORDS})\s{{1,4}}(?:is|was|ist|lautet|es|est|now)\s{{1,4}}[\"'`]?([^\s\"'`\x00]{{0,120}}\d[^\s\"'`\x00]{{0,120}})",
            group=1,
        ),
        ("pass", "pwd", "kennwort", "contrase", "senha"),
    ),
    Kind(
        "SEED_PHRASE",
        matches(r"(?i)(?:seed|recovery|mnemonic)(?: phrase| words)?\W{1,4}((?:[a-z]{3,8} ){11,23}[a-z]{3,8})", group=1),
        ("seed", "recovery", "mnemonic"),
    ),
)
