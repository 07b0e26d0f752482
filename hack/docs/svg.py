"""The little SVG that the pictures of the documentation need."""

from dataclasses import dataclass, field
from xml.sax.saxutils import escape

INK, PAPER = "#1f2933", "#ffffff"


@dataclass
class Drawing:
    """Boxes and texts on white paper, which reads on a dark page as well."""

    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def box(self, x: float, y: float, width: float, height: float, *, fill: str) -> None:
        """Draw a filled box."""
        place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
        self.parts.append(f'<rect {place} rx="3" fill="{fill}"/>')

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: int = 12,
        fill: str = INK,
        middle: bool = False,
        end: bool = False,
    ) -> None:
        """Write a text that starts, is centred or ends at x."""
        anchor = ' text-anchor="middle"' if middle else ' text-anchor="end"' if end else ""
        look = f'font-size="{size}" fill="{fill}"{anchor}'
        self.parts.append(f'<text x="{x:g}" y="{y:g}" {look}>{escape(text)}</text>')

    def svg(self, title: str) -> str:
        """Return the whole picture; the title is for those who can't see it."""
        size = f'viewBox="0 0 {self.width:g} {self.height:g}" width="{self.width:g}"'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"',
                ' font-family="sans-serif">',
                f"<title>{escape(title)}</title>",
                f'<rect width="{self.width:g}" height="{self.height:g}" rx="8" fill="{PAPER}"/>',
                *self.parts,
                "</svg>",
                "",
            ]
        )
