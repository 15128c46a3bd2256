"""OpenAI's own client against the local model: the endpoint and its key. What goes wrong, the test has queued."""

import json
import sys
import time

import openai

url, key = sys.argv[1:]
client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=5)


def ask(text="Ticker: DBS19\nLanguage: English", client=client, **options):
    messages = [{"role": "system", "content": "Answer in JSON."}, {"role": "user", "content": text}]
    return client.chat.completions.create(model="gpt-4o", messages=messages, temperature=0.8, **options)


def failure(**options):
    try:
        ask(**options)
    except openai.APIStatusError as error:
        return type(error), error.status_code
    return None


# Queued: Good.
answer = ask(response_format={"type": "json_object"})
choice = answer.choices[0]
assert (answer.object, choice.finish_reason, choice.message.role) == ("chat.completion", "stop", "assistant"), answer
assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 100, answer.usage
sections = json.loads(choice.message.content)
assert sorted(sections) == ["percentile_analysis", "risks", "stock_story", "what_to_do", "what_to_know"], sections
assert sections["what_to_do"].split(":")[0] in ("BUY", "HOLD", "SELL")

# Queued: Length, Bare, Parts, Refusal.
choice = ask().choices[0]
assert choice.finish_reason == "length"
bare = ask()
assert bare.object is None and bare.usage is None and bare.choices[0].finish_reason == "", bare
assert isinstance(ask().choices[0].message.content, list)
declined = ask().choices[0].message
assert declined.content is None and declined.refusal, declined

# Queued: RateLimited(1), ServerError; then RateLimited(1) and Good, which a patient client waits for.
assert failure() == (openai.RateLimitError, 429)
assert failure() == (openai.InternalServerError, 500)
start = time.monotonic()
assert ask(client=client.with_options(max_retries=1)).choices[0].finish_reason == "stop"
assert time.monotonic() - start >= 1

assert failure(client=client.with_options(api_key="another")) == (openai.AuthenticationError, 401)
try:
    client.chat.completions.create(model="gpt-4o", messages=[])
    raise AssertionError("no messages are no request")
except openai.BadRequestError as error:
    assert (error.code, error.param) == ("empty_array", "messages"), error.body

# Queued: Garbage, Silent.
try:
    ask()
    raise AssertionError("that was no JSON")
except (openai.APIError, ValueError):
    pass
try:
    ask(client=client.with_options(timeout=0.3))
    raise AssertionError("nobody answered")
except openai.APITimeoutError:
    pass
print("ok")
