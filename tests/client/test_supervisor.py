"""Asking supervisord, also while it ends."""

import socket
import threading
import xmlrpc.client
from pathlib import Path

import pytest

from antiphon import programs
from antiphon.supervisor_link import SupervisordLink

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("cut", [b"", _ANSWER[:12], _ANSWER, _ANSWER + b"<?xml version='1.0'?"])
def test_an_answer_that_was_cut_off_is_no_answer(tmp_path: Path, cut: bytes) -> None:
    supervisor = SupervisordLink(tmp_path, tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / programs.SOCKET_NAME))
        listener.listen()

        def answer() -> None:
            for _ in range(1 if cut else 2):  # the client asks again when it got no byte
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(cut)

        thread = threading.Thread(target=answer)
        thread.start()
        assert supervisor.processes() == {}
        thread.join()


@pytest.mark.parametrize(
    ("said", "running"),
    [("STARTING", True), ("RUNNING", True), ("STOPPING", True), ("BACKOFF", False)],
)
def test_a_process_that_is_just_starting_has_not_ended(
    tmp_path: Path, said: str, *, running: bool
) -> None:
    info = {"name": "llm-0", "statename": said, "pid": 7, "start": 1_700_000_000, "exitstatus": 0}
    body = xmlrpc.client.dumps(([info],), methodresponse=True).encode()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / programs.SOCKET_NAME))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                asked = b""
                while not asked.rstrip().endswith(b"</methodCall>"):
                    asked += connection.recv(65_536)
                connection.sendall(_ANSWER[:-2] + b"Content-Length: %d\r\n\r\n" % len(body) + body)

        thread = threading.Thread(target=answer)
        thread.start()
        [state] = SupervisordLink(tmp_path, tmp_path).processes().values()
        thread.join()
    assert state.running is running
