"""Seeded mistakes in the security path, each of which the tests have to notice: `make mutants`.

A mutant is the source with a few words replaced, in a folder of its own, and the tests that should fail on it. It is killed
when one of them fails; an error outside a test (a mutant that cannot be imported, a fixture that breaks) is no kill. The
same tests are also run on the source as it is, where they have to pass.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = ("openapi", "handlers", "db", "server", "tests", "pyproject.toml", "schemathesis.toml")
SECURITY, TOKENS, KEYS, JWKS = "handlers/security.py", "handlers/tokens.py", "handlers/keys.py", "handlers/jwks.py"
TOKEN_TESTS, SECURITY_TESTS = "tests/handlers/test_tokens.py", "tests/handlers/test_security.py"
ATTACKS, REFUSALS = "tests/security/test_tokens.py", "tests/handlers/test_refusals.py"
KEY_TESTS, JWKS_TESTS = "tests/handlers/test_keys.py", "tests/handlers/test_jwks.py"
TENANCY = "tests/security/test_tenancy.py"
SLIM = ("-p", "no:cacheprovider", "-p", "no:schemathesis")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake: what it is, the replacements that make it, and the tests that are asked."""

    mistake: str
    replacements: tuple[tuple[str, str, str], ...]
    """File, the text that stands in it exactly once, and what stands there instead."""
    tests: tuple[str, ...]


def mutant(mistake: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(mistake, ((file, old, new),), tests)


MUTANTS = [
    mutant(
        "any algorithm that the key can do",
        KEYS,
        "if alg in key.algorithms and (kid",
        "if (kid",
        f"{ATTACKS}::test_only_the_algorithms_of_the_configured_keys_get_in",
    ),
    mutant(
        "alg none is enough",
        TOKENS,
        "    if not candidates:\n",
        '    if algorithm.strip().lower() == "none":\n        return Key(b"", frozenset())\n    if not candidates:\n',
        f"{TOKEN_TESTS}::test_an_unsigned_token_is_refused_however_it_spells_none",
    ),
    mutant(
        "any signature is enough",
        TOKENS,
        "if key.verifies(algorithm, signing_input.encode(), signature):",
        "if signature:",
        f"{TOKEN_TESTS}::test_a_signature_that_was_tampered_with_is_refused",
    ),
    mutant(
        "a segment may be spelled in several ways",
        TOKENS,
        '.rstrip("=") != segment:',
        '.rstrip("=") is segment:',
        f"{TOKEN_TESTS}::test_only_one_spelling_of_each_segment_is_accepted",
    ),
    mutant(
        "the audience is ignored",
        TOKENS,
        'if rules.audiences and not _strings(payload, ("aud",)).intersection(rules.audiences):',
        "if rules.audiences is None:",
        f"{TOKEN_TESTS}::test_a_configured_issuer_and_audience_are_required_to_the_letter",
    ),
    mutant(
        "the issuer is compared by its beginning",
        TOKENS,
        'payload["iss"] != rules.issuer:',
        'not str(payload["iss"]).startswith(rules.issuer):',
        f"{TOKEN_TESTS}::test_a_configured_issuer_and_audience_are_required_to_the_letter",
    ),
    mutant(
        "a leeway of a day",
        TOKENS,
        'ends = int(times["exp"]) + rules.leeway',
        'ends = int(times["exp"]) + rules.leeway + 86_400',
        f"{TOKEN_TESTS}::test_a_correctly_signed_token_with_a_bad_claim_is_refused",
    ),
    Mutant(
        "exp is not required",
        (
            (TOKENS, '("exp", True)', '("exp", False)'),
            (TOKENS, 'int(times["exp"]) + rules', 'int(times.get("exp", _MAX_TIME)) + rules'),
        ),
        (f"{TOKEN_TESTS}::test_a_token_that_never_expires_is_refused",),
    ),
    mutant(
        "the type of a token is ignored",
        TOKENS,
        "not in _TYPES:",
        "is None:",
        f"{TOKEN_TESTS}::test_a_correctly_signed_token_with_a_bad_header_is_refused",
    ),
    mutant(
        "crit is ignored",
        TOKENS,
        'if "crit" in header or header.get("b64", True) is not True:',
        "if header is ...:",
        f"{TOKEN_TESTS}::test_a_correctly_signed_token_with_a_bad_header_is_refused",
    ),
    mutant(
        "the last of two members of one name counts",
        "openapi/json.py",
        "if len({name for name, _ in members}) != len(members):",
        "if len({name for name, _ in members}) > len(members):",
        f"{TOKEN_TESTS}::test_a_payload_that_two_readers_could_read_differently_is_refused",
    ),
    mutant(
        "a verification is cached past exp",
        TOKENS,
        " and cached.begins <= time() < cached.ends:",
        ":",
        f"{TOKEN_TESTS}::test_a_token_that_passed_is_refused_from_the_second_on_in_which_it_expires",
    ),
    mutant(
        "a verification is cached past the removal of its key",
        TOKENS,
        "if cached.key in await keys.candidates(cached.header) and ",
        "if ",
        f"{TOKEN_TESTS}::test_a_token_that_passed_is_refused_once_its_key_is_gone_and_passes_when_it_is_back",
    ),
    mutant(
        "a verification is cached by the signed part alone",
        TOKENS,
        "sha256(token.encode())",
        'sha256(token.rpartition(".")[0].encode())',
        f"{TOKEN_TESTS}::test_a_token_that_resembles_one_that_passed_is_refused",
    ),
    mutant(
        "the first of two headers decides",
        SECURITY,
        "if len(sent) > 1:",
        "if len(sent) < 1:",
        f"{SECURITY_TESTS}::test_anything_but_one_token_in_one_header_is_refused",
    ),
    mutant(
        "a permission is found as a part of another",
        SECURITY,
        "if not required <= claims.scopes:",
        'if not all(name in " ".join(claims.scopes) for name in required):',
        f"{SECURITY_TESTS}::test_a_permission_is_matched_whole",
    ),
    mutant(
        "one of the required permissions is enough",
        SECURITY,
        "if not required <= claims.scopes:",
        "if not required & claims.scopes:",
        f"{SECURITY_TESTS}::test_an_operation_that_names_two_permissions_requires_both",
    ),
    mutant(
        "the required permissions are dropped",
        SECURITY,
        "required = operation.required_scopes",
        "required = operation.required_scopes and frozenset()",
        f"{REFUSALS}::test_the_first_step_that_refuses_decides_the_status",
    ),
    mutant(
        "a star stands for an ending",
        TOKENS,
        "return workspace_id in self.workspaces or EVERY_WORKSPACE in self.workspaces",
        'return any(workspace_id == name or ("*" in name and workspace_id.startswith(name.rstrip("*")))'
        " for name in self.workspaces)",
        f"{SECURITY_TESTS}::test_a_token_covers_exactly_the_workspaces_that_it_names",
    ),
    mutant(
        "the workspace is checked after the query",
        SECURITY,
        """\
            if not claims.cover(scope["path_params"]["workspaceId"]):
                raise AccessRefused("The token does not cover this workspace.", required)
            scope[CLAIMS] = claims
            await next_app(scope, receive, send)
""",
        """\
            scope[CLAIMS] = claims
            await next_app(scope, receive, send)
            if not claims.cover(scope["path_params"]["workspaceId"]):
                raise AccessRefused("The token does not cover this workspace.", required)
""",
        f"{SECURITY_TESTS}::test_a_foreign_workspace_gets_the_same_bytes_whether_or_not_it_exists",
    ),
    Mutant(
        "401 and 403 are swapped",
        (
            ("handlers/problems.py", "return Problem(401, error.detail", "return Problem(4030, error.detail"),
            ("handlers/problems.py", "return Problem(403, error.detail", "return Problem(401, error.detail"),
            ("handlers/problems.py", "return Problem(4030, error.detail", "return Problem(403, error.detail"),
        ),
        (f"{REFUSALS}::test_the_first_step_that_refuses_decides_the_status",),
    ),
    mutant(
        "an outage of the key server is a 401",
        JWKS,
        "if self._failure is not None and not self._is_known(header):",
        "if self._failure is ...:",
        f"{JWKS_TESTS}::test_without_a_response_and_without_a_cached_set_no_token_can_be_verified",
    ),
    mutant(
        "an unknown key id means any key",
        KEYS,
        " and (kid is None or key.kid in (None, kid))]",
        "]",
        f"{KEY_TESTS}::test_a_token_that_names_a_key_is_verified_with_that_key_or_one_without_a_name",
    ),
    mutant(
        "a weak secret is accepted",
        KEYS,
        "if _entropy(material) < MIN_SECRET_ENTROPY:",
        "if not material:",
        f"{KEY_TESTS}::test_a_secret_that_is_short_or_has_little_entropy_is_refused",
    ),
    mutant(
        "a short secret is accepted",
        KEYS,
        "if len(material) >= MIN_SECRET_BYTES[name])",
        "if material)",
        f"{KEY_TESTS}::test_a_secret_that_is_short_or_has_little_entropy_is_refused",
    ),
    mutant(
        "a key of known structure is accepted",
        KEYS,
        "if all(modulus % prime in powers for prime, powers in _POWERS.items()):",
        "if modulus == 1:",
        f"{KEY_TESTS}::test_a_jwk_is_ignored_if_it_is",
    ),
    mutant(
        "a key fits algorithms of other types and curves",
        KEYS,
        "    except (InvalidKeyError, TypeError):\n        return False",
        "    except (InvalidKeyError, TypeError):\n        return True",
        f"{KEY_TESTS}::test_a_public_jwk_is_used_for_what_it_allows",
    ),
    mutant(
        "any issuer may name the JWK set",
        JWKS,
        'if named.rstrip("/") != issuer:',
        "if named is issuer:",
        f"{JWKS_TESTS}::test_a_discovery_document_that_does_not_fit_is_refused",
    ),
    mutant(
        "unknown keys hold up every request",
        JWKS,
        "if self._waiting >= self.max_waiting:",
        "if self._waiting < 0:",
        f"{JWKS_TESTS}::test_unknown_keys_hold_up_few_requests_and_none_whose_key_is_known",
    ),
    mutant(
        "a claim of the path's last name is enough",
        TOKENS,
        "    if name in claims:\n        return claims[name]\n",
        '    if name.rpartition(".")[2] in claims:\n        return claims[name.rpartition(".")[2]]\n',
        f"{TOKEN_TESTS}::test_a_claim_is_found_by_its_name_or_by_the_path_to_it",
    ),
    mutant(
        "a cursor is not bound to its workspace",
        "handlers/paging.py",
        "repr(query)",
        "repr(replace(query, workspace_id=str()))",
        "tests/handlers/test_paging.py::test_a_cursor_opens_no_other_workspace",
    ),
    mutant(
        "the query forgets the tenant",
        "db/statements.py",
        'query = query.where(table.c.workspace_id == _value("workspace_id"))',
        "query = query.where(table.c.workspace_id != literal_column(\"''\"))",
        f"{TENANCY}::test_the_tenants_hold_the_same_ids_and_the_test_can_tell_them_apart",
    ),
]


class NotFound(Exception):
    """The text that a mutant replaces does not stand in the source exactly once."""


def copy_to(folder: Path) -> None:
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        else:
            shutil.copy2(ROOT / name, folder)


def apply(mutant: Mutant, folder: Path) -> None:
    for name, old, new in mutant.replacements:
        text = (folder / name).read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise NotFound(f"{mutant.mistake}: {name} holds {text.count(old)} times, and not once: {old}")
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")


def run(folder: Path, tests: list[str]) -> subprocess.CompletedProcess[str]:
    # The engines differ in nothing here, and SQLite starts at once.
    command = [sys.executable, "-m", "pytest", "-x", "-n0", "-q", *SLIM, "-k", "not postgresql", *tests]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300)


def try_mutant(mutant: Mutant) -> tuple[bool, str]:
    """Whether a mutant was killed, and by which test or why not."""
    with tempfile.TemporaryDirectory(prefix="sessions-mutant-") as name:
        folder = Path(name)
        copy_to(folder)
        apply(mutant, folder)
        result = run(folder, list(mutant.tests))
    failed = re.search(r"^FAILED \S+?::(\w+)", result.stdout, re.MULTILINE)
    if result.returncode == 1 and failed:
        return True, failed[1]
    if result.returncode == 0:
        return False, "SURVIVED"
    return False, f"BROKEN: {(result.stdout + result.stderr)[-600:]}"


def control() -> str:
    """What is wrong when nothing is: the output of the tests if they fail on the source as it is."""
    with tempfile.TemporaryDirectory(prefix="sessions-mutant-") as name:
        copy_to(Path(name))
        result = run(Path(name), sorted({test for mutant in MUTANTS for test in mutant.tests}))
    return "" if result.returncode == 0 else (result.stdout + result.stderr)[-2000:]


def main() -> int:
    begun = time.monotonic()
    with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        unchanged = pool.submit(control)
        outcomes = pool.map(try_mutant, MUTANTS)
        killed = 0
        try:
            for mutant, (is_killed, reason) in zip(MUTANTS, outcomes, strict=True):
                killed += is_killed
                sys.stdout.write(f"{'killed  ' if is_killed else 'ALIVE   '}{mutant.mistake:<52} {reason}\n")
                sys.stdout.flush()
        except NotFound as error:
            sys.stdout.write(f"{error}\n")
            return 1
    if unchanged.result():
        sys.stdout.write(f"The tests fail on the source as it is, so no kill counts:\n{unchanged.result()}\n")
        return 1
    sys.stdout.write(f"{killed} of {len(MUTANTS)} mutants killed in {time.monotonic() - begun:.0f} s\n")
    return 0 if killed == len(MUTANTS) else 1


if __name__ == "__main__":
    sys.exit(main())
