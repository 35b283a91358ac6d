"""Which credentials go together on which transport, with the official texts for those that do not."""

from __future__ import annotations

__all__ = ["credentials_problem"]

_ONLY_USERNAME = 'Basic authentication parameter "username" is present, but "password" is missing.'
_NO_USERNAME = 'Basic authentication parameter "password" is present, but "username" is missing.'
_BASIC_AND_BEARER = (
    'Inconsistent HTTP authentication parameters. Specify either "username" and "password", or just "token".'
)
_ECDSA_OVER_HTTP = "ECDSA authentication is only available with ILP/TCP and not available with ILP/HTTP."
_BASIC_OVER_TCP = 'The "basic_auth" setting can only be used with the ILP/HTTP protocol.'
_TOKEN_OVER_TCP = "Token authentication only be used with the ILP/HTTP protocol."  # noqa: S105 - a sentence
_PART_OF_ECDSA = (
    "Incomplete ECDSA authentication parameters. Specify either all or none of: "
    '"username", "token", "token_x", "token_y".'
)
_INCOMPLETE = (
    'Incomplete authentication parameters. Check "username", "password", "token", "token_x" and "token_y" '
    "parameters are set correctly."
)


def credentials_problem(given: tuple[bool, ...], *, http: bool) -> str | None:
    """What is wrong with a set of credentials, if anything is.

    `given` says of username, password, token, token_x and token_y, in this order, whether they are there.
    """
    return _over_http(given) if http else _over_tcp(given)


def _over_http(given: tuple[bool, ...]) -> str | None:
    match given:
        case (
            (False, False, False, False, False) | (True, True, False, False, False) | (False, False, True, False, False)
        ):
            return None
        case (True, False, False, False, False):
            return _ONLY_USERNAME
        case (False, True, False, False, False):
            return _NO_USERNAME
        case (True, False, True, True, True):
            return _ECDSA_OVER_HTTP
        case (_, _, True, False, False):
            return _BASIC_AND_BEARER
    return _INCOMPLETE


def _over_tcp(given: tuple[bool, ...]) -> str | None:
    match given:
        case (False, False, False, False, False) | (True, False, True, True, True):
            return None
        case (True, True, False, False, False):
            return _BASIC_OVER_TCP
        case (False, False, True, False, False):
            return _TOKEN_OVER_TCP
        case (_, False, _, _, _):
            return _PART_OF_ECDSA
    return _INCOMPLETE
