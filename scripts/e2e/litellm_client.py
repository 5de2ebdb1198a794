"""LiteLLM as a client of open-cursor with the replay agent."""

import sys

import litellm
from harness import check, main, step

litellm.suppress_debug_info = True
QUESTION = [{"role": "user", "content": "say hello"}]


def chat(server, provider, model, base, stream):
    answer = litellm.completion(
        model=f"{provider}/{model}", api_base=server.url + base, api_key="unused",
        messages=QUESTION, stream=stream,
    )
    if not stream:
        return answer.choices[0].message.content
    return "".join(chunk.choices[0].delta.content or "" for chunk in answer)


def responses(server, model, stream):
    answer = litellm.responses(
        model=f"openai/{model}", api_base=server.url + "/v1", api_key="unused",
        input="say hello", stream=stream,
    )
    if not stream:
        return answer.output[-1].content[0].text
    return "".join(e.delta for e in answer if e.type == "response.output_text.delta")


def router(server, model, _stream):
    parameters = {"model": f"openai/{model}", "api_base": server.url + "/v1", "api_key": "unused"}
    deployments = [{"model_name": "any", "litellm_params": parameters}]
    answer = litellm.Router(model_list=deployments, num_retries=3).completion("any", QUESTION)
    return answer.choices[0].message.content


WAYS = {
    "chat completions": lambda s, m, stream: chat(s, "openai", m, "/v1", stream),
    "Responses": responses,
    "Messages": lambda s, m, stream: chat(s, "anthropic", m, "", stream),
    "Gemini": lambda s, m, stream: chat(s, "gemini", m, "/v1beta", stream),
    "a router with retries": router,
}


def answers(server, way):
    expected = server.ask("auto", "say hello")
    for stream in (False, True):
        text = way(server, "auto", stream)
        check(text == expected, f"stream={stream}: {text!r} is not {expected!r}")


def ends(server, way):
    for stream in (False, True):
        before = len(server.runs())
        try:
            text = way(server, "replay-error-usage-limit", stream)
        except Exception as error:
            check("usage limit" in str(error).lower() or "failed" in str(error), f"it says {error}")
        else:
            # Its streams of Responses hand the failure on as an event.
            check(stream and not text, f"no error, but {text!r}")
        runs = len(server.runs()) - before
        check(runs == 1, f"stream={stream}: {runs} runs of the agent")


def proof(server, _scratch):
    for name, way in WAYS.items():
        with step(f"{name}: whole and streamed"):
            answers(server, way)
        with step(f"{name}: a usage limit ends it after one run"):
            ends(server, way)


if __name__ == "__main__":
    (BINARY,) = sys.argv[1:]
    main(BINARY, proof, "--dump-dir", "dumps")
