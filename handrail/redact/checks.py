"""Check digits, which tell a card or an identity number from any other number of the same length."""

from __future__ import annotations

_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24,
    "XK": 20,
}  # fmt: skip

# The dihedral group of order 10, as Verhoeff's check digit multiplies in it.
_VERHOEFF = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_STEP = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
# How the odd characters of an Italian codice fiscale count, 0-9 and A-Z.
_FISCALE_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def digits_of(text: str) -> list[int]:
    """The digits in a text."""
    return [int(c) for c in text if c in "0123456789"]


def is_card(digits: str) -> bool:
    """A payment card: 13 to 19 digits, the range of a card scheme, and Luhn's check digit."""
    return 13 <= len(digits) <= 19 and digits[0] in "23456" and _luhn(digits_of(digits))


def _luhn(digits: list[int]) -> bool:
    doubled = (d if i % 2 == 0 else d * 2 - 9 * (d > 4) for i, d in enumerate(reversed(digits)))
    return sum(doubled) % 10 == 0


def iban_length(country: str) -> int | None:
    """How many characters an IBAN of the country has; None where there is none."""
    return _IBAN_LENGTHS.get(country.upper())


def is_iban(compact: str) -> bool:
    """ISO 13616: the rest of the number modulo 97 is 1."""
    moved = compact[4:] + compact[:4]
    return int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


def is_ssn(text: str) -> bool:
    """A US social-security number: no part is zero, and areas 000, 666 and 900 to 999 are not given."""
    area, group, serial = text[:3], text[4:6], text[7:]
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def is_aadhaar(text: str) -> bool:
    """An Indian Aadhaar number: 12 digits, not beginning with 0 or 1, with Verhoeff's check digit."""
    digits = digits_of(text)
    if len(digits) != 12 or digits[0] < 2:
        return False
    check = 0
    for place, digit in enumerate(reversed(digits)):
        for _ in range(place % 8):
            digit = _VERHOEFF_STEP[digit]
        check = int(_VERHOEFF[check][digit])
    return check == 0


def is_cpf(text: str) -> bool:
    """A Brazilian CPF: 11 digits, not all equal, the last two of which check the others."""
    digits = digits_of(text)
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    for length in (9, 10):
        weighted = sum(d * w for d, w in zip(digits[:length], range(length + 1, 1, -1), strict=True))
        if digits[length] != weighted * 10 % 11 % 10:
            return False
    return True


def is_steuer_id(text: str) -> bool:
    """A German tax number: 11 digits, ISO 7064 MOD 11,10; of the first ten one comes two or three times."""
    digits = digits_of(text)
    if len(digits) != 11 or digits[0] == 0 or max(digits[:10].count(d) for d in range(10)) not in (2, 3):
        return False
    product = 10
    for digit in digits[:10]:
        total = (digit + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == digits[10]


def is_dni(text: str) -> bool:
    """A Spanish DNI or NIE: the letter is the number modulo 23."""
    compact = text.replace("-", "").upper()
    number = compact[:-1].translate(str.maketrans("XYZ", "012"))
    return number.isdigit() and _DNI_LETTERS[int(number) % 23] == compact[-1]


def is_nino(text: str) -> bool:
    """A British national-insurance number: prefixes that are not given are none."""
    return text[:2].upper() not in {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"}


def is_nir(text: str) -> bool:
    """A French social-security number: 13 digits and 97 less their remainder."""
    digits = "".join(map(str, digits_of(text)))
    return len(digits) == 15 and 97 - int(digits[:13]) % 97 == int(digits[13:])


def is_ahv(text: str) -> bool:
    """A Swiss AHV number: an EAN-13 that begins with 756."""
    digits = digits_of(text)
    weighted = sum(d * (3 if i % 2 else 1) for i, d in enumerate(digits))
    return len(digits) == 13 and digits[:3] == [7, 5, 6] and weighted % 10 == 0


def is_codice_fiscale(text: str) -> bool:
    """An Italian codice fiscale: the last letter checks the fifteen characters before it."""
    values = [int(c, 36) if c.isdigit() else int(c, 36) - 10 for c in text.upper()[:15]]
    total = sum(_FISCALE_ODD[v] if i % 2 == 0 else v for i, v in enumerate(values))
    return chr(ord("A") + total % 26) == text[15].upper()


def is_pesel(text: str) -> bool:
    """A Polish PESEL: 11 digits, weighted 1, 3, 7 and 9."""
    digits = digits_of(text)
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)
    return len(digits) == 11 and sum(d * w for d, w in zip(digits, weights, strict=True)) % 10 == 0


def is_bsn(text: str) -> bool:
    """A Dutch BSN: 9 digits that pass the eleven test."""
    digits = digits_of(text)
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return len(digits) == 9 and any(digits) and sum(d * w for d, w in zip(digits, weights, strict=True)) % 11 == 0


def is_sin(text: str) -> bool:
    """A Canadian SIN: 9 digits with Luhn's check digit."""
    digits = digits_of(text)
    return len(digits) == 9 and digits[0] not in (0, 8) and _luhn(digits)
