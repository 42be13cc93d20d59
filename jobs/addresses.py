"""Which addresses we may call on somebody's behalf: public ones, and those that an operator names."""

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_HOST = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?"
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_NEVER = tuple(ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20"))
"""Reserved for protocols; what Python says of parts of them has changed between its versions."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be called although it is not public (JOBS_WEBHOOK_ALLOW)."""

    hosts: frozenset[str] = frozenset()
    """Names, in lower case: whatever such a name stands for may be called."""
    networks: tuple[Network, ...] = ()

    @classmethod
    def from_text(cls, text: str) -> "Allowed":
        """Read hosts, addresses and networks, comma-separated.

        Raises:
            ValueError: a part is none of these.
        """
        parts = [part.strip() for part in text.split(",") if part.strip()]
        hosts = {part for part in parts if re.fullmatch(_HOST, part, re.ASCII) and not re.search(r"(^|\.)\d+$", part)}
        return cls(
            frozenset(host.lower() for host in hosts), tuple(ip_network(part) for part in parts if part not in hosts)
        )

    def reaches(self, host: str, address: Address) -> bool:
        """Whether ``address``, which ``host`` stands for, may be called."""
        if host.lower().rstrip(".") in self.hosts:
            return True
        plain = _unwrapped(address)
        return is_public(plain) or any(each in network for each in (address, plain) for network in self.networks)


def is_public(address: Address) -> bool:
    """Whether it is a host's own address in the public internet: not private, shared, local, reserved or multicast."""
    plain = _unwrapped(address)
    if any(plain in network for network in _NEVER) or plain.is_multicast or plain.is_reserved:
        return False
    if isinstance(plain, IPv6Address) and plain not in _GLOBAL_UNICAST:
        return False
    return plain.is_global


def literal(host: str) -> Address | None:
    """The address that ``host`` is, in any form that a resolver takes (``127.1``, ``0x7f000001``); None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for: mapped, translated (NAT64) or tunnelled (6to4)."""
    if isinstance(address, IPv4Address):
        return address
    inner = IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
    return address.ipv4_mapped or address.sixtofour or inner or address
