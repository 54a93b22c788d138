"use strict";
// The grid of rejected records: rows in view only, the keyboard of a spreadsheet, and one request for each save.
(() => {
  const root = document.getElementById("grid");
  if (!root) return;
  const { Cells, toTsv, fromTsv } = window.gridCells;
  const { path, query, batch: batchPath } = root.dataset;
  const ROWS_MAX = Number(root.dataset.rowsMax), BYTES_MAX = Number(root.dataset.bytesMax) * 0.8;
  const REQUEST_ROWS = 500, SAVE_ROWS = 2000, OVERSCAN = 8;
  const isEditable = root.dataset.editable !== undefined;
  const csrf = document.body.dataset.csrf;
  const find = (selector) => root.querySelector(selector);
  const table = find("table"), head = find("thead"), body = find("tbody");
  const scroller = find("#grid-scroller"), sizer = find("#grid-sizer"), note = find("#grid-note"), notice = find("#grid-notice");
  const number = (count) => count.toLocaleString("en");
  const records = (count) => `${number(count)} ${count === 1 ? "record" : "records"}`;
  const tag = (name, text = "", properties = {}) => Object.assign(document.createElement(name), { textContent: text }, properties);

  const cells = new Cells(`grid:${path}`);
  let visible = [], rowHeight = 34;
  let next = 0, limit = ROWS_MAX, rejected = 0, isLoading = false, isSaving = false;
  let at = { r: 0, c: 0 }, anchor = { r: 0, c: 0 };  // column 0 is the record number, the last one says what is wrong
  const checked = new Set();
  let editor = null;
  const painted = new Map();  // row element by index of the row

  const announce = (text) => { find("#grid-status").textContent = text; };
  const summary = () => {
    const left = next === null ? "" : `, ${number(cells.rows.length)} loaded`;
    return `${records(rejected)} rejected${left}${cells.edits.size ? `, ${records(cells.edits.size)} corrected and not saved yet` : ""}${checked.size ? `, ${number(checked.size)} selected` : ""}.`;
  };

  // -- requests ----------------------------------------------------------------------------------------------------
  class RefusedError extends Error { constructor(status, html) { super("refused"); this.status = status; this.html = html; } }
  async function request(url, content) {
    const options = content === undefined ? {} : { method: "POST", body: JSON.stringify(content) };
    const response = await fetch(url, { ...options, headers: { "X-CSRF": csrf } });
    if (!response.ok) throw new RefusedError(response.status, await response.text());
    return response.json();
  }
  const say = (kind, ...content) => { const box = tag("div", "", { className: `notice ${kind}` }); box.setAttribute("role", "alert"); box.append(...content); notice.replaceChildren(box); };
  function showFailure(error, outcome = "") {
    const kept = tag("p", cells.isStored ? "What you have typed is kept in this tab." : "What you have typed is kept as long as this page is open.");
    if (!(error instanceof RefusedError)) {
      say("bad", tag("p", "The server cannot be reached. Try again in a moment."), kept);
    } else if (error.status === 401) {
      const link = tag("a", "Sign in again", { href: `/console/sign-in?next=${encodeURIComponent(location.pathname + location.search)}` });
      const line = tag("p", "Your session has ended. "); line.append(link, " and save then.");
      say("warn", line, kept);
    } else {
      const box = tag("div"); box.innerHTML = error.html;  // rendered on the server, where every value is escaped
      say("bad", box, kept);
    }
    announce(outcome);
  }
  const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
  async function untilEnded() {
    let failures = 0;
    for (let wait = 300; ; wait = Math.min(wait * 1.5, 5000)) {
      try {
        const state = await request(`${path}/rows`, { rows: [] });
        rejected = state.rejected; failures = 0;
        if (!state.is_open) return;
      } catch (error) {
        failures += 1;
        if (error instanceof RefusedError || failures > 5) throw error;
      }
      await pause(wait);
    }
  }
  const shownQuery = () => [...cells.shown].map((id) => `&show=${encodeURIComponent(id)}`).join("");

  async function loadPage() {
    if (isLoading || next === null || cells.rows.length >= limit) return false;
    isLoading = true;
    try {
      const had = cells.rows.map((row) => row.row);
      const page = await request(`${path}/rows?after=${next}&${query}${shownQuery()}`);
      next = page.next;
      rejected = page.rejected;
      const isWider = cells.addColumns(page.columns);
      page.rows.forEach((row) => cells.addRow(row));
      if (isWider && had.length) await refresh(had);
      redraw();
      if (page.is_open) announce("The batch is being processed. Corrections can be saved when that has ended.");
      return next !== null;
    } finally { isLoading = false; }
  }
  async function loadAll() {
    while (next !== null && cells.rows.length < limit) {
      if (isLoading) await pause(50); else await loadPage();
      announce(`Loading, ${number(cells.rows.length)} of ${records(rejected)} …`);
    }
  }
  // Read rows again, and return the numbers of those that are not rejected any more.
  async function refresh(numbers) {
    const gone = new Set(numbers);
    for (let from = 0; from < numbers.length; from += REQUEST_ROWS) {
      const page = await request(`${path}/rows`, { rows: numbers.slice(from, from + REQUEST_ROWS), shown: [...cells.shown] });
      rejected = page.rejected;
      cells.addColumns(page.columns);
      page.rows.forEach((row) => { gone.delete(row.row); cells.addRow(row); });
    }
    return gone;
  }

  // -- save --------------------------------------------------------------------------------------------------------
  let lastAttempt = { text: "", key: "" };
  async function send(corrections) {
    const text = JSON.stringify(corrections);
    if (text !== lastAttempt.text) lastAttempt = { text, key: [...crypto.getRandomValues(new Uint32Array(4))].join("-") };
    for (;;) {
      try {
        return await request(path, { key: lastAttempt.key, corrections });
      } catch (error) {
        if (error.status !== 409) throw error;
        announce("Somebody else's correction of this batch is being processed. Yours is sent when that has ended.");
        await untilEnded();
        await pause(300);
      }
    }
  }
  async function save() {
    if (isSaving || !isEditable) return;
    closeEditor(true);
    if (!cells.edits.size) { announce("Nothing to save."); return; }
    isSaving = true; notice.replaceChildren(); updateTools();
    const skipped = new Set(), lost = [];
    let accepted = 0, left = 0, isSent = false;
    try {
      for (let part; (part = cells.nextPart(skipped, SAVE_ROWS, BYTES_MAX)).length;) {
        part.forEach((each) => cells.pending.add(each.row)); redraw();
        announce(`Saving ${records(part.length)} …`);
        const receipt = await send(part);
        lastAttempt = { text: "", key: "" };
        announce(`${records(receipt.sent.length)} sent, validating …`);
        const sent = new Set(receipt.sent), typed = new Map(part.map((each) => [each.row, each.cells]));
        sent.forEach((each) => cells.edits.delete(each)); cells.store();  // the gate has them now
        isSent = sent.size > 0;
        if (isSent) await untilEnded();
        const gone = await refresh(part.map((each) => each.row));
        accepted += receipt.sent.filter((each) => gone.has(each)).length;
        left += receipt.sent.filter((each) => !gone.has(each)).length;
        part.filter((each) => !sent.has(each.row) && gone.has(each.row)).forEach((each) => lost.push([each.row, typed.get(each.row)]));
        receipt.changed.forEach((each) => skipped.add(each));
        cells.pending.clear(); cells.remove(gone); cells.forgetSteps(sent); cells.store();
        gone.forEach((each) => checked.delete(each));
        isSent = false;
        redraw();
      }
      finish(accepted, left, skipped.size, lost);
    } catch (error) { showFailure(error, isSent ? "Sent, and processed by the gate. Reload the page to see the result." : "Not saved."); }
    cells.pending.clear(); isSaving = false; redraw();
  }
  function finish(accepted, left, changed, lost) {
    const said = [`${records(accepted)} accepted.`];
    if (left) said.push(`${records(left)} still ${left === 1 ? "has" : "have"} errors.`);
    const parts = [];
    if (changed) parts.push(tag("p", `Somebody else has corrected ${records(changed)} in the meantime, and they are still rejected. Your values are kept and marked; save again to send them all the same.`));
    if (lost.length) {
      parts.push(tag("p", `${records(lost.length)} were accepted with a correction of somebody else, so yours was not sent:`));
      const list = tag("ul");
      lost.slice(0, 20).forEach(([row, values]) => list.append(tag("li", `Record ${row}: ${Object.entries(values).map(([id, text]) => `${nameOf(id)} = ${text || "(empty)"}`).join(", ")}`)));
      parts.push(list);
    }
    if (parts.length) say("warn", ...parts);
    if (!cells.rows.length && next === null) {
      const done = tag("p", "Nothing is left to correct here. "); done.append(tag("a", "Back to the batch", { href: batchPath }));
      say("good", done);
    }
    checked.clear();
    at.r = Math.max(0, cells.rows.findIndex((row) => row.issues.some((issue) => issue.severity === "error")));
    redraw();
    moveTo(at.r, Math.max(1, at.c));
    announce(`${said.join(" ")} ${summary()}`);
  }
  const nameOf = (id) => cells.columns.find((column) => column.id === id)?.name || id;

  // -- draw: only the rows in view are in the page ---------------------------------------------------------------------
  const lastColumn = () => visible.length + 1;
  const columnAt = (c) => visible[c - 1];
  const rowAt = (r) => cells.rows[r];
  function drawHead() {
    const line = tag("tr"); line.setAttribute("aria-rowindex", "1");
    const cell = (name, c, width) => { const th = tag("th", name, { scope: "col" }); th.style.width = width; th.setAttribute("role", "columnheader"); th.setAttribute("aria-colindex", String(c + 1)); line.append(th); return th; };
    const first = cell("", 0, "6rem"); first.className = "number";
    const label = tag("label"), all = tag("input", "", { type: "checkbox" });
    all.setAttribute("aria-label", "Select all records"); all.tabIndex = -1; all.dataset.all = "";
    if (isEditable) label.append(all);
    label.append("Record"); first.append(label);
    let width = 36;
    visible.forEach((column, index) => {
      const own = Math.min(20, Math.max(column.is_key ? 8 : 11, column.name.length * 0.6 + 4));
      width += own;
      const th = cell(column.name, index + 1, `${own}rem`);
      const fields = column.fields.filter((field) => field !== column.name);
      if (fields.length) th.append(" ", tag("small", fields.join(", ")));
      th.title = column.name;
    });
    cell("What is wrong", lastColumn(), "");  // the rest of the width
    sizer.style.minWidth = `${width}rem`;
    head.replaceChildren(line);
    table.setAttribute("aria-colcount", String(visible.length + 2));
  }
  const hasFocus = () => scroller.contains(document.activeElement) && !editor;
  function redraw() {
    const hadFocus = hasFocus();
    closeEditor(true);
    root.hidden = false;
    visible = cells.visible;
    drawHead(); drawColumnChoice();
    painted.forEach((line) => line.remove()); painted.clear();
    at.r = Math.max(0, Math.min(at.r, cells.rows.length - 1)); at.c = Math.min(at.c, lastColumn());
    anchor.r = Math.min(anchor.r, at.r); anchor.c = Math.min(anchor.c, lastColumn());
    const hasMore = next !== null && cells.rows.length >= limit;
    find("[data-do=more]").hidden = !hasMore;
    table.setAttribute("aria-rowcount", next === null ? String(cells.rows.length + 1) : "-1");
    paint(hadFocus);
    updateTools();
  }
  function paint(hadFocus = hasFocus()) {
    sizer.style.height = `${(cells.rows.length + 1) * rowHeight + 2}px`;
    const lowest = Math.max(0, (cells.rows.length + 1) * rowHeight + 2 - scroller.clientHeight);
    if (scroller.scrollTop > lowest) scroller.scrollTop = lowest;  // rows were accepted and left
    const first = Math.max(0, Math.floor(scroller.scrollTop / rowHeight) - OVERSCAN);
    const last = Math.min(cells.rows.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / rowHeight) + OVERSCAN);
    table.style.marginTop = `${first * rowHeight}px`;
    painted.forEach((line, r) => {
      if (r >= first && r < last) return;
      if (editor && line.contains(editor)) closeEditor(true);
      line.remove(); painted.delete(r);
    });
    for (let r = first; r < last; r += 1) {
      let line = painted.get(r);
      if (!line) {
        line = newLine(r);
        const following = [...painted.keys()].filter((each) => each > r);
        body.insertBefore(line, following.length ? painted.get(Math.min(...following)) : null);
        painted.set(r, line);
      }
      paintLine(line, r);
    }
    const focused = cellAt(at.r, at.c);
    scroller.tabIndex = focused ? -1 : 0;
    describe();
    if (hadFocus) (focused || scroller).focus({ preventScroll: true });
    if (next !== null && last >= cells.rows.length - 50 && cells.rows.length) loadPage().catch(showFailure);
  }
  function newLine(r) {
    const line = tag("tr"); line.setAttribute("aria-rowindex", String(r + 2));
    for (let c = 0; c <= lastColumn(); c += 1) {
      const cell = tag(c ? "td" : "th");
      cell.setAttribute("role", c ? "gridcell" : "rowheader"); cell.setAttribute("aria-colindex", String(c + 1));
      cell.dataset.r = r; cell.dataset.c = c;
      if (!c) {
        cell.className = "number"; cell.scope = "row";
        const label = tag("label");
        if (isEditable) label.append(tag("input", "", { type: "checkbox", tabIndex: -1 }));
        label.append(tag("span")); cell.append(label);
      }
      line.append(cell);
    }
    return line;
  }
  const box = () => ({ top: Math.min(at.r, anchor.r), bottom: Math.max(at.r, anchor.r), left: Math.max(1, Math.min(at.c, anchor.c)), right: Math.min(visible.length, Math.max(at.c, anchor.c)) });
  const isRange = () => at.r !== anchor.r || at.c !== anchor.c;
  function paintLine(line, r) {
    const row = rowAt(r), range = box();
    line.classList.toggle("pending", cells.pending.has(row.row));
    [...line.children].forEach((cell, c) => {
      const isAt = r === at.r && c === at.c, column = columnAt(c);
      cell.classList.toggle("at", isAt);
      cell.tabIndex = isAt ? 0 : -1;
      if (isAt) cell.setAttribute("aria-describedby", "grid-note"); else cell.removeAttribute("aria-describedby");
      const isPicked = checked.has(row.row) || (isRange() && c > 0 && r >= range.top && r <= range.bottom && c >= range.left && c <= range.right);
      cell.setAttribute("aria-selected", String(isPicked));
      if (c === 0) {
        const box = cell.querySelector("input");
        if (box) { box.checked = checked.has(row.row); box.setAttribute("aria-label", `Select record ${row.row}${row.key ? `, ${row.key}` : ""}`); }
        cell.querySelector("span").textContent = number(row.row);
      } else if (column === undefined) {
        cell.classList.add("said");
        cell.setAttribute("aria-readonly", "true");
        cell.textContent = [...new Set(row.issues.map((issue) => issue.message))].join(" · ");
      } else if (!editor || editor.parentElement !== cell) {
        const issues = cells.issues(row, column.id), isEdited = cells.isEdited(row, column.id);
        const isFailing = issues.some((issue) => issue.severity === "error");
        cell.textContent = cells.text(row, column.id);
        if (isEdited) cell.append(tag("span", row.isConflict ? ", corrected by somebody else, too" : ", edited", { className: "off-screen" }));
        cell.classList.toggle("edited", isEdited && !row.isConflict); cell.classList.toggle("conflict", isEdited && row.isConflict);
        cell.classList.toggle("warned", issues.length > 0 && !isFailing);
        if (isFailing && !isEdited) cell.setAttribute("aria-invalid", "true"); else cell.removeAttribute("aria-invalid");
        cell.setAttribute("aria-readonly", String(!isEditable || cells.isReadOnly(row, column.id)));
      }
    });
  }
  const cellAt = (r, c) => painted.get(r)?.children[c];
  function describe() {
    note.replaceChildren();
    const row = rowAt(at.r), column = columnAt(at.c);
    if (!row) return;
    note.append(tag("span", `Record ${number(row.row)}${row.key ? ` · ${row.key}` : ""}${column ? ` · ${column.name}` : ""}${row.place ? ` · ${row.place}` : ""}`, { className: "where" }));
    const issues = column ? cells.issues(row, column.id) : row.issues;
    issues.forEach((issue) => note.append(tag("span", issue.message, { className: "issue" })));
    if (!column) return;
    if (!row.is_readable) note.append(tag("span", "This record has no cells: correct its line on the page of records with issues.", { className: "issue" }));
    else if (row.cut.includes(column.id)) note.append(tag("span", "This cell is too long for the grid: correct it in the file of rejected records.", { className: "issue" }));
    if (cells.suggestion(row, column.id) !== undefined) note.append(tag("span", `Suggestion: ${cells.suggestion(row, column.id)}`, { className: "issue" }));
    if (cells.isEdited(row, column.id)) note.append(tag("span", `${row.isConflict ? "Somebody else has sent" : "Received"}: ${cells.received(row, column.id) || "(empty)"}`, { className: "was" }));
  }
  function drawColumnChoice() {
    const choice = find(".grid-columns fieldset");
    const legend = choice.querySelector("legend");
    const had = document.activeElement?.name === "show" ? document.activeElement.value : null;
    choice.replaceChildren(legend, ...cells.columns.map((column) => {
      const label = tag("label"), input = tag("input", "", { type: "checkbox", name: "show", value: column.id, checked: cells.shown.has(column.id) });
      label.append(input, ` ${column.name}`);
      return label;
    }));
    if (had !== null) [...choice.querySelectorAll("input")].find((input) => input.value === had)?.focus();
  }
  // What the tools act on: the selected rows in the column of the focus, or the selected cells.
  function targets() {
    if (checked.size) return [...checked].map((each) => cells.byNumber.get(each)).filter(Boolean).map((row) => [row, columnAt(at.c)]).filter(([, column]) => column);
    const range = box(), found = [];
    for (let r = range.top; r <= range.bottom && r < cells.rows.length; r += 1) for (let c = range.left; c <= range.right; c += 1) found.push([rowAt(r), columnAt(c)]);
    return found;
  }
  function suggested() {
    const pairs = checked.size ? [...checked].map((each) => cells.byNumber.get(each)).filter(Boolean).flatMap((row) => visible.map((column) => [row, column])) : targets();
    return pairs.filter(([row, column]) => cells.suggestion(row, column.id) !== undefined).map(([row, column]) => [row, column.id, row.suggestions[column.id]]);
  }
  function updateTools() {
    if (!isEditable) return;
    const tool = (name, text, isOff) => { const button = find(`[data-do=${name}]`); if (text) button.textContent = text; button.disabled = isOff; };
    const count = suggested().length, aimed = targets().length;
    tool("save", isSaving ? "Validating …" : cells.edits.size ? `Save and revalidate ${records(cells.edits.size)}` : "Save and revalidate", isSaving || !cells.edits.size);
    tool("undo", "", isSaving || !cells.done.length); tool("redo", "", isSaving || !cells.undone.length);
    tool("suggest", count > 1 ? `Apply ${number(count)} suggestions` : "Apply suggestion", !count);
    tool("fill", "", !cells.rows.length || !columnAt(at.c));
    tool("set", aimed > 1 ? `Set ${number(aimed)} cells` : "Set", !aimed);
    find("[data-set-column]").textContent = box().left === box().right || checked.size ? columnAt(at.c)?.name || "cells" : "cells";
  }

  // -- move and select -----------------------------------------------------------------------------------------------
  function moveTo(r, c, extend = false) {
    at = { r: Math.max(0, Math.min(r, cells.rows.length - 1)), c: Math.max(0, Math.min(c, lastColumn())) };
    if (!extend) anchor = { ...at };
    const top = at.r * rowHeight, view = scroller.clientHeight - rowHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + rowHeight > scroller.scrollTop + view) scroller.scrollTop = top + rowHeight - view;
    paint();
    const cell = cellAt(at.r, at.c);
    if (cell) {
      const sticky = head.querySelector(".number").offsetWidth;
      if (at.c && cell.offsetLeft - sticky < scroller.scrollLeft) scroller.scrollLeft = cell.offsetLeft - sticky;
      else if (cell.offsetLeft + cell.offsetWidth > scroller.scrollLeft + scroller.clientWidth) scroller.scrollLeft = cell.offsetLeft + Math.min(cell.offsetWidth, scroller.clientWidth - sticky) - scroller.clientWidth;
      cell.focus({ preventScroll: true });
    }
    updateTools();
  }
  function check(numbers, isOn) { numbers.forEach((each) => { if (isOn) checked.add(each); else checked.delete(each); }); paint(); updateTools(); announce(summary()); }
  async function checkAll(isOn) {
    try { if (isOn) await loadAll(); } catch (error) { showFailure(error); return; }
    check(cells.rows.map((row) => row.row), isOn);
    const all = head.querySelector("input"); if (all) all.checked = isOn;
  }

  // -- edit ----------------------------------------------------------------------------------------------------------
  function change(changes, what) {
    const { changed, refused } = cells.set(changes);
    paint(); updateTools();
    announce(`${what(changed)}${refused ? ` ${number(refused)} cells cannot be edited here.` : ""} ${summary()}`);
  }
  const cellsWord = (count) => `${number(count)} ${count === 1 ? "cell" : "cells"}`;
  function openEditor(text) {
    const row = rowAt(at.r), column = columnAt(at.c), cell = cellAt(at.r, at.c);
    if (!isEditable || editor || !row || !column || !cell) return;
    if (cells.isReadOnly(row, column.id)) { announce("This cell cannot be edited here."); return; }
    editor = tag("textarea", "", { value: text ?? cells.text(row, column.id), rows: 1, spellcheck: false });
    editor.setAttribute("aria-label", `${column.name} of record ${row.row}`); editor.setAttribute("aria-describedby", "grid-note");
    cell.replaceChildren(editor); cell.classList.add("editing");
    editor.focus({ preventScroll: true }); editor.setSelectionRange(text === undefined ? 0 : editor.value.length, editor.value.length);
  }
  function closeEditor(isAccepted) {
    if (!editor) return;
    const { value } = editor, cell = editor.parentElement, row = rowAt(Number(cell.dataset.r)), column = columnAt(Number(cell.dataset.c));
    const hadFocus = document.activeElement === editor;
    editor = null;
    cell.classList.remove("editing"); cell.replaceChildren();
    if (hadFocus) cell.focus({ preventScroll: true });
    if (isAccepted && value !== cells.text(row, column.id)) change([[row, column.id, value]], () => "");
    else paint();
  }
  function fillDown() {
    const range = box(), from = isRange() ? range.top : range.top - 1, changes = [];
    if (checked.size && columnAt(at.c)) targets().forEach(([row, column]) => changes.push([row, column.id, cells.text(rowAt(at.r), column.id)]));
    else for (let r = from + 1; r <= range.bottom && from >= 0; r += 1) for (let c = range.left; c <= range.right; c += 1) changes.push([rowAt(r), columnAt(c).id, cells.text(rowAt(from), columnAt(c).id)]);
    change(changes, (count) => `Filled ${cellsWord(count)}.`);
  }
  function pasteText(text) {
    const pasted = fromTsv(text), range = box(), changes = [];
    let outside = 0;
    if (pasted.length === 1 && pasted[0].length === 1) targets().forEach(([row, column]) => changes.push([row, column.id, pasted[0][0]]));
    else pasted.forEach((line, r) => line.forEach((value, c) => {
      const row = rowAt(range.top + r), column = columnAt(range.left + c);
      if (row && column) changes.push([row, column.id, value]); else outside += 1;
    }));
    change(changes, (count) => `Pasted ${cellsWord(count)}.${outside ? ` ${cellsWord(outside)} did not fit.` : ""}`);
  }
  function step(moved, word) {
    if (!moved) return;
    const r = cells.rows.findIndex((row) => row.row === moved[0].number), c = visible.findIndex((column) => column.id === moved[0].id) + 1;
    moveTo(Math.max(r, 0), c);
    announce(`${word} ${cellsWord(moved.length)}. ${summary()}`);
  }
  const actions = {
    save,
    undo: () => step(cells.undo(), "Undone:"),
    redo: () => step(cells.redo(), "Redone:"),
    suggest: () => change(suggested(), (count) => `Applied the suggestion to ${cellsWord(count)}.`),
    fill: fillDown,
    set: () => { const { value } = find(".grid-set input"); change(targets().map(([row, column]) => [row, column.id, value]), (count) => `Set ${cellsWord(count)}.`); },
    more: () => { limit += ROWS_MAX; loadPage().catch(showFailure); },
  };

  // -- keyboard, pointer and clipboard -------------------------------------------------------------------------------
  const pageRows = () => Math.max(1, Math.floor(scroller.clientHeight / rowHeight) - 2);
  function onEditorKey(event) {
    if (event.isComposing) return;
    if (event.key === "Escape") { event.preventDefault(); closeEditor(false); }
    else if (event.key === "Enter" && event.altKey) { event.preventDefault(); editor.setRangeText("\n", editor.selectionStart, editor.selectionEnd, "end"); }
    else if (event.key === "Enter") { event.preventDefault(); closeEditor(true); moveTo(at.r + (event.shiftKey ? -1 : 1), at.c); }
    else if (event.key === "Tab") { event.preventDefault(); closeEditor(true); moveTo(at.r, at.c + (event.shiftKey ? -1 : 1)); }
    else if ((event.ctrlKey || event.metaKey) && event.key === "s") { event.preventDefault(); save(); }
  }
  scroller.addEventListener("keydown", (event) => {
    if (editor) { onEditorKey(event); return; }
    if (!cells.rows.length) return;
    const isCommand = event.ctrlKey || event.metaKey, { shiftKey: extend, key } = event;
    const moves = {
      ArrowUp: () => [isCommand ? 0 : at.r - 1, at.c], ArrowDown: () => [isCommand ? cells.rows.length : at.r + 1, at.c],
      ArrowLeft: () => [at.r, isCommand ? 0 : at.c - 1], ArrowRight: () => [at.r, isCommand ? lastColumn() : at.c + 1],
      Home: () => [isCommand ? 0 : at.r, 0], End: () => [isCommand ? cells.rows.length : at.r, lastColumn()],
      PageUp: () => [at.r - pageRows(), at.c], PageDown: () => [at.r + pageRows(), at.c],
    };
    const commands = { d: fillDown, z: extend ? actions.redo : actions.undo, Z: actions.redo, y: actions.redo, s: save, a: () => checkAll(true) };
    if (moves[key]) moveTo(...moves[key](), extend);
    else if (isCommand && commands[key] && (isEditable || key === "a")) commands[key]();
    else if (isCommand || event.altKey) return;
    else if (key === "Enter" || key === "F2") { if (at.c === 0) check([rowAt(at.r).row], !checked.has(rowAt(at.r).row)); else openEditor(); }
    else if (key === " ") { if (isEditable) check([rowAt(at.r).row], !checked.has(rowAt(at.r).row)); }
    else if (key === "Delete" || key === "Backspace") { if (isEditable) change(targets().map(([row, column]) => [row, column.id, ""]), (count) => `Cleared ${cellsWord(count)}.`); }
    else if (key === "Escape") { if (checked.size) check([...checked], false); moveTo(at.r, at.c); }
    else if (key.length === 1) openEditor(key);
    else return;
    event.preventDefault();
  });
  const positionOf = (event) => { const cell = event.target.closest?.("[data-c]"); return cell && body.contains(cell) ? [Number(cell.dataset.r), Number(cell.dataset.c)] : null; };
  let dragStart = null, lastChecked = 0;
  body.addEventListener("pointerdown", (event) => {
    const position = positionOf(event);
    if (!position || event.target === editor || event.target.closest("label")) return;
    const isSame = position[0] === at.r && position[1] === at.c && event.pointerType !== "mouse";
    closeEditor(true);
    moveTo(...position, event.shiftKey);
    if (isSame) openEditor();
    else if (event.pointerType === "mouse") dragStart = event;
    event.preventDefault();
  });
  body.addEventListener("pointerover", (event) => {
    const hasMoved = dragStart && (event.clientX !== dragStart.clientX || event.clientY !== dragStart.clientY);  // not the page under it
    const position = hasMoved && positionOf(event);
    if (position) moveTo(...position, true);
  });
  document.addEventListener("pointerup", () => { dragStart = null; });
  body.addEventListener("dblclick", (event) => { if (positionOf(event) && event.target !== editor) openEditor(); });
  scroller.addEventListener("change", (event) => {
    if (event.target.dataset.all !== undefined) checkAll(event.target.checked);
    else if (event.target.type === "checkbox") { const [r] = positionOf(event); check([rowAt(r).row], event.target.checked); lastChecked = r; at = { r, c: 0 }; anchor = { ...at }; paint(); }
  });
  scroller.addEventListener("click", (event) => {  // a further row with the shift key selects those between, too
    const position = positionOf(event);
    if (event.target.type !== "checkbox" || !event.shiftKey || !position) return;
    const [from, to] = [lastChecked, position[0]].sort((a, b) => a - b);
    check(cells.rows.slice(from, to + 1).map((row) => row.row), event.target.checked);
  });
  let isPainting = false;
  scroller.addEventListener("scroll", () => { if (!isPainting) { isPainting = true; requestAnimationFrame(() => { isPainting = false; paint(); }); } });
  scroller.addEventListener("focusout", (event) => { if (event.target === editor && !scroller.contains(event.relatedTarget)) closeEditor(true); });
  scroller.addEventListener("copy", (event) => {
    if (editor) return;
    const range = box(), lines = [];
    for (let r = range.top; r <= range.bottom; r += 1) lines.push(visible.slice(range.left - 1, range.right).map((column) => cells.text(rowAt(r), column.id)));
    event.clipboardData.setData("text/plain", toTsv(lines));
    event.preventDefault();
    announce(`Copied ${cellsWord(lines.length * lines[0].length)}.`);
  });
  scroller.addEventListener("paste", (event) => {
    if (editor || !isEditable) return;
    event.preventDefault();
    pasteText(event.clipboardData.getData("text/plain"));
  });
  root.addEventListener("click", (event) => { const name = event.target.closest("button[data-do]")?.dataset.do; if (name && name !== "set") actions[name](); });
  find(".grid-set")?.addEventListener("submit", (event) => { event.preventDefault(); actions.set(); });
  find(".grid-set button")?.setAttribute("type", "submit");
  find(".grid-columns").addEventListener("change", async (event) => {
    if (event.target.checked) cells.shown.add(event.target.value); else cells.shown.delete(event.target.value);
    try { if (event.target.checked) await refresh(cells.rows.map((row) => row.row)); } catch (error) { showFailure(error); }
    redraw();
  });
  document.addEventListener("click", (event) => { root.querySelectorAll("details[open]").forEach((each) => { if (!each.contains(event.target)) each.open = false; }); });
  root.addEventListener("keydown", (event) => { const open = event.key === "Escape" && event.target.closest("details[open]"); if (open) { open.open = false; open.querySelector("summary").focus(); } });

  async function start() {
    root.hidden = false;
    try {
      await loadPage();
      rowHeight = painted.get(0)?.getBoundingClientRect().height || rowHeight;
      if (cells.edits.size) announce(`${records(cells.edits.size)} with values that were typed before and are not saved yet. ${summary()}`);
      else announce(summary());
      if (!cells.rows.length) say("good", tag("p", "No records are rejected here."));
      at = anchor = { r: 0, c: 1 };
      anchor = { ...at };
      paint(); updateTools();
    } catch (error) { showFailure(error); }
  }
  start();
})();
