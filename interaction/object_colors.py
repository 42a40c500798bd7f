"""Which colour a new object gets."""

from collections.abc import Iterable
from typing import Final

from interaction.project.mask_colors import davis_palette

__all__ = ["OKABE_ITO", "next_color"]

Color = tuple[int, int, int]

# Okabe and Ito's set for every kind of colour vision (https://jfly.uni-koeln.de/color/), without
# black, the ones that stand out best on photographs first.
OKABE_ITO: Final[tuple[Color, ...]] = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # bluish green
    (240, 228, 66),  # yellow
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermilion
    (204, 121, 167),  # reddish purple
)


def next_color(used: Iterable[Color]) -> Color:
    """The first colour that no object has yet: Okabe and Ito's seven, then the masks' palette.

    There are more colours than objects, so one is always left.
    """
    taken = set(used)
    palette = [(int(r), int(g), int(b)) for r, g, b in davis_palette()[1:]]
    candidates = (*OKABE_ITO, *palette)
    return next((color for color in candidates if color not in taken), candidates[-1])
