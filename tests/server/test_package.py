"""What is installed elsewhere: the wheel that the container installs holds everything that the program reads."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_the_contract_the_migrations_and_the_command(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=60,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry_points = next(archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    packages = ("openapi", "handlers", "db", "server")
    sources = {
        str(file.relative_to(ROOT))
        for package in packages
        for file in (ROOT / package).rglob("*")
        if file.suffix in (".py", ".sql")
    }
    static = {f"server/static/{file.name}" for file in (ROOT / "server" / "static").iterdir()}
    assert sources | static | {"openapi/openapi.yaml"} <= names
    assert "sessions-api = server.__main__:main" in entry_points
