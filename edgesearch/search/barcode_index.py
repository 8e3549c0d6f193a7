"""Find the products that carry a barcode: those of the bundle, as the device's overlay changes them."""

from collections.abc import Collection, Mapping
from functools import cached_property

from ..answer import Label
from ..catalog.product import Product
from ..catalog.sqlite_catalog import Catalog
from ..images import barcode
from ..images.barcode import Barcode


class BarcodeIndex:
    """Maps barcodes to products. Safe to share between threads."""

    def __init__(self, catalog: Catalog, taught: Mapping[str, Product], hidden: Collection[str]):
        """Cover a catalogue and an overlay.

        Args:
            catalog: The bundle's catalogue.
            taught: Products that the overlay adds or changes, by SKU.
            hidden: SKUs of the catalogue that the overlay hides.
        """
        self._catalog, self._taught, self._hidden = catalog, taught, hidden

    @cached_property
    def has_any(self) -> bool:
        """True if any product has a barcode."""
        return any(product.barcode for product in self._taught.values()) or self._catalog.has_barcodes()

    def find(self, code: Barcode) -> Label:
        """Return a barcode with the SKUs of the products that carry it."""
        forms = barcode.equivalent_codes(code.text)
        skus = set(self._catalog.skus_with_barcodes(forms)) - self._taught.keys() - set(self._hidden)
        taught = self._taught.items()
        skus |= {sku for sku, product in taught if not forms.isdisjoint(barcode.split_codes(product.barcode or ""))}
        return Label(code.text, code.format, tuple(sorted(skus)))
