"""What a server may say to `GET /settings` and to `POST /write`, each under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from servers import SETTINGS, answer, answer_json, cut_short, raw, refused, reset, stored

if TYPE_CHECKING:
    from servers import Reply

CAST: Final = "table: t, column: n; cast error from protocol type: INTEGER to column type: SYMBOL"


def settings_of(**config: Any) -> Reply:
    """`/settings` with these in place of others; None takes one away."""
    names = {"versions": "line.proto.support.versions", "length": "cairo.max.file.name.length"}
    changed = {**SETTINGS["config"], **{names[key]: value for key, value in config.items()}}
    return answer_json(200, {"config": {key: value for key, value in changed.items() if value is not None}})


SETTINGS_REPLIES: Final = {
    "1": settings_of(versions=[1]),
    "1, 2": settings_of(versions=[1, 2]),
    "2, 1": settings_of(versions=[2, 1]),
    "3": settings_of(versions=[3]),
    "4": settings_of(versions=[4]),
    "3, 4, 99": settings_of(versions=[3, 4, 99]),
    "none": settings_of(versions=[]),
    "no list": settings_of(versions=3),
    "texts": settings_of(versions=["1", "2"]),
    "not said": settings_of(versions=None),
    "length 20": settings_of(length=20),
    "length 255": settings_of(length=255),
    "length 5": settings_of(length=5),
    "length not said": settings_of(length=None),
    "length a text": settings_of(length="77"),
    "length negative": settings_of(length=-1),
    "nothing": answer_json(200, {}),
    "no config": answer_json(200, {"config": None}),
    "flat": answer_json(200, SETTINGS["config"]),
    "list": answer_json(200, []),
    "empty": answer(200),
    "garbage": answer(200, b"garbage"),
    "not UTF-8": answer(200, b"\xff\xfe"),
    "204": answer(204),
    "301": answer(301),
    "400": answer(400, b"bad"),
    "401": answer(401, b"who?"),
    "403": answer(403, b"no"),
    "404": answer(404, b"Not Found"),
    "405": answer(405),
    "hang up": raw(b""),
    "reset": reset,
    "cut short": cut_short(200, b'{"config":'),
    "no HTTP": raw(b"hello\r\n\r\n"),
}


WRITE_REPLIES: Final = {
    "204": stored,
    "400": answer(400, b"some plain words"),
    "400 empty": answer(400),
    "400 JSON": refused(1, CAST),
    "400 other JSON": answer_json(400, {"error": "some plain words"}),
    "400 list": answer_json(400, ["some plain words"]),
    "400 half JSON": answer(400, b'{"code": "invalid", "mess', content_type="application/json"),
    "400 message only": answer_json(400, {"message": "some plain words"}),
    "400 not UTF-8": answer(400, b"\xff\xfe", content_type="text/plain"),
    "401": answer(401, b"some plain words"),
    "403": answer(403, b"some plain words"),
    "404": answer(404, b"some plain words"),
    "405": answer(405),
    "413": answer(413),
    "429": answer(429),
    "500": answer(500, b"some plain words"),
    "500 JSON": refused(1, CAST, status=500, code="internal error"),
    "501": answer(501),
    "502": answer(502),
    "503": answer(503),
    "504": answer(504),
    "507": answer(507),
    "529": answer(529),
    "599": answer(599),
    "hang up": raw(b""),
    "reset": reset,
    "no HTTP": raw(b"hello\r\n\r\n"),
}
