"""What tests of figures share."""

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that the test saves, in order."""
    saved: list[Figure] = []
    savefig = Figure.savefig

    def record(figure: Figure, *args: object, **options: object) -> None:
        saved.append(figure)
        savefig(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", record)
    return saved
