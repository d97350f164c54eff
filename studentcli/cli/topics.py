"""The texts of `studentcli help TOPIC`, made from what they describe: never a second copy of it."""

import inspect
import shutil
import sysconfig
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from studentcli import records, settings
from studentcli.cli.framework import COMMON
from studentcli.errors import BY_CODE, ExitStatus

WIDTH: Final = 100


@dataclass(frozen=True)
class Topic:
    """A topic: one line that says what it is about, and its text."""

    about: str
    text: Callable[[], str]


# ── laying out ───────────────────────────────────────────────────────────────────────────


def _width() -> int:
    """Give the width to fill: the terminal's, if it is narrower than a good line."""
    return min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDTH)


def _paragraph(text: str) -> str:
    return textwrap.fill(text, _width(), break_long_words=False, break_on_hyphens=False)


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """Lay out words and what they mean in two columns."""
    rows = [*pairs]
    column = max(len(word) for word, _ in rows) + 4
    return "\n".join(
        textwrap.fill(
            meaning,
            max(_width(), column + 30),
            initial_indent=f"  {word}".ljust(column),
            subsequent_indent=" " * column,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for word, meaning in rows
    )


def _page(*blocks: str) -> str:
    return "\n\n".join(blocks)


# ── the topics ───────────────────────────────────────────────────────────────────────────


def list_topics() -> str:
    """List the topics."""
    return _page(
        "studentcli help TOPIC explains:",
        _pairs((name, topic.about) for name, topic in TOPICS.items()),
        _paragraph("studentcli help COMMAND, such as studentcli help student add, explains a"
                   " command; studentcli --help lists them."),
    )  # fmt: skip


def _exit_codes() -> str:
    return _page(
        "Every command ends with one of these exit codes:",
        _pairs((f"{status:>3}", status.meaning) for status in ExitStatus),
        _paragraph(
            "An error is told on stderr as `error: … [code]` and `hint: …`, with --format json as"
            " one JSON object. studentcli help codes lists the codes with their exit codes."
        ),
    )


def _codes() -> str:
    from studentcli.rules import OVERRIDABLE

    column = max(map(len, BY_CODE))
    listed = []
    for code, error in BY_CODE.items():
        meaning = inspect.getdoc(error) or ""
        hint = f" Hint: {error.default_hint}." if error.default_hint else ""
        listed.append((f"{code.ljust(column)} {error.exit_status:>4}", meaning + hint))
    return _page(
        _paragraph("The code that an error or a refused change carries, the exit code that a"
                   " command ends with for it, and what it means. Codes never change."),
        _pairs(listed),
        _paragraph(f"These rules can be broken with --override RULE --reason TEXT:"
                   f" {', '.join(sorted(OVERRIDABLE))}."),
    )  # fmt: skip


def _formats() -> str:
    from studentcli.formats.native import ENROLLMENT_MEANINGS

    table, in_pipe, *others = settings.FORMATS
    blocks = [
        _paragraph(
            f"What a command prints as data: a {table} on a terminal, {in_pipe} with a header in a"
            f" pipe; --format chooses {table}, {in_pipe}, {', '.join(others)}."
        ),
        _paragraph(
            "What import reads and export writes: CSV in UTF-8 with a header line, columns in any"
            " order, one kind of thing per file, recognised by its columns:"
        ),
        "enrollments\n" + _pairs(ENROLLMENT_MEANINGS.items()),
    ]
    for kind in records.KINDS.values():
        key = [(name, "key: names the record") for name in kind.key]
        fields = [(field.name, f"{field.metavar}: {field.help}") for field in kind.fields]
        blocks.append(f"{kind.plural}\n{_pairs(key + fields)}")
    blocks.append(
        _paragraph(
            "A missing column leaves values alone, an empty cell means not given,"
            f" {records.CLEAR} clears a value. Columns that begin with _ are passed over."
        )
    )
    return _page(*blocks)


def _environment() -> str:
    def meaning(name: str) -> str:
        option = COMMON[name][0].__metadata__[0]
        spelled = name.replace("_", "-")
        return f"{option.help} (--{spelled} {option.metavar}; {name} in a file)"

    files = [path.absolute() for path in settings.setting_files()]
    return _page(
        "These environment variables are settings:",
        _pairs((variable, meaning(name)) for name, variable in settings.ENVIRONMENT.items()),
        _paragraph("Strongest first, a setting comes from the option, the environment variable,"
                   " the first of these files that has it, the default:"),
        "\n".join(f"  {path}{'' if path.exists() else '  (none yet)'}" for path in files),
        f"The default database is\n\n  {settings.default_database()}",
        "Others are heeded by what studentcli is made of:",
        _pairs(HEEDED.items()),
    )  # fmt: skip


HEEDED: Final = {
    "PGPASSFILE": "where PostgreSQL's password file is; passwords never go on the command line",
    "PGHOST, PGUSER, …": "what a PostgreSQL URL leaves out",
    "NO_COLOR": "no colour at a terminal",
    "COLUMNS": "the width of tables and help",
    "SUDO_USER": "who acts, behind sudo",
    "XDG_CONFIG_HOME, XDG_CONFIG_DIRS": "where the user's and the site's settings are",
    "XDG_DATA_HOME": "where the default database is",
}

CRONTAB: Final = (
    "MAILTO=registrar@example.edu",
    "PATH={folder}:/usr/bin:/bin",
    "STUDENTCLI_DATABASE_URL=/srv/registrar/school.db",
    "",
    "# The day's changes. The good rows are applied, the refused ones kept and mailed about.",
    (
        "15 2 * * *  cd /srv/registrar && studentcli -q import changes.csv --on-error skip"
        " --rejects rejects.csv >>import.log 2>&1"
        ' || echo "import ended with exit code $?, see import.log"'
    ),
    "# All rows or none, waiting up to ten minutes for others; what goes wrong is mailed.",
    "30 2 * * *  cd /srv/registrar && studentcli -q --wait 600 import students.csv",
    "# A file for others, there whole or as it was.",
    "45 2 * * *  cd /srv/registrar && studentcli -q export enrollments -o enrollments.csv",
    "# Holds and reservations that ended let the waitlists move.",
    "50 2 * * *  studentcli -q waitlist run --all",
    "# A copy under the day's name; cron wants a backslash before a percent sign.",
    "0 3 * * *   cd /srv/registrar && studentcli -q db backup school-$(date +\\%F).db",
    "# On Sundays: prints nothing, unless there is damage, or something to attend to.",
    "0 4 * * 0   studentcli -q db check --format tsv",
)


def _cron() -> str:
    mailed = [ExitStatus.NOT_FOUND, ExitStatus.BUSY, ExitStatus.BATCH_REFUSED, ExitStatus.DATABASE]
    return _page(
        _paragraph(
            "cron has no terminal, a short PATH and none of your settings, so a crontab (crontab"
            " -e) names them. -q prints nothing on success; what is printed cron mails to MAILTO."
        ),
        "\n".join(CRONTAB).format(folder=_folder()),
        "What a script will meet most:",
        _pairs((f"{status:>3}", status.meaning) for status in mailed),
        _paragraph(
            f"Without a terminal nothing is asked, no database is made unasked, and a command waits"
            f" {settings.WAIT_WITHOUT:.0f} s for others' locks unless --wait says otherwise."
            " A password belongs into PGPASSFILE, not into the crontab."
        ),
    )


SYNC_WORDS: Final = {
    "the file": "student, course, term, section; also effective_on (the date of a first"
    " enrollment), override, reason and request, but no action. A row outside the scope is"
    " refused. --where term=2026FA leaves rows of other terms out: those of a term that there is;"
    " a row without a term has the scope's.",
    "what is over": "Who has completed or withdrawn is never touched; a row about them is passed"
    " over as superseded (--strict refuses it), and one that overrides already-withdrawn is"
    " refused: studentcli enroll does that, once.",
    "swaps": "Who waits for one course in place of another, and is in the file with both, gets the"
    " seat only beside the other: what the file names is not given up.",
    "--absent": "drop; withdraw (who waits is dropped); or keep. Past its deadline a drop or a"
    " withdrawal is refused and listed, as a row is. Who is absent and may be meant by a row that"
    " names nobody is kept.",
    "--last-wins": "Rows of one enrollment that disagree are refused; with this the last counts.",
}
SYNC_GUARDS: Final = {
    "too-many-drops": "More than --max-drops: a share of the live enrollments in the scope and in"
    " each course ({share}% unless another one is named), or a number in the scope, which holds"
    " beside the share: 100% and a number is the number alone. {few} drops are allowed unless the"
    " share is below {share}%, but everybody of a course only with 100%.",
    "empty-file": "No rows. --allow empty-file lets it through.",
    "older-file": "A file that was written before the last one of the scope, or of another one that"
    " has a course in common with it, by its time of change, which a copy can lose and standard"
    " input does not have; one that was written after it passes. Where the times say nothing: the"
    " file of an earlier sync that another one came after. A sync that was undone does not count."
    " --allow older-file lets it through.",
}


def _sync() -> str:
    from studentcli.services.syncing.guards import DEFAULT_SHARE, FEW

    return _page(
        _paragraph(
            "import FILE --sync --scope term=2026FA[,course=CS*] makes a list of enrollments the"
            " truth for a term, or for some of its courses: whoever is enrolled or waitlisted"
            " there and not in the file is dropped, then the file's new rows are added, then the"
            " waitlists move up, all in one transaction. -n and plan show it first; undo takes"
            " it back."
        ),
        _pairs(SYNC_WORDS.items()),
        f"Guards stop a sync before anything is changed, with exit code {ExitStatus.GUARD}:",
        _pairs(
            (code, text.format(share=DEFAULT_SHARE, few=FEW)) for code, text in SYNC_GUARDS.items()
        ),
    )


def _folder() -> str:
    """Give the folder of the `studentcli` that cron is to run: this installation's."""
    here = Path(sysconfig.get_path("scripts"))
    found = shutil.which("studentcli", path=str(here)) or shutil.which("studentcli")
    return str(Path(found).parent if found else here)


TOPICS: Final = {
    "exit-codes": Topic("what the exit code of a command means", _exit_codes),
    "codes": Topic("the code of every error and refusal", _codes),
    "formats": Topic("output formats, and the columns of every kind of file", _formats),
    "environment": Topic(
        "environment variables, settings files, the default database", _environment
    ),
    "sync": Topic("a file as the truth for a term, and what guards it", _sync),
    "cron": Topic("crontab lines to copy", _cron),
}
