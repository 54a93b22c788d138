"use strict";
// Everything the pages do beyond reading. Pages are rendered on the server; this script never builds markup from data.
(() => {
  const csrf = () => document.body.dataset.csrf || "";
  // What eyes see for themselves is told to screen readers; nothing is laid over the page.
  const announce = (text) => { document.getElementById("announcement").textContent = text; };
  const showError = (element, text) => {
    const notice = document.createElement("div"), line = document.createElement("p");
    notice.className = "notice bad"; notice.setAttribute("role", "alert"); line.textContent = text;
    notice.append(line); element.replaceChildren(notice);
  };

  // Live fragments keep open what was opened; details without an id pause them, as do hidden pages and typing in them.
  let openIds = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    openIds = [...event.detail.target.querySelectorAll("details[open][id]")].map((each) => each.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    openIds.forEach((id) => { const details = document.getElementById(id); if (details) details.open = true; });
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    const isLive = event.detail.requestConfig.triggeringEvent?.type?.startsWith("sse:");
    const isEdited = event.detail.target?.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");
    const isOpen = event.detail.target?.querySelector("details[open][data-keep]");
    if (isLive && (document.hidden || isEdited || isOpen)) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) document.querySelectorAll("[hx-trigger*='sse:change']").forEach((part) => htmx.trigger(part, "sse:change"));
  });

  // The menu of the navigation closes as menus do: by a click elsewhere, by Escape, and when the focus leaves it.
  const menu = document.querySelector("details.menu");
  if (menu) {
    const closeOutside = (target) => { if (target && !menu.contains(target)) menu.open = false; };
    document.addEventListener("click", (event) => closeOutside(event.target));
    document.addEventListener("focusin", (event) => closeOutside(event.target));
    menu.addEventListener("keydown", (event) => { if (event.key === "Escape" && menu.open) { menu.open = false; menu.querySelector("summary").focus(); } });
  }

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  // -- uploads: the body is the form fields as one line of JSON, then the file, which the browser streams --------------
  function upload(url, file, fields, onProgress) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", url);
      request.setRequestHeader("X-CSRF", csrf());
      request.setRequestHeader("Content-Type", "application/octet-stream");
      if (onProgress) request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
      request.onerror = () => reject(new Error("The server cannot be reached."));
      request.onload = () => {
        if (request.status === 401) { window.location.reload(); return; }
        resolve({ ok: request.status < 300, html: request.responseText, location: request.getResponseHeader("X-Location") });
      };
      request.send(new Blob([JSON.stringify(fields), "\n", file]));
    });
  }
  function replaceContent(element, html) {
    // The focused field keeps the focus, and open details stay open.
    const focusedName = element.contains(document.activeElement) ? document.activeElement.name : "";
    const wasOpen = element.querySelector("details[data-keep]")?.open;
    element.innerHTML = html;  // rendered on the server, where every value is escaped
    htmx.process(element);
    const details = element.querySelector("details[data-keep]");
    if (details && wasOpen) details.open = true;
    if (focusedName) element.querySelector(`[name="${CSS.escape(focusedName)}"]`)?.focus();
  }
  const fieldsOf = (form) => {
    const fields = {};
    if (form) for (const [name, value] of new FormData(form)) if (typeof value === "string") fields[name] = value;
    return fields;
  };

  function acceptFiles(area, onFile) {
    const input = area.querySelector("input[type=file]");
    area.addEventListener("dragover", (event) => { event.preventDefault(); area.classList.add("over"); });
    area.addEventListener("dragleave", () => area.classList.remove("over"));
    area.addEventListener("drop", (event) => {
      event.preventDefault(); area.classList.remove("over");
      if (event.dataTransfer.files.length) onFile(event.dataTransfer.files[0]);
    });
    input.addEventListener("change", () => { if (input.files.length) onFile(input.files[0]); });
  }

  // The submit page: preview the head of the file, then validate or submit all of it.
  const submitArea = document.getElementById("submit");
  if (submitArea) {
    const preview = document.getElementById("preview");
    const HEAD_BYTES = 512 * 1024;
    let file = null, previews = 0;
    const searchColumns = () => {
      const text = preview.querySelector("[data-search]")?.value.trim().toLowerCase() || "";
      preview.querySelectorAll("#columns > tr").forEach((row) => {
        const field = row.querySelector("select");
        row.hidden = text !== "" && ![...row.children].slice(0, 3).concat(field.selectedOptions[0]).some((each) => each.textContent.toLowerCase().includes(text));
      });
    };
    const loadPreview = async (url = submitArea.dataset.preview) => {
      if (!file) return;
      const isZip = /\.(xlsx|zip)$/i.test(file.name) || new Uint8Array(await file.slice(0, 2).arrayBuffer()).join() === "80,75";
      const part = isZip ? file : file.slice(0, HEAD_BYTES);
      const fields = { ...fieldsOf(document.getElementById("policy")), filename: file.name, bytes: String(file.size), whole: String(part.size === file.size) };
      const number = ++previews;
      preview.setAttribute("aria-busy", "true");
      try {
        const response = await upload(url, part, fields);
        if (number !== previews) return;  // the answer to a later choice is on its way
        // A refusal, such as that of a wrong option, stands below the form, which stays.
        const form = document.getElementById("policy");
        replaceContent(response.ok || !form ? preview : document.getElementById("validation"), response.html);
        searchColumns();
        announce(response.ok ? "Preview updated." : "The file could not be read.");
      } catch (error) { showError(document.getElementById("validation") || preview, error.message); }
      preview.removeAttribute("aria-busy");
    };
    acceptFiles(submitArea.querySelector(".drop"), (given) => {
      file = given; submitArea.querySelector("[data-name]").textContent = given.name; loadPreview();
    });
    preview.addEventListener("change", (event) => { if (event.target.closest("[data-reload]")) loadPreview(); });
    preview.addEventListener("input", (event) => { if (event.target.matches("[data-search]")) searchColumns(); });
    preview.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !event.target.matches("input")) return;
      event.preventDefault();  // the first button would submit the file
      if (event.target.name === "save_as") preview.querySelector("button[data-save]").click();
      else if (event.target.closest("[data-reload]")) event.target.blur();
    });
    preview.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-save]");
      if (!button) return;
      event.preventDefault();
      const name = document.getElementById("policy").elements.save_as;
      name.required = true;
      if (name.reportValidity()) loadPreview(button.dataset.save);
      name.required = false;
    });
    preview.addEventListener("click", async (event) => {
      const button = event.target.closest("button[data-action]");
      if (!button) return;
      event.preventDefault();
      const form = document.getElementById("policy");
      if (!form.reportValidity()) return;
      const result = document.getElementById("validation"), bar = document.getElementById("sending");
      preview.querySelectorAll("button").forEach((each) => { each.disabled = true; });
      result.replaceChildren(); bar.hidden = false; bar.removeAttribute("value");
      try {
        const fields = { ...fieldsOf(form), filename: file.name };
        const response = await upload(button.dataset.action, file, fields, (share) => { if (share < 1) bar.value = share; else bar.removeAttribute("value"); });
        if (response.location) { window.location.assign(response.location); return; }
        replaceContent(result, response.html); result.focus();
      } catch (error) { showError(result, error.message); }
      bar.hidden = true;
      preview.querySelectorAll("button").forEach((each) => { each.disabled = false; });
    });
  }

  // Other uploads of a single file: a corrected report, which is previewed before it is sent, and reference data.
  document.querySelectorAll("[data-upload]").forEach((area) => {
    const result = area.parentElement.querySelector("[data-result]");
    let requests = 0;
    const send = async (url, file, form) => {
      const sent = requests += 1;
      const fields = { ...fieldsOf(form), filename: file.name };
      result.setAttribute("aria-busy", "true");
      if (!result.contains(form)) result.textContent = `Uploading ${file.name} …`;
      try {
        const response = await upload(url, file, fields);
        if (sent !== requests) return;
        if (response.location) { window.location.assign(response.location); return; }
        replaceContent(result, response.html);
        announce(result.querySelector("strong, .notice")?.textContent || "");
      } catch (error) { showError(result, error.message); }
      result.removeAttribute("aria-busy");
    };
    let file = null;
    acceptFiles(area, (given) => { file = given; send(area.dataset.preview || area.dataset.upload, file, area.closest("form")); });
    if (!area.dataset.preview) return;
    result.addEventListener("submit", (event) => { event.preventDefault(); send(area.dataset.upload, file, event.target); });
    result.addEventListener("change", (event) => { if (event.target.closest("[data-reload]")) send(area.dataset.preview, file, event.target.form); });
  });

  // -- charts of the health page ---------------------------------------------------------------------------------------
  const charts = document.getElementById("charts");
  if (charts && window.uPlot) {
    const cssValue = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const plots = [];
    const contentWidth = (element) => { const { paddingLeft, paddingRight } = getComputedStyle(element); return element.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight); };
    const draw = async () => {
      if (document.hidden) return;
      const response = await fetch(charts.dataset.url, { headers: { "X-CSRF": csrf() } });
      if (!response.ok) return;
      const history = await response.json();
      charts.querySelectorAll(".chart").forEach((figure, index) => {
        const names = figure.dataset.series.split(" "), labels = figure.dataset.labels.split("|"), colours = figure.dataset.colours.split(" ");
        const data = [history.at, ...names.map((name) => history.series[name] || history.at.map(() => null))];
        if (plots[index]) { plots[index].setData(data); return; }
        const axis = { stroke: cssValue("--quiet"), grid: { stroke: cssValue("--line"), width: 1 }, ticks: { stroke: cssValue("--line") } };
        const minutes = (tick) => new Date(tick * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
        const clock = (ticks) => ticks.map((tick, each) => (each && minutes(tick) === minutes(ticks[each - 1]) ? "" : minutes(tick)));
        plots[index] = new uPlot({
          width: contentWidth(figure), height: 200, legend: { live: true },
          series: [{ label: "Time" }, ...names.map((_, series) => ({ label: labels[series], stroke: cssValue(colours[series]), width: 2, points: { show: history.at.length < 3 } }))],
          axes: [{ ...axis, space: 90, values: (_, ticks) => clock(ticks) }, { ...axis, size: 60, values: (_, ticks) => ticks.map((tick) => tick.toLocaleString("en")) }],
          scales: { y: { range: (_, low, high) => [Math.min(0, low || 0), Math.max(1, (high || 0) * 1.05)] } },
        }, data, figure);
      });
    };
    draw();
    setInterval(draw, 15000);
    new ResizeObserver(() => plots.forEach((plot) => plot.setSize({ width: contentWidth(plot.root.parentElement), height: 200 }))).observe(charts);
  }
})();
