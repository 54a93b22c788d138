"use strict";
// The rows, columns and corrections of the grid, without the page: what was received, what was typed, and undo.
(() => {
  // Cells as spreadsheet programs put them on the clipboard: tabs between, quotation marks around what holds a separator.
  const quoted = (text) => (/["\t\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const toTsv = (rows) => rows.map((cells) => cells.map(quoted).join("\t")).join("\n");
  function fromTsv(text) {
    const rows = [[]];
    const source = text.replace(/\r\n?/g, "\n").replace(/\n$/, "");
    let at = 0;
    while (at <= source.length) {
      let cell = "";
      if (source[at] === '"' && /^"(?:[^"]|"")*"(?:\t|\n|$)/.test(source.slice(at))) {
        const end = /^"((?:[^"]|"")*)"/.exec(source.slice(at));
        cell = end[1].replaceAll('""', '"');
        at += end[0].length;
      } else {
        const end = source.slice(at).search(/[\t\n]/);
        cell = end < 0 ? source.slice(at) : source.slice(at, at + end);
        at += cell.length;
      }
      rows.at(-1).push(cell);
      if (source[at] === "\n") rows.push([]);
      at += 1;
    }
    return rows;
  }

  class Cells {
    constructor(storageKey) {
      this.columns = [];
      this.shown = new Set();
      this.rows = [];
      this.byNumber = new Map();
      this.edits = new Map();  // record number → { version, cells: { column: text } }
      this.pending = new Set();  // record numbers that are being validated
      this.done = [];
      this.undone = [];
      this.storageKey = storageKey;
      this.isStored = true;
      this._restore();
    }
    // Typed values outlive a reload and a session that has ended: they stay in this tab until they are saved.
    _restore() {
      try {
        for (const [number, edit] of JSON.parse(sessionStorage.getItem(this.storageKey) || "[]")) this.edits.set(number, edit);
      } catch { this.edits.clear(); }
    }
    store() {
      try {
        if (this.edits.size) sessionStorage.setItem(this.storageKey, JSON.stringify([...this.edits]));
        else sessionStorage.removeItem(this.storageKey);
        this.isStored = true;
      } catch { this.isStored = false; }
    }

    addColumns(columns) {
      for (const column of columns) {
        const known = this.columns.find((each) => each.id === column.id);
        if (known) known.is_failing ||= column.is_failing;
        else this.columns.push(column);
      }
      const before = this.shown.size;
      const edited = new Set([...this.edits.values()].flatMap((edit) => Object.keys(edit.cells)));
      for (const { id, is_key, is_failing } of this.columns) if (is_key || is_failing || edited.has(id)) this.shown.add(id);
      return this.shown.size > before;
    }
    addRow(row) {
      const known = this.byNumber.get(row.row);
      if (known) Object.assign(known, row, { cells: { ...known.cells, ...row.cells } });
      else { this.rows.push(row); this.byNumber.set(row.row, row); }
      const edit = this.edits.get(row.row);
      const held = known || row;
      held.isConflict = Boolean(edit) && (Boolean(held.isConflict) || edit.version !== row.version);
      if (edit) edit.version = row.version;  // to save again replaces what somebody else has sent
    }
    remove(numbers) {
      numbers.forEach((number) => { this.byNumber.delete(number); this.edits.delete(number); });
      this.rows = this.rows.filter((row) => this.byNumber.has(row.row));
      this.forgetSteps(numbers);
      this.store();
    }
    // Steps back end at what was saved.
    forgetSteps(numbers) {
      const rest = (steps) => steps.map((step) => step.filter((change) => !numbers.has(change.number))).filter((step) => step.length);
      this.done = rest(this.done); this.undone = rest(this.undone);
    }

    get visible() {  // keys come first
      const shown = this.columns.filter((column) => this.shown.has(column.id));
      return [...shown.filter((column) => column.is_key), ...shown.filter((column) => !column.is_key)];
    }
    received(row, id) { return row.cells[id] ?? ""; }
    text(row, id) { return this.edits.get(row.row)?.cells[id] ?? this.received(row, id); }
    isEdited(row, id) { return this.edits.get(row.row)?.cells[id] !== undefined; }
    isReadOnly(row, id) { return !row.is_readable || row.cut.includes(id) || this.pending.has(row.row); }
    issues(row, id) { return row.issues.filter((issue) => issue.column === id); }
    suggestion(row, id) {
      const text = row.suggestions[id];
      return text === undefined || text === this.text(row, id) || this.isEdited(row, id) || this.isReadOnly(row, id) ? undefined : text;
    }

    // `changes`: [row, column, text]. Returns how many cells changed, and how many are read-only.
    set(changes) {
      const step = [];
      let refused = 0;
      for (const [row, id, text] of changes) {
        if (this.isReadOnly(row, id)) { refused += 1; continue; }
        const before = this.edits.get(row.row)?.cells[id];
        const after = text === this.received(row, id) ? undefined : text;
        if (before === after) continue;
        step.push({ number: row.row, id, before, after });
        this._put(row.row, id, after);
      }
      if (step.length) { this.done.push(step); this.undone = []; this.store(); }
      return { changed: step.length, refused };
    }
    _put(number, id, text) {
      const edit = this.edits.get(number) || { version: this.byNumber.get(number)?.version, cells: {} };
      if (text === undefined) delete edit.cells[id]; else edit.cells[id] = text;
      if (Object.keys(edit.cells).length) this.edits.set(number, edit); else this.edits.delete(number);
    }
    undo() { return this._move(this.done, this.undone, "before"); }
    redo() { return this._move(this.undone, this.done, "after"); }
    _move(from, to, side) {
      const step = from.pop();
      if (!step) return null;
      step.forEach((change) => this._put(change.number, change.id, change[side]));
      to.push(step);
      this.store();
      return step;
    }

    // Corrections for one request, as many as fit.
    nextPart(skipped, recordsMax, bytesMax) {
      const part = [];
      let bytes = 0;
      for (const [row, { version, cells }] of this.edits) {
        if (skipped.has(row)) continue;
        const size = new Blob([JSON.stringify({ row, version, cells })]).size + 1;
        if (part.length && (part.length === recordsMax || bytes + size > bytesMax)) break;
        part.push({ row, version: version || "", cells: { ...cells } });
        bytes += size;
      }
      return part;
    }
  }

  window.gridCells = { Cells, toTsv, fromTsv };
})();
