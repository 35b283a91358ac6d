"""`Sender`, as in the official client 4.x."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from questframe._questframe import RowBuffer, RowSender
from questframe.exceptions import IngressError, IngressErrorCode
from questframe.ingress._buffer import Buffer
from questframe.ingress._frames import check_first, prepare, write
from questframe.ingress._reconnects import note_connection
from questframe.ingress._settings import Settings
from questframe.ingress._transaction import SenderTransaction, bad_call

if TYPE_CHECKING:
    import os
    from types import TracebackType

    from typing_extensions import Self

    from questframe.ingress._buffer import AtOrColumn
    from questframe.ingress._enums import Protocol, TlsCa
    from questframe.ingress._frames import Prepared

__all__ = ["Sender"]


class Sender(RowSender):
    """Sends rows and frames to QuestDB, as `questdb.ingress.Sender` of the official client 4.x.

    Rows gather in a buffer of the sender's own, which is flushed by itself behind the row that reaches
    `auto_flush_rows`, `auto_flush_bytes` or `auto_flush_interval`, by :meth:`flush`, and at the end of the ``with``.

    Args:
        protocol: ``"http"``, ``"https"``, ``"tcp"``, ``"tcps"``, or a :class:`Protocol`.
        host: the server's name or address; over HTTP several with a comma between them.
        port: its port: usually 9000 for HTTP, 9009 for TCP.
        bind_interface: the local address of connections, TCP only.
        username: of basic authentication (HTTP), or the id of the key (TCP).
        password: of basic authentication.
        token: a bearer token (HTTP), or the private key (TCP).
        token_x: of the public key (TCP).
        token_y: of the public key (TCP).
        auth_timeout: milliseconds or ``timedelta`` for each step of logging in over TCP. Default 15 s.
        tls_verify: False or ``"unsafe_off"`` accepts every certificate. Default True.
        tls_ca: whom to trust. Default: Mozilla's list and the operating system's.
        tls_roots: a PEM file of certificates to trust instead.
        max_buf_size: the most bytes of a flush. Default 100 MiB.
        retry_timeout: milliseconds or ``timedelta`` for sending again, HTTP only. Default 10 s.
        request_min_throughput: bytes a second, by which larger requests have longer. Default 102,400.
        request_timeout: milliseconds or ``timedelta`` for one request, HTTP only. Default 10 s.
        retry_max_backoff: the longest pause between tries, in milliseconds or ``timedelta``. Default 1 s.
        auto_flush: whether to flush by itself. Default True.
        auto_flush_rows: behind so many rows. Default 75,000 over HTTP, 600 over TCP.
        auto_flush_bytes: behind so many bytes. Default off.
        auto_flush_interval: behind the first row after so many milliseconds. Default 1 s.
        protocol_version: 1, 2, 3 or ``"auto"``: over HTTP the best that both sides know, over TCP 1.
        init_buf_size: bytes of room at the beginning. Default 64 KiB.
        max_name_len: bytes of a name. Default 127, or what the server says.

    Raises:
        IngressError: ConfigError for values that contradict each other.
        ValueError: for values that are none of an option's.
        TypeError: for values of another type.

    A sender is used by one thread at a time; another one waits. `len` and `bytes` give the lines that wait.

    Example:
        >>> from questframe.ingress import Sender, TimestampNanos
        >>> with Sender.from_conf("http::addr=localhost:9000;") as sender:  # doctest: +SKIP
        ...     sender.row("trades", symbols={"side": "buy"}, columns={"price": 2615.5}, at=TimestampNanos.now())
    """

    _settings: Settings

    def __init__(  # noqa: PLR0913 - the official client's arguments
        self,
        protocol: Protocol | str,
        host: str,
        port: int | str,
        *,
        bind_interface: str | None = None,
        username: str | None = None,
        password: str | None = None,
        token: str | None = None,
        token_x: str | None = None,
        token_y: str | None = None,
        auth_timeout: int | datetime.timedelta | None = None,
        tls_verify: bool | str | None = None,
        tls_ca: TlsCa | str | None = None,
        tls_roots: str | os.PathLike[str] | None = None,
        max_buf_size: int | None = None,
        retry_timeout: int | datetime.timedelta | None = None,
        request_min_throughput: int | None = None,
        request_timeout: int | datetime.timedelta | None = None,
        retry_max_backoff: int | datetime.timedelta | None = None,
        auto_flush: bool | str | None = None,
        auto_flush_rows: int | str | bool | None = None,
        auto_flush_bytes: int | str | bool | None = None,
        auto_flush_interval: int | str | bool | datetime.timedelta | None = None,
        protocol_version: int | str | None = None,
        init_buf_size: int | None = None,
        max_name_len: int | None = None,
    ) -> None:
        """Nothing connects before :meth:`establish`, or the ``with`` statement."""
        self._use(
            Settings.from_arguments(
                protocol,
                host,
                port,
                bind_interface=bind_interface,
                username=username,
                password=password,
                token=token,
                token_x=token_x,
                token_y=token_y,
                auth_timeout=auth_timeout,
                tls_verify=tls_verify,
                tls_ca=tls_ca,
                tls_roots=tls_roots,
                max_buf_size=max_buf_size,
                retry_timeout=retry_timeout,
                request_min_throughput=request_min_throughput,
                request_timeout=request_timeout,
                retry_max_backoff=retry_max_backoff,
                auto_flush=auto_flush,
                auto_flush_rows=auto_flush_rows,
                auto_flush_bytes=auto_flush_bytes,
                auto_flush_interval=auto_flush_interval,
                protocol_version=protocol_version,
                init_buf_size=init_buf_size,
                max_name_len=max_name_len,
            )
        )

    @staticmethod
    def from_conf(conf_str: str, **options: Any) -> Sender:
        """A sender for a configuration string, such as ``http::addr=localhost:9000;``.

        Args:
            conf_str: the string.
            **options: the constructor's keywords, for keys that are not in the string.

        Raises:
            IngressError: ConfigError, with the position or the key.
            ValueError: an option is in the string, too; or as the constructor.
        """
        return _sender_of(Settings.from_conf(conf_str, **options))

    @staticmethod
    def from_env(**options: Any) -> Sender:
        """As :meth:`from_conf`, for the string in the environment variable ``QDB_CLIENT_CONF``."""
        return _sender_of(Settings.from_env(**options))

    def _use(self, settings: Settings) -> None:
        self._settings = settings
        triggers = (settings.auto_flush_rows, settings.auto_flush_bytes, settings.auto_flush_interval)
        self._configure(triggers if settings.auto_flush else None, settings.init_buf_size)

    # --- properties ---------------------------------------------------------------------------------------------------

    @property
    def auto_flush(self) -> bool:
        """Whether the sender flushes by itself."""
        return self._settings.auto_flush

    @property
    def auto_flush_rows(self) -> int | None:
        """Behind how many rows; None if off."""
        return self._settings.auto_flush_rows

    @property
    def auto_flush_bytes(self) -> int | None:
        """Behind how many bytes; None if off."""
        return self._settings.auto_flush_bytes

    @property
    def auto_flush_interval(self) -> datetime.timedelta | None:
        """After how long; None if off."""
        millis = self._settings.auto_flush_interval
        return None if millis is None else datetime.timedelta(milliseconds=millis)

    @property
    def init_buf_size(self) -> int:
        """Bytes of room that buffers begin with."""
        return self._settings.init_buf_size

    @property
    def protocol_version(self) -> int:
        """The protocol version, once there is a connection."""
        return self._known("protocol_version")[0]

    @property
    def max_name_len(self) -> int:
        """How many bytes names may have, once there is a connection."""
        return self._known("max_name_len")[1]

    def _known(self, name: str) -> tuple[int, int]:
        negotiated = self._negotiated()
        if negotiated is None:
            msg = f"{name}() can't be called: Sender is closed."
            raise bad_call(msg)
        return negotiated

    # --- life ---------------------------------------------------------------------------------------------------------

    def establish(self) -> None:
        """Connect. Over HTTP the server is asked for its protocol versions, unless one is given.

        Raises:
            IngressError: no connection, wrong credentials, or a second call.
        """
        if self._is_closed() or self._is_open():
            # Nor twice, of which the official client says the same.
            msg = "establish() can't be called after close()."
            raise bad_call(msg)
        settings = self._settings
        settings.check_auth()
        note_connection(settings)
        try:
            self._check_port()
            self._establish(settings.conf(), settings.protocol_version, settings.max_name_len, settings.max_buf_size)
        except IngressError as error:
            is_asked = settings.is_http and settings.protocol_version is None
            if not is_asked or error.code is IngressErrorCode.ConfigError:
                raise
            url = f"{settings.protocol.tag}://{_shown(settings)}/settings"
            msg = f"Could not detect server's line protocol version, settings url: {url}, err: {error}"
            raise IngressError(IngressErrorCode.ProtocolVersionError, msg) from error

    def _check_port(self) -> None:
        """Refuse what is no port where the official client fails to resolve it."""
        settings = self._settings
        if settings.port.isdecimal() or "," in settings.host:
            return
        why = "the port is no number"
        if "@" in settings.port:
            why = "credentials go into username= and password=, not into the address"
        msg = f'Could not resolve "{_shown(settings)}": {why}'
        raise IngressError(IngressErrorCode.CouldNotResolveAddr, msg)

    def __enter__(self) -> Self:
        """Call :meth:`establish`."""
        self.establish()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Flush and close; after an exception close only, and what waits is dropped."""
        if exc_type is None:
            self.close()
            return
        try:
            self.close(flush=False)
        except IngressError:
            # What the block raised is what the caller has to know.
            return

    def close(self, flush: bool = True) -> None:  # noqa: FBT001, FBT002
        """Disconnect, after a flush. Further calls do nothing.

        Args:
            flush: whether to send what waits before. Default True.

        Raises:
            IngressError: the flush failed; or over TCP the server has closed the connection by itself, and rows may be
                lost. The sender is closed all the same.
        """
        in_transaction = self._is_open() and self._in_transaction()
        try:
            if flush and not in_transaction and self._is_usable():
                self._flush(None, True, False, False)  # noqa: FBT003
        finally:
            self._close()
        if in_transaction and flush:
            msg = "Cannot flush explicitly inside a transaction"
            raise bad_call(msg)

    # --- rows ---------------------------------------------------------------------------------------------------------

    def new_buffer(self) -> Buffer:
        """A buffer for this sender's protocol version and names.

        Raises:
            IngressError: InvalidApiCall without a connection.
        """
        version, max_name_len = self._known("protocol_version")
        return Buffer(version, self._settings.init_buf_size, max_name_len)

    def transaction(self, table_name: str) -> SenderTransaction:
        """A transaction: its rows go into this table, all together or not at all. HTTP only.

        Raises:
            IngressError: InvalidApiCall over TCP.
        """
        return SenderTransaction(self, table_name)

    def dataframe(
        self,
        df: Any,
        *,
        table_name: str | None = None,
        table_name_col: str | int | None = None,
        symbols: str | bool | list[int | str] | tuple[int | str, ...] = "auto",
        at: AtOrColumn,
    ) -> Self:
        """Write a frame; arguments as of :meth:`Buffer.dataframe`.

        It is flushed on the way, behind the rows that reach a limit, and what is left at the end waits for the next
        flush. Values are checked before the first flush, so a frame with a bad one sends nothing.

        Raises:
            IngressError: as :meth:`Buffer.dataframe`, and as :meth:`flush`.
        """
        check_first(table_name, at)
        self._check_open("dataframe")
        prepared = prepare(df, table_name=table_name, table_name_col=table_name_col, symbols=symbols, at=at)
        self._write_frame(prepared, df, in_transaction=False)
        return self

    def _check_open(self, call: str) -> None:
        if self._in_transaction():
            msg = "Cannot append rows explicitly inside a transaction"
            raise bad_call(msg)
        if not self._is_open():
            msg = f"{call}() can't be called: Sender is closed."
            raise bad_call(msg)

    def _write_frame(self, prepared: Prepared | None, df: Any, *, in_transaction: bool) -> None:
        if prepared is None:
            return

        def append(data: Any, options: dict[str, Any], tables: Any) -> None:
            self._frame(data, options, tables, in_transaction)

        write(prepared, df, append, self._known("dataframe"))

    def flush(
        self,
        buffer: Buffer | None = None,
        clear: bool = True,  # noqa: FBT001, FBT002
        transactional: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Send what waits. Over HTTP it is stored when this returns.

        Args:
            buffer: send these rows instead. Default: the sender's own.
            clear: whether to empty the buffer afterwards. Default True.
            transactional: refuse rows of more than one table, which the server would store table by table. HTTP only.

        Raises:
            IngressError: ServerFlushError with the server's words; AuthError; SocketError; InvalidApiCall for a buffer
                above `max_buf_size`. The sender's own rows are no longer in it, but in ``error.pending``, a
                :class:`Buffer` to flush again; a buffer of yours is left as it is.
            ValueError: if the sender's own buffer is not to be cleared.
        """
        if buffer is None and not clear:
            msg = "The internal buffer must always be cleared."
            raise ValueError(msg)
        if buffer is not None and not isinstance(buffer, RowBuffer):
            kind = type(buffer).__name__
            msg = f"Argument 'buffer' has incorrect type (expected questframe.ingress.Buffer, got {kind})"
            raise TypeError(msg)
        self._flush(buffer, bool(clear), bool(transactional), False)  # noqa: FBT003

    def __repr__(self) -> str:
        """Where it sends to, without secrets."""
        settings = self._settings
        return f"Sender({settings.protocol.tag}::addr={_shown(settings)};)"


def _shown(settings: Settings) -> str:
    """The address, unless it holds a secret: a password before an '@', or the next key if there is no ';' before it."""
    address = f"{settings.host}:{settings.port}"
    return "..." if "@" in address or "=" in address else address


def _sender_of(settings: Settings) -> Sender:
    sender = Sender.__new__(Sender)
    sender._use(settings)  # noqa: SLF001
    return sender
