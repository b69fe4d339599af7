"""The mistakes of `make mutants`, which takes too long to run with every test, can still be made."""

import shutil
from pathlib import Path

import pytest

from tests.mutants import MUTANTS, ROOT, Mutant, NotFound, apply


def source_of(mutant: Mutant, folder: Path) -> set[Path]:
    files = {folder / name for name, _, _ in mutant.replacements}
    for file in files:
        file.parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file.relative_to(folder), file)
    return files


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake)
def test_the_text_that_a_mutant_replaces_stands_in_the_source_once_and_the_result_is_python(
    mutant: Mutant, tmp_path: Path
) -> None:
    files = source_of(mutant, tmp_path)
    apply(mutant, tmp_path)
    for file in files:
        compile(file.read_text(encoding="utf-8"), file, "exec")


def test_a_mutant_whose_text_is_gone_is_told(tmp_path: Path) -> None:
    source_of(MUTANTS[0], tmp_path)
    apply(MUTANTS[0], tmp_path)
    with pytest.raises(NotFound, match=r"any algorithm that the key can do: handlers/keys\.py holds 0 times, and not once"):
        apply(MUTANTS[0], tmp_path)
