"""How a command is declared: a function that takes the `Cli` first, and the options all share.

`@command(app)` adds the shared options to the function's own, so that each is declared once.
"""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from studentcli.cli import complete
from studentcli.cli.context import Cli, silence_stdout
from studentcli.records import RecordKind
from studentcli.settings import FORMATS

Parameter = inspect.Parameter

DatabaseOption = Annotated[
    str | None, typer.Option("--database", metavar="URL|PATH", help="The database to work with.")
]
ActorOption = Annotated[
    str | None, typer.Option("--actor", metavar="NAME", help="Who acts; recorded in the history.")
]
WaitOption = Annotated[
    float | None,
    typer.Option("--wait", metavar="SECONDS", help="How long to wait for others' locks."),
]
LogFileOption = Annotated[
    str | None,
    typer.Option(
        "--log-file", metavar="PATH", help="Add audit lines in JSON there; - is standard error."
    ),
]
LogLevelOption = Annotated[
    str | None,
    typer.Option(
        "--log-level",
        metavar="LEVEL",
        help="debug, info, warning (refusals and failures) or error.",
        autocompletion=complete.one_of("debug", "info", "warning", "error"),
    ),
]
TermOption = Annotated[
    str | None,
    typer.Option(
        "--term",
        metavar="TERM",
        help="The term, such as 2026FA.",
        autocompletion=complete.terms,
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help=f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}.",
        autocompletion=complete.formats,
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing on success.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Say what would happen; change nothing.")
]

PANELS = ("Enrollment", "Look up", "Catalogue", "Files", "Database", "Service", "Help")
"""The headings of the commands, in the order in which a registrar meets them."""

COMMON: dict[str, tuple[Any, Any]] = {
    "database": (DatabaseOption, None),
    "term": (TermOption, None),
    "format": (FormatOption, None),
    "actor": (ActorOption, None),
    "wait": (WaitOption, None),
    "log_file": (LogFileOption, None),
    "log_level": (LogLevelOption, None),
    "quiet": (QuietOption, False),
}


class _PlainText:
    """Takes text as it stands, and leaves every other value to typer's own coercion.

    Measured: building pydantic's adapters for the text options of one command cost a quarter of
    the start-up of `courses STUDENT`.
    """

    def __init__(self, typers_own: Callable[[], Any]) -> None:
        self._typers_own = typers_own

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        annotation = param.type_descriptor.annotation
        is_one = param.nargs == 1 and not param.multiple
        if is_one and (value is None or type(value) is annotation):  # text, or a default
            return value
        if annotation == list[str] and not isinstance(value, str):
            return () if value is None else list(value)
        return self._typers_own().coerce(value, param=param, ctx=ctx)


def _lightened(params: list[Any]) -> list[Any]:
    for param in params:
        if "get_runtime_param" not in vars(param):
            plain = _PlainText(param.get_runtime_param)
            param.get_runtime_param = lambda plain=plain: plain
    return params


class Command(TyperCommand):
    """A command whose text options need no pydantic."""

    def get_params(self, ctx: Any) -> list[Any]:
        """List the parameters."""
        return _lightened(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands that lists them by task, within it in the order of declaration."""

    def get_params(self, ctx: Any) -> list[Any]:
        """List the parameters."""
        return _lightened(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        """List the names of the commands."""
        return sorted(super().list_commands(ctx), key=self._place)

    def _place(self, name: str) -> int:
        panel = getattr(self.commands[name], "rich_help_panel", None)
        return PANELS.index(panel) if panel in PANELS else len(PANELS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands by task, as rich does at a terminal."""
        commands = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        longest = max(len(name) for name, _ in commands)
        panels: dict[str, list[tuple[str, str]]] = {}
        for name, listed in commands:
            panel = getattr(listed, "rich_help_panel", None) or "Commands"
            said = listed.get_short_help_str(formatter.width - longest - 6)
            panels.setdefault(panel, []).append((name.ljust(longest), said))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows)


def new_app(help_text: str, *, cls: type[Group] = Group) -> typer.Typer:
    """Make a group of commands."""
    return typer.Typer(
        cls=cls,
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich" if sys.stdout.isatty() else None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _keyword(name: str, annotation: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _record_parameters(kind: RecordKind) -> dict[str, tuple[Any, Any]]:
    return {
        field.name: (
            Annotated[
                str | None,
                typer.Option(
                    f"--{field.name.replace('_', '-')}",
                    metavar=field.metavar,
                    help=field.help,
                    autocompletion=complete.one_of(*field.choices) if field.choices else None,
                ),
            ],
            None,
        )
        for field in kind.fields
    }


def command(
    app: typer.Typer,
    name: str | None = None,
    *,
    writes: bool = False,
    fields_of: RecordKind | None = None,
    panel: str | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Declare a command.

    Args:
        app: the group.
        name: the word to type; the function's name when left out.
        writes: add --dry-run.
        fields_of: add an option per field of this kind of record; the function gets those that
            were given as `fields`, name → text.
        panel: the heading under which help lists it.
    """
    shared = dict(COMMON)
    if writes:
        shared["dry_run"] = (DryRunOption, False)
    of_record = _record_parameters(fields_of) if fields_of else {}

    def declare(function: Callable[..., None]) -> Callable[..., None]:
        own = [
            parameter
            for parameter in inspect.signature(function).parameters.values()
            if parameter.name not in {"cli", "fields"}
        ]
        added = [_keyword(n, *spec) for n, spec in {**of_record, **shared}.items()]

        @functools.wraps(function)
        def call(**arguments: Any) -> None:
            options = {key: arguments.pop(key) for key in shared}
            if of_record:
                given = {key: arguments.pop(key) for key in of_record}
                arguments["fields"] = {k: v for k, v in given.items() if v is not None}
            _carry_out(Cli(_merge(options)), function, arguments)

        parameters = own + added
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {p.name: p.annotation for p in parameters}
        app.command(name, cls=Command, rich_help_panel=panel)(call)
        return function

    return declare


def _carry_out(cli: Cli, function: Callable[..., None], arguments: dict[str, Any]) -> None:
    cli.require_readable_settings()
    try:
        function(cli, **arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has enough: typer would make it exit 1
        silence_stdout()
    if cli.exit_status:
        raise typer.Exit(int(cli.exit_status))


_before: dict[str, Any] = {}


def remember_options(options: dict[str, Any]) -> None:
    """Keep the options that stood in front of the command."""
    _before.clear()
    _before.update(options)


def _merge(options: dict[str, Any]) -> dict[str, Any]:
    """Let the command's own options win over those in front of it."""
    return {**options, **_given(_before), **_given(options)}


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {n: value for n, value in options.items() if value is not None and value is not False}
