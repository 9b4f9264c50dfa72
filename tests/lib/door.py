"""A server with its HTTP door open, and what goes through it."""

import http.client
import json

import redis
from skald import Server, free_port


class Door:
    """A server with its door open, and one question at a time."""

    def __init__(self, dir, *args, tls=None):
        self.http, self.tls = free_port(), tls
        self.server = Server(dir, "--http-port", str(self.http), *args)
        self.server.start()

    def client(self):
        return redis.Redis(port=self.server.port, socket_timeout=120)

    def connect(self):
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", self.http, timeout=120, context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.http, timeout=120)

    def ask(self, method, path, body=None, **headers):
        c = self.connect()
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        c.request(method, path, json.dumps(body) if isinstance(body, (dict, list)) else body, headers)
        answer = c.getresponse()
        data = answer.read()
        c.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, data

    def chat(self, model, text="hello", status=200, headers=None, **more):
        body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
        got, head, data = self.ask("POST", "/v1/chat/completions", body, **(headers or {}))
        assert got == status, data
        return head, json.loads(data) if not more.get("stream") or got != 200 else events(data)


def events(data):
    out = []
    for block in data.decode().split("\n\n"):
        if block:
            kind = [line[7:] for line in block.split("\n") if line.startswith("event: ")]
            text = "\n".join(line[6:] for line in block.split("\n") if line.startswith("data: "))
            out.append((kind[0] if kind else "", text if text == "[DONE]" else json.loads(text)))
    return out


def form(boundary="here", **fields):
    """A multipart form; `file` is a sound."""
    out = []
    for name, value in fields.items():
        extra = '; filename="a.wav"\r\nContent-Type: audio/wav' if name == "file" else ""
        out.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n{value}\r\n')
    return "".join(out) + f"--{boundary}--\r\n"
