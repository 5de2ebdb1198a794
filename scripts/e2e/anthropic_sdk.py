"""The official Anthropic SDKs, Python and Node, as clients of open-cursor with the replay agent."""

import json
import sys

import anthropic
import pydantic
from anthropic.types import Message, MessageTokensCount, ModelInfo, RawMessageStreamEvent
from harness import check, main, node, raises, step

QUESTION = [{"role": "user", "content": "say hello"}]
THINKING = {"type": "enabled", "budget_tokens": 1024}
MESSAGE = pydantic.TypeAdapter(Message)
EVENT = pydantic.TypeAdapter(RawMessageStreamEvent)

TOOLS = [
    {
        "name": "write",
        "description": "Writes a whole file.",
        "input_schema": {
            "type": "object",
            "properties": {"filePath": {"type": "string"}, "content": {"type": "string"}},
            "required": ["filePath", "content"],
        },
    },
    {
        "name": "read",
        "description": "Reads a file.",
        "input_schema": {
            "type": "object",
            "properties": {"filePath": {"type": "string"}},
            "required": ["filePath"],
        },
    },
]


def plain(client, **request):
    """One message, not streamed; the SDK itself would take any JSON for one, so it is validated."""
    raw = client.messages.with_raw_response.create(max_tokens=1000, **request)
    return MESSAGE.validate_json(raw.text(), strict=True)


def streamed(client, **request):
    """The same by the SDK's accumulating helper, each event validated."""
    with client.messages.stream(max_tokens=1000, **request) as stream:
        text = ""
        for event in stream:
            if event.type in ("text", "thinking", "input_json", "signature", "citation"):
                text += event.text if event.type == "text" else ""
                continue  # the helper's own
            if event.type not in ("message_stop", "content_block_stop"):
                EVENT.validate_python(event.to_dict(), strict=False)
        message = stream.get_final_message()
    said = "".join(block.text for block in message.content if block.type == "text")
    check(said == text, f"{said!r} is not {text!r}")
    return message


WAYS = {"plain": plain, "stream helper": streamed}


def said(message):
    return "".join(block.text for block in message.content if block.type == "text")


def answers(client):
    first = None
    for name, way in WAYS.items():
        message = way(client, model="auto", messages=QUESTION, system="Be brief.")
        check(message.stop_reason == "end_turn", f"{name}: stop_reason is {message.stop_reason}")
        check([block.type for block in message.content] == ["text"], f"{name}: {message}")
        check(message.usage.input_tokens > 0, f"{name}: usage is {message.usage}")
        first = first or said(message)
        check(said(message) == first, f"{name}: {said(message)!r} is not {first!r}")


def thinking(client):
    for name, way in WAYS.items():
        message = way(client, model="replay-thinking", messages=QUESTION, thinking=THINKING)
        kinds = [block.type for block in message.content]
        check(kinds == ["thinking", "text"], f"{name}: blocks are {kinds}")
        check(message.content[0].thinking not in said(message), f"{name}: thoughts in the text")
        message = way(client, model="replay-thinking", messages=QUESTION)
        kinds = [block.type for block in message.content]
        check(kinds == ["text"], f"{name}: thinking that was not asked for: {kinds}")


def tool_loop(client, way, directory):
    file = directory / "hello-open-cursor.txt"
    file.unlink(missing_ok=True)
    messages, names = list(QUESTION), []
    for _turn in range(8):
        message = way(client, model="replay-files", messages=messages, tools=TOOLS)
        messages.append({"role": "assistant", "content": message.content})
        calls = [block for block in message.content if block.type == "tool_use"]
        check(message.stop_reason == ("tool_use" if calls else "end_turn"), f"{message}")
        if not calls:
            break
        results = []
        for call in calls:
            names.append(call.name)
            if call.name == "write":
                file.write_text(call.input["content"])
            content = file.read_text() if call.name == "read" else "written"
            results.append({"type": "tool_result", "tool_use_id": call.id, "content": content})
        messages.append({"role": "user", "content": results})
    check(names == ["write", "read"], f"the calls were {names}")
    line = file.read_text().splitlines()[0]
    check(line in said(message), f"the answer does not quote {line!r}: {said(message)!r}")


def limits(client):
    whole = said(plain(client, model="auto", messages=QUESTION))
    for way in WAYS.values():
        message = way(client, model="auto", messages=QUESTION, stop_sequences=["language", "zzz"])
        check((message.stop_reason, message.stop_sequence) == ("stop_sequence", "language"), f"{message}")
        check(said(message) == whole.split("language")[0], f"cut at {said(message)!r}")
    message = client.messages.create(model="auto", messages=QUESTION, max_tokens=2)
    check((message.stop_reason, said(message)) == ("max_tokens", whole[:8]), f"{message}")


def counts_and_models(client):
    raw = client.messages.with_raw_response.count_tokens(model="auto", messages=QUESTION, tools=TOOLS)
    count = pydantic.TypeAdapter(MessageTokensCount).validate_json(raw.text(), strict=True)
    check(count.input_tokens > 10, f"{count}")
    models = [model for page in client.models.list().iter_pages() for model in page.data]
    check("auto" in [model.id for model in models], f"auto is not among {models}")
    one = client.models.with_raw_response.retrieve("auto")
    model = pydantic.TypeAdapter(ModelInfo).validate_json(one.text())
    check((model.id, model.type) == ("auto", "model"), f"{model}")
    raises(anthropic.NotFoundError, lambda: client.models.retrieve("no-such-model"), 404)


def errors(client):
    def ask(stream, **request):
        request = {"model": "auto", "messages": QUESTION, "max_tokens": 1000, **request}
        return list(client.messages.create(stream=stream, **request))

    for stream in (False, True):
        for model, kind, status, name in [
            ("replay-error-login", anthropic.AuthenticationError, 401, "authentication_error"),
            ("replay-error-rate-limit", anthropic.RateLimitError, 429, "rate_limit_error"),
            ("replay-error-crash", anthropic.InternalServerError, 502, "api_error"),
            ("no-such-model", anthropic.NotFoundError, 404, "not_found_error"),
        ]:
            error = raises(kind, lambda m=model: ask(stream, model=m), status)
            check(error.body["type"] == "error", f"{model}: the body is {error.body}")
            check(error.body["error"]["type"] == name, f"{model}: the body is {error.body}")
    raises(anthropic.APIStatusError, lambda: ask(False, model="replay-error-usage-limit"), 402)
    raises(anthropic.BadRequestError, lambda: ask(False, messages=[{"role": 7, "content": ""}]), 400)
    # The text that came stays; the break is an error, not an end.
    raises(anthropic.APIStatusError, lambda: ask(True, model="replay-error-truncated"))


def proof(server, _scratch):
    client = anthropic.Anthropic(base_url=server.url, api_key="unused", max_retries=0, timeout=20)
    with step("a message: plain and by the stream helper alike"):
        answers(client)
    with step("thinking, only if asked for"):
        thinking(client)
    for name, way in WAYS.items():
        with step(f"tools, {name}: write a file, read it, answer"):
            tool_loop(client, way, server.workspace)
    with step("stop sequences and max_tokens"):
        limits(client)
    with step("token counts and models"):
        counts_and_models(client)
    with step("errors: every class, and a stream that breaks off"):
        errors(client)
    with step("the Node SDK: message, stream, tools, count, models, errors"):
        node("anthropic_sdk.mjs", NODE, server, json.dumps(TOOLS))


if __name__ == "__main__":
    BINARY, NODE = sys.argv[1:]
    main(BINARY, proof)
