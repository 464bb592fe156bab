"""A machine made by the test: files, processes and network below a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from postgrey_exporter.doctor import Machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NOW: Final = 1_760_000_000.0
BOOT: Final = NOW - 100_000


class FakeMachine:
    """A folder that stands for ``/``, and answers by their URLs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.answers: dict[str, tuple[int, str] | OSError] = {}
        (root / "proc").mkdir()
        self.write("/proc/1/stat", "1 (init) S 0\n")
        self.write("/proc/stat", f"cpu 1 2 3\nbtime {BOOT:.0f}\n")

    @property
    def machine(self) -> Machine:
        return Machine(self.root, NOW, self._fetch)

    def _fetch(self, url: str) -> tuple[int, str]:
        answer = self.answers.get(url, ConnectionRefusedError("refused"))
        if isinstance(answer, OSError):
            raise answer
        return answer

    def write(self, name: str, text: str) -> Path:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(
        self,
        pid: int,
        command: Sequence[str],
        *,
        started: float = NOW - 3600,
        cgroup: str = "0::/init.scope\n",
        groups: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
        uids: Sequence[int] = (0, 0, 0, 0),
        program: str | None = None,
    ) -> None:
        """Have a process under ``/proc`` (proc(5)); of one argument the blanks are its own."""
        ticks = int((started - BOOT) * 100)
        self.write(f"/proc/{pid}/cmdline", "".join(f"{word}\0" for word in command))
        self.write(f"/proc/{pid}/stat", f"{pid} (a b) c) S " + "0 " * 18 + f"{ticks} 0 0\n")
        accounts = "\t".join(map(str, uids))
        self.write(
            f"/proc/{pid}/status",
            f"Name:\tx\nUid:\t{accounts}\nGid:\t7\t7\t7\t7\nGroups:\t{' '.join(map(str, groups))} \n",
        )
        self.write(f"/proc/{pid}/cgroup", cgroup)
        if program is not None:
            (self.root / f"proc/{pid}/exe").symlink_to(program)
        self.write(f"/proc/{pid}/environ", "".join(f"{n}={v}\0" for n, v in (environment or {}).items()))
