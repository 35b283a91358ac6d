"""When two outcomes are the same: equal values; or exceptions that the same `except` catches, with the same code, and
the fragments of the message that the specification quotes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ingress.players import Player
    from ingress.replay import Outcome, Scenario

#: What of the official messages a program may look for. Where one is in the official message, it is in ours.
FRAGMENTS: Final = [
    # Rows.
    r"Timestamp -?\d+ is negative\. It must be >= 0\.",
    r"Too long \(max \d+ characters\)",
    r"Bad string \".*\": (?:Table|Column) names can't contain a '.*' character, which was found at byte position \d+\.",
    r"Found invalid dot `\.` at position \d+\.",
    r"names must have a non-zero length",
    r"Unsupported type: (?!questdb)[\w.]+\. Must be one of: ",
    r"Protocol version v\d does not support the \w+ datatype",
    r"Bad call to `at`",
    r"Expected str, got ",
    r"Decimal scale \d+ exceeds the maximum supported scale of 76",
    r"Decimal mantissa too large",
    r"Only float64 numpy arrays are supported, got dtype: \S+",
    # Timestamps and buffers.
    r"value must be a positive integer\.",
    r"dt must be a datetime object\.",
    r"additional must be non-negative\.",
    r"Invalid value for \w+: .*",
    # Configuration.
    r'Missing "addr" parameter in config string',
    r"bad separator, expected '.' got '.' at position \d+",
    r"expected identifier to start with ascii letter, not '.' at position \d+",
    r"invalid char '.*' in value at position \d+",
    # Ours names no unknown key, which may be a part of a secret.
    r'duplicate key "(?:addr|username|token|auto_flush)" at position \d+',
    r'"\w+" is already present in the conf_str and cannot be overridden\.',
    r"Environment variable QDB_CLIENT_CONF is not set\.",
    r'"tls_roots_password" is not supported',
    r'The "bind_interface" setting can only be used with the TCP protocol\.',
    # Of `tls_roots` the official client speaks as "tls_ca", which it sets by it.
    r'Cannot set "(?!tls_ca)\w+": TLS is not supported for protocol \w+',
    r'"\w+" is already specified',
    r'"auto_flush" must be None, bool, "on" or "off"',
    r'"auto_flush_\w+" cannot be "on"',
    r'"auto_flush_\w+" must be >= 1',
    r'"protocol_version" must be None, "auto", 1-3',
    r'"request_timeout" must be greater than 0\.',
    r"\w+ is supported only in ILP over HTTP\.",
    r'Basic authentication parameter "\w+" is present, but "\w+" is missing\.',
    r'Inconsistent HTTP authentication parameters\. Specify either "username" and "password", or just "token"\.',
    r"ECDSA authentication is only available with ILP/TCP and not available with ILP/HTTP\.",
    r'The "basic_auth" setting can only be used with the ILP/HTTP protocol\.',
    r"Token authentication only be used with the ILP/HTTP protocol\.",
    r"Incomplete ECDSA authentication parameters\..*",
    r"Incomplete authentication parameters\..*",
    # Lifecycle and transactions.
    r"\w+\(\) can't be called: Sender is closed\.",
    r"establish\(\) can't be called after close\(\)\.",
    r"The internal buffer must always be cleared\.",
    r"Cannot (?:append rows|flush) explicitly inside a transaction",
    r"Already inside a transaction, can't start another\.",
    r"Sender buffer must be clear when starting a transaction\.",
    r"Transaction already completed, can't \w+",
    r"Transactions aren't supported for ILP/TCP, use ILP/HTTP instead\.",
    r"Transactional flushes are not supported for ILP over TCP\.",
    r"Buffer contains lines for multiple tables\.",
    # Sending.
    r"Could not detect server's line protocol version, settings url: \S+",
    r"Could not flush buffer: ",
    r"Buffer size of \d+ exceeds maximum configured allowed size of \d+ bytes\.",
    r"Attempting to send with protocol version v\d but the sender is configured to use protocol version v\d",
    r"not connected to database",
    # The words of the test's server.
    r"error in line \d+: .*?cast error",
    r"05d46391a354-850",
    r"some plain words",
]
_FRAGMENTS: Final = [re.compile(fragment, re.DOTALL) for fragment in FRAGMENTS]


#: Differences of `differences.py` that are told by their errors, whatever led to them: class and code of the official
#: exception, the code of ours, and what the official message says.
INTENDED: Final = {
    "an unknown protocol": ("AttributeError", None, "ConfigError", "'NoneType' object has no attribute"),
    "an unknown protocol in a configuration string": ("AttributeError", None, "ConfigError", "'NoneType' object has"),
    "an unknown tls_ca": ("AttributeError", None, "ConfigError", "'NoneType' object has no attribute"),
    "a transaction of a closed sender": ("TypeError", None, "InvalidApiCall", "'NoneType' has no len()"),
    "keys are looked at before there is a connection": ("IngressError", "SocketError", "AuthError", ""),
}


def is_intended(official: Outcome, ours: Outcome) -> bool:
    """Whether outcomes differ as `INTENDED` says."""
    theirs, mine = official.get("raised"), ours.get("raised")
    if theirs is None or mine is None:
        return False
    codes = (theirs["class"], theirs["code"], mine["code"])
    return any(codes == known[:3] and known[3] in theirs["message"] for known in INTENDED.values())


def disagreement(official: Outcome, ours: Outcome) -> str | None:
    """What is different, in words, or None."""
    if is_intended(official, ours):
        return None
    if "raised" not in official or "raised" not in ours:
        return None if official == ours else f"official: {official}\nours:     {ours}"
    theirs, mine = official["raised"], ours["raised"]
    if theirs["class"] not in mine["caught by"] or theirs["code"] is not None and theirs["code"] != mine["code"]:
        return f"official: {theirs}\nours:     {mine}"
    for fragment in _FRAGMENTS:
        for match in fragment.finditer(theirs["message"]):
            if match[0] not in mine["message"]:
                return f"ours does not say {match[0]!r}\nofficial: {theirs}\nours:     {mine}"
    return None


def compared(scenario: Scenario, official: list[Outcome], ours: list[Outcome]) -> None:
    """Fails at the first step with another outcome."""
    # A slip of the test would be the same on both sides.
    slips = [outcome for outcome in official if outcome.get("raised", {}).get("class") == "NameError"]
    assert not slips, f"{slips} of {steps_of(scenario)}"
    for place, (theirs, mine) in enumerate(zip(official, ours, strict=False)):
        if "crashed" in theirs:
            # "a semicolon in an address".
            assert "crashed" not in mine
            return
        words = disagreement(theirs, mine)
        assert words is None, f"step {place} of {steps_of(scenario)}:\n{words}"
    assert len(official) == len(ours), f"official: {official[len(ours) :]}, ours: {ours[len(official) :]}"


def steps_of(scenario: Scenario) -> str:
    lines = [step if isinstance(step, str) else repr(step) for step in scenario["steps"]]
    return "\n".join([repr({key: value for key, value in scenario.items() if key != "steps"}), *lines])


def assert_same(official: Player, ours: Player, scenario: Scenario) -> list[Outcome]:
    """Plays the scenario on both; returns the official outcomes."""
    outcomes = official.play(scenario)
    compared(scenario, outcomes, ours.play(scenario))
    return outcomes


def script(code: str, **names: Any) -> Scenario:
    """A scenario of Python statements; `names` are its first variables."""
    return {"steps": [code], "names": names}
