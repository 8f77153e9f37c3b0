"""A canary is found in whatever form it comes out, packed or not, whole or cut."""

import bz2
import gzip
import html
import io
import json
import lzma
import quopri
import zipfile
import zlib
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pyarrow as pa
import pytest

from intramural.app.leak_test.canaries import END_LETTERS, Nest
from intramural.app.leak_test.searching import search
from intramural.domain.leaks import Planted

AROUND = "words before it: {}; and after it"


def zipped(content):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a name/of some length.txt", content)
    return target.getvalue()


FORMS = {
    "utf-8": str.encode,
    "utf-16-le": lambda text: text.encode("utf-16-le"),
    "utf-16-be": lambda text: text.encode("utf-16-be"),
    "utf-32": lambda text: text.encode("utf-32"),
    "base64": lambda text: b64encode(text.encode()),
    "base64 after one byte": lambda text: b64encode(b"-" + text.encode()),
    "base64 after two bytes": lambda text: b64encode(b"--" + text.encode()),
    "base64 for urls": lambda text: urlsafe_b64encode(text.encode()),
    "hex": lambda text: text.encode().hex().encode(),
    "HEX": lambda text: text.encode().hex().upper().encode(),
    "url": lambda text: quote(text).encode(),
    "json": lambda text: json.dumps(text).encode(),
    "json in json": lambda text: json.dumps(json.dumps(text)).encode(),
    "xml": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace"),
    "quoted-printable": lambda text: quopri.encodestring(text.encode()).replace(b"=\n", b""),
    "python bytes": lambda text: repr(text.encode()).encode(),
    "swapped case": lambda text: text.swapcase().encode(),
    "lower case": lambda text: text.lower().encode(),
    "upper case": lambda text: text.upper().encode(),
    "reversed": lambda text: text[::-1].encode(),
}
PACKINGS = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zip": zipped,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda content: pa.compress(content, codec="zstd", asbytes=True),
    "gzip in zlib": lambda content: zlib.compress(b"before " + gzip.compress(content)),
}


@pytest.fixture(scope="module")
def nest():
    nest = Nest.new()
    for name in ("prompt", "label"):
        nest.lay(name)
    return nest


@pytest.mark.parametrize("word", ["latin", "cyrillic"])
@pytest.mark.parametrize("form", FORMS)
def test_a_canary_is_found_in_every_form_and_told_from_the_others(nest, form, word):
    canary = nest.canaries[1]

    found = list(search(nest, b"\0\xff" + FORMS[form](AROUND.format(getattr(canary, word))) + b"\xff\0"))

    assert {each.canary for each in found} == {canary.name}


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_canary_is_found_in_packed_bytes(nest, packing):
    content = AROUND.format(nest.canaries[0].text).encode() * 3

    found = list(search(nest, b"\x1f\x8b\x08 no stream " + PACKINGS[packing](content) + b"rest"))

    assert {each.canary for each in found} == {"prompt"}
    assert any(each.inside for each in found)


def test_a_stream_that_was_cut_is_searched_as_far_as_it_goes(nest):
    packed = gzip.compress(nest.canaries[0].text.encode() + bytes(range(256)) * 200)

    assert list(search(nest, packed[: len(packed) // 2]))


def test_half_a_canary_is_one(nest):
    found = list(search(nest, nest.canaries[0].latin[:END_LETTERS].encode()))

    assert [(each.canary, each.planted) for each in found] == [("a part of a canary", Planted.CONTENT)]


def test_bytes_without_a_canary_give_nothing(nest):
    other = Nest.new().lay("another test's")

    assert list(search(nest, other.text.encode() * 100 + bytes(1000))) == []


def test_the_place_is_told(nest):
    [found] = search(nest, bytes(77) + nest.canaries[0].latin[:END_LETTERS].encode())

    assert (found.offset, found.encoding, found.inside) == (77, "utf-8", "")
