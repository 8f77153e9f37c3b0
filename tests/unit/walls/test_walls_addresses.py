"""Names and addresses as the proxy tells them apart."""

import pytest

from intramural.walls.proxy import is_address, is_public


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:10.0.0.1", "2002:0a00:0001::",
        "64:ff9b::7f00:1", "2001:0:0:0:0:0:f5ff:fffe",
    ],
)  # fmt: skip
def test_addresses_of_ones_own(address):
    assert not is_public(address)


@pytest.mark.parametrize("host", ["1.1.1.1", "[::1]", "::1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "fe80::1%eth0"])
def test_addresses_are_no_names(host):
    assert is_address(host)


@pytest.mark.parametrize("host", ["localhost", "a.example", "1e100.net", "deadbeef", "xn--bcher-kva.example"])
def test_names_are_names(host):
    assert not is_address(host)
