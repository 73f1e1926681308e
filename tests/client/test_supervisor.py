"""Asking supervisord, also while it ends."""

import socket
import threading
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
