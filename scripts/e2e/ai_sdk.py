"""Vercel's AI SDK as a client of open-cursor with the replay agent."""

import sys

from harness import Server, main, node, step


def proof(server, scratch):
    with step("OpenAI provider: tool loops by item references, whole and streamed"):
        node("ai_sdk.mjs", DIRECTORY, server, "loop")
    with step("OpenAI provider: reasoning is referred to as well"):
        node("ai_sdk.mjs", DIRECTORY, server, "reasoning")
    with step("OpenAI provider: an item that is lost is an error that says what to do"):
        node("ai_sdk.mjs", DIRECTORY, server, "lost")
    with step("OpenAI provider: without the store, items are sent whole"):
        node("ai_sdk.mjs", DIRECTORY, server, "unstored")
    scratch /= "no-store"
    scratch.mkdir()
    with Server(BINARY, scratch, ("--responses-store", "0")) as server:
        with step("a server that stores nothing: the same, as the client says so"):
            node("ai_sdk.mjs", DIRECTORY, server, "unstored")


if __name__ == "__main__":
    DIRECTORY, BINARY = sys.argv[1:]
    main(BINARY, proof)
