"""The part of the proof that google-genai does: typed answers, streams, tools, errors."""

import base64

from google import genai
from google.genai import errors, types
from harness import check, raises, step

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def generated(client, **request):
    response = client.models.generate_content(**request)
    return response.text, response


def streamed(client, **request):
    text, last = "", None
    for last in client.models.generate_content_stream(**request):
        text += last.text or ""
    return text, last


WAYS = {"generate": generated, "stream": streamed}


def answers(client):
    first = None
    for name, way in WAYS.items():
        text, response = way(client, model="auto", contents="say hello")
        first = first or text
        check(text and text == first, f"{name}: {text!r} is not {first!r}")
        (candidate,) = response.candidates
        check(candidate.finish_reason == types.FinishReason.STOP, f"{name}: {candidate}")
        check(response.usage_metadata.total_token_count > 0, f"{name}: {response.usage_metadata}")
        config = types.GenerateContentConfig(max_output_tokens=2)
        text, response = way(client, model="auto", contents="say hello", config=config)
        reason = response.candidates[0].finish_reason
        check((text, reason) == (first[:8], types.FinishReason.MAX_TOKENS), f"{name}: {text!r} {reason}")


def thoughts(client):
    for shown in (True, False):
        thinking = types.ThinkingConfig(include_thoughts=shown)
        config = types.GenerateContentConfig(thinking_config=thinking)
        response = client.models.generate_content(
            model="replay-thinking", contents="think", config=config
        )
        parts = response.candidates[0].content.parts
        found = [part.text for part in parts if part.thought]
        check(bool(found) == shown, f"include_thoughts={shown}: {parts}")
        check(not found or found[0] not in response.text, f"the reasoning is repeated: {parts}")


class Workspace:
    """Functions that the SDK calls by itself."""

    def __init__(self, directory):
        self.directory = directory
        self.called = []

    def write_file(self, file_path: str, content: str) -> str:
        """Writes a file.

        Args:
          file_path: where
          content: what
        """
        self.called.append("write_file")
        (self.directory / file_path).write_text(content)
        return "written"

    def read_file(self, file_path: str) -> str:
        """Reads a file.

        Args:
          file_path: where
        """
        self.called.append("read_file")
        return (self.directory / file_path).read_text()


def automatic(client, directory, stream):
    """The SDK's own tool loop, by a chat that goes on afterwards."""
    file = directory / "hello-open-cursor.txt"
    file.unlink(missing_ok=True)
    workspace = Workspace(directory)
    config = types.GenerateContentConfig(tools=[workspace.write_file, workspace.read_file])
    chat = client.chats.create(model="replay-files", config=config)
    if stream:
        said = chat.send_message_stream("write a file and read it")
        text = "".join(chunk.text or "" for chunk in said)
    else:
        text = chat.send_message("write a file and read it").text
    check(workspace.called == ["write_file", "read_file"], f"called: {workspace.called}")
    line = file.read_text().splitlines()[0]
    check(line in text, f"the answer does not quote {line!r}: {text!r}")
    kept = chat.get_history(curated=True)
    check(kept and kept[-1].role == "model", f"the history was dropped: {kept}")


def other_requests(client):
    models = [model.name for model in client.models.list()]
    check("models/auto" in models, f"the models are {models}")
    model = client.models.get(model="auto")
    check(model.name == "models/auto", f"the model is {model}")
    count = client.models.count_tokens(model="auto", contents="12345678")
    check(count.total_tokens == 2, f"the count is {count}")
    picture = types.Part.from_bytes(data=PNG, mime_type="image/png")
    text, _ = generated(client, model="auto", contents=["what is this?", picture])
    check(text, "no answer about an image")
    config = types.GenerateContentConfig(candidate_count=2)
    response = client.models.generate_content(model="auto", contents="hi", config=config)
    check(len(response.candidates) == 2, f"the candidates are {response.candidates}")


def failures(client):
    for model, code, status in [
        ("replay-error-login", 401, "UNAUTHENTICATED"),
        ("replay-error-usage-limit", 402, "FAILED_PRECONDITION"),
        ("replay-error-rate-limit", 429, "RESOURCE_EXHAUSTED"),
        ("no-such-model", 404, "NOT_FOUND"),
    ]:
        for name, way in WAYS.items():
            error = raises(errors.APIError, lambda: way(client, model=model, contents="hi"))
            check((error.code, error.status) == (code, status), f"{name}, {model}: {error}")
    # This one fails after its first words.
    request = {"model": "replay-error-truncated", "contents": "hi"}
    error = raises(errors.APIError, lambda: streamed(client, **request))
    check(error.code == 502, f"cut off: {error}")
    tools = types.GenerateContentConfig(tools=[{"code_execution": {}}])
    error = raises(
        errors.ClientError,
        lambda: client.models.generate_content(model="auto", contents="hi", config=tools),
    )
    check(error.code == 400 and "tools[0]" in error.message, f"hosted tool: {error}")


def sdk(server):
    """All steps."""
    options = types.HttpOptions(base_url=server.url)
    client = genai.Client(api_key="unused", http_options=options)
    with step("google-genai: answers, whole and streamed alike; cut at a length"):
        answers(client)
    with step("google-genai: thoughts, only if asked for"):
        thoughts(client)
    for stream in (False, True):
        name = "streamed" if stream else "whole"
        with step(f"google-genai: automatic function calling, {name}"):
            automatic(client, server.workspace, stream)
    with step("google-genai: models, counts, an image, candidates"):
        other_requests(client)
    with step("google-genai: errors, also in the middle of a stream"):
        failures(client)
