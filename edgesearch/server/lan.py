"""Find the addresses at which other machines reach this one, and show one as a QR code in the terminal."""

import contextlib
import io
import ipaddress
import re
import socket
import struct
import sys

import segno

NOWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}  # reserved for documentation; nothing is sent
GET_ADDRESS = {"linux": 0x8915, "darwin": 0xC0206921}  # SIOCGIFADDR
UNREACHABLE = ("lo", "docker", "br-", "veth", "virbr", "vmnet", "ifb")  # interfaces that lead to this machine alone
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def is_local(host: str) -> bool:
    """Return whether only this machine reaches an address to listen on."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def find_addresses(host: str) -> list[str]:
    """Return the addresses at which others reach a server that listens on `host`, the most likely one first.

    Without a network, there are none.
    """
    try:
        if not ipaddress.ip_address(host).is_unspecified:
            return [host]
    except ValueError:
        return [host]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = [*_routed_address(family), *(_interface_addresses() if family == socket.AF_INET else ())]
    with contextlib.suppress(OSError):
        found += [str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None, family)]
    return [address for address in dict.fromkeys(found) if _is_reachable(address)]


def host_names() -> list[str]:
    """Return the names of this machine that a local network may know."""
    name = socket.gethostname().partition(".")[0].lower()
    return [name, f"{name}.local"] if LABEL.fullmatch(name) and name != "localhost" else []


def url(scheme: str, address: str, port: int) -> str:
    """Return the address of a server's page."""
    return f"{scheme}://{f'[{address}]' if ':' in address else address}:{port}/"


def draw_code(text: str) -> str:
    """Return a QR code as lines of half blocks, for a terminal with light text on a dark ground."""
    drawn = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(drawn, border=2, compact=True)
    return drawn.getvalue().rstrip("\n")


def _routed_address(family: socket.AddressFamily) -> list[str]:
    """Return the address from which this machine sends to other networks; none without a route."""
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((NOWHERE[family], 9))
        return [probe.getsockname()[0]]
    return []


def _interface_addresses() -> list[str]:
    """Return the first IPv4 address of each interface; none where the system has another call for it."""
    if sys.platform not in GET_ADDRESS:
        return []
    import fcntl

    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            if not name.startswith(UNREACHABLE):
                with contextlib.suppress(OSError):  # an interface without an address
                    packed = fcntl.ioctl(probe, GET_ADDRESS[sys.platform], struct.pack("256s", name.encode()[:15]))
                    found.append(socket.inet_ntoa(packed[20:24]))
    return found


def _is_reachable(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return not (parsed.is_loopback or parsed.is_unspecified or parsed.is_link_local)
