"""`antiphon chat` as people run it, against a scripted server."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

from antiphon_proto.audio import read_wav


async def start(url: str, *arguments: str) -> Process:
    command = ("-m", "antiphon", "chat", "--url", url, *arguments)
    return await asyncio.create_subprocess_exec(
        sys.executable, *command, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )


async def chat(url: str, text: str, *arguments: str) -> tuple[int | None, str, str]:
    """Run a chat with piped input; return its exit code, output and errors."""
    process = await start(url, *arguments)
    output, errors = await process.communicate(text.encode())
    return process.returncode, output.decode(), errors.decode()


async def ask(peer: Any) -> tuple[str, list[str]]:
    """Receive a question; return it and the wanted modalities."""
    item = (await peer.receive_event("conversation.item.create"))["item"]
    response = (await peer.receive_event("response.create"))["response"]
    assert (item["type"], item["role"]) == ("message", "user")
    return item["content"][0]["text"], response["output_modalities"]


async def echo(peer: Any) -> None:
    """Answer each question with its own words."""
    for number in range(1, 100):
        try:
            question, modalities = await ask(peer)
        except EOFError:
            return
        assert modalities == ["text"]
        ids = await peer.begin(number=number)
        for word in question.split():
            await peer.send("response.output_text.delta", delta=f"{word}.", **ids)
        await peer.done(ids["response_id"])


async def test_each_line_is_a_turn_and_each_answer_a_line(serve: Any):
    code, output, errors = await chat(await serve(echo), "one two\n\nthree\nlast")
    assert (code, output, errors) == (0, "one.two.\nthree.\nlast.\n", "")


async def test_the_sources_of_an_answer_are_shown_behind_it(serve: Any):
    async def cite(peer: Any) -> None:
        await ask(peer)
        ids = await peer.begin(number=1)
        citations = [{"source": "a.md", "text": "one"}, {"source": "a.md", "text": "two"}]
        response_id, item_id = ids["response_id"], ids["item_id"]
        await peer.send(
            "antiphon.citations", response_id=response_id, item_id=item_id, citations=citations
        )
        await peer.send("response.output_text.delta", delta="Yes.", **ids)
        await peer.done(response_id)
        with contextlib.suppress(EOFError):
            await ask(peer)

    assert await chat(await serve(cite), "one") == (0, "Yes.\n[a.md]\n", "")


async def test_questions_may_come_from_a_file(serve: Any, tmp_path: Path):
    questions = tmp_path / "questions.txt"
    questions.write_text("one\ntwo\n")
    url = await serve(echo)
    with questions.open("rb") as stream:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *("-m", "antiphon", "chat", "--url", url), stdin=stream, stdout=PIPE
        )
        output, _ = await process.communicate()
    assert (process.returncode, output) == (0, b"one.\ntwo.\n")


async def test_ctrl_c_stops_the_answer_and_the_conversation_goes_on(serve: Any):
    begun = asyncio.Event()

    async def script(peer):
        await ask(peer)
        ids = await peer.begin()
        await peer.send("response.output_text.delta", delta="a long story", **ids)
        begun.set()
        await peer.receive_event("response.cancel")
        await peer.done(
            ids["response_id"], "cancelled", type="cancelled", reason="client_cancelled"
        )
        await echo(peer)

    process = await start(await serve(script))
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"tell me\n")
    await begun.wait()
    await process.stdout.readexactly(len("a long story"))
    process.send_signal(signal.SIGINT)
    process.stdin.write(b"next\n")
    process.stdin.close()
    assert await process.stdout.read() == b"\nnext.\n"
    assert await process.wait() == 0


async def test_ctrl_c_between_answers_leaves(serve: Any):
    joined = asyncio.Event()

    async def script(peer):
        await echo(peer)
        joined.set()

    process = await start(await serve(script))
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"one\n")
    assert await process.stdout.readline() == b"one.\n"
    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()
    assert process.returncode == 130
    assert errors == b"\nantiphon: interrupted\n"
    await joined.wait()


async def test_a_failed_answer_is_told_and_the_exit_code_says_so(serve: Any):
    async def script(peer):
        await ask(peer)
        ids = await peer.begin()
        error = {"message": "no language model"}
        await peer.done(ids["response_id"], "failed", type="failed", error=error)
        await ask(peer)
        await peer.send("error", error={"message": "too many tokens"})
        await echo(peer)

    code, output, errors = await chat(await serve(script), "one\ntwo\nthree\n")
    assert code == 1
    assert output == "\n\nthree.\n"
    assert errors == "antiphon: the answer failed: no language model\nantiphon: too many tokens\n"


async def test_answers_can_be_spoken_into_a_file(serve: Any, tmp_path: Path):
    async def script(peer):
        for number in (1, 2):
            _, modalities = await ask(peer)
            assert modalities == ["audio"]
            ids = await peer.speak(f"Answer {number}.", bytes([number, 0]) * 160, number=number)
            await peer.done(ids["response_id"])
        await peer.until_left()

    spoken = tmp_path / "answers.wav"
    code, output, _ = await chat(await serve(script), "one\ntwo\n", "--speak", str(spoken))
    assert (code, output) == (0, "Answer 1.\nAnswer 2.\n")
    assert read_wav(spoken) == (b"\1\0" * 160 + b"\2\0" * 160, 16_000)


async def test_a_server_that_leaves_while_nobody_asks_ends_the_chat(serve: Any):
    async def script(peer):
        await peer.socket.close(code=1012, message=b"the server is restarting")

    process = await start(await serve(script))
    assert process.stderr
    assert b"the server is restarting" in await process.stderr.readline()
    assert await process.wait() == 2


async def test_a_terminal_is_prompted_and_ctrl_d_leaves(serve: Any):
    url = await serve(echo)
    controller, terminal = os.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *("-m", "antiphon", "chat", "--url", url), stdin=terminal, stdout=PIPE
    )
    os.close(terminal)
    assert process.stdout
    assert await process.stdout.readexactly(2) == b"> "
    os.write(controller, b"hello\n")
    assert await process.stdout.readexactly(9) == b"hello.\n> "
    os.write(controller, b"\x04")
    assert await process.wait() == 0
    assert await process.stdout.read() == b"\n"
    os.close(controller)
