"""The Responses part of the OpenAI SDK's proof; every object and event is validated by its types."""

import json

import openai
import pydantic
from harness import check, raises, step
from openai.types.responses import Response, ResponseStreamEvent
from openai_tools import TOOLS, Workspace

RESPONSE = pydantic.TypeAdapter(Response)
EVENT = pydantic.TypeAdapter(ResponseStreamEvent)
FLAT = [{"type": "function", "strict": False, **tool["function"]} for tool in TOOLS]


def plain(client, **request):
    """One response, not streamed; the SDK itself would take any JSON for one, so it is validated."""
    raw = client.responses.with_raw_response.create(**request)
    RESPONSE.validate_json(raw.text)
    return raw.parse()


def streamed(client, **request):
    """The same by hand from events, each validated and in sequence."""
    text, last = "", None
    with client.responses.create(stream=True, **request) as events:
        for number, event in enumerate(events):
            check(event.sequence_number == number, f"event {number} is {event}")
            EVENT.validate_python(event.to_dict())
            last = event
            if event.type == "response.output_text.delta":
                text += event.delta
    check(last.type in ("response.completed", "response.incomplete"), f"the last event is {last}")
    check(last.response.output_text == text, f"{last.response.output_text!r} is not {text!r}")
    return last.response


def helped(client, **request):
    """The same by the SDK's own helper, which puts the events together."""
    with client.responses.stream(**request) as events:
        for _event in events:
            pass
        return events.get_final_response()


WAYS = {"plain": plain, "streamed": streamed, "stream helper": helped}


def answers(client):
    first = None
    for name, way in WAYS.items():
        response = way(client, model="auto", instructions="Be brief.", input="say hello")
        check(response.status == "completed", f"{name}: status is {response.status}")
        check([item.type for item in response.output] == ["message"], f"{name}: {response.output}")
        first = first or response.output_text
        check(first and response.output_text == first, f"{name}: {response.output_text!r}")
        check(response.usage.total_tokens > 0, f"{name}: usage is {response.usage}")
        if way is helped:
            continue  # it knows no end but `response.completed`
        short = way(client, model="auto", input="say hello", max_output_tokens=2)
        reason = short.incomplete_details and short.incomplete_details.reason
        check((short.status, reason) == ("incomplete", "max_output_tokens"), f"{name}: {short}")
        check(short.output_text == first[:8], f"{name}: cut at {short.output_text!r}")


def reasoning(client):
    for name, way in WAYS.items():
        request = {"model": "replay-thinking", "input": "say hello"}
        response = way(client, **request, reasoning={"summary": "auto"})
        kinds = [item.type for item in response.output]
        check(kinds == ["reasoning", "message"], f"{name}: items are {kinds}")
        check(response.output[0].summary[0].text not in response.output_text, f"{name}: repeated")
        kinds = [item.type for item in way(client, **request).output]
        check(kinds == ["message"], f"{name}: reasoning that was not asked for: {kinds}")


def tool_loop(client, way, directory):
    file = directory / "hello-open-cursor.txt"
    file.unlink(missing_ok=True)
    workspace, names = Workspace(directory), []
    items = [{"role": "user", "content": "write a file and read it"}]
    for _turn in range(8):
        response = way(client, model="replay-files", input=items, tools=FLAT)
        items += [item.to_dict() for item in response.output]
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            break
        for call in calls:
            names.append(call.name)
            output = workspace.execute(call)
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": output})
    check(names == ["write", "read"], f"the calls were {names}")
    line = file.read_text().splitlines()[0]
    check(line in response.output_text, f"the answer does not quote {line!r}")


def continued(client, way, directory):
    """A tool loop whose requests hold only what is new: the server keeps the rest."""
    file = directory / "hello-open-cursor.txt"
    file.unlink(missing_ok=True)
    workspace, names = Workspace(directory), []
    request = {"model": "replay-files", "tools": FLAT}
    response = way(client, input="write a file and read it", **request)
    for _turn in range(8):
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            break
        items = [
            {"type": "function_call_output", "call_id": call.call_id, "output": workspace.execute(call)}
            for call in calls
        ]
        names += [call.name for call in calls]
        previous = response.id
        response = way(client, input=items, previous_response_id=previous, **request)
        check(response.previous_response_id == previous, f"it continues {response.previous_response_id}")
    check(names == ["write", "read"], f"the calls were {names}")
    line = file.read_text().splitlines()[0]
    check(line in response.output_text, f"the answer does not quote {line!r}")


def unknown(client):
    """What the SDK makes of a response that is not stored."""
    unkept = client.responses.create(model="auto", input="hi", store=False)
    for previous in ("resp_1", unkept.id):
        error = raises(
            openai.BadRequestError,
            lambda: client.responses.create(model="auto", input="hi", previous_response_id=previous),
            400,
        )
        told = (error.code, error.param)
        check(told == ("previous_response_not_found", "previous_response_id"), f"it says {error.body}")


def errors(client):
    def ask(stream=False, **request):
        return list(client.responses.create(stream=stream, **{"input": "hi", "model": "auto", **request}))

    for stream in (False, True):
        raises(openai.AuthenticationError, lambda: ask(stream, model="replay-error-login"), 401)
        raises(openai.RateLimitError, lambda: ask(stream, model="replay-error-rate-limit"), 429)
        raises(openai.NotFoundError, lambda: ask(stream, model="no-such-model"), 404)
    for bad in ({"background": True}, {"tools": [{"type": "file_search", "vector_store_ids": []}]}):
        error = raises(openai.BadRequestError, lambda: ask(**bad), 400)
        check(error.param in ("background", "tools[0]"), f"the body is {error.body}")
    last = ask(True, model="replay-error-truncated")[-1]
    check(last.type == "response.failed", f"the last event is {last}")
    EVENT.validate_python(last.to_dict())
    raises(openai.NotFoundError, lambda: client.embeddings.create(model="auto", input="hi"), 404)


def completions(client):
    whole = client.completions.create(model="auto", prompt="say hello")
    chunks = list(client.completions.create(model="auto", prompt="say hello", stream=True))
    text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    check(whole.choices[0].text == text and text, f"{whole.choices[0].text!r} is not {text!r}")


def json_format(client):
    """The replay agent never answers in JSON: after the second try that is an error with its text."""
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    formats = {"format": {"type": "json_schema", "name": "none", "schema": schema}}
    error = raises(
        openai.UnprocessableEntityError,
        lambda: client.responses.create(model="auto", input="hi", text=formats),
        422,
    )
    check("replay agent" in error.message, f"the text is not told: {json.dumps(error.body)}")


def responses(client, directory):
    """All steps."""
    with step("Responses: plain, streamed and by the stream helper alike; cut at a length"):
        answers(client)
    with step("Responses: reasoning, only if asked for"):
        reasoning(client)
    for name, way in WAYS.items():
        with step(f"Responses: tools, {name}: write a file, read it, answer"):
            tool_loop(client, way, directory)
        with step(f"Responses: continued by previous_response_id, {name}"):
            continued(client, way, directory)
    with step("Responses: one that is not stored"):
        unknown(client)
    with step("Responses: errors"):
        errors(client)
    with step("Responses: an answer that is not the JSON asked for"):
        json_format(client)
    with step("completions: plain and streamed"):
        completions(client)
