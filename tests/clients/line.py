"""LINE's own client against the local Messaging API: the endpoint, its token, two reply tokens, and a webhook's body.

The test has the first three requests go wrong: a rate limit, a lost answer, a failure.
"""

import base64
import hashlib
import hmac
import sys
import uuid

from linebot.v3 import WebhookParser
from linebot.v3.exceptions import InvalidSignatureError
from linebot.v3.messaging import (
    ApiClient,
    Configuration,
    MessagingApi,
    PushMessageRequest,
    ReplyMessageRequest,
    TextMessage,
)
from linebot.v3.messaging.exceptions import ApiException
from linebot.v3.messaging.models import ErrorResponse
from linebot.v3.webhooks import MessageEvent

url, access, first, second, webhook = sys.argv[1:]
USER = "U4af4980629abcdef0123456789abcdef"


def api(token):
    return MessagingApi(ApiClient(Configuration(host=url, access_token=token)))


def failure(call, *args, **options):
    try:
        call(*args, **options)
    except ApiException as error:
        return error.status, ErrorResponse.from_json(error.body), error.headers
    return None


line = api(access)
push = PushMessageRequest(to=USER, messages=[TextMessage(text="สวัสดี")])

# Three things go wrong, and the second time the message arrives all the same: no further one may.
key = str(uuid.uuid4())
assert failure(line.push_message, push, x_line_retry_key=key)[0] == 429
lost = failure(line.push_message, push, x_line_retry_key=key)
assert lost[0] == 500
assert failure(line.push_message, push, x_line_retry_key=key)[0] == 500
status, said, headers = failure(line.push_message, push, x_line_retry_key=key)
assert (status, said.message, len(said.sent_messages)) == (409, "The retry key is already accepted", 1)
assert headers["x-line-accepted-request-id"] == lost[2]["x-line-request-id"] != headers["x-line-request-id"]
assert failure(line.push_message, push, x_line_retry_key="not-a-uuid")[0] == 400
answer = line.push_message_with_http_info(push, x_line_retry_key=str(uuid.uuid4()))
assert answer.status_code == 200 and answer.data.sent_messages[0].id != said.sent_messages[0].id


def reply(token, *texts):
    return ReplyMessageRequest(replyToken=token, messages=[TextMessage(text=text) for text in texts])


answer = line.reply_message(reply(first, "hello", "again"))
assert len(answer.sent_messages) == 2 and answer.sent_messages[0].id.isdigit(), answer
status, said, _ = failure(line.reply_message, reply(first, "twice"))
assert (status, said.message) == (400, "Invalid reply token")
status, said, _ = failure(line.reply_message, reply(second, "😀" * 2501))
assert (status, said.message) == (400, "The request body has 1 error(s)")
[detail] = said.details
assert (detail.message, detail.var_property) == ("Length must be between 0 and 5000", "messages[0].text")
assert line.reply_message(reply(second, "😀" * 2500)).sent_messages
assert failure(api("another").push_message, push)[0] == 401

# What LINE's parser makes of our webhooks.
parser = WebhookParser("secret")
signature = base64.b64encode(hmac.new(b"secret", webhook.encode(), hashlib.sha256).digest()).decode()
[event] = parser.parse(webhook, signature)
assert isinstance(event, MessageEvent) and event.message.text == "DBS19", event
assert (event.source.user_id, event.reply_token) == (USER, second), event
assert event.delivery_context.is_redelivery and event.webhook_event_id == "01FZ74A0TDDPYRVKNK77XKC3ZR", event
try:
    parser.parse(webhook + " ", signature)
    raise AssertionError("another body has another signature")
except InvalidSignatureError:
    pass
print("ok")
