"""The official OpenAI Python SDK as a client of open-cursor with the replay agent."""

import concurrent.futures
import sys

import openai
from harness import Failed, check, main, node, raises, step
from openai.types.chat import ChatCompletionMessage
from openai_responses import responses
from openai_tools import TOOLS, Workspace

QUESTION = [{"role": "user", "content": "say hello"}]


def plain(client, **request):
    """One answer, not streamed, as (message, finish_reason)."""
    answer = client.chat.completions.create(**request)
    check(answer.object == "chat.completion", f"object is {answer.object}")
    check(answer.id.startswith("chatcmpl-"), f"id is {answer.id}")
    check(len(answer.choices) == 1, f"{len(answer.choices)} choices")
    return answer.choices[0].message, answer.choices[0].finish_reason


def streamed(client, **request):
    """The same by hand from chunks, checking what every chunk must keep to."""
    text, calls, finish, seen, usage = "", {}, [], set(), None
    with client.chat.completions.create(stream=True, **request) as chunks:
        for number, chunk in enumerate(chunks):
            check(chunk.object == "chat.completion.chunk", f"object is {chunk.object}")
            seen.add((chunk.id, chunk.created, chunk.model))
            usage = chunk.usage or usage
            if not chunk.choices:
                check(finish, "a chunk without choices came before the finish")
                continue
            check(not finish, f"a chunk after the finish: {chunk}")
            choice = chunk.choices[0]
            check(number or choice.delta.role == "assistant", f"the first chunk is {chunk}")
            text += choice.delta.content or ""
            for call in choice.delta.tool_calls or []:
                add_call(calls, call)
            if choice.finish_reason:
                finish.append(choice.finish_reason)
    check(len(seen) == 1, f"id, created or model change within a stream: {seen}")
    check(len(finish) == 1, f"finish reasons: {finish}")
    check(list(calls) == list(range(len(calls))), f"indices of the calls: {list(calls)}")
    message = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = list(calls.values())
    return ChatCompletionMessage.model_validate(message), finish[0]


def add_call(calls, delta):
    if delta.index not in calls:
        check(delta.id and delta.function.name, f"a call begins without id or name: {delta}")
        check(delta.type == "function", f"the type of a call is {delta.type}")
        function = {"name": delta.function.name, "arguments": ""}
        calls[delta.index] = {"id": delta.id, "type": "function", "function": function}
    calls[delta.index]["function"]["arguments"] += delta.function.arguments or ""


def helped(client, **request):
    """The same by the SDK's own helper, which is stricter than plain iteration."""
    text = ""
    with client.chat.completions.stream(**request) as events:
        for event in events:
            if event.type == "content.delta":
                text += event.delta
        choice = events.get_final_completion().choices[0]
    check((choice.message.content or "") == text, f"{choice.message.content!r} is not {text!r}")
    return choice.message, choice.finish_reason


WAYS = {"plain": plain, "streamed": streamed, "stream helper": helped}


# What fails before the agent's first event: the model, the SDK's class, the status.
REFUSED = [
    ("replay-error-login", openai.AuthenticationError, 401),
    ("replay-error-rate-limit", openai.RateLimitError, 429),
    ("replay-error-untrusted", openai.InternalServerError, 500),
    ("replay-error-crash", openai.InternalServerError, 502),
    ("replay-error-exit-zero", openai.InternalServerError, 502),
    ("no-such-model", openai.NotFoundError, 404),
]


def models(client):
    ids = [model.id for model in client.models.list()]
    check("auto" in ids, f"auto is not among {ids}")
    check(len(ids) == len(set(ids)), f"a model is listed twice: {ids}")
    check(client.models.retrieve("auto").id == "auto", "retrieve(auto) gives another")
    raises(openai.NotFoundError, lambda: client.models.retrieve("no-such-model"))


def answers(client):
    """Every way gives the same, and finishes by `stop`."""
    first = None
    for name, way in WAYS.items():
        message, finish = way(client, model="auto", messages=QUESTION)
        check(finish == "stop", f"{name}: finish_reason is {finish}")
        check(message.content and message.content.strip(), f"{name}: no text: {message}")
        check(not message.tool_calls, f"{name}: calls where no tool was offered: {message}")
        first = first or message.content
        check(message.content == first, f"{name}: {message.content!r} is not {first!r}")


def thinking(client):
    message, _ = plain(client, model="replay-thinking", messages=QUESTION)
    reasoning = (message.model_extra or {}).get("reasoning_content")
    check(reasoning, f"no reasoning_content: {message}")
    streamed_reasoning, text = "", ""
    request = {"model": "replay-thinking", "messages": QUESTION, "stream": True}
    with client.chat.completions.create(**request) as chunks:
        for chunk in chunks:
            for choice in chunk.choices:
                streamed_reasoning += (choice.delta.model_extra or {}).get("reasoning_content") or ""
                text += choice.delta.content or ""
    check(streamed_reasoning == reasoning, f"{streamed_reasoning!r} is not {reasoning!r}")
    check(text == message.content, f"{text!r} is not {message.content!r}")
    check(reasoning not in text, "the reasoning is repeated in the answer")


def usage(client):
    """Asked for, usage is the last chunk, and the same as when not streamed."""
    whole = client.chat.completions.create(model="auto", messages=QUESTION).usage
    check(whole and whole.prompt_tokens > 0, f"usage is {whole}")
    check(whole.total_tokens == whole.prompt_tokens + whole.completion_tokens, f"{whole}")
    request = {"model": "auto", "messages": QUESTION, "stream": True}
    with client.chat.completions.create(**request, stream_options={"include_usage": True}) as chunks:
        *_, last = chunks
    check(last.choices == [], f"the last chunk is {last}")
    check(last.usage and last.usage.prompt_tokens > 0, f"the last chunk's usage is {last.usage}")
    with client.chat.completions.create(**request, stream_options={"include_usage": False}) as chunks:
        check(all(chunk.usage is None for chunk in chunks), "usage came though it was declined")


def activity(client):
    """What ran on the agent's side comes in a member of ours, and changes nothing else."""
    request = {"model": "replay-shell", "messages": QUESTION}
    wanted = {"activity": [{"tool": "shell", "outcome": "rejected"}]}
    asking = {"extra_body": {"x_cursor": True}}
    first, _ = plain(client, **request)
    for name, way in WAYS.items():
        message, finish = way(client, **request, **asking)
        check((message.content, finish) == (first.content, "stop"), f"{name}: {message}")
    whole = client.chat.completions.create(**request, **asking)
    check(whole.model_extra.get("x_cursor") == wanted, f"whole: {whole.model_extra}")
    with client.chat.completions.create(**request, **asking, stream=True) as chunks:
        *_, last = chunks
    check(last.model_extra.get("x_cursor") == wanted, f"the last chunk is {last}")
    check(last.usage and last.choices == [], f"the last chunk is {last}")


def tool_loop(client, way, workspace, model, expected):
    """Runs the whole loop as an agent program does; returns the final text and all results."""
    messages, names, ids, results = list(QUESTION), [], set(), []
    for _turn in range(8):
        message, finish = way(client, model=model, messages=messages, tools=TOOLS)
        messages.append(message)
        if not message.tool_calls:
            check(finish == "stop", f"finish_reason is {finish}")
            check(names == expected, f"expected the calls {expected}, got {names}")
            check(message.content and message.content.strip(), f"no final text: {message}")
            return message.content, results
        check(finish == "tool_calls", f"finish_reason is {finish} beside calls")
        for call in message.tool_calls:
            check(call.id not in ids and "\n" not in call.id, f"call id {call.id!r}")
            ids.add(call.id)
            names.append(call.function.name)
            result = workspace.execute(call.function)
            results.append(result)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    raise Failed(f"no end after 8 turns: {names}")


def files(client, way, directory):
    file = directory / "hello-open-cursor.txt"
    file.unlink(missing_ok=True)
    text, _ = tool_loop(client, way, Workspace(directory), "replay-files", ["write", "read"])
    line = file.read_text().split("\n")[0]
    check(line and line in text, f"the answer does not quote {line!r}: {text!r}")


def parallel(client, way, directory):
    message, finish = way(client, model="replay-parallel", messages=QUESTION, tools=TOOLS)
    check(finish == "tool_calls", f"finish_reason is {finish}")
    calls = message.tool_calls
    names = [call.function.name for call in calls]
    check(names == ["read", "bash"], f"one turn should carry all calls: {calls}")
    check(len({call.id for call in calls}) == len(calls), f"ids: {calls}")
    workspace = Workspace(directory)
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": workspace.execute(call.function)}
        for call in calls
    ]
    messages = [*QUESTION, message, *results]
    message, finish = way(client, model="replay-parallel", messages=messages, tools=TOOLS)
    check(finish == "stop" and message.content, f"{finish} after all results: {message}")


def fails(client, model, kind, status):
    """Streamed or not, a failure before the first event has a real status."""
    for stream in (False, True):
        request = {"model": model, "messages": QUESTION, "stream": stream}
        error = raises(kind, lambda: client.chat.completions.create(**request), status)
        shape = {"message", "type", "param", "code"}
        check(set(error.body) == shape, f"{model}: the error's body is {error.body}")


def breaks(client, model, kind, status, text):
    """A failure after the first event: a real status for plain answers, an error in a stream."""
    request = {"model": model, "messages": QUESTION}
    raises(kind, lambda: client.chat.completions.create(**request), status)
    came = ""

    def read():
        nonlocal came
        with client.chat.completions.create(**request, stream=True) as chunks:
            for chunk in chunks:
                for choice in chunk.choices:
                    came += choice.delta.content or ""
                    check(choice.finish_reason is None, "a broken stream says that it finished")

    error = raises(openai.APIError, read)
    check(not isinstance(error, openai.APIStatusError), f"no stream began: {error}")
    check(text in came, f"the text before the break is lost: {came!r}")


def bad_requests(client):
    create = client.chat.completions.create
    parts = [{"type": "no-such-part"}]
    bad = {
        "messages": lambda: create(model="auto", messages="hello"),
        "messages[0].role": lambda: create(model="auto", messages=[{"role": 7, "content": ""}]),
        "messages[0].content[0].type": lambda: create(
            model="auto", messages=[{"role": "user", "content": parts}]
        ),
    }
    for path, action in bad.items():
        error = raises(openai.BadRequestError, action, 400)
        check(path in error.message or path == error.param, f"{path} is not named: {error.message}")
    huge = [{"role": "user", "content": "x" * (33 << 20)}]
    raises(openai.APIStatusError, lambda: create(model="auto", messages=huge), 413)


def hang_up(client, server):
    """A client that goes away takes its agent with it, and only its own."""
    request = {"model": "replay-error-hang", "messages": QUESTION, "timeout": 1.5}
    for stream in (False, True):

        def read():
            answer = client.chat.completions.create(**request, stream=stream)
            return list(answer)

        raises(openai.APITimeoutError, read)
        server.check_no_agent_left()


def together(client):
    answer = plain(client, model="auto", messages=QUESTION)[0].content
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(streamed, client, model="auto", messages=QUESTION) for _ in range(3)]
        for future in asked:
            check(future.result()[0].content == answer, f"mixed up: {future.result()}")


def proof(server, _scratch):
    client = openai.OpenAI(
        base_url=server.url + "/v1", api_key="unused", max_retries=0, timeout=20
    )
    with step("models: list, retrieve, unknown"):
        models(client)
    with step("a chat: plain, streamed and by the stream helper alike"):
        answers(client)
    with step("three streams at once"):
        together(client)
    with step("reasoning"):
        thinking(client)
    with step("usage"):
        usage(client)
    with step("x_cursor: what ran on Cursor's side"):
        activity(client)
    for name, way in WAYS.items():
        with step(f"tools, {name}: write a file, read it, answer"):
            files(client, way, server.workspace)
        with step(f"tools, {name}: a command, and calls in parallel"):
            tool_loop(client, way, Workspace(server.workspace), "replay-shell", ["bash"])
            parallel(client, way, server.workspace)
    for model, kind, status in REFUSED:
        with step(f"error class of {model}"):
            fails(client, model, kind, status)
    with step("errors: bad bodies and a body of 33 MiB"):
        bad_requests(client)
    with step("error after the first event: usage limit"):
        breaks(client, "replay-error-usage-limit", openai.APIStatusError, 402, "")
    with step("error after the first event: the agent breaks off"):
        breaks(client, "replay-error-truncated", openai.InternalServerError, 502, "breaks off")
    with step("a client that hangs up"):
        hang_up(client, server)
    responses(client, server.workspace)
    with step("the Node SDK: chat, Responses, streams, tools, errors"):
        node("openai_sdk.mjs", NODE, server)
    with step("still answering"):
        answers(client)


if __name__ == "__main__":
    BINARY, NODE = sys.argv[1:]
    main(BINARY, proof, "--responses-store", "100")
