"""Personal data that has a form of its own. Numbers count only where a check digit, a format or a word says so."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator

from handrail.redact import checks
from handrail.redact.kind import Kind, Span, matches

_START, _END = r"(?<![\w])", r"(?![\w])"

# A run of characters of a local part is scanned once, however long: nothing of it may stand before the match.
_EMAIL = (
    r"(?:(?<![\w.!#$%&'*+/=?^`{|}~-])[\w.!#$%&'*+/=?^`{|}~-]+|\"[^\"\n\x00]{1,64}\")(?:@|%40|\uff20)"
    r"(?:[\w-]+[.\u3002\uff0e\uff61])+[^\W\d_]{2,}"
)
_CARD_DIGITS = re.compile(r"(?<![\w])\d+(?:[ -]\d+)*(?![\w])")
_IBAN_START = re.compile(r"(?i)(?<![a-z0-9])[a-z]{2}\d{2}(?=[ -]?[a-z0-9])")
_INTERNATIONAL = re.compile(r"(?<![\w+/=])(?:\+|00)(?=[1-9])\d+(?:[ .\-/()\u00a0]{1,3}\d+)*(?![\w])")
_DIGITS = re.compile(r"\d+")
_DATE = (
    r"(\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{1,2}\.?(?:st|nd|rd|th)? ?(?:of )?[^\W\d_]{3,12}\.?,? \d{4}"
    r"|[^\W\d_]{3,12}\.? \d{1,2},? \d{4})"
)

_BORN = (
    r"born|birth(?:day|date)?|date of birth|birth date|dob|d\.o\.b\.|geboren|geburtsdatum|geb\.|née? le|nacid[oa] el"
    r"|fecha de nacimiento|data di nascita|date de naissance"
)


def _compact(value: str) -> str:
    return re.sub(r"[\W_]", "", value).casefold()


def _cards(text: str) -> Iterator[Span]:
    """Groups of digits that together are a card, also where other numbers stand right before or after them."""
    for run in _CARD_DIGITS.finditer(text):
        if run.end() - run.start() < 13:
            continue
        groups = [(m.start(), m.end()) for m in _DIGITS.finditer(text, *run.span())]
        first = 0
        while first < len(groups):
            last = _card_from(text, groups, first)
            if last is not None:
                yield groups[first][0], groups[last][1]
            first = first + 1 if last is None else last + 1


def _card_from(text: str, groups: list[Span], first: int) -> int | None:
    digits = ""
    for index in range(first, min(first + 8, len(groups))):
        start, end = groups[index]
        if len(digits) + end - start > 19:
            return None
        digits += text[start:end]
        if checks.is_card(digits):
            return index
    return None


def _ibans(text: str) -> Iterator[Span]:
    """As many characters as an IBAN of that country has, with or without single spaces."""
    for found in _IBAN_START.finditer(text):
        length = checks.iban_length(found.group()[:2])
        if length is None:
            continue
        compact, at = "", found.start()
        while at < len(text) and len(compact) < length:
            if text[at].isascii() and text[at].isalnum():
                compact += text[at]
            elif text[at] not in " -" or text[at - 1] in " -":
                break
            at += 1
        if len(compact) == length and checks.is_iban(compact):
            yield found.start(), at


def _international(text: str) -> Iterator[Span]:
    """+ or 00, then groups of digits up to the 15 that E.164 allows; numbers that follow may be taken along."""
    for run in _INTERNATIONAL.finditer(text):
        total, end = 0, run.start()
        for group in _DIGITS.finditer(text, *run.span()):
            total += len(group.group())
            if total > 17:
                total -= len(group.group())
                break
            end = group.end()
        if total >= (8 if text[run.start()] == "+" else 10):
            yield run.start(), end


def _is_address(version: int) -> Callable[[str], bool]:
    """An address of a machine that is somewhere: not loopback, not unspecified."""

    def check(text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return address.version == version and not address.is_loopback and not address.is_unspecified

    return check


def _is_ipv6(text: str) -> bool:
    return any(c.isdigit() for c in text) and len(text) >= 6 and _is_address(6)(text)


def _said(words: str, value: str) -> Callable[[str], Iterator[Span]]:
    """A value right after one of the words that say what it is."""
    label = r"(?:[ _-]?(?:number|no|nr|num|nummer|id|is|ist|of|at|on|am|unter)){0,3}"
    return matches(rf"(?i)(?<![^\W_])(?:{words}){label}[^\w\n\x00+(]{{0,6}}{value}", group=1)


def _checked(find: Callable[[str], Iterator[Span]], check: Callable[[str], bool]) -> Callable[[str], Iterator[Span]]:
    def find_checked(text: str) -> Iterator[Span]:
        return (span for span in find(text) if check(text[slice(*span)]))

    return find_checked


def _number(pattern: str, check: Callable[[str], bool]) -> Callable[[str], Iterator[Span]]:
    return matches(rf"(?<![\w.-]){pattern}(?![\w]|[.,-]\d)", accepts=check)


_ELEVEN = r"(\d(?:[ .-]?\d){10})(?!\d)"

PERSONAL: tuple[Kind, ...] = (
    Kind("EMAIL", matches(_EMAIL), ("@", "%40", "\uff20"), canonical=str.casefold),
    Kind("IBAN", _ibans, canonical=_compact),
    Kind("CARD", _cards, canonical=_compact),
    Kind(
        "MAC",
        matches(
            r"(?i)(?<![\w:-])(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}(?![\w]|[:-]\w)|(?<![\w.])[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}(?![\w.])",
            accepts=lambda m: any(c.isdigit() for c in m),
        ),
        (":", "-", "."),
        canonical=_compact,
    ),
    Kind(
        "IPV6",
        matches(
            r"(?i)(?<![\w:.])(?=[0-9a-f]{0,4}:)[0-9a-f:]{2,39}(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?(?![\w]|:[\w:])",
            accepts=_is_ipv6,
        ),
        (":",),
        canonical=str.casefold,
    ),
    Kind(
        "IPV4",
        matches(
            r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w]|\.\d)",
            accepts=_is_address(4),
        ),
        (".",),
    ),
    Kind(
        "SSN",
        matches(r"(?<![\w-])\d{3}[- ]\d{2}[- ]\d{4}(?![\w]|-\d)", accepts=checks.is_ssn),
        canonical=_compact,
    ),
    Kind("SSN", _said("ssn|social security", r"(\d{9})(?!\d)"), ("ssn", "social")),
    Kind("AADHAAR", _number(r"[2-9]\d{3}[ -]\d{4}[ -]\d{4}", checks.is_aadhaar), canonical=_compact),
    Kind("AADHAAR", _checked(_said("aadhaar|aadhar|uidai", r"(\d{12})(?!\d)"), checks.is_aadhaar), ("aadha", "uidai")),
    Kind("CPF", _number(r"\d{3}\.\d{3}\.\d{3}-\d{2}", checks.is_cpf), ("-",), canonical=_compact),
    Kind("CPF", _checked(_said("cpf", _ELEVEN), checks.is_cpf), ("cpf",), canonical=_compact),
    Kind("STEUER_ID", _number(r"\d{2} \d{3} \d{3} \d{3}", checks.is_steuer_id), canonical=_compact),
    Kind(
        "STEUER_ID",
        _checked(_said("steuer[- ]?id|idnr|id-nr|steuer[- ]?identifikations?|tin|tax", _ELEVEN), checks.is_steuer_id),
        ("steuer", "idnr", "id-nr", "tin", "tax"),
        canonical=_compact,
    ),
    Kind("PESEL", _checked(_said("pesel", _ELEVEN), checks.is_pesel), ("pesel",), canonical=_compact),
    Kind(
        "BSN",
        _checked(_said("bsn|burgerservice", r"(\d(?:[ .-]?\d){8})(?!\d)"), checks.is_bsn),
        ("bsn", "burger"),
        canonical=_compact,
    ),
    Kind(
        "SIN",
        _checked(_said("sin|social insurance|nas", r"(\d{3}[ -]?\d{3}[ -]?\d{3})(?!\d)"), checks.is_sin),
        ("sin", "social", "nas"),
        canonical=_compact,
    ),
    Kind("AHV", _number(r"756\.?\d{4}\.?\d{4}\.?\d{2}", checks.is_ahv), ("756",), canonical=_compact),
    Kind(
        "NIR", _number(r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?\d{2} ?\d{3} ?\d{3} ?\d{2}", checks.is_nir), canonical=_compact
    ),
    Kind(
        "DNI",
        matches(rf"(?i){_START}(?:\d{{8}}|[XYZ]-?\d{{7}})-?[A-Z]{_END}", accepts=checks.is_dni),
        canonical=_compact,
    ),
    Kind(
        "NINO",
        matches(
            rf"{_START}[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{{2}} ?\d{{2}} ?\d{{2}} ?[A-D]{_END}",
            accepts=checks.is_nino,
        ),
        canonical=_compact,
    ),
    Kind(
        "CODICE_FISCALE",
        matches(
            rf"(?i){_START}[A-Z]{{6}}\d{{2}}[A-EHLMPRST]\d{{2}}[A-Z]\d{{3}}[A-Z]{_END}",
            accepts=checks.is_codice_fiscale,
        ),
        canonical=_compact,
    ),
    Kind("PAN", matches(rf"{_START}[A-Z]{{3}}[ABCFGHJLPT][A-Z]\d{{4}}[A-Z]{_END}")),
    Kind(
        "PASSPORT",
        _said("passport|reisepass|passnummer|passeport|pasaporte", r"([A-Za-z]{0,2}\d[A-Za-z0-9]{5,9})(?!\w)"),
        ("passp", "reisepass", "passnummer", "passe", "pasap"),
    ),
    Kind(
        "DRIVING_LICENCE",
        _said("driv(?:er'?s?|ing) licen[cs]e|führerschein", r"([A-Za-z0-9-]{0,4}\d[A-Za-z0-9-]{4,19})(?!\w)"),
        ("licen", "führer"),
    ),
    Kind(
        "BANK_ACCOUNT",
        _said("account|konto(?:nummer)?|routing|sort code|bankleitzahl|blz|aba|bsb", r"(\d(?:[ -]?\d){5,16})(?!\d)"),
        ("account", "konto", "routing", "sort", "blz", "aba", "bsb", "bank"),
    ),
    Kind(
        "BIRTH_DATE",
        _said(
            _BORN,
            _DATE,
        ),
        ("born", "birth", "dob", "d.o.b", "geb", "né", "nac", "nasc", "naiss"),
    ),
    Kind("PHONE", _international, canonical=_compact),
    Kind(
        "PHONE",
        matches(r"(?<![\w.-])(?:\+?1[ .-]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}(?![\w]|[.-]\d)"),
        canonical=_compact,
    ),
    Kind(
        "PHONE",
        matches(
            r"(?<![\w./-])(?:0[1-9](?:[ .]\d{2}){4}|0[1-9]\d{1,4}[ /-]\d{5,9}|0[1-9]\d{2,4} \d{3,4} \d{3,4})"
            r"(?![\w]|[.-]\d)"
        ),
        canonical=_compact,
    ),
    Kind(
        "PHONE",
        _said(
            "tel(?:e(?:phone|fon|fono))?|phone|mobile?|handy|cell(?:phone)?|fax|whatsapp|rufnummer|teléfono|téléphone|móvil",
            r"[.:]?[ ]?(\(?\d[\d ().\-/\u00a0]{5,22}\d)(?!\d)",
        ),
        ("tel", "phone", "mobil", "handy", "cell", "fax", "whats", "ruf", "tél", "móv"),
        canonical=_compact,
    ),
)
