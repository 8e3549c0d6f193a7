"""A made-up shop, drawn by a program: products, their catalogue pictures, and phone photos of them.

Modules import only those named before them: ean13_bars, vocabulary, products, twins, motifs, patterns, labels, bodies,
turned_bodies, cutouts, surfaces, phone_camera, shelves, photos, twin_photos, defects, write_shop; then the two commands
demo and make_pictures.
"""

from .cutouts import View, catalogue_view, draw_cutout
from .defects import DEFECTS, deface, lone_photo
from .ean13_bars import draw_ean13
from .photos import catalogue_picture, shelf_photo
from .products import LIMIT, LabelDesign, Product, ean13, make_product
from .twins import MOST_FAMILIES, make_twins
from .write_shop import FIRST_UNKNOWN, neighbours, write_catalogue, write_twins

__all__ = [
    "DEFECTS",
    "FIRST_UNKNOWN",
    "LIMIT",
    "MOST_FAMILIES",
    "LabelDesign",
    "Product",
    "View",
    "catalogue_picture",
    "catalogue_view",
    "deface",
    "draw_cutout",
    "draw_ean13",
    "ean13",
    "lone_photo",
    "make_product",
    "make_twins",
    "neighbours",
    "shelf_photo",
    "write_catalogue",
    "write_twins",
]
