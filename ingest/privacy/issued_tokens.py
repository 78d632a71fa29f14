"""Finds tokens of known services by their prefix, alphabet and length. Pure."""

from __future__ import annotations

import re
from typing import Final

_START: Final = r"(?<![A-Za-z0-9])"
_END: Final = r"(?![A-Za-z0-9])"

_EXACT_FORMS: Final = rf"""
        eyJ[\w-]{{8,512}}\.[\w-]{{8}}                                          # a JSON Web Token
      | eyJrIjoi[A-Za-z0-9]{{40}}                                            # Grafana
      | ZXlK[A-Za-z0-9+/]{{40}}                                              # a JSON Web Token in base64
      | [spr]k_(?:live|test|prod)_(?=[A-Za-z0-9]{{0,9}}[A-Z0-9])[A-Za-z0-9]{{10}}
      | sk-(?=[A-Za-z0-9]{{0,24}}[A-Z0-9])[A-Za-z0-9]{{20}}
      | sia_[0-9A-Za-z]{{12}}_[0-9A-Za-z]{{38}}(?!\w)
      | A(?:KIA|SIA|BIA|CCA)[0-9A-Z]{{16}}{_END}
      | A3T[A-Z0-9][A-Z2-7]{{16}}{_END}
      | LTAI(?=[A-Za-z]{{0,26}}\d)[A-Za-z0-9]{{12,26}}{_END}
      | ABSK[A-Za-z0-9+/]{{40}}
      | bedrock-api-key-YmVkcm9jay5h
      | AIza[\w-]{{35}}
      | ya29\.[\w-]{{20}}
      | SG\.[\w=-]{{16,64}}\.[\w=-]{{12}}
      | EAA[A-Z][A-Za-z0-9]{{20}}
      | EZ[AT]K[A-Za-z0-9]{{54}}{_END}
      | FLW(?:SECK|PUBK)(?:_TEST)?-[A-Za-z0-9]{{12}}
      | clojars_[a-z0-9]{{60}} | CLOJARS_[A-Za-z0-9]{{60}}
      | p8e-[A-Za-z0-9]{{32}}{_END}
      | A3-[A-Z0-9]{{6}}-(?:[A-Z0-9]{{11}}|[A-Z0-9]{{6}}-[A-Z0-9]{{5}})(?:-[A-Z0-9]{{5}}){{3}}{_END}
      | ops_eyJ[A-Za-z0-9+/]{{40}}
      | pat[A-Za-z0-9]{{14}}\.[a-f0-9]{{64}}
      | [ps]at\.[\w-]{{22}}\.[A-Za-z0-9]{{24}}\.[A-Za-z0-9]{{20}}
      | AKCp[A-Za-z0-9]{{69}} | cmVmd[A-Za-z0-9]{{59}}
      | (?:sc|ext|scauth|authress)_[A-Za-z0-9]{{5,30}}\.[A-Za-z0-9]{{4,6}}\.acc[_-]
      | 4b1d[A-Za-z0-9]{{38}}{_END}
      | v1\.0-[a-f0-9]{{24}}-[a-f0-9]{{40}}
      | dt0c01\.[A-Za-z0-9]{{24}}\.
      | fo1_[\w-]{{43}} | fm(?:1[ar]|2)_[A-Za-z0-9+/]{{40}}
      | fio-u-[\w=-]{{64}}
      | GR1348941[\w-]{{20}}
      | HRKU-AA[\w-]{{58}}
      | api_org_[A-Za-z]{{34}}{_END}
      | ico-(?=[a-z0-9]{{0,31}}[A-Z])[A-Za-z0-9]{{32}}{_END}
      | s-s4t2(?:ud|af)-[a-f0-9]{{64}}
      | API-[1-9A-Z][A-Z0-9]{{25}}{_END}                                     # with 0 first it is a ULID
      | sha256~[\w-]{{43}}
      | pnu_[A-Za-z0-9]{{36}} | rdme_[a-z0-9]{{70}} | tk-us-[\w-]{{48}} | sm_[aps]at_[A-Za-z0-9]{{16}}{_END}
      | pscale_(?:tkn|oauth|pw)_[\w=.-]{{16}}
      | s\.(?=[a-z]{{0,23}}[A-Z0-9])[A-Za-z0-9]{{24}}{_END}
      | secret_(?=[a-z]{{0,24}}[A-Z0-9])[A-Za-z0-9]{{32}}
      | SK[0-9a-fA-F]{{32}}{_END}
      | (?:key-|dapi|xkeysib-)[0-9a-f]{{32}}
      | xoxo-\d{{4,16}}-\d{{4,16}}-\d{{4,16}}-[A-Fa-f0-9]
      | ATATT3[\w=-]{{12}}
      | AGE-SECRET-KEY-1[0-9A-Z]{{20}}
"""
"""Forms that no word has. In verbose syntax, as are the next two."""

_PREFIXES: Final = r"""
    gh[opsur]_|github_pat_|npm_|pypi-|hf_|do[opr]_v1_|shp(?:at|ss|ca|pa|tka)_|dckr_[po]at_|whsec_|gsk_|r8_
    |sbp_|glsa_|lin_api_|ntn_|sntry[su]_|rubygems_|ph[cx]_|glc_|pul-|sgp_|nfp_|sb_secret_|duffel_(?:live|test)_
    |shippo_(?:live|test)_|pplx-|xai-|sq0(?:atp|csp)-|hv[sb]\.|dp\.pt\.|GOCSPX-|PMAK-|NRAK-|rnd_|figd_|aio_
"""
"""Prefixes that a word may follow, as in `npm_configuration2024Guide`."""

_PREFIXES_OF_SEVERAL: Final = r"""
    gl(?:pat|dt|rt|ptt|cbt|ft|ffct|imt|oas|soat|agent)-|[sprk]k-(?:proj|ant|svcacct|admin|or|live|test)-
    |lap[_-](?:live|test|proj|ant)[_-]|xox[abeprs][.-]|xapp-
"""
"""Prefixes that several words may follow, joined by hyphens."""

_EXACT: Final = re.compile(f"{_START}(?:{_EXACT_FORMS})", re.VERBOSE)
_PREFIXED: Final = re.compile(f"{_START}(?:{_PREFIXES})([A-Za-z0-9]{{12,512}})", re.VERBOSE)
_SEVERAL: Final = re.compile(rf"{_START}(?:{_PREFIXES_OF_SEVERAL})([\w.-]{{8,512}})", re.VERBOSE)
_ANY: Final = re.compile(f"{_START}(?:{_EXACT_FORMS}|{_PREFIXES}|{_PREFIXES_OF_SEVERAL})", re.VERBOSE)
"""The beginning of any form, so that most texts are scanned once."""


_MARK: Final = re.compile(r"-----BEGIN |://|Q~|\||\.atlasv1\.|_mmk|-us\d|:AA|/webhook|\.slack\.com/")
"""Each form without a prefix contains one of these; other texts rarely do. Without one, the forms are not tried."""

_MARKED: Final = re.compile(
    rf"""
    -----BEGIN\ [A-Z0-9 _-]{{0,100}}(?:KEY|CERTIFICATE)
    | ://[^\s/:@]{{0,128}}:[^\s/@]{{1,256}}@                                     # a URL with credentials
    | (?<![\w~.])[\w~.]{{3}}\dQ~[\w~.-]{{31}}                                    # Azure
    | {_START}\d{{15,16}}\|[\w-]{{27}}                                           # Facebook
    | {_START}[A-Za-z0-9]{{14}}\.atlasv1\.[\w=-]{{40}}
    | {_START}[A-Za-z0-9]{{6}}_[A-Za-z0-9]{{29}}_mmk{_END}
    | {_START}[0-9a-f]{{32}}-us\d{{1,2}}(?!\w)
    | {_START}(?:bot)?\d{{8,10}}:AA[\w-]{{32}}
    | hooks\.slack\.com/(?:services|workflows|triggers)/\w{{1,64}}/\w
    | discord(?:app)?\.com/api/webhooks/\d{{1,20}}/[\w-]{{16}}
    | office(?:365)?\.com/webhook(?:b2)?/[^\s/]{{1,80}}/IncomingWebhook/\w
    """,
    re.VERBOSE,
)

_JOINTS: Final = re.compile(r"[\W_]+")
_UNSPEAKABLE: Final = re.compile(r"(?i)[bcdfghjklmnpqrstvwxz]{6}")
_DIGIT_IN_WORD: Final = re.compile(r"\d[a-z]")
_PIECE: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_LONGEST_ACRONYM: Final = 6
_LONGEST_NUMBER: Final = 4
_MIN_MEAN: Final = 4
_MIN_PART: Final = 6


def has_issued_token(text: str) -> bool:
    """Return whether the text contains a token issued by a known service."""
    return (_MARK.search(text) is not None and _MARKED.search(text) is not None) or (
        _ANY.search(text) is not None
        and (
            _EXACT.search(text) is not None
            or any(_is_random(found[1]) for found in _PREFIXED.finditer(text))
            or any(
                len(part) >= _MIN_PART and _is_random(part)
                for found in _SEVERAL.finditer(text)
                for part in _JOINTS.split(found[1])
            )
        )
    )


def _is_random(text: str) -> bool:
    """Return whether letters and digits alternate more than in a name made of words, acronyms and short numbers."""
    if _UNSPEAKABLE.search(text) or len(_DIGIT_IN_WORD.findall(text)) > 1:
        return True
    pieces = _PIECE.findall(text)
    if any(
        (piece.isupper() and len(piece) > _LONGEST_ACRONYM) or (piece.isdecimal() and len(piece) > _LONGEST_NUMBER)
        for piece in pieces
    ):
        return True
    return len(text) < _MIN_MEAN * len(pieces)
