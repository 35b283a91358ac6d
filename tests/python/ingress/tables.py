"""What the tables of misuse share: helpers of their scripts, and values of every type, as Python."""

from __future__ import annotations

#: The first statements of a script.
PROPERTIES = """
properties = lambda s: [s.auto_flush, s.auto_flush_rows, s.auto_flush_bytes, s.auto_flush_interval, s.init_buf_size]
later = lambda s: [s.establish(), s.protocol_version, s.max_name_len, *properties(s), len(s), bytes(s), s.close()]
buffer = lambda b: [b.init_buf_size, b.max_name_len, b.capacity() >= b.init_buf_size, len(b), bytes(b), bool(b)]
"""
KEYWORDS = [
    "bind_interface",
    "username",
    "password",
    "token",
    "token_x",
    "token_y",
    "auth_timeout",
    "tls_verify",
    "tls_ca",
    "tls_roots",
    "max_buf_size",
    "retry_timeout",
    "request_min_throughput",
    "request_timeout",
    "auto_flush",
    "auto_flush_rows",
    "auto_flush_bytes",
    "auto_flush_interval",
    "protocol_version",
    "init_buf_size",
    "max_name_len",
]
#: As Python; `tls_ca` has texts of its own, since others are a difference.
NUMBERS = [
    "0",
    "1",
    "-1",
    "2",
    "3",
    "4",
    "15",
    "16",
    "1023",
    "1024",
    "2**31",
    "2**64",
    "1.5",
    "2.0",
    "nan",
    "Number(5)",
]
TEXTS = ["'on'", "'off'", "'unsafe_off'", "'auto'", "'3'", "'5'", "'0'", "'-5'", "'x'", "''", "Text('on')", "' 7 '"]
OTHERS = ["None", "True", "False", "b'5'", "[]", "np.int64(5)", "Decimal(5)", "Path('/nowhere/at.pem')"]
SPANS = [f"timedelta(milliseconds={millis})" for millis in (0, 0.5, 1, 1.5, 1000, -5)] + ["timedelta(days=400)"]
VALUES = {
    "tls_ca": [*NUMBERS, *OTHERS, *(f"'{name}'" for name in ("os_roots", "webpki_roots", "pem_file")), "TlsCa.OsRoots"],
}
