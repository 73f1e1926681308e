"""English text as it is read aloud: symbols, abbreviations, dates, times and units as words. Pure.

Plain numbers stay digits: a text-to-speech engine reads them itself.
"""

import re
from collections.abc import Callable

_Replacement = str | Callable[[re.Match[str]], str]
_Rules = tuple[tuple[re.Pattern[str], _Replacement], ...]


def read_aloud(text: str) -> str:
    """Return `text` with what is read otherwise than it is written put in words."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


# --- numbers with something beside them ------------------------------------------------------

_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
}
_SCALES = {"k": " thousand", "K": " thousand", "M": " million", "B": " billion"}
_NUMBER = r"(?P<number>(?P<whole>\d+(?:,\d{3})*)(?:\.(?P<hundredths>\d\d)(?!\d)|\.\d+)?)"
_SCALE = r"(?P<scale>\s(?:thousand|million|billion|trillion)\b|[kKMB]\b)?"
_SIGN = r"(?P<sign>[$€£¥])"


def _money(match: re.Match[str]) -> str:
    """Read "$5.20" as "5 dollars and 20 cents", "$1.5 million" as "1.5 million dollars"."""
    unit, units, cent, cents = _CURRENCIES[match["sign"]]
    whole, hundredths, scale = match["whole"], match["hundredths"], match["scale"]
    if scale:
        return f"{match['number']}{_SCALES.get(scale, scale)} {units}"
    if hundredths is None:
        return f"{match['number']} {unit if match['number'] == '1' else units}"
    amount = f"{whole} {unit if whole == '1' else units}"
    if hundredths == "00":
        return amount
    small = f"{int(hundredths)} {cent if hundredths == '01' else cents}"
    return small if whole == "0" else f"{amount} and {small}"


_UNITS = {
    **{"kg": "kilogram", "g": "gram", "mg": "milligram", "lb": "pound", "lbs": "pound"},
    **{"oz": "ounce", "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter"},
    **{"ft": "foot", "mi": "mile", "ml": "milliliter", "mL": "milliliter", "L": "liter"},
    **{"GB": "gigabyte", "MB": "megabyte", "KB": "kilobyte", "TB": "terabyte", "kW": "kilowatt"},
    **{"kWh": "kilowatt hour", "W": "watt", "ms": "millisecond", "min": "minute", "hr": "hour"},
    **{"hrs": "hour", "sec": "second", "yrs": "year", "cal": "calorie", "kcal": "kilocalorie"},
}
_FIXED_UNITS = {
    **{"Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz"},
    **{"mph": "miles per hour", "km/h": "kilometers per hour", "m/s": "meters per second"},
    **{"kph": "kilometers per hour", "°C": "degrees Celsius", "°F": "degrees Fahrenheit"},
}


def _unit(match: re.Match[str]) -> str:
    number, sign = match["amount"], match["unit"]
    if sign in _FIXED_UNITS:
        return f"{number} {_FIXED_UNITS[sign]}"
    unit = _UNITS[sign]
    if number in ("1", "1.0"):
        return f"{number} {unit}"
    return f"{number} {'feet' if unit == 'foot' else unit + 's'}"


_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_MONTH_OF = {month[:3]: month for month in _MONTHS} | {"Sept": "September"}


def _date(match: re.Match[str]) -> str:
    month, day = int(match["month"]), int(match["day"])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    return f"{_MONTHS[month - 1]} {day}, {match['year']}"


def _time(match: re.Match[str]) -> str:
    hour, minute, half = match["hour"], match["minute"], match["half"] or ""
    if minute[0] != "0":
        return match[0]
    if minute == "00":
        spoken_half = half or " o'clock"
        return f"{int(hour)}{spoken_half}"
    return f"{int(hour)} oh {int(minute)}{half}"


def _year(match: re.Match[str]) -> str:
    """Read 1875 as "18 75" and 1905 as "19 oh 5"."""
    century, rest = match["year"][:2], match["year"][2:]
    if rest == "00":
        return match["before"] + f"{century} hundred"
    return match["before"] + f"{century} {'oh ' + rest[1] if rest[0] == '0' else rest}"


_DECADES = ("", "tens", "twenties", "thirties", "forties", "fifties", "sixties", "seventies")
_DECADE_NAMES = (*_DECADES, "eighties", "nineties")


def _decade(match: re.Match[str]) -> str:
    century, decade = match["century"] or "", int(match["decade"])
    if not decade:
        return {"": match[0], "20": "two thousands"}.get(century, f"{century} hundreds")
    return f"{century} {_DECADE_NAMES[decade]}".strip()


def _phone(match: re.Match[str]) -> str:
    """Read the digits of a telephone number one by one, in its groups."""
    groups = re.findall(r"\d+", match[0])
    return ("plus " if "+" in match[0] else "") + ", ".join(" ".join(group) for group in groups)


_FRACTIONS = {
    **{"1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter"},
    **{"3/4": "three quarters", "½": "one half", "¼": "one quarter", "¾": "three quarters"},
}


def _fraction(match: re.Match[str]) -> str:
    whole = f"{match['whole']} and " if match["whole"] else ""
    return whole + _FRACTIONS[match["fraction"]]


_ROMAN = {"I": 1, "V": 5, "X": 10}


def _roman(match: re.Match[str]) -> str:
    values = [_ROMAN[letter] for letter in match["numeral"]]
    following = [*values[1:], 0]
    number = sum(v if v >= after else -v for v, after in zip(values, following, strict=True))
    if match["counted"]:
        return f"{match['counted']} {number}"
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number // 10 != 1 else 0, "th")
    return f"{match['name']} the {number}{ending}"


# --- abbreviations ----------------------------------------------------------------------------

_ABBREVIATIONS = {
    **{"Dr.": "Doctor", "Mr.": "Mister", "Mrs.": "Missis", "Ms.": "Miz", "Ms": "Miz"},
    **{"Prof.": "Professor", "Jr.": "Junior", "Sr.": "Senior", "vs.": "versus", "vs": "versus"},
    **{"approx.": "approximately", "a.k.a.": "also known as", "aka": "also known as"},
    **{"i.e.": "that is", "e.g.": "for example", "w/o": "without", "Ave.": "Avenue"},
    **{"Blvd.": "Boulevard", "Rd.": "Road", "Mt.": "Mount", "Gen.": "General", "Lt.": "Lieutenant"},
    **{"Gov.": "Governor", "Capt.": "Captain", "Sgt.": "Sergeant", "Inc.": "Incorporated"},
    **{"Ltd.": "Limited", "Co.": "Company", "Corp.": "Corporation", "Dept.": "Department"},
    **{"etc.": "et cetera", "Rev.": "Reverend", "Sen.": "Senator"},
}
_ENDING = frozenset(["Jr.", "Sr.", "Ave.", "Blvd.", "Rd.", "Inc.", "Ltd.", "Co.", "Corp.", "etc."])
"""Abbreviations that a sentence may end in, with the same full stop."""


def _abbreviation(match: re.Match[str]) -> str:
    full = _ABBREVIATIONS[match["short"]]
    closes = match["short"] in _ENDING and not match.string[match.end() :].strip()
    return full + "." * closes


def _initials(match: re.Match[str]) -> str:
    """Read "U.S." letter by letter, and as the end of a text where it is one."""
    closes = not match.string[match.end() :].strip(" \"')*_")
    return " ".join(match[0].replace(".", "")) + "." * closes


def _any(names: object) -> str:
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True))  # type: ignore[call-overload]


_AMOUNT = r"(?<![\w.,\[])(?P<amount>\d[\d,]*(?:\.\d+)?)"
_BEFORE_YEAR = (
    r"(?P<before>\b(?:in|since|by|from|until|till|before|after|around|circa|year|of|and|to|born|died"
    rf"|during|early|late|summer|spring|winter|fall|autumn|{'|'.join(_MONTHS)})\s"
    r"|(?:\d|st|nd|rd|th),?\s|[(–-])"
)
_AFTER_YEAR = (
    r"(?=\s*(?:$|[.,;:!?)–-](?!\d)|(?:and|to|by|when|as|in|he|she|it|they|the|a|an|was|is|for|but|or"
    r"|until|with|at|after|before|on|that|which|who|because|during|until)\b))"
)
_COUNTED = r"War|Chapter|Part|Act|Volume|Phase|Type|Section|Article|Stage|Title|Book|Episode|Bowl"

_RULES: _Rules = (
    (re.compile(r"(?<=\d)[–-](?=[$€£¥]\d)|(?<=\d%)[–-](?=\d)"), " to "),
    (re.compile(r"(?<!\d)(?P<year>[12]\d{3})-(?P<month>\d\d)-(?P<day>\d\d)(?!\d)"), _date),
    (re.compile(r"(?<![\d/])(?P<month>\d\d?)/(?P<day>\d\d?)/(?P<year>[12]\d{3})(?![\d/])"), _date),
    (
        re.compile(r"(?<![\w.-])(?:\+\d{1,3}[ -]?)?(?:\(\d{3}\) ?|\d{3}[ -])?\d{3}-\d{4}(?![\w-])"),
        _phone,
    ),
    (re.compile(r"(?<![\w.,-])(\d{1,2}|\d{4})[–-](?=\d{1,2}(?![\w-])|\d{4}(?![\w-]))"), r"\1 to "),
    (re.compile(_SIGN + r"\s?" + _NUMBER + _SCALE), _money),
    (re.compile(r"(?<![\w.,])" + _NUMBER + r"(?P<scale>)\s?" + _SIGN), _money),
    (
        re.compile(
            r"(?<![\d:.])(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?![\d:])"
            r"(?P<half>\s?(?:[ap]\.m\.|[AaPp][Mm]\b))?"
        ),
        _time,
    ),
    (re.compile(_BEFORE_YEAR + r"(?P<year>1[1-9]\d\d)" + _AFTER_YEAR), _year),
    (re.compile(r"(?<![\w.])(?P<century>1\d|20)?['’]?(?P<decade>\d)0['’]?s\b"), _decade),
    (re.compile(rf"\b(?:(?P<whole>\d+) )?(?P<fraction>{_any(_FRACTIONS)})(?![\d/])"), _fraction),
    (re.compile(r"\b24/7\b"), "24 7"),
    (re.compile(r"(?<![\w.])(\d)'\s?(\d{1,2})(?:\"|”|'')"), r"\1 foot \2"),
    (re.compile(rf"{_AMOUNT}[\s-]?(?P<unit>{_any([*_UNITS, *_FIXED_UNITS])})(?![\w°])"), _unit),
    (re.compile(r"\b(?:No|Nr)\. ?(?=\d)"), "number "),
    (re.compile(r"\bFig\. ?(?=\d)"), "figure "),
    (re.compile(r"\bp\. ?(?=\d)"), "page "),
    (re.compile(rf"\b({_any(_MONTH_OF)})\.? (?=\d)"), lambda found: _MONTH_OF[found[1]] + " "),
    (re.compile(r"(?<=[A-Z][a-z] )St\.|(?<=[a-z]{2} )St\.(?!\s[A-Z])"), "Street"),
    (re.compile(r"\bSt\.(?=\s[A-Z])"), "Saint"),
    (re.compile(rf"(?<![\w.])(?P<short>{_any(_ABBREVIATIONS)})(?![\w.])"), _abbreviation),
    (re.compile(r"\b(?:[A-Z]\.){2,}"), _initials),
    (re.compile(r"\b([A-Z])\.(?=\s[A-Z][a-z.])"), r"\1"),
    (
        re.compile(
            rf"\b(?:(?P<counted>{_COUNTED})|(?P<name>(?!I\b)[A-Z][a-z]+)) "
            r"(?P<numeral>(?:X{0,3}(?:IX|IV|V?I{1,3}|V)|X{2,3}))\b(?<! I)"
        ),
        _roman,
    ),
    (re.compile(r"\b([CF])#(?!\w)"), r"\1 sharp"),
    (re.compile(r"(?<!\w)#(?=\d)"), "number "),
    (re.compile(r"(?<!\w)#(?=[A-Za-z])"), ""),
    (re.compile(r"(?<=[\d)\w]) < (?=[\d(\w])"), " is less than "),
    (re.compile(r"(?<=[\d)\w]) > (?=[\d(\w])"), " is greater than "),
    (re.compile(r"\s+&\s+"), " and "),
    (re.compile(r"(?<=\d)\s?%"), " percent"),
    (re.compile(r"(?<=\d)\s?°"), " degrees"),
    (re.compile(r"(?<![\w.])[~≈]\s?(?=\d)"), "about "),
    (re.compile(r"\s*(?:→|->|=>|⇒)\s*"), " to "),
    (re.compile(r"(?<=[a-z])/(?=[a-z])"), " or "),
    (re.compile(r"\band or or\b"), "and or"),
)
