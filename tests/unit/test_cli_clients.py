"""What the command lines of `postmeter psql` and `redis-cli` show to everybody on this machine."""

import pytest

from postmeter.cli.clients import without_secrets


@pytest.mark.parametrize(
    ("dsn", "address", "password"),
    [
        ("postgresql://u:p%40w@h:5432/d", "postgresql://u@h:5432/d", "p@w"),
        ("postgresql://u:p@a:1,b:2/d?target_session_attrs=primary",
         "postgresql://u@a:1,b:2/d?target_session_attrs=primary", "p"),
        ("postgresql://h/d?user=u&password=p%26w&sslmode=require", "postgresql://h/d?user=u&sslmode=require", "p&w"),
        ("postgresql:///d?host=/run/pg&password=p", "postgresql:///d?host=/run/pg", "p"),
        ("postgres://u@h/d", "postgres://u@h/d", None),
        ("postgresql:///d", "postgresql:///d", None),
    ],
)  # fmt: skip
def test_a_password_is_on_no_command_line(dsn: str, address: str, password: str | None) -> None:
    assert without_secrets(dsn) == (address, {} if password is None else {"password": password})


def test_nor_is_that_of_a_client_s_key() -> None:
    dsn = "postgresql://u:p@h/d?sslkey=/k&sslpassword=a%3Db&pass%77ord=q&sslmode=verify-full"
    secrets = {"password": "q", "sslpassword": "a=b"}
    assert without_secrets(dsn) == ("postgresql://u@h/d?sslkey=/k&sslmode=verify-full", secrets)
