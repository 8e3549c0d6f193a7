"""The vocabulary of the made-up shop: brands, kinds of product, and the variants of each kind."""

from typing import NamedTuple


class Variant(NamedTuple):
    """A flavour, scent or colour: its word, the motif on its label, its colour as #rrggbb."""

    word: str
    motif: str
    colour: str


class Kind(NamedTuple):
    """A kind of product: how it is sold and what it is packed in."""

    noun: str
    shape: str
    aspect: float  # width / height of the package
    category: str
    sizes: tuple[str, ...]
    price: tuple[float, float]  # lowest and highest, EUR
    range: str  # key of VARIANTS


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _variants(*rows: str) -> tuple[Variant, ...]:
    return tuple(Variant(*(part.strip() for part in row.split(","))) for row in rows)


VARIANTS = {
    "fruit": _variants(
        "Apple, apple, #8cb83f", "Orange, citrus, #f08a1d", "Lemon, lemon, #f2cf2a",
        "Strawberry, strawberry, #d9303e", "Cherry, cherry, #a8152f", "Blueberry, berries, #4a5aa8",
        "Peach, peach, #f2a274", "Grape, grape, #6e3a86",
    ),
    "garden": _variants(
        "Tomato, tomato, #cf3524", "Chili, chili, #b3201c", "Mushroom, mushroom, #9a7b5c",
        "Olive, olive, #77803a", "Basil, leaf, #3f8a45", "Garden Pea, peas, #6aa842",
    ),
    "roast": _variants(
        "Dark Roast, bean, #3b2419", "Mild, cup, #b98a54", "Espresso, bean, #7c1f1f",
        "Decaf, cup, #2f6e73", "Morning, sun, #dd9a2c",
    ),
    "tea": _variants(
        "Green, leaf, #6fa14a", "Black, cup, #7d2f22", "Camomile, flower, #e3b93a",
        "Peppermint, leaf, #2f9a83", "Wild Berry, berries, #8b2b63", "Lemon, lemon, #e0c52e",
    ),
    "grain": _variants(
        "Wheat, wheat, #d9a441", "Spelt, wheat, #b0743a", "Oat, wheat, #9fae62",
        "Honey, honeycomb, #e8a51c", "Berry, berries, #88397d", "Nut, nut, #8a5a33",
    ),
    "sweet": _variants(
        "Dark, bean, #40261b", "Hazelnut, nut, #9a6a3c", "Milk, drop, #4f86c2",
        "Mint, leaf, #42a58a", "Orange, citrus, #e2761f", "Cherry, cherry, #9c1a36",
    ),
    "dairy": _variants(
        "Natural, drop, #4d94cf", "Vanilla, flower, #ecd06f", "Cocoa, bean, #6b4028",
        "Strawberry, strawberry, #e0536b", "Mountain, mountain, #3f7f6a", "Coconut, nut, #7cc0c4",
    ),
    "sea": _variants(
        "In Oil, fish, #d7ab2c", "In Brine, fish, #2f6fa8", "Smoked, fish, #7a4630",
        "With Tomato, tomato, #c83a2b", "With Lemon, lemon, #d9c630",
    ),
    "scent": _variants(
        "Lavender, flower, #8a6fc0", "Ocean, wave, #2a86c4", "Citrus, citrus, #f0a31f",
        "Pine, tree, #2f7d52", "Aloe, leaf, #6fb35c", "Rose, flower, #dd6a8e",
    ),
    "finish": _variants(
        "Zinc, screw, #7f8c98", "Brass, screw, #c09a3a", "Black, gear, #34383d",
        "Stainless, gear, #4f7fa6", "Copper, screw, #b5663a",
    ),
    "light": _variants(
        "Warm White, bulb, #e8a23a", "Cool White, bulb, #3d8fc9", "Daylight, sun, #e3c62f",
        "Flame, star, #d4572a", "Dimmable, bulb, #6a4fa0",
    ),
    "paint": _variants(
        "Sky Blue, house, #4f9bd6", "Brick Red, house, #a8402f", "Moss Green, tree, #5d7a43",
        "Sand, sun, #d6b681", "Graphite, drop, #4a4f55", "Lilac, flower, #a68cc4",
    ),
    "grip": _variants(
        "Red, gear, #c92a2a", "Blue, gear, #1f5fae", "Yellow, gear, #ecb81f",
        "Green, gear, #2f8a4a", "Black, gear, #2c2f33", "Orange, gear, #e8701a",
    ),
    "picture": _variants(
        "Mountain, mountain, #5a8fb5", "Sunrise, sun, #ef9a3d", "Forest, tree, #3f7a50",
        "Sailor, wave, #23508c", "Meadow, flower, #d76a93", "Stars, star, #3b3568",
        "Harbour Fish, fish, #2f8f95", "Orchard, apple, #c9402f",
    ),
}  # fmt: skip

_MASS = ("250 g", "400 g", "500 g", "750 g")
_SMALL = ("80 g", "100 g", "125 g", "200 g")
_DRINK = ("330 ml", "500 ml", "750 ml", "1 l")

KINDS = (
    Kind("Oat Drink", "carton", 0.40, "Drinks", ("1 l", "750 ml"), (1.5, 3.2), "dairy"),
    Kind("Milk", "carton", 0.42, "Dairy", ("1 l", "500 ml"), (0.9, 2.1), "dairy"),
    Kind("Nectar", "carton", 0.46, "Drinks", ("1 l", "500 ml"), (1.4, 3.0), "fruit"),
    Kind("Lemonade", "bottle", 0.30, "Drinks", _DRINK, (0.9, 2.4), "fruit"),
    Kind("Juice", "bottle", 0.36, "Drinks", _DRINK, (1.6, 3.9), "fruit"),
    Kind("Syrup", "bottle", 0.28, "Drinks", ("500 ml", "700 ml"), (2.5, 5.9), "fruit"),
    Kind("Cooking Oil", "bottle", 0.27, "Pantry", ("500 ml", "750 ml"), (3.2, 9.9), "garden"),
    Kind("Vinegar", "bottle", 0.26, "Pantry", ("250 ml", "500 ml"), (1.9, 5.5), "garden"),
    Kind("Sparkling Water", "soda", 0.50, "Drinks", ("330 ml", "500 ml"), (0.6, 1.4), "fruit"),
    Kind("Iced Tea", "soda", 0.42, "Drinks", ("330 ml", "500 ml"), (0.8, 1.9), "fruit"),
    Kind("Soup", "can", 0.68, "Pantry", ("400 ml", "800 ml"), (1.2, 3.5), "garden"),
    Kind("Stew", "can", 0.78, "Pantry", ("400 g", "800 g"), (2.2, 4.9), "garden"),
    Kind("Tuna", "can", 1.75, "Pantry", ("145 g", "185 g"), (1.5, 3.9), "sea"),
    Kind("Sardines", "can", 1.40, "Pantry", ("120 g", "160 g"), (1.2, 3.2), "sea"),
    Kind("Jam", "jar", 0.70, "Pantry", ("250 g", "340 g", "450 g"), (1.9, 4.9), "fruit"),
    Kind("Fruit Spread", "jar", 0.82, "Pantry", ("200 g", "340 g"), (2.2, 5.2), "fruit"),
    Kind("Pickles", "jar", 0.56, "Pantry", ("330 g", "670 g"), (1.4, 3.8), "garden"),
    Kind("Pesto", "jar", 0.62, "Pantry", ("130 g", "190 g"), (2.0, 4.5), "garden"),
    Kind("Cream Yogurt", "cup", 0.92, "Dairy", ("150 g", "400 g", "500 g"), (0.7, 2.6), "dairy"),
    Kind("Pudding", "cup", 1.05, "Dairy", ("125 g", "200 g"), (0.6, 1.8), "dairy"),
    Kind("Coffee", "pouch", 0.66, "Coffee and tea", _MASS, (4.5, 12.9), "roast"),
    Kind("Crisps", "pouch", 0.74, "Snacks", ("120 g", "175 g", "200 g"), (1.1, 2.9), "garden"),
    Kind("Pasta", "pouch", 0.58, "Pantry", ("500 g", "1 kg"), (0.9, 3.5), "grain"),
    Kind("Trail Mix", "pouch", 0.80, "Snacks", _SMALL, (1.9, 4.5), "grain"),
    Kind("Tea", "box", 1.15, "Coffee and tea", ("20 bags", "25 bags", "50 bags"), (1.5, 4.9), "tea"),
    Kind("Muesli", "box", 0.70, "Breakfast", _MASS, (2.2, 5.5), "grain"),
    Kind("Flakes", "box", 0.64, "Breakfast", _MASS, (1.8, 4.5), "grain"),
    Kind("Biscuits", "box", 1.60, "Snacks", _SMALL, (1.2, 3.5), "sweet"),
    Kind("Chocolate", "box", 0.55, "Snacks", ("100 g", "200 g"), (1.0, 3.9), "sweet"),
    Kind("Washing Powder", "box", 0.82, "Household", ("1 kg", "2 kg"), (4.0, 11.9), "scent"),
    Kind("Tissues", "box", 1.75, "Household", ("80 sheets", "100 sheets"), (1.2, 2.9), "scent"),
    Kind("Dish Soap", "squeeze", 0.40, "Household", ("500 ml", "750 ml"), (0.9, 2.9), "scent"),
    Kind("Shampoo", "squeeze", 0.36, "Body care", ("250 ml", "400 ml"), (1.8, 6.9), "scent"),
    Kind("Shower Gel", "squeeze", 0.44, "Body care", ("250 ml", "300 ml"), (1.2, 4.2), "scent"),
    Kind("Hand Cream", "tube", 0.36, "Body care", ("50 ml", "75 ml", "100 ml"), (1.5, 5.9), "scent"),
    Kind("Toothpaste", "tube", 0.29, "Body care", ("75 ml", "100 ml"), (0.9, 3.9), "scent"),
    Kind("Candle", "jar", 0.95, "Household", ("120 g", "200 g"), (3.5, 12.9), "scent"),
    Kind("Lamp Bulb", "box", 0.62, "Electrical", ("5 W", "8 W", "11 W"), (2.9, 9.9), "light"),
    Kind("Wood Screws", "box", 1.30, "Hardware", ("4 x 40 mm", "5 x 60 mm"), (3.5, 9.9), "finish"),
    Kind("Wall Paint", "tin", 0.98, "Hardware", ("750 ml", "2.5 l", "5 l"), (8.9, 39.9), "paint"),
    Kind("Wood Varnish", "tin", 0.80, "Hardware", ("375 ml", "750 ml"), (7.9, 24.9), "paint"),
    Kind("Claw Hammer", "hammer", 0.42, "Tools", ("300 g", "450 g", "600 g"), (7.9, 24.9), "grip"),
    Kind("Screwdriver", "screwdriver", 0.15, "Tools", ("3 mm", "5 mm", "PH2"), (2.9, 9.9), "grip"),
    Kind("Wrench", "wrench", 0.26, "Tools", ("10 mm", "13 mm", "17 mm"), (4.5, 14.9), "grip"),
    Kind("Paint Brush", "brush", 0.30, "Tools", ("35 mm", "50 mm", "70 mm"), (2.5, 8.9), "grip"),
    Kind("Joiner's Hammer", "hammer", 0.36, "Tools", ("350 g", "500 g"), (9.9, 29.9), "grip"),
    Kind("Cross Driver", "screwdriver", 0.18, "Tools", ("PH1", "PH3", "PZ2"), (3.5, 11.9), "grip"),
    Kind("Torx Driver", "screwdriver", 0.13, "Tools", ("T10", "T15", "T25"), (3.9, 12.9), "grip"),
    Kind("Ring Wrench", "wrench", 0.22, "Tools", ("8 mm", "12 mm", "19 mm"), (4.9, 16.9), "grip"),
    Kind("Flat Brush", "brush", 0.38, "Tools", ("60 mm", "80 mm"), (3.5, 9.9), "grip"),
    Kind("Cup", "mug", 1.12, "Kitchen", ("200 ml", "250 ml"), (3.5, 11.9), "picture"),
    Kind("Mug", "mug", 0.92, "Kitchen", ("300 ml", "350 ml", "400 ml"), (4.5, 14.9), "picture"),
    Kind("Thermo Flask", "flask", 0.30, "Kitchen", ("500 ml", "750 ml"), (12.9, 34.9), "picture"),
)

BRAND_STARTS = _words(
    "Alder Arn Bel Birk Brim Corv Dalm Dorn Eber Elm Fal Fenn Fjor Gar Glim Hal Hazel Hild Isen Jarn Juni "
    "Kalm Kest Lark Lind Lorm Marl Mer Mor Nord Oster Ott Pell Pim Quill Rav Rosen Rowan Sel Silv Sol Stav "
    "Tam Tarn Thorn Ulm Vel Vesper Wald Wen Yar Zeph"
)
BRAND_ENDS = _words(
    "abo ader alin amo ando anta aro asta avia beck berg brook bury dale din ea elle enna eso field fold "
    "gate grove haven hof holm horn ia isa ido ina ister land leaf low mark mere mill moor ora otta "
    "ridge shore stad sund vale vik well wick wind arby"
)
# Words in English, German, French, Italian, Spanish, Dutch, without accents: Pillow's own font has none.
NOUNS_ABROAD = {
    "Milk": ("Milk", "Milch", "Lait", "Latte", "Leche", "Melk"),
    "Juice": ("Juice", "Saft", "Jus", "Succo", "Zumo", "Sap"),
    "Syrup": ("Syrup", "Sirup", "Sirop", "Sciroppo", "Jarabe", "Siroop"),
    "Vinegar": ("Vinegar", "Essig", "Vinaigre", "Aceto", "Vinagre", "Azijn"),
    "Soup": ("Soup", "Suppe", "Soupe", "Zuppa", "Sopa", "Soep"),
    "Stew": ("Stew", "Eintopf", "Ragout", "Stufato", "Guiso", "Stoofpot"),
    "Pickles": ("Pickles", "Gurken", "Cornichons", "Cetriolini", "Pepinillos", "Augurken"),
    "Flakes": ("Flakes", "Flocken", "Flocons", "Fiocchi", "Copos", "Vlokken"),
    "Crisps": ("Crisps", "Kartoffelchips", "Chips", "Patatine", "Patatas", "Aardappelchips"),
    "Coffee": ("Coffee", "Kaffee", "Cafe", "Caffe macinato", "Cafe molido", "Koffie"),
    "Washing Powder": ("Washing Powder", "Waschpulver", "Lessive", "Detersivo", "Detergente", "Waspoeder"),
    "Shower Gel": ("Shower Gel", "Duschgel", "Gel douche", "Gel doccia", "Gel de ducha", "Douchegel"),
    "Toothpaste": ("Toothpaste", "Zahncreme", "Dentifrice", "Dentifricio", "Pasta de dientes", "Tandpasta"),
    "Candle": ("Candle", "Kerze", "Bougie", "Candela", "Vela", "Kaars"),
    "Wood Screws": ("Wood Screws", "Holzschrauben", "Vis bois", "Viti legno", "Tornillos", "Houtschroeven"),
    "Wall Paint": ("Wall Paint", "Wandfarbe", "Peinture murale", "Pittura murale", "Pintura mural", "Muurverf"),
    "Wood Varnish": ("Wood Varnish", "Holzlack", "Vernis bois", "Vernice legno", "Barniz", "Houtlak"),
}
SAYINGS_ABROAD = (
    ("New recipe", "Neue Rezeptur", "Nouvelle recette", "Nuova ricetta", "Nueva receta", "Nieuw recept"),
    ("Family pack", "Familienpackung", "Format familial", "Formato famiglia", "Formato familiar", "Gezinspak"),
    ("Good quality", "Gute Auswahl", "Bon choix", "Buona scelta", "Buena calidad", "Goede keuze"),
)
SMALL_PRINT = (
    "Keep cool and dry. Best before: see base. Made by",
    "Trocken und dunkel lagern. Haltbar bis: siehe Boden. Hergestellt von",
    "A conserver au sec. A consommer avant: voir fond. Produit par",
    "Conservare in luogo asciutto. Consumare entro: vedi fondo. Prodotto da",
    "Conservar en lugar seco. Consumir antes de: ver base. Producido por",
    "Koel en droog bewaren. Houdbaar tot: zie bodem. Gemaakt door",
)
FLASHES = ("NEW", "FRESH", "CLASSIC", "FAMILY", "EXTRA", "ECO", "TRUSTED", "BEST")
