"""The URL of a callback, taken apart and checked; and a submit that asks for one."""

import pytest

from jobs.model.callback import Callback, CallbackUrl
from jobs.model.submission import Submission


def test_a_url_is_taken_apart() -> None:
    url = CallbackUrl.from_text("https://Hooks.example.org:8443/a/b?c=d&e")
    assert (url.scheme, url.host, url.port, url.place) == ("https", "hooks.example.org", 8443, "hooks.example.org:8443")
    assert url.target == "/a/b?c=d&e"
    assert CallbackUrl.from_text("http://x").target == "/"
    six = CallbackUrl.from_text("http://[2001:DB8::1]:80?x")
    assert (six.host, six.place, six.target) == ("2001:db8::1", "[2001:db8::1]:80", "/?x")


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "//x/y", "/hook", "ftp://x/", "file:///etc/passwd", "gopher://x", "javascript:alert(1)", "HTTP//x"),
        *(
            "http://",
            "http:///path",
            "http://?x",
            "http://:80/",
            "https://user@x/",
            "https://user:pw@x/",
            "https://@x/",
        ),
        *("http://x:0/", "http://x:65536/", "http://x:y/", "http://x:-1/", "http://x#f", "http://x/#", "http://x y/"),
        *("http://x\\@y/", "http://x/\r\nHost: y", "http://x/\t", "http://ü/", "http://\uff11\uff12\uff17.0.0.1/"),
        *(
            "http://[::1",
            "http://::1/",
            "http://[fe80::1%25eth0]/",
            "http://[v1.x]/",
            "http://[127.0.0.1]/",
            "http://*/",
        ),
        *(
            "http://x%2fy/",
            "http://-x/",
            "http://" + "x" * 254 + "/",
            "http://x/" + "y" * 2040,
            "\x00",
            "http://x/\x7f",
        ),
    ],
)
def test_what_cannot_be_called_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^Must .*\.$"):
        CallbackUrl.from_text(text)


def test_the_longest_url_is_taken() -> None:
    assert CallbackUrl.from_text("http://x/" + "y" * 2039)


def test_the_events_have_one_order_and_are_there_once() -> None:
    assert Callback.to("http://x", ["failed", "created", "failed"]) == Callback("http://x", ("created", "failed"))
    assert Callback.to("http://x").text == "completed,failed,cancelled http://x"


def test_the_callback_is_part_of_what_was_asked_for() -> None:
    def fingerprint(callback: Callback | None) -> str:
        job = Submission(
            type="t",
            owner="me",
            parameters_json="{}",
            queue="q",
            max_attempts=1,
            idempotency_key="k",
            callback=callback,
        )
        return job.fingerprint

    one, same = Callback.to("http://x"), Callback.to("http://x", ["cancelled", "failed", "completed"])
    assert fingerprint(one) == fingerprint(same)
    prints = [fingerprint(each) for each in (None, one, Callback.to("http://y"), Callback.to("http://x", ["failed"]))]
    assert len(set(prints)) == 4
