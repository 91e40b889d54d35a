"""`ir-nav pacs`: named archives, searched, fetched from and stored to.

Exit status: 0 done; 1 an error, said on stderr; 3 an archive did not take every image; 130
cancelled with Ctrl-C, nothing half-done is left.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from pydantic import SecretStr, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ir_nav.archive import (
    ArchiveClient,
    ArchiveError,
    DimseArchive,
    SeriesRecord,
    StudyQuery,
    TlsFiles,
    WebArchive,
    archive_named,
    dicom_files,
    invalid_words,
    open_archive,
    read_archives,
    save_archives,
    settings_path,
)
from ir_nav.archive.records import Progress as Report

DONE, NOT_ALL = 0, 3
PASSWORD_VARIABLE = "IR_NAV_ARCHIVE_PASSWORD"
Commands = argparse._SubParsersAction


def add_pacs(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "pacs", help="search, fetch from and store to image archives", epilog=_epilog()
    )
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    _add_archives(kinds)
    echo = _on_archive(kinds, "echo", "whether an archive answers and knows us")
    echo.set_defaults(run=_echo)
    find = _on_archive(kinds, "find", "studies that match, or the series of one")
    find.add_argument("--patient-id", default="", metavar="ID", help="* and ? match any text")
    find.add_argument("--patient-name", default="", metavar="NAME", help="such as SMITH*")
    find.add_argument("--from", dest="first", type=_day, metavar="YYYY-MM-DD")
    find.add_argument("--to", dest="last", type=_day, metavar="YYYY-MM-DD")
    find.add_argument("--modality", default="", metavar="CT")
    find.add_argument("--study", metavar="UID", help="list the series of this study")
    find.set_defaults(run=_find)
    fetch = _on_archive(kinds, "fetch", "the series of a study, whole or not at all")
    fetch.add_argument("--study", required=True, metavar="UID")
    fetch.add_argument("--series", action="append", metavar="UID", help="only this one")
    fetch.add_argument("--into", type=Path, required=True, metavar="DIR")
    fetch.set_defaults(run=_fetch)
    store = _on_archive(kinds, "store", "send DICOM files and folders")
    store.add_argument("paths", type=Path, nargs="+", metavar="PATH")
    store.set_defaults(run=_store)


def _epilog() -> str:
    return (__doc__ or "").partition("\n\n")[2].strip()


def _on_archive(
    kinds: Commands[argparse.ArgumentParser], name: str, words: str
) -> argparse.ArgumentParser:
    command = kinds.add_parser(name, help=words)
    command.add_argument("archive", metavar="NAME", help="see: ir-nav pacs archives list")
    _add_settings(command)
    return command


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--settings", type=Path, default=settings_path(), metavar="FILE")


def _add_archives(kinds: Commands[argparse.ArgumentParser]) -> None:
    parser = kinds.add_parser("archives", help="the archives that have a name")
    what = parser.add_subparsers(required=True, metavar="WHAT")
    listed = what.add_parser("list", help="all of them")
    listed.set_defaults(run=_list)
    dimse = what.add_parser("add-dimse", help="name one that speaks DICOM, or change it")
    add = dimse.add_argument
    add("name", metavar="NAME")
    add("--host", required=True)
    add("--port", type=int, default=104)
    add("--ae-title", required=True, help="what the archive is called")
    add("--our-ae-title", default="IRNAV", help="what it calls us; %(default)s by default")
    add("--retrieve", choices=("get", "move"), default="get", help="how images are fetched")
    add("--move-port", type=int, default=11112, help="where we listen during C-MOVE")
    add("--tls", action="store_true")
    add("--ca-file", type=Path, metavar="PEM", help="who vouches for the archive")
    add("--certificate", type=Path, metavar="PEM", help="ours, with --key")
    add("--key", type=Path, metavar="PEM")
    add("--timeout", type=float, default=30.0, metavar="SECONDS")
    dimse.set_defaults(run=_add_dimse)
    web = what.add_parser("add-web", help="name one that speaks DICOMweb, or change it")
    add = web.add_argument
    add("name", metavar="NAME")
    add("--url", required=True, help="what stands before /studies")
    add("--user", help=f"the password is asked for, or taken from {PASSWORD_VARIABLE}")
    add("--ca-file", type=Path, metavar="PEM")
    add("--timeout", type=float, default=30.0, metavar="SECONDS")
    web.set_defaults(run=_add_web)
    remove = what.add_parser("remove", help="forget one")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=_remove)
    for command in (listed, dimse, web, remove):
        _add_settings(command)


def _list(options: argparse.Namespace) -> int:
    table = Table(title="Archives")
    for heading in ("Name", "Kind", "Where"):
        table.add_column(heading)
    for archive in read_archives(options.settings):
        if isinstance(archive, WebArchive):
            where = archive.url
        else:
            where = f"{archive.ae_title} at {archive.host}:{archive.port}"
            where += ", TLS" if archive.tls else ""
        table.add_row(escape(archive.name), archive.kind, escape(where))
    Console().print(table)
    return DONE


def _add_dimse(options: argparse.Namespace) -> int:
    files = {"ca_file": options.ca_file, "certificate": options.certificate, "key": options.key}
    wants_tls = options.tls or any(files.values())
    try:
        archive = DimseArchive(
            name=options.name,
            host=options.host,
            port=options.port,
            ae_title=options.ae_title,
            our_ae_title=options.our_ae_title,
            retrieve=options.retrieve,
            move_port=options.move_port,
            tls=TlsFiles(**files) if wants_tls else None,
            timeout_s=options.timeout,
        )
    except ValidationError as error:
        raise ArchiveError(invalid_words(error)) from None
    return _keep(options.settings, archive)


def _add_web(options: argparse.Namespace) -> int:
    password = None
    if options.user is not None:
        text = os.environ.get(PASSWORD_VARIABLE)
        password = SecretStr(getpass.getpass("Password: ") if text is None else text)
    try:
        archive = WebArchive(
            name=options.name,
            url=options.url,
            user=options.user,
            password=password,
            ca_file=options.ca_file,
            timeout_s=options.timeout,
        )
    except ValidationError as error:
        raise ArchiveError(invalid_words(error)) from None
    return _keep(options.settings, archive)


def _keep(settings: Path, archive: DimseArchive | WebArchive) -> int:
    others = tuple(one for one in read_archives(settings) if one.name != archive.name)
    save_archives(settings, (*others, archive))
    Console(soft_wrap=True).print(f"{escape(archive.name)} is kept in {escape(str(settings))}")
    return DONE


def _remove(options: argparse.Namespace) -> int:
    archives = read_archives(options.settings)
    gone = archive_named(archives, options.name)
    save_archives(options.settings, tuple(one for one in archives if one is not gone))
    return DONE


def _client(options: argparse.Namespace) -> ArchiveClient:
    return open_archive(archive_named(read_archives(options.settings), options.archive))


def _echo(options: argparse.Namespace) -> int:
    _client(options).echo()
    Console(soft_wrap=True).print(f"{escape(options.archive)} answers")
    return DONE


def _find(options: argparse.Namespace) -> int:
    client = _client(options)
    if options.study is not None:
        _show_series(client.find_series(options.study))
        return DONE
    query = StudyQuery(
        options.patient_id, options.patient_name, options.first, options.last, options.modality
    )
    rows = []
    for study in client.find_studies(query):
        who = (study.study_date, study.patient_name, study.patient_id)
        what = ("/".join(study.modalities), study.description, _number(study.instance_count))
        rows.append((study.study_uid, (*who, *what)))
    _show("Studies", ("Date", "Patient", "ID", "Kind", "Description", "Images"), rows)
    return DONE


def _show_series(series: tuple[SeriesRecord, ...]) -> None:
    rows = []
    for one in series:
        texts = (_number(one.number), one.modality, one.description, _number(one.instance_count))
        rows.append((one.series_uid, texts))
    _show("Series", ("Number", "Kind", "Description", "Images"), rows)


def _show(
    title: str, headings: tuple[str, ...], rows: Sequence[tuple[str, tuple[str, ...]]]
) -> None:
    """A table, and beneath it each row's identifier."""
    table = Table(title=title)
    for heading in ("", *headings):
        table.add_column(heading)
    for place, (_, texts) in enumerate(rows, 1):
        table.add_row(str(place), *map(escape, texts))
    Console().print(table)
    # On lines of their own: a table would break them to its width.
    lines = Console(soft_wrap=True, highlight=False)
    for place, (uid, _) in enumerate(rows, 1):
        lines.print(f"{place}  {uid}")


def _fetch(options: argparse.Namespace) -> int:
    client = _client(options)
    series = client.find_series(options.study)
    chosen = [one for one in series if not options.series or one.series_uid in options.series]
    if not chosen or len(chosen) < len(set(options.series or ())):
        raise ArchiveError("the archive does not hold such a series: list them with pacs find")
    lines = Console(soft_wrap=True)
    for one in chosen:
        with reporting(f"Fetching {one.modality} {_number(one.number)}") as progress:
            fetched = client.fetch(one, options.into, progress=progress)
        lines.print(f"{fetched.instance_count} images in {escape(str(fetched.folder))}")
    return DONE


def _store(options: argparse.Namespace) -> int:
    client = _client(options)
    with reporting("Storing") as progress:
        result = client.store(dicom_files(options.paths), progress=progress)
    Console(soft_wrap=True).print(f"{result.stored} images stored in {escape(options.archive)}")
    for path, reason in result.refused:
        sys.stderr.write(f"ir-nav: {path.name}: the archive {reason}\n")
    return NOT_ALL if result.refused else DONE


@contextmanager
def reporting(title: str) -> Iterator[Report]:
    """A progress bar on stderr, where a person looks at it."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(escape(title), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("needs a date such as 2026-03-31") from None
