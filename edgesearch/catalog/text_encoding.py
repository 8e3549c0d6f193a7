"""Find the encoding of a text file: from its first bytes, from the user, or from the text itself."""

import codecs
import re
from typing import BinaryIO

from ..errors import CatalogError
from . import code_pages

UTF_8 = "utf-8-sig"  # UTF-8 with or without its byte order mark
_BYTE_ORDER_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF8: UTF_8}
# After UTF-32, whose little-endian mark begins with that of UTF-16.
_BYTE_ORDER_MARKS |= {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_OTHER_ENCODINGS = (
    "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "cp850", "mac_roman", "shift_jis", "gb18030", "big5", "euc_kr",
)  # fmt: skip
MIXED = "edgesearch-cp1252"  # error handler: the bytes that are not UTF-8 are Windows' Western ones
MIN_VALID = 3  # UTF-8 characters beyond ASCII for each byte that is not UTF-8, in a file that is UTF-8 otherwise
CHUNK_BYTES = 1 << 20  # decoded at once
HEAD_BYTES = 1 << 12
SAMPLE_CHARACTERS = 30
# Currencies, quotation marks, dashes and fractions: the signs of Windows' Western code page that people use. The rest
# of its signs appear when text of another encoding is read as cp1252.
_WESTERN_SIGNS = bytes.fromhex(
    "80 82 84 85 89 8b 91 92 93 94 95 96 97 99 9b a0 a1 a2 a3 a5 a7 a9 aa ab ad ae b0 b1 b2 b3 b5 b7 b9 "
    "ba bb bc bd be bf d7 f7"
).decode("cp1252")
_NON_ASCII = re.compile(r"[^\x00-\x7f]+")
# DOS, old Mac and Central European letters where a Western text has none: K\u201ese, caf\u201a, \u00bfó\u00b3ty.
_MISREAD = re.compile(
    r"[a-z][\u201e\u201a\u0160\u017d\u0178\u00bf\u00b9\u00a7]|[a-z]\u201d[a-z]|[A-Za-z]\u00b3[a-z]|\u0192"
)


def detect_encoding(file: BinaryIO, where: str, given: str | None) -> tuple[str, str]:
    """Find an encoding that can decode a whole file.

    Args:    where: the name of the file, for error messages.
             given: the encoding that the user names, or None.
    Returns: the encoding, and a sample of the decoded text if the encoding was guessed, else "".
    Raises:  CatalogError: the file cannot be decoded, is no text, or could have several encodings.
    """
    head = _read_head(file)
    if given:
        name = _resolve_encoding(given, where)
        _require_decodable(file, where, name, f"not {given}; give another --encoding")
        return name, ""
    marked = next((name for mark, name in _BYTE_ORDER_MARKS.items() if head.startswith(mark)), "")
    if marked:
        _require_decodable(
            file, where, marked, f"not {marked.removesuffix('-sig').upper()}, as its first bytes say; save it again"
        )
        return marked, ""
    name = _detect_utf16(head)
    if not name and b"\0" in head:
        raise _not_text_error(where, head[: head.index(b"\0")].count(b"\n") + 1)
    if name:
        _require_decodable(file, where, name, f"not {name}, which its first bytes look like; give --encoding")
        return name, _sample(file, name, 0)
    wrong = _find_undecodable(file, where, "utf-8")
    if wrong is None:
        return "utf-8", ""
    if _is_mostly_utf8(file):
        return _detect_mixed(file, where, *wrong)
    return _detect_single_byte(file, where, *wrong)


def _is_mostly_utf8(file: BinaryIO) -> bool:
    """Return whether a file that is not UTF-8 throughout is UTF-8 but for a few bytes."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    file.seek(0)
    valid = invalid = 0
    while part := file.read(CHUNK_BYTES):
        for run in _NON_ASCII.findall(decoder.decode(part)):
            odd = sum("\udc80" <= character <= "\udcff" for character in run)
            valid, invalid = valid + len(run) - odd, invalid + odd
    return valid >= MIN_VALID * invalid


def _detect_mixed(file: BinaryIO, where: str, line: int, start: int) -> tuple[str, str]:
    """Return `MIXED` for UTF-8 with some Western bytes; raise CatalogError if they are not Western either.

    line, start: of the first byte that is not UTF-8.
    """
    if _find_undecodable(file, where, "utf-8", MIXED) is None:
        return MIXED, f"line {line}: {_sample(file, 'utf-8', start, MIXED)}"
    raise CatalogError(
        f"{where}, line {line}: a byte that is not UTF-8, in a file that is UTF-8 otherwise "
        f"({_sample(file, 'utf-8', start, 'replace')!r}); save that line as UTF-8, or give --encoding."
    )


def _decode_western(error: UnicodeError) -> tuple[str, int]:
    """Decode the bytes that are not UTF-8 as cp1252; handle the errors of a decoder."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252"), error.end


codecs.register_error(MIXED, _decode_western)


def _read_head(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(HEAD_BYTES)


def _resolve_encoding(given: str, where: str) -> str:
    """Return Python's name of an encoding; raise CatalogError if it is no text encoding."""
    try:
        found = codecs.lookup(given)
        "".encode(given)  # raises LookupError for bytes-to-bytes codecs such as base64
        codecs.getincrementaldecoder(given)
        b"\xff".decode(given, "ignore")  # raises for idna, the codec of domain names
    except (LookupError, ValueError) as error:
        raise CatalogError(f"{where}: {given!r} is no encoding; give one such as utf-8, cp1252 or utf-16.") from error
    return UTF_8 if found.name == "utf-8" else found.name


def _detect_utf16(head: bytes) -> str:
    """Recognize UTF-16 without its mark, where every other byte of Western text is 0; return its name or ""."""
    zeros = [head[start::2].count(0) * 3 > len(head) // 2 for start in (0, 1)]
    return {(True, False): "utf-16-be", (False, True): "utf-16-le"}.get((zeros[0], zeros[1]), "")


def _require_decodable(file: BinaryIO, where: str, encoding: str, message: str) -> None:
    wrong = _find_undecodable(file, where, encoding)
    if wrong:
        raise CatalogError(f"{where}, line {wrong[0]}: {message}.")


def _find_undecodable(file: BinaryIO, where: str, encoding: str, errors: str = "strict") -> tuple[int, int] | None:
    """Find the first byte that cannot be decoded.

    Returns: its line and its position in the file; None if the whole file can be decoded.
    Raises:  CatalogError: the file holds zero bytes, so it is no text.
    """
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    line = 1
    file.seek(0)
    while True:
        part = file.read(CHUNK_BYTES)
        try:
            text = decoder.decode(part, final=not part)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(encoding, "ignore")
            return line + before.count("\n"), file.tell() - len(error.object) + error.start
        except UnicodeError:  # UTF-16 without its mark
            return line, file.tell() - len(part)
        if "\0" in text:
            raise _not_text_error(where, line + text[: text.index("\0")].count("\n"))
        line += text.count("\n")
        if not part:
            return None


def _not_text_error(where: str, line: int) -> CatalogError:
    return CatalogError(f"{where}, line {line}: zero bytes, so this is no text; give a table, or its --encoding.")


def _detect_single_byte(file: BinaryIO, where: str, line: int, start: int) -> tuple[str, str]:
    """Return cp1252, Windows' Western code page, if the text fits it; otherwise raise CatalogError.

    line, start: of the first byte that is not UTF-8.
    """
    if _find_undecodable(file, where, "cp1252") is None and _is_western(file) and not code_pages.is_eastern(file):
        return "cp1252", _sample(file, "cp1252", start)
    samples = {name: _sample(file, name, start) for name in ("cp1252", *_OTHER_ENCODINGS)}
    listed = "; ".join(f"{name}: {text!r}" for name, text in samples.items() if text and "\ufffd" not in text)
    raise CatalogError(
        f"{where}, line {line}: not UTF-8, and its encoding is not clear; save it as UTF-8, or give --encoding with "
        f"the one that reads correctly ({listed})."
    )


def _is_western(file: BinaryIO) -> bool:
    """Return whether nearly all stretches beyond ASCII are short, made of letters and common signs, and in place."""
    file.seek(0)
    stretches = odd = 0
    while part := file.read(CHUNK_BYTES):
        text = part.decode("cp1252")
        found = _NON_ASCII.findall(text)
        stretches += len(found)
        odd += sum(len(run) > 2 or any(not c.isalpha() and c not in _WESTERN_SIGNS for c in run) for run in found)
        odd += len(_MISREAD.findall(text))
    return odd * 20 <= stretches


def _sample(file: BinaryIO, encoding: str, start: int, errors: str = "replace") -> str:
    """Return a part of the line around a byte."""
    first = max(0, start - HEAD_BYTES)
    file.seek(first)
    around = file.read(2 * HEAD_BYTES)
    inside = start - first
    before, after = (_decode(part, encoding, errors) for part in (around[:inside], around[inside:]))
    return (before[-1][-SAMPLE_CHARACTERS // 2 :] + after[0][: SAMPLE_CHARACTERS // 2]).strip()


def _decode(part: bytes, encoding: str, errors: str) -> list[str]:
    """Return the lines of a part, which may begin or end within a character."""
    try:
        text = part.decode(encoding, errors)
    except UnicodeDecodeError:
        text = part.decode(encoding, "replace")
    return text.splitlines() or [""]
