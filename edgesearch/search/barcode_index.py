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
        from ..catalog import barcode_text  # here, so that a photo without barcodes does not wait for it

        readings = barcode_text.find_readings(code.text)
        skus = next((skus for forms in readings if (skus := self._find_skus(forms))), set())
        return Label(code.text.replace("\x1d", ""), code.format, tuple(sorted(skus)))

    def _find_skus(self, forms: set[str]) -> set[str]:
        skus = set(self._catalog.skus_with_barcodes(forms)) - self._taught.keys() - set(self._hidden)
        taught = self._taught.items()
        return skus | {sku for sku, one in taught if not forms.isdisjoint(barcode.split_codes(one.barcode or ""))}
