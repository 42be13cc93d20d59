"""Which addresses may be called: every kind that is not public is refused, in every way of writing it."""

from ipaddress import ip_address

import pytest

from jobs.addresses import Allowed, is_public, literal


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254"),
        *(
            "0.0.0.0",
            "0.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
        ),
        *("203.0.113.9", "192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::7f00:1", "fe80::1"),
        *("fe80::1%1", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "2001:db8::1", "2001::1", "100::1", "4000::1"),
        *("64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "3fff::1"),
    ],
)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))
    assert not Allowed().reaches("example.org", ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:2800:220:1::1", "64:ff9b::101:101"]
)
def test_what_is_public_may_be_called(address: str) -> None:
    assert is_public(ip_address(address))
    assert Allowed().reaches("example.org", ip_address(address))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.0.0.1", "017700000001"]
)
def test_an_address_is_known_in_all_its_forms(host: str) -> None:
    assert literal(host) == ip_address("127.0.0.1")


@pytest.mark.parametrize("host", ["localhost", "example.org", "1.2.3.4.example.org", "256.256.256.256.256"])
def test_a_name_is_no_address(host: str) -> None:
    assert literal(host) is None


def test_what_an_operator_names_may_be_called_and_nothing_beside_it() -> None:
    allowed = Allowed.from_text("Hooks.Local, 10.1.2.0/24,127.0.0.1, fd00::/8")
    assert allowed.reaches("hooks.local", ip_address("192.168.0.1"))
    assert allowed.reaches("HOOKS.local.", ip_address("::1"))
    assert allowed.reaches("whatever", ip_address("10.1.2.255"))
    assert allowed.reaches("whatever", ip_address("::ffff:127.0.0.1"))
    assert allowed.reaches("whatever", ip_address("fd00::5"))
    for address in ("10.1.3.0", "127.0.0.2", "::1", "fc00::1"):
        assert not allowed.reaches("whatever", ip_address(address))
    assert not allowed.reaches("evil-hooks.local", ip_address("10.9.9.9"))


@pytest.mark.parametrize("text", ["10.0.0.1/8", "300.1.1.1", "a/b", "http://x", "x y", "*", "-x", "127.1"])
def test_what_is_neither_host_nor_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  ipaddress's own
        Allowed.from_text(text)
