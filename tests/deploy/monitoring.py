"""Nagios 4 and Icinga 2 as parts: the shipped files in a configuration tree that lives in a temporary folder.

Both run as the account that runs the test; the plugin is linked into their plugin folder as the READMEs say.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.parts import Daemon, require, wait_until
from support.parts.waiting import LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
NAGIOS_SERVICE: Final = DEPLOY / "nagios" / "postgrey.cfg"
ICINGA_COMMAND: Final = DEPLOY / "icinga" / "postgrey-command.conf"
ICINGA_SERVICE: Final = DEPLOY / "icinga" / "postgrey-service.conf"

PLUGIN: Final = Path(sys.executable).with_name("postgrey-exporter")
"""The console script of the environment that runs the test."""

Status = dict[str, str]
"""The lines ``name=value`` of one service in a status file, which both systems write alike."""

_USER: Final = pwd.getpwuid(os.getuid()).pw_name
_GROUP: Final = grp.getgrgid(os.getgid()).gr_name

_NAGIOS: Final = """\
log_file={directory}/nagios.log
cfg_dir={directory}/conf.d
cfg_file=/etc/nagios4/objects/commands.cfg
cfg_file=/etc/nagios4/objects/contacts.cfg
cfg_file=/etc/nagios4/objects/timeperiods.cfg
cfg_file=/etc/nagios4/objects/templates.cfg
resource_file={directory}/resource.cfg
object_cache_file={directory}/objects.cache
precached_object_file={directory}/objects.precache
status_file={directory}/status.dat
status_update_interval=1
nagios_user={user}
nagios_group={group}
command_file={directory}/nagios.cmd
query_socket={directory}/nagios.qh
lock_file={directory}/nagios.lock
temp_file={directory}/nagios.tmp
temp_path={directory}
check_result_path={directory}/results
state_retention_file={directory}/retention.dat
illegal_macro_output_chars=`~$&|'"<>
check_workers=1
service_inter_check_delay_method=n
execute_host_checks=0
enable_notifications=0
check_for_updates=0
use_syslog=0
"""
_NAGIOS_HOST: Final = """\
define host {
    use                 generic-host
    host_name           localhost
    address             127.0.0.1
    max_check_attempts  1
    contact_groups      admins
}
"""
_ICINGA: Final = """\
const PluginDir = "{directory}/plugins"
const NodeName = "monitor.example.com"
const ZoneName = NodeName
include <itl>
include "/etc/icinga2/conf.d/templates.conf"
object Endpoint NodeName {{ }}
object Zone ZoneName {{ endpoints = [ NodeName ] }}
object CheckerComponent "checker" {{ }}
object StatusDataWriter "status" {{ update_interval = 1s }}
object ExternalCommandListener "command" {{ command_path = "{directory}/command" }}
include "{directory}/conf.d/*.conf"
"""


class Monitoring(Daemon):
    """What both have in common. ``files`` are the texts in ``conf.d``; ``environment`` is the plugin's."""

    def __init__(self, name: str, files: Mapping[str, str], environment: Mapping[str, str] | None = None) -> None:
        super().__init__(name)
        self._files = files
        self._environment = {**os.environ, **(environment or {})}

    def configure(self) -> None:
        """Write the configuration tree and link the plugin."""
        for folder in ("conf.d", "plugins"):
            (self.directory / folder).mkdir()
        for name, text in self._files.items():
            (self.directory / "conf.d" / name).write_text(text)
        (self.directory / "plugins" / PLUGIN.name).symlink_to(PLUGIN)

    def services(self) -> dict[str, Status]:
        """Return the services in the status file, by ``host/service``."""
        raise NotImplementedError

    def checked(self, name: str) -> Status:
        """Return a service's status as soon as it was checked once."""

        def status() -> Status | None:
            service = self.services().get(name, {})
            return service if service.get("has_been_checked") == "1" else None

        return wait_until(status, 2 * LIMIT, f"the check of {name}") or {}


class Nagios(Monitoring):
    """Nagios 4 with Debian's templates and a host ``localhost``."""

    def __init__(self, files: Mapping[str, str], environment: Mapping[str, str] | None = None) -> None:
        super().__init__("nagios", {"host.cfg": _NAGIOS_HOST, **files}, environment)

    def configure(self) -> None:
        super().configure()
        (self.directory / "results").mkdir()
        (self.directory / "resource.cfg").write_text(f"$USER1$={self.directory}/plugins\n")
        config = _NAGIOS.format(directory=self.directory, user=_USER, group=_GROUP)
        (self.directory / "nagios.cfg").write_text(config)

    def verify(self) -> subprocess.CompletedProcess[str]:
        """Run ``nagios4 -v``."""
        program = require("nagios4", "nagios4-core")
        self.configure()
        return subprocess.run(
            [program, "-v", self.directory / "nagios.cfg"], capture_output=True, text=True, check=False
        )

    def run(self) -> None:
        program = require("nagios4", "nagios4-core")
        self.configure()
        status_file = self.directory / "status.dat"
        self.start([program, self.directory / "nagios.cfg"], status_file.exists, self._environment)

    def services(self) -> dict[str, Status]:
        return _services(self.directory / "status.dat")


class Icinga(Monitoring):
    """Icinga 2 with the command template library and Debian's templates."""

    def __init__(self, files: Mapping[str, str], environment: Mapping[str, str] | None = None) -> None:
        # Without these it changes to Debian's account for it.
        account = {"ICINGA2_USER": _USER, "ICINGA2_GROUP": _GROUP}
        super().__init__("icinga", files, {**(environment or {}), **account})

    def configure(self) -> None:
        super().configure()
        for folder in ("data", "log", "cache", "run", "spool"):
            (self.directory / folder).mkdir()
        (self.directory / "icinga2.conf").write_text(_ICINGA.format(directory=self.directory))

    def verify(self) -> subprocess.CompletedProcess[str]:
        """Run ``icinga2 daemon -C``."""
        program = require("icinga2", "icinga2-bin")
        self.configure()
        return subprocess.run(
            [program, "daemon", "-C", *self._arguments()],
            capture_output=True,
            text=True,
            check=False,
            env=self._environment,
        )

    def run(self) -> None:
        program = require("icinga2", "icinga2-bin")
        self.configure()
        self.start([program, "daemon", *self._arguments()], self._is_up, self._environment)

    def _is_up(self) -> bool:
        return (self.directory / "command").exists() and bool(self.services())

    def _arguments(self) -> list[str]:
        places = {
            "DataDir": "data",
            "LogDir": "log",
            "CacheDir": "cache",
            "InitRunDir": "run",
            "SpoolDir": "spool",
            "PidPath": "run/icinga2.pid",
            "VarsPath": "cache/icinga2.vars",
            "StatePath": "data/icinga2.state",
            "ModAttrPath": "data/modified-attributes.conf",
        }
        constants = [f"--define={name}={self.directory}/{place}" for name, place in places.items()]
        return ["--config", str(self.directory / "icinga2.conf"), *constants]

    def services(self) -> dict[str, Status]:
        return _services(self.directory / "cache" / "status.dat")

    def checked(self, name: str) -> Status:
        # It spreads the first checks over a minute.
        now = int(time.time())
        command = f"[{now}] SCHEDULE_FORCED_SVC_CHECK;{name.replace('/', ';')};{now}\n"
        with (self.directory / "command").open("w") as pipe:
            pipe.write(command)
        return super().checked(name)


def said(status: Status) -> tuple[str, str]:
    """Return a service's state (the plugin's exit status) and its first line."""
    return status["current_state"], status["plugin_output"]


def _services(status_file: Path) -> dict[str, Status]:
    text = status_file.read_text() if status_file.exists() else ""
    services = {}
    for block in re.findall(r"^servicestatus \{\n(.*?)\n\s*\}", text, re.DOTALL | re.MULTILINE):
        status = dict(line.strip().split("=", 1) for line in block.splitlines() if "=" in line)
        services[f"{status['host_name']}/{status['service_description']}"] = status
    return services
