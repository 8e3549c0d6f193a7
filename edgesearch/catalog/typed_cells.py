"""Cells of tables that remember how their file stores them."""


class NumberCell(str):
    """A cell that the file stores as a number; its decimal sign is a point, even if text cells use a comma."""

    __slots__ = ()


class ShownCell(NumberCell):
    """A number as its spreadsheet shows it, such as 00123 or SKU-0123 for 123; `number` is the number itself."""

    __slots__ = ("number",)
    number: str

    @classmethod
    def of(cls, shown: str, number: str) -> "ShownCell":
        """Return a cell that shows a number so."""
        cell = cls(shown)
        cell.number = number
        return cell


class DateCell(str):
    """A date; spreadsheets make dates of typed texts such as 2-Mar."""

    __slots__ = ()


class UncalculatedCell(str):
    """An empty cell: a formula whose result is not in the file."""

    __slots__ = ()
