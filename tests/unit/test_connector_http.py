"""The transport: whatever the other side does, a call ends in time and says rightly what may have happened."""

import datetime as dt
import logging
import socket
import ssl
import threading
import time
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.connector_server import (
    OpenGate,
    answer,
    dripping,
    raw,
    reset,
    serving,
    silent,
)
from tokens.connectors.base import GiveUp, Remaining, Retry, Unknown
from tokens.connectors.http import Transport
from tokens.connectors.wire import LARGEST_ANSWER, Answer

SECRET = "s3cret-that-must-never-be-seen"
DEADLINE = 0.6


def post(server, gate=None, **fields):
    transport = Transport(base_url=server.url, gate=gate or OpenGate())
    return transport.post("/oauth/tokens", fields={"client_secret": SECRET, **fields})


def test_an_answer_is_read_whole_and_the_gate_hears_the_budget():
    gate = OpenGate()
    reply = answer(
        200, {"a": 1}, X_Rate_Limit="700", X_Rate_Limit_Remaining="12", Ratelimit_Reset="30"
    )
    with serving(reply) as server:
        found = post(server, gate)
    assert (found.status, found.json()) == (200, {"a": 1})
    assert gate.entered == 1
    assert gate.told == [{"limit": 700, "remaining": Remaining(12, 30), "retry_after": None}]


def test_a_request_says_who_asks_and_takes_nothing_from_the_environment(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    with serving(answer(200, {}, Set_Cookie="a=b"), answer(200, {})) as server:
        transport = Transport(base_url=server.url + "/", gate=OpenGate())
        transport.get("/x", bearer="tok", query={"page[size]": 100})
        transport.post("/x", fields={"a": "b"})
    first, second = server.seen
    assert first.line == "GET /x?page%5Bsize%5D=100 HTTP/1.1"
    assert first.headers["authorization"] == "Bearer tok"
    assert first.headers["user-agent"] == "Keydesk"
    assert not {"authorization", "cookie"} & set(second.headers)
    assert second.json() == {"a": "b"}


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), id="headers drip"),
        pytest.param(dripping(b"", b"H"), id="the status line drips"),
        pytest.param(
            dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x"), id="the body drips"
        ),
        pytest.param(
            dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
            id="chunks drip",
        ),
        pytest.param(
            dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"{"), id="a body without a length drips"
        ),
        pytest.param(silent, id="silence"),
    ],
)
def test_the_deadline_ends_what_no_timeout_would(reply):
    with serving(reply) as server:
        began = time.monotonic()
        with pytest.raises(Unknown, match=r"did not answer within 0\.6 s"):
            post(server, OpenGate(DEADLINE))
        assert DEADLINE <= time.monotonic() - began < DEADLINE + 5


def test_past_the_deadline_the_connection_is_closed_and_its_thread_ends():
    with serving(silent) as server:
        with pytest.raises(Unknown):
            post(server, OpenGate(DEADLINE))
        end = time.monotonic() + 3
        while _calls() and time.monotonic() < end:
            time.sleep(0.02)
        assert _calls() == []


def _calls() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "helpdesk-call"]


def test_nothing_is_sent_after_the_deadline(monkeypatch):
    """A name look-up that hangs past the deadline: certainly not sent, also not later."""
    look_up = socket.getaddrinfo

    def slow(*args, **options):
        time.sleep(DEADLINE + 0.3)
        return look_up(*args, **options)

    with serving(answer(200, {})) as server:
        monkeypatch.setattr(socket, "getaddrinfo", slow)
        with pytest.raises(Retry, match="nothing was sent"):
            post(server, OpenGate(DEADLINE))
        time.sleep(0.8)
        assert server.seen == []
        assert _calls() == []


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(reset, id="reset"),
        pytest.param(raw(b""), id="closed without a word"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), id="body cut short"),
        pytest.param(raw(b"SSH-2.0-OpenSSH_9.2\r\n"), id="another protocol"),
        pytest.param(
            raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), id="bad chunk"
        ),
        pytest.param(
            raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"),
            id="bad gzip",
        ),
        pytest.param(answer(500, {"error": "x"}), id="500"),
        pytest.param(answer(503, b"", Retry_After="3"), id="503"),
        pytest.param(answer(408), id="408"),
        pytest.param(dripping(b"HTTP/1.1 502 Bad\r\n\r\n", b"x"), id="502 with an endless body"),
    ],
)
def test_what_broke_after_sending_is_unknown(reply):
    with serving(reply) as server:
        began = time.monotonic()
        with pytest.raises(Unknown):
            post(server)
        assert time.monotonic() - began < 2
        assert len(server.seen) == 1


def test_an_endless_body_is_cut_at_the_cap():
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    endless = dripping(head, b"x" * 200_000, every=0)
    with serving(endless) as server, pytest.raises(Unknown, match="longer than 1024 KiB"):
        post(server)


def test_a_body_of_just_the_cap_is_read():
    with serving(answer(200, b" " * (LARGEST_ANSWER - 2) + b"{}")) as server:
        assert post(server).json() == {}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_to_another_host_is_followed(status):
    with serving(answer(200, {})) as elsewhere:
        taken = f"{elsewhere.url.replace('127.0.0.1', 'localhost')}/taken"
        endless = f"HTTP/1.1 {status} Go\r\nLocation: {taken}\r\n\r\n".encode()
        drip = dripping(endless, b"x")
        with serving(drip) as server, pytest.raises(Unknown, match="redirect"):
            post(server)
        assert elsewhere.seen == []


def test_a_refused_connection_is_certainly_not_sent():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    transport = Transport(base_url=f"http://127.0.0.1:{port}", gate=OpenGate())
    with pytest.raises(Retry, match="nothing was sent"):
        transport.post("/", fields={})


def test_an_unknown_host_is_certainly_not_sent(monkeypatch):
    def nowhere(*_args, **_options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    transport = Transport(base_url="http://no-such-helpdesk.invalid", gate=OpenGate())
    with pytest.raises(Retry, match="nothing was sent"):
        transport.get("/", bearer="x")


def test_a_tls_certificate_that_is_not_trusted_stops_everything(tmp_path, monkeypatch):
    _make_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    with serving(
        answer(200, {}), wrap=lambda c: context.wrap_socket(c, server_side=True)
    ) as server:
        with pytest.raises(Retry, match="TLS certificate could not be verified"):
            post(server)
        assert server.seen == []


def test_tls_is_watched_like_plain_connections(tmp_path, monkeypatch):
    _make_certificate(tmp_path)
    monkeypatch.setattr(
        "requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(tmp_path / "certificate.pem")
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    drip = dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n")
    secure = {"wrap": lambda c: context.wrap_socket(c, server_side=True)}
    with serving(answer(200, {"a": 1}), drip, **secure) as server:
        assert post(server).json() == {"a": 1}
        with pytest.raises(Unknown, match="did not answer"):
            post(server, OpenGate(DEADLINE))
        assert len(server.seen) == 2


def _make_certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "helpdesk.test")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36_500))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)


@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({"Retry_After": "7"}, 7.0),
        ({"Retry_After": " 1.5 "}, 1.5),
        ({"Retry_After": "99999999"}, 3600.0),
        (
            {
                "Date": "Mon, 23 Nov 2026 08:00:00 GMT",
                "Retry_After": "Mon, 23 Nov 2026 08:00:30 GMT",
            },
            30.0,
        ),
        ({}, None),
        ({"Retry_After": "0"}, None),
        ({"Retry_After": "-5"}, None),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": "1e9"}, None),
        ({"Retry_After": "٣"}, None),
        ({"Retry_After": "Mon, 23 Nov 2026 08:00:30 GMT"}, None),
        (
            {
                "Date": "Mon, 23 Nov 2026 08:00:00 GMT",
                "Retry_After": "Mon, 23 Nov 2026 07:00:00 GMT",
            },
            None,
        ),
    ],
)
def test_a_429_is_a_pause_of_what_was_asked_for(headers, after):
    gate = OpenGate()
    slow = answer(429, b"Slow down", **headers)
    with serving(slow) as server, pytest.raises(Retry) as caught:
        post(server, gate)
    assert caught.value.after == after
    assert gate.told[0]["retry_after"] == after


def test_a_429_counts_though_its_body_never_ends():
    endless = b"HTTP/1.1 429 Slow\r\nRetry-After: 2\r\n\r\n"
    with serving(dripping(endless, b"x")) as server, pytest.raises(Retry) as caught:
        post(server)
    assert caught.value.after == 2


@pytest.mark.parametrize("value", ["", "many", "-3", "1" * 40, "٣"])
def test_a_senseless_budget_is_no_budget(value):
    gate = OpenGate()
    senseless = answer(200, {}, X_Rate_Limit=value, X_Rate_Limit_Remaining=value)
    half = answer(200, {}, X_Rate_Limit_Remaining="5", Ratelimit_Reset=value)
    with serving(senseless, half) as server:
        post(server, gate)
        post(server, gate)
    assert (gate.told[0]["limit"], gate.told[0]["remaining"]) == (None, None)
    assert gate.told[1]["remaining"] == Remaining(5, None)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"nul"])
def test_what_is_not_json_is_unknown(body):
    with serving(answer(200, body)) as server:
        found = post(server)
    with pytest.raises(Unknown, match="not JSON"):
        found.json()


def test_an_answer_that_is_not_json_is_named_by_whose_it_is():
    with pytest.raises(Unknown, match="ops's answer"):
        Answer(200, {}, b"<html>", "ops").json()


def test_a_closed_gate_sends_nothing():
    class Closed(OpenGate):
        def enter(self):
            raise Retry("No room.")

    with serving(answer(200, {})) as server, pytest.raises(Retry, match="No room"):
        post(server, Closed())
    assert server.seen == []


def test_a_token_that_fits_no_header_is_not_quoted():
    gate = OpenGate()
    transport = Transport(base_url="http://127.0.0.1:9", gate=gate)
    with pytest.raises(GiveUp) as caught:
        transport.get("/", bearer=f"{SECRET}\r\nX-Evil: 1")
    assert SECRET not in _everything_of(caught.value)
    assert gate.entered == 0


@pytest.mark.parametrize(
    "reply", [reset, raw(b""), answer(429), answer(500), answer(302), raw(b"HTTP/1.1 2")]
)
def test_no_error_and_no_log_line_holds_a_secret(reply, caplog):
    caplog.set_level(logging.DEBUG)
    with serving(reply) as server, pytest.raises((Retry, Unknown)) as caught:
        post(server)
    assert SECRET not in _everything_of(caught.value)
    assert SECRET not in caplog.text


def test_a_body_among_the_headers_is_not_logged(caplog):
    caplog.set_level(logging.DEBUG)
    body = f'{{"access_token": "{SECRET}"}}'.encode()
    with serving(raw(b"HTTP/1.1 200 OK\r\n" + body)) as server:
        found = post(server)
    with pytest.raises(Unknown):
        found.json()
    assert SECRET not in caplog.text


def test_an_answer_does_not_show_its_body():
    assert repr(Answer(200, {}, SECRET.encode())) == "Answer(200)"


def _everything_of(error: BaseException) -> str:
    """The texts of an error and of all that led to it."""
    texts = []
    known: BaseException | None = error
    while known is not None:
        texts += [str(known), repr(known)]
        known = known.__cause__ or known.__context__
    return " ".join(texts)
