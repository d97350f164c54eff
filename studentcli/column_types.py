"""What the columns hold: how values of Python are stored, and what of the stored can be read."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

from sqlalchemy import BigInteger, Date, DateTime, Dialect, Integer, Numeric, TypeDecorator

from studentcli import errors

Kind = TypeVar("Kind")

Id = BigInteger().with_variant(Integer, "sqlite")
"""64-bit keys; SQLite gives its row id only to a column of type INTEGER."""


class _Legible(TypeDecorator[Kind]):
    """A type of which a stored value that nobody can read is damage: the file was edited by hand.

    Raises:
        errors.DatabaseDamaged: when such a value is read.
    """

    what: ClassVar[str]

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Read as the type does, and say what stands there when it cannot."""
        read = super().result_processor(dialect, coltype)
        if read is None:
            return None

        def process(value: Any) -> Any:
            try:
                return read(value)
            except (ValueError, TypeError, ArithmeticError):
                said = f"{value!r} stands where {self.what} should"
                raise errors.DatabaseDamaged(said) from None

        return process


class Day(_Legible[date]):
    """A date."""

    impl = Date
    cache_ok = True
    what = "a date"


class Whole(_Legible[int]):
    """A whole number: how many."""

    impl = Integer
    cache_ok = True
    what = "a whole number"

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        """Give it back as it is stored."""
        del dialect
        if value is not None and not isinstance(value, int):
            raise ValueError("no whole number")
        return value


class UtcDateTime(_Legible[datetime]):
    """An aware time in UTC; SQLite, which has no zones, stores the UTC clock reading."""

    impl = DateTime(timezone=True)
    cache_ok = True
    what = "a time"

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert an aware time to UTC; a naive one is a bug."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the time back aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class Hours(_Legible[Decimal]):
    """Credit hours with two exact decimals; SQLite gets them as text into a NUMERIC column."""

    impl = Numeric(7, 2)
    cache_ok = True
    what = "a number"

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Keep NUMERIC in SQLite's DDL while binding text, without the float of its Numeric."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(_SqliteNumeric())
        return dialect.type_descriptor(Numeric(7, 2))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Bind the exact decimal."""
        return str(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Give back a Decimal with two places."""
        del dialect
        if value is None:
            return None
        hours = Decimal(str(value))
        if not hours.is_finite():
            raise ValueError("no number")
        return hours.quantize(Decimal("0.01"))


class _SqliteNumeric(Numeric[Any]):
    """NUMERIC in the DDL, the driver's own value in and out."""

    def __init__(self) -> None:
        super().__init__(7, 2)

    def bind_processor(self, dialect: Dialect) -> None:
        """Leave the text to SQLite's numeric affinity."""

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        """Leave the value to `Hours`."""
