"""Table 1 of the paper, typed from the print: the oracle for what a Bundle says of the reports by others.

The cells are short. Where the print lists criteria, the response is told in own words; the class of a
response is that of ruling 12. "__" is the dash of the print.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

_PRINT = """
full-dose | 1 | 1,5 | tumorous scleromyxedema | melphalan; oral glucocorticoids
  Wojas-Pelc A et al, 2005 | 7 | improved | regression of tumorous lesions, improvement of mobility
full-dose | 1 | 2 | skin restricted scleromyxedema | __
  Majeski C et al, 2005 | 8 | improved | regression of skin lesions
full-dose | 2 | 2 | scleromyxedema, associated with IgG-λ paraproteinemia | __
  Lister RK et al, 2006 | 6 | improved | decrease in skin induration, increase in mobility
full-dose | 1 | 2 | scleromyxedema with dermatoneuro-syndrome | __
  Gholam P et al, 2007 | 9 | improved | regression of skin lesions, improvement of neurological symptoms
full-dose | 8 | 2 | skin restricted scleromyxedema | __
  Blum M et al, 2008 | 10 | improved | regression of skin lesions
full-dose | 1 | 2 | scleromyxedema with cutaneous, gastrointestinal, hematologic, and neurologic involvement | oral thalidomide
  Efthimiou P et al, 2008 | 11 | improved | regression of skin lesions, improvement of systemic symptoms
low-dose | 1 | 0,5 | scleromyxedema, associated with monoclonal gammopathy | __
  Körber A et al, 2007 | 14 | improved | upper extremities move more freely, mouth opens wider, less sclerodactyly (objectified)
low-dose | 1 | 0,4 | skin restricted scleromyxedema | __
  Binitha MP et al, 2008 | 12 | resolved | absolute cleaning of skin lesions
low-dose | 1 | 0,4 | scleroderma with dermatoneuro-syndrome | __
  Rey JB et al, 2009 | 13 | improved | regression of skin lesions
low-dose | 1 | 0,5 | skin restricted scleromyxedema | __
  Lopez L et al, 2009 | 15 | improved | regression of skin lesions
"""  # noqa: E501


class Row(NamedTuple):
    """One printed row; ``printed_dose`` keeps its comma, ``combination`` is empty for a dash."""

    protocol: str
    patients: int
    printed_dose: str
    background: str
    combination: tuple[str, ...]
    label: str
    reference: int
    result: str
    response: str

    @property
    def dose(self) -> Decimal:
        """In g/kg body weight, once monthly."""
        return Decimal(self.printed_dose.replace(",", "."))

    @property
    def key(self) -> str:
        """The key of the row's item in the example."""
        return f"lit-ref-{self.reference}"


def _row(cells: list[str]) -> Row:
    protocol, patients, dose, background, drugs, label, number, result, response = cells
    combination = () if drugs == "__" else tuple(drugs.split("; "))
    return Row(protocol, int(patients), dose, background, combination, label, int(number), result, response)


_LINES = [[cell.strip() for cell in line.split(" | ")] for line in _PRINT.strip().splitlines()]
ROWS = tuple(_row(first + second) for first, second in zip(_LINES[::2], _LINES[1::2], strict=True))
