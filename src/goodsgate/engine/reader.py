"""Read one round of a batch: its payload, a fix, or the records of a retry, as chunks."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

import msgspec
import orjson

from goodsgate import formats
from goodsgate.engine import fix_records
from goodsgate.engine.dialect import encoding_of
from goodsgate.engine.fix_rows import reading_issue
from goodsgate.engine.group_reading import complete_again, group_decision, resolve_groups
from goodsgate.engine.grouped_chunks import GroupedChunks
from goodsgate.engine.groups import PARENT_BYTES_MAX, RowGroups
from goodsgate.engine.header_names import nearest_field
from goodsgate.engine.held_rows import (
    ROW_REJECTED,
    corrected_rows,
    depends_on,
    find_source_rows,
    replaced_numbers,
    with_corrections,
)
from goodsgate.engine.mapped_names import MappedNames
from goodsgate.engine.mapping_resolution import chosen_profile, is_known_header, resolve_mapping, resolve_name
from goodsgate.engine.member_mapping import MemberMapping
from goodsgate.engine.shared_groups import create_groups
from goodsgate.formats import Chunk
from goodsgate.model.batch import Kind, Policy, ReadingDecision, Result, RoundKind
from goodsgate.model.finding import Finding
from goodsgate.model.issue import Issue, issue
from goodsgate.rules.currencies import is_unique, meant_by
from goodsgate.store.contract import ClaimedRound, Store

RETRY_RECORDS = 2_000
"""Rejected or waiting records that a round reads at once."""
GROUPED_RECORDS = 20_000
"""The same of rows that belong together: for each chunk the submission is read once, for the rest of their groups."""
SPLIT_RECORDS = 8_192
"""A last chunk of this length or more is split if `splits_last_chunk` is set."""
SAMPLE_RECORDS = 200
"""Records of a chunk in which unknown members are looked for."""
UNKNOWN_MAX = 100
"""Unknown members that are reported."""
LAST_PART = 4
"""The second part is so many times shorter than the whole chunk."""

PARENTS_EXPECTED = f"at most {PARENT_BYTES_MAX:,} characters"


class RoundReader:
    """One round of a batch, read from its first record that is not committed."""

    def __init__(self, store: Store, round: ClaimedRound, limits: formats.Limits, *,
                 first_chunk_records: int | None = None, splits_last_chunk: bool = False) -> None:
        """Open the round.

        `first_chunk_records` bounds the first chunk; `splits_last_chunk` makes the last commit a small one.
        """
        self.round = round
        self.field_mapping, _ = resolve_mapping(
            round.kind, round.policy, columns=round.columns, profile=chosen_profile(round.reading)
        )
        """How names are read; resolved from the first chunk if the round is a new submission."""
        self._store = store
        self._limits = limits
        self._splits_last_chunk = splits_last_chunk
        self._file: formats.Reader | None = None
        self._file_is_gone = False
        self._submission_is_gone = False
        """Whether the payload of the batch is no longer kept; of a fix or a retry it gives the rest of the groups."""
        self._mapped_names = MappedNames(round.policy.mapping)
        self._file_issues: list[Issue] = []
        """Issues found when the mapping was resolved."""
        self._reported = 0
        """Notices of the file that chunks have carried so far."""
        self._reading = [*round.reading]
        """Reading decisions that chunks have carried so far."""
        # A file that is read again reports again what earlier chunks of the round reported.
        # The report of a file, which a fix is, has the same peculiarities.
        is_repeated = round.chunks or round.round_kind.is_fix
        self._known = _known_file_issues(store, round) if is_repeated else []
        if round.round_kind is RoundKind.SUBMISSION or round.round_kind.is_fix:
            self._file = self._open_own()
            self._source = self._file.chunks(skip=round.records, opening=first_chunk_records)

    def _open_own(self) -> formats.Reader:
        """Open the payload of the round: a submission, or a fix."""
        round = self.round
        if round.round_kind is RoundKind.SUBMISSION:
            return self._open_submission(format=round.format, content_encoding=round.content_encoding)
        pieces = self._store.payload(round.merchant, round.batch, round.number)
        self._file_is_gone = pieces is None
        return self._open_fix(pieces or iter(()), round.format, round.content_encoding)

    def _open_submission(self, *, format: str, content_encoding: str) -> formats.Reader:
        """Open the payload of the batch itself."""
        round = self.round
        pieces = self._store.payload(round.merchant, round.batch, 0)
        self._submission_is_gone = pieces is None
        self._file_is_gone = pieces is None and round.number == 0
        return formats.open_reader(
            pieces or iter(()), format=format, content_encoding=content_encoding, limits=self._limits,
            exact=bool(round.policy.schema), options=read_options(round.kind, round.policy),
            again=lambda: self._store.payload(round.merchant, round.batch, 0) or iter(()),
        )

    def chunks(self) -> Iterator[Chunk]:
        """Yield every chunk of the round; the last one is marked, and is empty if no records are left.

        Others are empty if no record was found in the time of a chunk.
        """
        round, file = self.round, self._file
        if file is None:
            chunks = self._with_groups(self._rejected_chunks())
        elif round.round_kind.is_fix:
            chunks = self._with_groups(chain(self._corrected_chunks(file), self._dependent_chunks()))
        else:
            chunks = self._submitted_chunks(file)
            if self._splits_last_chunk:
                chunks = self._split_last(chunks)
        chunk = next(chunks, None)
        while chunk is not None:
            # Only at the end of the payload is it cheap to read on before the chunk is done; elsewhere memory would
            # hold two chunks.
            if chunk.bytes_done >= round.bytes_total or chunk.follows is not None:
                following = next(chunks, None)
                yield self._with_file_issues(chunk, is_last=following is None)
                if following is None:
                    return
            else:
                yield self._with_file_issues(chunk, is_last=False)
                chunk = None  # freed before the next one is read
                following = next(chunks, None)
            chunk = following
        nothing = Chunk(lines=[], rows=[], source_rows=[], bytes_done=round.bytes_total)
        yield self._with_file_issues(nothing, is_last=True)

    def _with_file_issues(self, chunk: Chunk, *, is_last: bool) -> Chunk:
        """Return the chunk with the issues of the file that no chunk before it carried, and with the end."""
        found: list[Issue] = []
        if len(chunk) or is_last:  # with the mapping, which the first record stores
            found, self._file_issues = self._file_issues, []
        stopped = None
        if self._file is not None:
            for notice in self._file.notices[self._reported :]:
                self._reported += 1
                if notice.code == "payload_empty" and self.round.policy.allow_empty:
                    continue
                if notice not in self._known:
                    found.append(notice)
            if is_last and self.field_mapping.columns is None:
                found += self._mapped_names.issues()
            stopped = self._file.stopped if is_last else None
        if self._file_is_gone and is_last:
            stopped = issue("payload_corrupt", value="the payload is no longer kept, or not whole")
        reading = self._new_reading()
        if not is_last and not found and reading is None:
            return chunk
        return msgspec.structs.replace(chunk, file_issues=found, reading=reading, is_last=is_last, stopped=stopped)

    def _new_reading(self) -> list[ReadingDecision] | None:
        """Return all decisions about the submission if there are new ones; None if chunks have carried all of them."""
        if self._file is None or self.round.round_kind is not RoundKind.SUBMISSION:
            return None
        # A file that is read again decides again what was stored.
        saved = self.round.policy.saved_options
        decisions = (
            msgspec.structs.replace(decision, how="saved")
            if decision.how == "given" and decision.what in saved else decision for decision in self._file.decisions
        )
        new = [decision for decision in decisions if decision not in self._reading]
        self._reading += new
        return [*self._reading] if new else None

    def _corrected_chunks(self, file: formats.Reader) -> Iterator[Chunk]:
        """Yield the records of a fix in the form of the batch."""
        for chunk in self._source:
            self.field_mapping = fix_records.extend_mapping(self.field_mapping, file.header, self.round)
            yield fix_records.assemble(
                chunk, header=file.header, round=self.round, columns=self.field_mapping.columns, store=self._store
            )
            del chunk

    def _rejected_chunks(self) -> Iterator[Chunk]:
        """Yield the rejected records by number, as they were received; or those that waited and are ready.

        The position of a retry is a record number of the batch; most of them are skipped.
        """
        round = self.round
        after = round.records
        read = self._store.rejected_records
        if round.round_kind is RoundKind.REFERENCES:
            read = partial(self._store.waiting_records, only_ready=True)
        limit = RETRY_RECORDS if self._resolve_groups() is None else GROUPED_RECORDS
        while findings := read(round.merchant, round.batch, after=after, limit=limit):
            yield _rejected_chunk(findings, follows=after, is_table=round.columns is not None)
            after = findings[-1].number

    def _submitted_chunks(self, file: formats.Reader) -> Iterator[Chunk]:
        """Yield the chunks of the submission, its rows completed if they belong together."""
        source = self._source
        while self.round.mapping is None and (chunk := next(source, None)) is not None:
            if len(chunk):
                self.field_mapping, self._file_issues = resolve_mapping(
                    self.round.kind, self.round.policy, columns=file.header, root=file.root,
                    namespaces=tuple(file.namespaces),
                )
                file.decisions += self.field_mapping.decisions
                source = chain((chunk,), source)
                del chunk
                break
            yield chunk
        groups = self._resolve_groups()
        if groups is None:
            yield from self._with_mapped_names(self._with_unknown_members(source))
            return
        decision = group_decision(groups, self.round.policy)
        if decision is not None:
            file.decisions.append(decision)
        skip = self.round.records
        if skip:  # a group is whole only if the file is read from its beginning
            self._file = self._open_own()
            source = self._file.chunks()
        if groups.group.scattered:
            yield from self._find_parents(groups)
        grouped = GroupedChunks(
            groups, rows_max=self._limits.group_rows_max, bytes_total=self.round.bytes_total,
            chunk_seconds=self._limits.chunk_seconds,
        )
        yield from grouped.chunks(source, skip=skip)

    def _with_mapped_names(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """Yield the chunks and look for the names of the mapping in them, at last in those of an earlier claim."""
        if self.field_mapping.columns is not None or not self._mapped_names.missing:
            yield from chunks
            return
        for chunk in chunks:
            self._mapped_names.read(chunk)
            yield chunk
            del chunk
        if self.round.records and self._mapped_names.missing:
            ends_at = time.monotonic() + self._limits.chunk_seconds
            for chunk in self._open_own().chunks():
                self._mapped_names.read(chunk)
                if not self._mapped_names.missing:
                    return
                if time.monotonic() > ends_at:
                    yield Chunk(lines=[], rows=[], source_rows=[], bytes_done=0)
                    ends_at = time.monotonic() + self._limits.chunk_seconds

    def _with_unknown_members(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """Yield the chunks and report members that nobody knows, each once, as far as some records of each show them.
        """
        mapping, left = self.field_mapping, UNKNOWN_MAX
        for chunk in chunks:
            step = max(1, len(chunk.lines) // SAMPLE_RECORDS)
            for name in mapping.unknown_names(chunk.lines[::step])[:left] if isinstance(mapping, MemberMapping) else ():
                left -= 1
                found = issue("member_unrecognized", value=name, suggestion=nearest_field(name, self.round.kind))
                self._file_issues += [found] if found not in self._known else []
            yield chunk
            del chunk

    def _find_parents(self, groups: RowGroups) -> Iterator[Chunk]:
        """Remember the parents in the payload; yield empty chunks, so that other lanes have their turn meanwhile."""
        ends_at = time.monotonic() + self._limits.chunk_seconds
        for chunk in self._open_own().chunks():
            for at, row in enumerate(chunk.rows):
                if at not in chunk.unreadable and not groups.add_parent(row, chunk.source_rows[at]):
                    self._file_issues.append(issue("group_parents_too_large", expected=PARENTS_EXPECTED))
                    return
            if time.monotonic() > ends_at:
                yield Chunk(lines=[], rows=[], source_rows=[], bytes_done=0)
                ends_at = time.monotonic() + self._limits.chunk_seconds

    def _with_groups(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """Yield rows of a fix or a retry, completed by the other rows that their groups have in the submission."""
        round, rows_max = self.round, self._limits.group_rows_max
        whole: RowGroups | None = None  # which has all parents of the submission, as only a fix changes them
        for chunk in chunks:
            groups = self._resolve_groups() if len(chunk) and whole is None else None
            batch = self._store.batch(round.merchant, round.batch) if groups is not None else None
            if whole is not None and len(chunk):
                yield complete_again(chunk, whole, (), rows_max=rows_max)
            elif groups is None or batch is None:
                yield chunk
            else:
                submission = self._open_submission(format=batch.format, content_encoding=batch.content_encoding)
                payload = None if self._submission_is_gone else self._with_corrections(submission)
                yield complete_again(chunk, groups, payload, rows_max=rows_max)
                if groups.group.scattered and payload is not None and round.round_kind is not RoundKind.FIX:
                    whole = groups
            del chunk

    def _resolve_groups(self) -> RowGroups | None:
        return resolve_groups(
            self.field_mapping, self.round.policy, create=partial(create_groups, self._store, self.round)
        )

    def _with_corrections(self, submission: formats.Reader) -> Iterator[Chunk]:
        """Return the chunks of the submission as this and earlier fixes have corrected its rows."""
        columns = self.field_mapping.columns or []
        return with_corrections(
            submission.chunks(), corrected_rows(self._store, self.round, columns, self._open_fix)
        )

    def _open_fix(self, pieces: Iterator[bytes], format: str, content_encoding: str) -> formats.Reader:
        round = self.round
        return open_fix(
            pieces, self._limits, format=format, content_encoding=content_encoding, kind=round.kind,
            policy=round.policy, reading=round.reading,
        )

    def _dependent_chunks(self) -> Iterator[Chunk]:
        """Yield the rejected rows that take something from a row which the fix corrects, and are not in it themselves.

        They are found by what is stored, so that a round that goes on finds those that are left.
        """
        round = self.round
        merchant, batch, after = round.merchant, round.batch, 0
        named, source_rows = set[int](), set[int]()
        while findings := self._store.findings(merchant, batch, after=after, limit=RETRY_RECORDS, code=ROW_REJECTED):
            if not after:
                named = replaced_numbers(self._open_own())
                whole = self._store.batch(merchant, batch)
                assert whole is not None
                submission = self._open_submission(format=whole.format, content_encoding=whole.content_encoding)
                source_rows = find_source_rows(submission.chunks(), named)
            after = findings[-1].number
            numbers = [each.number for each in findings if each.number not in named and depends_on(each, source_rows)]
            rejected = self._store.rejected_by_number(merchant, batch, numbers)
            if rejected:
                chunk = _rejected_chunk([*rejected.values()], follows=None, is_table=True)
                yield msgspec.structs.replace(chunk, bytes_done=round.bytes_total)

    def _split_last(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """Yield the chunks, the last one in two parts if it is large."""
        for chunk in chunks:
            count = len(chunk)
            if count < SPLIT_RECORDS or chunk.bytes_done < self.round.bytes_total:
                yield chunk
            else:
                end = count - count // LAST_PART
                yield chunk.part(0, end)
                yield chunk.part(end, count)
            del chunk


class ChunkQueue:
    """Chunks of a reader, of which the next can be looked at, and to which others can be put back."""

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks
        self._ahead: deque[Chunk] = deque()

    def __iter__(self) -> "ChunkQueue":
        return self

    def __next__(self) -> Chunk:
        return self._ahead.popleft() if self._ahead else next(self._chunks)

    def peek(self) -> Chunk | None:
        """Return the next chunk, which stays the next one; None at the end."""
        if not self._ahead and (chunk := next(self._chunks, None)) is not None:
            self._ahead.append(chunk)
        return self._ahead[0] if self._ahead else None

    def put_back(self, *chunks: Chunk) -> None:
        """Make these chunks the next ones, in this order."""
        self._ahead.extendleft(reversed(chunks))


def read_options(kind: Kind, policy: Policy) -> formats.ReadOptions:
    """Return how the file of a submission is read."""
    return formats.ReadOptions(
        is_format_given=policy.format is not None, encoding=policy.encoding, delimiter=policy.delimiter,
        records_at=policy.records_at, sheet=policy.sheet, header_row=policy.header_row,
        comma=policy.decimal == "comma", resolve=partial(resolve_name, kind, policy),
        sign_text=partial(_sign_text, currency=policy.currency),
        recognizes=None if policy.schema else partial(is_known_header, kind),
    )


def _sign_text(sign: str, currency: str | None) -> str:
    """Return what stands for the sign of a currency behind a price: its code, or a sign that several currencies have.

    Such a sign means the submission's currency if that has it.
    """
    code = meant_by(sign, currency)
    if code is None:
        return ""
    return f" {code}" if code == currency or is_unique(sign) else f" {sign}"


def open_fix(pieces: Iterator[bytes], limits: formats.Limits, *, format: str, content_encoding: str, kind: Kind,
             policy: Policy, reading: Sequence[ReadingDecision], encoding: str | None = None) -> formats.Reader:
    """Return the reader of a fix: a report, which is UTF-8 or in the charset in which the submission was read.

    `encoding` is the charset that the submitter has named for it.
    """
    fallback = encoding_of(reading)
    options = formats.ReadOptions(
        encoding=encoding, comma=policy.decimal == "comma", resolve=partial(resolve_name, kind, policy),
        sign_text=partial(_sign_text, currency=policy.currency), recognizes=_is_report_header,
        fallback_encoding=None if fallback is None or fallback.startswith("utf-") else fallback,
    )
    return formats.open_reader(
        pieces, format=format, content_encoding=content_encoding, limits=limits, options=options
    )


def _is_report_header(names: Sequence[str]) -> bool:
    return "_row" in names


def _known_file_issues(store: Store, round: ClaimedRound) -> list[Issue]:
    """Return what was already reported of the file as a whole."""
    first = store.findings(round.merchant, round.batch, after=-1, limit=1)
    return first[0].issues if first and first[0].number == 0 else []


def _rejected_chunk(findings: list[Finding], *, follows: int | None, is_table: bool) -> Chunk:
    raws = [finding.raw or b"" for finding in findings]
    return Chunk(
        waited=frozenset(finding.number for finding in findings if finding.result is Result.WAITING),
        lines=[] if is_table else raws,
        rows=[orjson.loads(raw) if raw else [] for raw in raws] if is_table else [],
        source_rows=[finding.source_row for finding in findings],
        fix_rows=[(finding.fix_round, finding.fix_row) for finding in findings],
        unreadable={
            at: problem for at, finding in enumerate(findings) if (problem := reading_issue(finding)) is not None
        },
        bytes_done=0, replaces=[finding.number for finding in findings], follows=follows,
        roles_before=bytes(finding.role for finding in findings),
    )


def raw_record(chunk: Chunk, at: int) -> bytes:
    """Return a record as it was received: the line, or the row's cells as a JSON array."""
    return chunk.lines[at] if chunk.lines else orjson.dumps(chunk.rows[at])

