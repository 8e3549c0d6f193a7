"""Which code page a text is in, told by the letters of its language."""

from pathlib import Path

import pytest

from edgesearch import CatalogError
from edgesearch.catalog import loader

from .test_loader import csv_file


def table(text: str) -> str:
    return "sku,name,images\n" + "".join(f"S{n},{name},a.jpg\n" for n, name in enumerate(text.split(";")))


@pytest.mark.parametrize(
    "text",
    [
        "Tasse grün;Öl;Käse;süß", "Crème brûlée;café;thé à la menthe", "Taza pequeña;Jarrón;niño", "Xícara;Pão;Açúcar",
        "Kop grøn;Rød skål;Blå æske", "Bolli rauður;Þykkur diskur;Skál blá;könnur", "Röd mugg;Grå skål", "Caffè;tè;più",
        "Köök;tõeline;jäätis;müük", "Röstpfanne;Crème brûlée;Käse;Tüte", "Crème;café", "Café 4 €;Größe “M”",
    ],
)  # fmt: skip
def test_western_languages_are_read(tmp_path: Path, text: str) -> None:
    read = loader.read(csv_file(tmp_path, table(text).encode("cp1252")))
    assert [entry.product.name for entry in read.entries] == text.split(";")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1250", "Hrnek červený;Bílý příbor;Žlutý talíř"), ("cp1250", "Hrnček červený;Lyžica;Tanier žltý;kôš"),
        ("cp1250", "Bögre kék;Hűtőszekrény;Fűszertartó"), ("cp1250", "Őszi bögre;kendő"),
        ("cp1250", "Şapcă roşie;Farfurie mică;ţeavă"), ("cp1250", "Šalica žuta;Čaša;kuća đak"),
        ("cp1254", "K\u0131rm\u0131z\u0131 çaydanl\u0131k;Şişe;Yeşil bardağ\u0131"),
        ("cp1254", "K\u0131rm\u0131z\u0131;şişe"),
        ("cp1257", "Raudonas puodelis;Žalia lėkštė;Šakutė"), ("cp1257", "Zaļa krūze;Balta šķīvja;Āboli"),
    ],
)  # fmt: skip
def test_languages_of_other_code_pages_are_asked_for(tmp_path: Path, encoding: str, text: str) -> None:
    path = csv_file(tmp_path, table(text).encode(encoding))
    with pytest.raises(CatalogError, match=rf"its encoding is not clear; .*{encoding}: "):
        loader.read(path)
    assert [entry.product.name for entry in loader.read(path, encoding=encoding).entries] == text.split(";")


def test_a_few_bytes_of_another_encoding_change_no_other_name(tmp_path: Path) -> None:
    rows = "".join(f"E{n},Müller Öko Café {n},a.jpg\n" for n in range(2000))
    data = f"sku,name,images\n{rows}".encode() + b"D,Tasse gr\xfcn,a.jpg\nF,\x80 5,a.jpg\n"
    read = loader.read(csv_file(tmp_path, data))
    assert [entry.product.name for entry in (read.entries[0], *read.entries[-2:])] == [
        "Müller Öko Café 0", "Tasse grün", "€ 5",
    ]  # fmt: skip
    assert "read as utf-8, where it is not as cp1252 ('line 2002: D,Tasse grün,a.jpg')" in read.notes[0]
    with pytest.raises(CatalogError, match=r"line 2002: not utf-8; give another --encoding"):
        loader.read(csv_file(tmp_path, data), encoding="utf-8")
    with pytest.raises(CatalogError, match=r"line 2002: a byte that is not UTF-8, in a file that is UTF-8 otherwise"):
        loader.read(csv_file(tmp_path, data.replace(b"\xfc", b"\x81")))
