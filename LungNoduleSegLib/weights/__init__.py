"""Model cards, the catalog of models, and the store of weights. Imports no torch.

``load_state(find("model-2-compact"))`` gives the weights as float32 arrays, after their SHA-256 was checked.
"""

from LungNoduleSegLib.weights.card import SCHEMA, Card, trained_on
from LungNoduleSegLib.weights.catalog import Catalog, CatalogEntry, find, models, scan
from LungNoduleSegLib.weights.download import download
from LungNoduleSegLib.weights.locations import shipped_folder, user_folder
from LungNoduleSegLib.weights.state import load_parts, load_state, save_weights
from LungNoduleSegLib.weights.store import clear, import_file, remove

__all__ = [
    "SCHEMA",
    "Card",
    "Catalog",
    "CatalogEntry",
    "clear",
    "download",
    "find",
    "import_file",
    "load_parts",
    "load_state",
    "models",
    "remove",
    "save_weights",
    "scan",
    "shipped_folder",
    "trained_on",
    "user_folder",
]
