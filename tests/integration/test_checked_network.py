"""No request reaches an address that it must not: seen from a receiver that is really there."""

import socket
import ssl
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from support.receiver import KEY, Receiver, Says

from jobs.addresses import Allowed
from jobs.webhooks.deliveries import CALLBACK, Delivery
from subscribers.posting import WITHIN, Answer, NotAnswered, Poster

LOOPBACK = Allowed.from_text("127.0.0.1")
ANY_PORT = socket.SOCK_STREAM


def delivery(url: str, text: str = '{"a":"ü"}') -> Delivery:
    job_id = str(uuid4())
    return Delivery(f"{job_id}:1 callback", f"{job_id}:1", job_id, CALLBACK, url, "host", text, 1)


def post(url: str, allowed: Allowed = LOOPBACK, **options: Any) -> Answer:
    return Poster([KEY], allowed, **options).post(delivery(url))


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "LOCALHOST", "localhost.", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"),
        *("0.0.0.0", "0", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]", "[64:ff9b::7f00:1]"),
    ],
)
def test_the_loopback_is_not_reached_however_it_is_written(host: str) -> None:
    with closing(socket.socket(socket.AF_INET6, socket.SOCK_STREAM)) as listener:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # IPv4 too
        listener.bind(("::", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(NotAnswered, match=r"^refused|^ConnectError"):
            post(f"http://{host}:{port}/", Allowed())
        listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "[fd00::1]"]
)
def test_a_private_network_is_refused_before_a_packet_is_sent(host: str) -> None:
    began = time.monotonic()
    with pytest.raises(NotAnswered, match=r"^refused: .* is not public"):
        post(f"http://{host}/latest/meta-data/", Allowed())
    assert time.monotonic() - began < WITHIN / 2, "it was tried, and nobody answered"


def test_what_is_allowed_by_its_address_or_name_is_reached() -> None:
    with Receiver() as receiver:
        assert post(receiver.url).status == 204
        assert post(receiver.url.replace("127.0.0.1", "localhost")).status == 204
        assert post(receiver.url.replace("127.0.0.1", "localhost"), Allowed.from_text("localhost")).status == 204
        with pytest.raises(NotAnswered, match="refused"):
            post(receiver.url, Allowed.from_text("localhost"))
        assert len(receiver.received) == 3
        assert [each.headers["host"].split(":")[0] for each in receiver.received] == ["127.0.0.1", *["localhost"] * 2]


def test_a_name_that_changes_its_meaning_gains_nothing() -> None:
    """DNS rebinding: the first answer is harmless, the next would be the loopback. There is no next."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[tuple[Any, ...]]:
        asked.append(host)
        address = "127.0.0.2" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    with Receiver() as receiver:
        with pytest.raises(NotAnswered, match="ConnectError"):  # nobody listens at 127.0.0.2
            post(
                f"http://rebinding.example:{receiver.port}/",
                Allowed.from_text("127.0.0.0/8"),
                resolve=rebinding,
            )
        assert asked == ["rebinding.example"]
        with pytest.raises(NotAnswered, match=r"refused: 127\.0\.0\.1"):
            post(f"http://rebinding.example:{receiver.port}/", Allowed(), resolve=rebinding)
        assert receiver.received == []


def test_of_several_addresses_only_those_are_tried_that_may_be_reached() -> None:
    def several(host: str, port: int) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, ANY_PORT, 6, "", (address, port)) for address in ("10.0.0.1", "127.0.0.1")]

    with Receiver() as receiver:
        assert post(f"http://both.example:{receiver.port}/", resolve=several).has_arrived


def test_a_certificate_is_checked_against_the_name_and_the_name_is_sent(tmp_path: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    asked_for: list[str | None] = []
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    serving.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with Receiver(tls=serving) as receiver:
        by_name = f"https://localhost:{receiver.port}/"
        assert post(by_name, tls=trusting).has_arrived
        assert asked_for == ["localhost"]
        with pytest.raises(NotAnswered, match=r"ConnectError.*certificate verify failed"):
            post(f"https://127.0.0.1:{receiver.port}/", tls=trusting)
        with pytest.raises(NotAnswered, match=r"ConnectError.*certificate verify failed"):
            post(by_name)
        assert len(receiver.received) == 1


def test_a_redirect_is_not_followed() -> None:
    with Receiver() as target, Receiver(Says(302, (("Location", target.url),))) as receiver:
        for status in (301, 302, 303, 307, 308):
            receiver.answer(Says(status, (("Location", target.url),)))
            assert post(receiver.url).status == status
        assert len(receiver.received) == 5
        assert target.received == []


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as proxy, Receiver() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert post(receiver.url).has_arrived
        assert proxy.received == []


def test_an_attempt_has_an_end_however_the_receiver_drips() -> None:
    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            for letter in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + b"y" * 100:
                time.sleep(0.05)
                try:
                    connection.send(bytes([letter]))
                except OSError:
                    return

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        began = time.monotonic()
        with pytest.raises(NotAnswered, match=r"no answer within 0\.5 s"):
            post(f"http://127.0.0.1:{listener.getsockname()[1]}/", within=0.5)
        assert time.monotonic() - began < 5, "all that drips takes more than five"
        thread.join(5)


def test_a_body_without_end_is_not_read() -> None:
    sent = 0

    def pour(listener: socket.socket) -> None:
        nonlocal sent
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
                while sent < 50_000_000:
                    sent += connection.send(b"x" * 65_536)
            except OSError:
                pass

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=pour, args=(listener,))
        thread.start()
        assert post(f"http://127.0.0.1:{listener.getsockname()[1]}/").has_arrived
        thread.join(5)
        assert sent < 20_000_000  # what the kernel's buffers took


@pytest.mark.parametrize(
    "answer", [b"", b"hello\r\n\r\n", b"HTTP/1.1 999999 X\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 50_000]
)
def test_what_is_no_answer_is_told(answer: bytes) -> None:
    def say(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                connection.recv(65_536)
                connection.sendall(answer)
            except OSError:
                pass

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=say, args=(listener,))
        thread.start()
        with pytest.raises(NotAnswered, match=r"RemoteProtocolError|ReadError"):
            post(f"http://127.0.0.1:{listener.getsockname()[1]}/", within=3)
        thread.join(5)


def test_nobody_there_and_no_such_name_are_told() -> None:
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))  # and does not listen: the port is nobody else's meanwhile
        port = silent.getsockname()[1]
        for url in (f"http://127.0.0.1:{port}/", "http://nobody.invalid/", "http://" + "x" * 64 + ".invalid/"):
            with pytest.raises(NotAnswered, match="ConnectError"):
                post(url)
