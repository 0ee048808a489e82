"""The Python SDKs of OpenAI and Anthropic, synchronous and asynchronous, pointed at the gateway."""
import asyncio
import contextlib
import time

import anthropic
import openai
from support import Failed, check, equal, holds

MESSAGES = [{"role": "user", "content": "one two three"}]
GPT = {"model": "gpt-mock", "messages": MESSAGES}
CLAUDE = {"model": "claude-mock", "messages": MESSAGES, "max_tokens": 100}
TEXT = "This answer was made up by a mock; it is the same"
"""The 12 tokens that the mock says here."""


@contextlib.contextmanager
def openai_client(world, base, retries=0, hook=None):
    transport = openai.DefaultHttpxClient(**world.httpx(base))
    if hook:
        transport.event_hooks["request"].append(hook)
    with openai.OpenAI(api_key="sk-check", base_url=f"{base}/v1", max_retries=retries, http_client=transport) as client:
        yield client


@contextlib.contextmanager
def anthropic_client(world, base, retries=0, hook=None):
    transport = anthropic.DefaultHttpxClient(**world.httpx(base))
    if hook:
        transport.event_hooks["request"].append(hook)
    with anthropic.Anthropic(api_key="sk-check", base_url=base, max_retries=retries, http_client=transport) as client:
        yield client


def sent_credentials(world):
    shown = ("authorization", "x-api-key")
    return [pair for pair in world.stats()["last_request"]["headers"] if pair[0] in shown]


@check("openai: a completion, chat and text, has its text and usage; the key arrives unchanged", http2=True)
def openai_plain(world):
    with openai_client(world, world.mock) as client:
        client.chat.completions.create(**GPT)
        credentials = sent_credentials(world)
    for name, base in world.ways():
        with openai_client(world, base) as client:
            got = client.chat.completions.create(**GPT)
            equal(got.choices[0].message.content, TEXT, f"chat, {name}")
            equal((got.usage.prompt_tokens, got.usage.completion_tokens), (3, 12), f"usage, {name}")
            equal(sent_credentials(world), credentials, f"credentials at the origin, {name}")
            got = client.completions.create(model="gpt-mock", prompt="one two")
            equal(got.choices[0].text, TEXT, f"text, {name}")


@check("openai: a stream has each token and the usage at its end; stream helpers see the whole message", http2=True)
def openai_stream(world):
    for name, base in world.ways():
        with openai_client(world, base) as client:
            stream = client.chat.completions.create(**GPT, stream=True, stream_options={"include_usage": True})
            chunks = list(stream)
            tokens = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
            equal("".join(token or "" for token in tokens), TEXT, f"tokens, {name}")
            equal(chunks[-1].usage.total_tokens, 15, f"usage, {name}")
            with client.chat.completions.stream(**GPT) as stream:
                deltas = [event.delta for event in stream if event.type == "content.delta"]
                final = stream.get_final_completion()
            equal("".join(deltas), TEXT, f"deltas of the helper, {name}")
            equal(final.choices[0].message.content, TEXT, f"the helper's message, {name}")
            text = client.completions.create(model="gpt-mock", prompt="one", stream=True)
            equal("".join(chunk.choices[0].text for chunk in text), TEXT, f"text completion, {name}")


@check("openai: models, one model, embeddings and an unknown model are what the mock says", http2=True)
def openai_rest(world):
    def ask(base):
        with openai_client(world, base) as client:
            vectors = client.embeddings.create(model="embedding-mock", input=["one", "two"])
            try:
                client.models.retrieve("nobody")
                raise Failed("an unknown model is an error")
            except openai.NotFoundError as error:
                missing = (error.status_code, error.code)
            return ([model.id for model in client.models.list()], client.models.retrieve("gpt-mock").id,
                    [item.embedding for item in vectors.data], vectors.usage.total_tokens, missing)

    wanted = ask(world.mock)
    equal((len(wanted[2][0]), wanted[3]), (1536, 2), "the mock's own vectors")
    for name, base in world.ways():
        equal(ask(base), wanted, name)


@check("anthropic: a message has its text and usage; models are listed; the key arrives unchanged", http2=True)
def anthropic_plain(world):
    with anthropic_client(world, world.mock) as client:
        client.messages.create(**CLAUDE)
        credentials = sent_credentials(world)
        models = [model.id for model in client.models.list()]
    for name, base in world.ways():
        with anthropic_client(world, base) as client:
            got = client.messages.create(**CLAUDE)
            equal(got.content[0].text, TEXT, f"text, {name}")
            equal((got.usage.input_tokens, got.usage.output_tokens), (3, 12), f"usage, {name}")
            equal(sent_credentials(world), credentials, f"credentials at the origin, {name}")
            equal([model.id for model in client.models.list()], models, f"models, {name}")


@check("anthropic: a stream has the documented events in order; stream helpers see text and final message", http2=True)
def anthropic_stream(world):
    start = ["message_start", "content_block_start"]
    end = ["content_block_stop", "message_delta", "message_stop"]
    for name, base in world.ways():
        with anthropic_client(world, base) as client:
            types = [event.type for event in client.messages.create(**CLAUDE, stream=True)]
            types = [kind for kind in types if kind != "ping"]  # versions of the SDK differ in showing it
            equal(types, start + ["content_block_delta"] * 12 + end, f"events, {name}")
            with client.messages.stream(**CLAUDE) as stream:
                text = "".join(stream.text_stream)
                final = stream.get_final_message()
            equal((text, final.content[0].text), (TEXT, TEXT), f"the helper's text, {name}")
            equal((final.stop_reason, final.usage.output_tokens), ("end_turn", 12), f"end, {name}")


@check("openai, anthropic: a request body of 8 MiB arrives whole", http2=True)
def large_bodies(world):
    words = (8 << 20) // 8
    large = [{"role": "user", "content": "sixteen " * words}]
    for name, base in world.ways():
        before = world.stats()["bytes_received"]
        with openai_client(world, base) as client:
            got = client.chat.completions.create(model="gpt-mock", messages=large)
            equal(got.usage.prompt_tokens, words, f"openai, {name}")
        with anthropic_client(world, base) as client:
            got = client.messages.create(model="claude-mock", messages=large, max_tokens=5)
            equal((got.usage.input_tokens, got.stop_reason), (words, "max_tokens"), f"anthropic, {name}")
        holds(world.stats()["bytes_received"] - before > 16 << 20, f"bytes at the origin, {name}")


def limited(world, open_client, call, error_type):
    """One SDK against a 429: passed on whole, and its own retry waits as Retry-After says, then succeeds."""
    staged = {"x-mock-status": "429", "x-mock-retry-after": "1"}
    with open_client(world, world.plain) as client:
        try:
            call(client, staged)
            raise Failed("a 429 is an error")
        except error_type as error:
            equal((error.status_code, error.response.headers.get("retry-after")), (429, "1"), "the error")
    times = []

    def second_succeeds(request):
        times.append(time.monotonic())
        if len(times) == 2:
            for name in staged:
                del request.headers[name]

    before = world.stats()["requests_total"]
    with open_client(world, world.plain, retries=2, hook=second_succeeds) as client:
        call(client, staged)
    equal((len(times), world.stats()["requests_total"] - before), (2, 2), "requests: sent, at the origin")
    waited = times[1] - times[0]
    holds(0.95 < waited < 1.5, f"the SDK waits 1 s, not {waited:.2f} s")
    return f"waited {waited:.2f} s"


@check("openai: a 429 is a RateLimitError with Retry-After; its retry waits for that, the origin sees two requests",
       http2=True)
def openai_limited(world):
    def call(client, headers):
        return client.chat.completions.create(**GPT, extra_headers=headers)

    return limited(world, openai_client, call, openai.RateLimitError)


@check("anthropic: a 429 is a RateLimitError with Retry-After; its retry waits for that, the origin sees two requests",
       http2=True)
def anthropic_limited(world):
    def call(client, headers):
        return client.messages.create(**CLAUDE, extra_headers=headers)

    return limited(world, anthropic_client, call, anthropic.RateLimitError)


@check("openai, anthropic: a stream that the origin cuts raises an error, never ends as if it were whole", http2=True)
def cut(world):
    headers = {"x-mock-abort-after": "5"}
    for name, base in world.ways():
        for vendor in ("openai", "anthropic"):
            seen = 0
            try:
                if vendor == "openai":
                    with openai_client(world, base) as client:
                        for _ in client.chat.completions.create(**GPT, stream=True, extra_headers=headers):
                            seen += 1
                else:
                    with anthropic_client(world, base) as client:
                        for _ in client.messages.create(**CLAUDE, stream=True, extra_headers=headers):
                            seen += 1
                raise Failed(f"{vendor}, {name}: no error")
            except Failed:
                raise
            except Exception as error:
                told = f"{error} {error.__cause__}"
                broken = "StreamReset" in told if world.http2 else "peer closed connection" in told or "SSL" in told
                holds(broken, f"{vendor}, {name}: {error!r} tells of the broken end")
            holds(3 <= seen <= 5, f"{vendor}, {name}: {seen} events came before the cut")


@check("openai: 100 streams at once over TLS, asynchronous, are all whole", http2=True)
def many(world):
    async def run():
        transport = openai.DefaultAsyncHttpxClient(**world.httpx(world.tls, awaited=True))
        async with openai.AsyncOpenAI(api_key="sk-check", base_url=f"{world.tls}/v1", max_retries=0,
                                      http_client=transport) as client:
            async def one():
                stream = await client.chat.completions.create(**GPT, stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            return await asyncio.gather(*(one() for _ in range(100)))

    equal(set(asyncio.run(run())), {TEXT}, "texts")
