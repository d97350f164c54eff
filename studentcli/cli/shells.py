"""bash, zsh and fish: installing completion, and answering them when they ask for it.

The scripts and their protocol are typer's; here is what they leave open. An answer is silent
whatever happens: nobody at a prompt wants to read why nothing was offered.
"""

import contextlib
import io
import itertools
import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from studentcli import errors
from studentcli.cli import complete
from studentcli.cli.framework import Group

SHELLS: Final = ("bash", "zsh", "fish")
ASKS: Final = "_STUDENTCLI_COMPLETE"
"""The environment variable by which a completion script says what it wants."""
ZSH_FIRST: Final = """
# zsh calls this file at the first completion, and only to load it: that one is answered here.
[[ $zsh_eval_context[-1] == loadautofunc ]] && _studentcli_completion "$@"
"""
DETECT: Final = "auto"
OPTIONS: Final = ("--install-completion", "--show-completion")


# ── answering ────────────────────────────────────────────────────────────────────────────


def is_asked() -> bool:
    """Tell whether a shell called this process to complete a line."""
    return bool(os.environ.get(ASKS))


def answer(group: TyperGroup) -> int:
    """Print what a line can go on with; gives the exit code."""
    from typer.completion import get_completion_inspect_parameters

    get_completion_inspect_parameters()  # typer learns its shells only when it adds its options
    offers, code = io.StringIO(), 0
    with contextlib.suppress(Exception), contextlib.redirect_stderr(io.StringIO()):
        _mend_words()
        with contextlib.redirect_stdout(offers):
            try:
                group.main([], prog_name="studentcli", standalone_mode=False)
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0
        sys.stdout.write(_with_option(offers.getvalue()))
    is_fish_condition = os.environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args"
    return code if is_fish_condition else 0


def _mend_words() -> None:
    """Put together what bash takes apart: `--term=2026FA`, `postgresql://…`.

    bash hands over one word a line, separated also at `=` and `:`, and the words behind the cursor
    with them. Whatever is completed, bash replaces only what stands behind the last of them.
    """
    words = os.environ.get("COMP_WORDS")
    if words is None:
        return
    mended: list[str] = []
    glue = False
    for word in words.split("\n")[: int(os.environ["COMP_CWORD"]) + 1]:
        is_separator = bool(word) and not word.strip("=:")
        if mended and (glue or is_separator):
            mended[-1] += word
        else:
            mended.append(word)
        glue = is_separator
    os.environ["COMP_WORDS"] = "\n".join(mended)
    os.environ["COMP_CWORD"] = str(len(mended) - 1)


def _with_option(offers: str) -> str:
    """Put `--term=` in front again for zsh and fish, which compare the whole word."""
    word = re.search(r"(?:^|\s)(--[a-z-]+=)\S*$", os.environ.get("_TYPER_COMPLETE_ARGS", ""))
    if word is None or not offers.strip():
        return offers
    if offers.startswith("_arguments"):
        return f"compset -P '*='; {offers}"
    return re.sub("(?m)^(?=.)", word[1], offers)


# ── installing ───────────────────────────────────────────────────────────────────────────


class Root(Group):
    """The outermost group, whose completion options may be given with or without a shell."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; an option that names no shell means the one that runs this."""
        named: list[str] = []
        for word, following in itertools.pairwise([*args, "-"]):
            named += [word, DETECT] if word in OPTIONS and following[:1] == "-" else [word]
        return super().parse_args(ctx, named)


def _install(ctx: typer.Context, param: typer.CallbackParam, shell: str | None) -> None:
    from typer.completion import install_callback

    _hand_over(install_callback, ctx, param, shell)


def _show(ctx: typer.Context, param: typer.CallbackParam, shell: str | None) -> None:
    from typer.completion import show_callback

    _hand_over(show_callback, ctx, param, shell)


def _hand_over(callback: Any, ctx: typer.Context, param: Any, shell: str | None) -> None:
    if shell is None or ctx.resilient_parsing:
        return
    if shell not in (*SHELLS, DETECT):
        raise errors.Usage(
            f"{shell!r} is no shell that can complete", hint=f"one of {', '.join(SHELLS)}"
        )
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            callback(ctx, param, True if shell == DETECT else shell)
    except SystemExit:  # that is how typer ends when all went well
        sys.stdout.write(_complete_for_zsh(said.getvalue()))
        raise
    except typer.Exit:
        raise errors.Usage(
            "it cannot be told which shell this is", hint=f"studentcli {param.opts[0]} bash"
        ) from None
    except OSError as error:
        raise errors.OutputFailed(
            f"completion cannot be installed: {error}",
            hint="studentcli --show-completion SHELL prints it, to be put where that shell reads",
        ) from error


def _complete_for_zsh(said: str) -> str:
    """Let the script that typer made for zsh, shown or installed, answer the first Tab too."""
    installed = re.match(r"zsh completion installed in (.*)", said)
    if installed:
        with Path(installed[1]).open("a", encoding="utf-8") as script:
            script.write(ZSH_FIRST)
    return said + ZSH_FIRST if said.startswith("#compdef") else said


InstallOption = Annotated[
    str | None,
    typer.Option(
        OPTIONS[0],
        metavar="[SHELL]",
        help=f"Let the shell complete: {', '.join(SHELLS)}; this shell if left out.",
        callback=_install,
        is_eager=True,
        autocompletion=complete.one_of(*SHELLS),
    ),
]
ShowOption = Annotated[
    str | None,
    typer.Option(
        OPTIONS[1],
        metavar="[SHELL]",
        help="Print what --install-completion installs.",
        callback=_show,
        is_eager=True,
        autocompletion=complete.one_of(*SHELLS),
    ),
]
