"""Cells of tables that remember how their file stores them."""


class NumberCell(str):
    """A cell that the file stores as a number; its decimal sign is a point, even if text cells use a comma."""

    __slots__ = ()


class ShownCell(NumberCell):
    """A number as its spreadsheet shows it, such as 00123 for 123."""

    __slots__ = ()


class DateCell(str):
    """A date; spreadsheets make dates of typed texts such as 2-Mar."""

    __slots__ = ()


class UncalculatedCell(str):
    """An empty cell: a formula whose result is not in the file."""

    __slots__ = ()
