"""A review on a terminal: keys, the line editor, and what each key does."""

from __future__ import annotations

import shutil
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from postgrey_exporter.cli.editing import entry_of, reload_command, said, with_remedy
from postgrey_exporter.cli.output import say, styled
from postgrey_exporter.cli.terminal import Keyboard
from postgrey_exporter.lists.edit import EntryError, ListEditError, ListPermissionError, checked_entry, may_edit
from postgrey_exporter.review import Decision, reach, text
from postgrey_exporter.summary.proposal import whitelist_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from postgrey_exporter.cli.editing import EditingSettings
    from postgrey_exporter.lists import ListKind
    from postgrey_exporter.review import ClientAttempts, Item, Review

_KEYS: Final = "w whitelist  i ignore  s skip  b back  u undo  q quit  ? help"
_LAST_KEYS: Final = "b back  u undo  q quit"
_HELP: Final = """\
w  whitelist: edit the proposed entry, Enter writes it to postgrey's whitelist
i  ignore: the domain stays greylisted, but for what the whitelist covers, and is not named again
s  skip: go on, and decide another time
b  back to the domain before
u  undo: take the last entry out of its file again
q  quit with a summary; Ctrl-C does the same"""
_INTERRUPTED: Final = 130
_WIDEST: Final = 110


class Session:
    """One review, from the first domain to the summary."""

    def __init__(self, review: Review, everyone: Sequence[ClientAttempts], settings: EditingSettings) -> None:
        """Take what is to be reviewed, all clients that no list covers, and where decisions are written."""
        self._review = review
        self._everyone = everyone
        self._settings = settings
        self._keyboard = Keyboard()
        self._editors = {kind: settings.editor(kind) for kind in _KINDS}
        self._act: dict[str, Callable[[], bool]] = {
            "w": self._whitelist,
            "i": self._ignore,
            "s": self._skip,
            "b": self._back,
            "u": self._undo,
            "?": self._help,
        }

    def run(self) -> int:
        """Run it to its end and return the exit status."""
        status = 0
        self._say_what_is_closed()
        try:
            with self._keyboard.opened():
                while self._step():
                    pass
        except KeyboardInterrupt:
            say()
            status = _INTERRUPTED
        self._sum_up()
        return status

    def _step(self) -> bool:
        """Show an item and act on keys until another one is to be shown; tell whether the review goes on."""
        self._show()
        while True:
            key = self._key()
            if key == "q":
                return False
            if key in self._act and self._act[key]():
                return True

    def _key(self) -> str:
        keys = _LAST_KEYS if self._review.current is None else _KEYS
        say(styled(keys, dim=True), " > ", nl=False)
        try:
            key = self._keyboard.key().lower()
        except EOFError:
            key = "q"
        if key in {"\r", "\n"} and self._review.current is None:
            key = "q"  # Enter is no decision, but behind the last domain there is but one way on
        say(key if key.isprintable() else "")
        return key

    def _confirmed(self, question: str) -> bool:
        say(f"{question} (y/n) > ", nl=False)
        try:
            key = self._keyboard.key().lower()
        except (EOFError, KeyboardInterrupt):
            key = ""
        say(key if key.isprintable() else "")
        return key == "y"

    def _show(self) -> None:
        review, item = self._review, self._review.current
        say()
        if item is None:
            say("That was the last domain.")
            return
        number = f"{review.position + 1} of {len(review.items)}"
        say(styled(item.domain, bold=True), f"  ({number})")
        for line in text.evidence(item, min(_WIDEST, shutil.get_terminal_size((80, 24)).columns)):
            say(line)
        say()
        for line in text.decided(review):
            say(line)

    # --- the keys; each tells whether another item is to be shown

    def _whitelist(self) -> bool:
        item = self._to_decide()
        if item is None:
            return False
        line = self._proposal(item)
        while True:
            try:
                line = self._keyboard.line("Entry: ", line)
            except (KeyboardInterrupt, EOFError):
                say()
                line = ""
            if not line.strip():
                say("Nothing was written.")
                return False
            refusal = self._refusal(line, item)
            if refusal is None:
                break
            say(f"Refused: {refusal}")
        entry = line.strip()
        known = reach(entry, item, self._everyone)
        if known.others and not self._confirmed(f"It covers {text.named(known.others)} as well. Write it?"):
            say("Nothing was written.")
            return False
        return self._write("whitelist", entry, item)

    def _proposal(self, item: Item) -> str:
        """Return the entry to begin with: the advised one, else one for whatever is left, else the whole domain."""
        advised = item.standing.advice.entry
        if self._review.changes:
            advised = whitelist_entry({one.client.name for one in self._review.rest}, ())
        return advised or item.domain

    def _refusal(self, line: str, item: Item) -> str | None:
        try:
            entry = checked_entry("whitelist", line)
        except EntryError as error:
            return str(error)
        if not reach(entry.text, item, ()).clients:
            return f"{entry.text}: covers none of the clients of {item.domain}"
        return None

    def _ignore(self) -> bool:
        item = self._to_decide()
        return item is not None and self._write("ignore", item.domain, item)

    def _skip(self) -> bool:
        if self._review.current is None:
            return False
        self._review.skip()
        return True

    def _back(self) -> bool:
        if self._review.go_back():
            return True
        say("This is the first domain.")
        return False

    def _undo(self) -> bool:
        last = self._review.last_change
        if last is None:
            say("There is nothing to undo.")
            return False
        item, decision = last
        try:
            with _undisturbed():
                self._editors[decision.act].undo(decision.edit)
                self._review.take_back()
        except ListEditError as error:
            say(str(error))
            return False
        if decision.edit.added:
            say(f"{item.domain}: {decision.entry} was taken out again")
        else:
            say(f"{item.domain}: {decision.entry} had added nothing; the lists stay as they are")
        return True

    def _help(self) -> bool:
        for line in _HELP.splitlines():
            say(line)
        return False

    def _to_decide(self) -> Item | None:
        """Return the current item; say why where there is nothing to decide."""
        if self._review.is_settled:
            say("This is decided; u takes back the last decision, s goes on.")
            return None
        return self._review.current

    def _write(self, kind: ListKind, entry: str, item: Item) -> bool:
        editor = self._editors[kind]
        reason = f"{item.domain}, {item.standing.unreviewed} attempts: {item.standing.advice.why}"
        try:
            # Ctrl-C waits until the file is written and the decision noted.
            with _undisturbed():
                edit = editor.add([entry_of(entry, reason)])
                self._review.change(Decision(kind, entry, edit))
        except ListPermissionError as error:
            say(str(with_remedy(error, self._settings.command(kind, [entry]))))
            return False
        except (EntryError, ListEditError) as error:
            say(str(error))
            return False
        for line in said(edit):
            say(line)
        if kind == "whitelist" and edit.added:
            say(f"It {text.coverage(reach(entry, item, ()), item)}.")
        if self._review.current is not item:
            return True
        for line in text.rest(self._review):
            say(line)
        return False

    # --- before and after

    def _say_what_is_closed(self) -> None:
        closed = [str(editor.path) for editor in self._editors.values() if not may_edit(editor.path)]
        if closed:
            say(
                f"This user may not change {' and '.join(closed)}: you can look, and each decision names the command "
                "that root runs for it."
            )

    def _sum_up(self) -> None:
        say()
        for line in text.summary(self._review):
            say(line)
        if any(change.edit.added for _, change in self._review.changed("whitelist")):
            say(f"postgrey obeys once it has read it: {reload_command()}")


_KINDS: Final[tuple[ListKind, ...]] = ("whitelist", "ignore")


@contextmanager
def _undisturbed() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
