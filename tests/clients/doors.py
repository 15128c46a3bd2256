"""The doors of report-generator's URL, opened by Python's own HTTP client: doors.py URL CHANNEL_SECRET."""

import base64
import hashlib
import hmac
import json
import sys
import urllib.error
import urllib.request
from urllib.parse import urljoin

URL, SECRET = sys.argv[1:]
BROWSER = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"


def ask(path, accept="*/*", body=None, headers=(), method=None):
    url = urljoin(URL, path)
    request = urllib.request.Request(url, data=body, headers={"Accept": accept, **dict(headers)}, method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=120)
    except urllib.error.HTTPError as refused:
        answer = refused
    return answer.status, answer.headers, answer.read()


def expect(what, status, kind, answer):
    assert answer[0] == status, (what, answer[0], answer[2][:500])
    assert answer[1]["Content-Type"].startswith(kind), (what, answer[1]["Content-Type"])
    return answer[2]


index = expect("index", 200, "text/html", ask("", BROWSER)).decode()
assert 'href="./reports/DBS19"' in index, index[:500]
page = expect("page", 200, "text/html", ask("reports/DBS19", BROWSER)).decode()
assert "data:image/png;base64," in page
report = json.loads(expect("JSON", 200, "application/json", ask("reports/DBS19?language=en")))
assert (report["ticker"], report["language"]) == ("DBS19", "en"), report
chart = expect("chart", 200, "image/png", ask("reports/DBS19/chart.png", "image/*"))
assert chart.startswith(b"\x89PNG")
# Follows the redirect to the signed link in the bucket.
pdf = ask("reports/DBS19/report.pdf")
assert pdf[0] == 200 and pdf[2].startswith(b"%PDF"), pdf[:2]
head = ask("reports/DBS19", BROWSER, method="HEAD")
assert head[0] == 200 and head[2] == b"", head
for path, status, said in (("reports/DBX19", 404, "did you mean DBS19?"), ("reports/a%20b", 400, "is no ticker"), ("nowhere", 404, "there is nothing")):
    assert said in expect(path, status, "text/html", ask(path, BROWSER)).decode()
    assert said in json.loads(expect(path, status, "application/json", ask(path)))["error"]["message"]

# LINE's console tries the address without any event.
webhook = b'{"destination":"U0123456789abcdef0123456789abcdef","events":[]}'
signature = base64.b64encode(hmac.new(SECRET.encode(), webhook, hashlib.sha256).digest()).decode()
for sent, status in ((signature, 200), ("", 403), (base64.b64encode(bytes(32)).decode(), 403)):
    headers = {"Content-Type": "application/json", "X-Line-Signature": sent}
    expect("webhook", status, "application/json", ask("line/webhook", body=webhook, headers=headers))
assert ask("line/webhook")[0] == 405
print("ok")
