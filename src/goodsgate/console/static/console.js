"use strict";
// Everything a page can do beyond reading. Pages are made on the gate; nothing here makes markup out of data.
(() => {
  const csrf = () => document.body.dataset.csrf || "";
  let saying = 0;
  const said = (text) => {
    document.getElementById("said").textContent = text;
    clearTimeout(saying);
    if (text) saying = setTimeout(() => said(""), 5000);
  };

  // Live parts rest while nobody looks, and while somebody types in them.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const live = event.detail.requestConfig.triggeringEvent?.type?.startsWith("sse:");
    const busy = event.detail.target?.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");
    const open = event.detail.target?.querySelector("details[open][data-keep]");
    if (live && (document.hidden || busy || open)) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) document.querySelectorAll("[hx-trigger*='sse:change']").forEach((part) => htmx.trigger(part, "sse:change"));
  });

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.ask;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  // -- files: the body is what a form says, as one line of JSON, and then the file, streamed by the browser -----------
  function send(address, file, fields, onProgress) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", address);
      request.setRequestHeader("X-CSRF", csrf());
      request.setRequestHeader("Content-Type", "application/octet-stream");
      if (onProgress) request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
      request.onerror = () => reject(new Error("The gate cannot be reached."));
      request.onload = () => {
        if (request.status === 401) { window.location.reload(); return; }
        resolve({ ok: request.status < 300, html: request.responseText, location: request.getResponseHeader("X-Location") });
      };
      request.send(new Blob([JSON.stringify(fields), "\n", file]));
    });
  }
  function show(part, html) {
    // What had the focus keeps it, and what was open stays open.
    const focused = part.contains(document.activeElement) ? document.activeElement.name : "";
    const open = part.querySelector("details[data-keep]")?.open;
    part.innerHTML = html;  // made on the gate, where every value is escaped
    htmx.process(part);
    const kept = part.querySelector("details[data-keep]");
    if (kept && open) kept.open = true;
    if (focused) part.querySelector(`[name="${CSS.escape(focused)}"]`)?.focus();
  }
  const fieldsOf = (form) => {
    const fields = {};
    if (form) for (const [name, value] of new FormData(form)) if (typeof value === "string") fields[name] = value;
    return fields;
  };

  function droppable(area, take) {
    const input = area.querySelector("input[type=file]");
    area.addEventListener("dragover", (event) => { event.preventDefault(); area.classList.add("over"); });
    area.addEventListener("dragleave", () => area.classList.remove("over"));
    area.addEventListener("drop", (event) => {
      event.preventDefault(); area.classList.remove("over");
      if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
    });
    input.addEventListener("change", () => { if (input.files.length) take(input.files[0]); });
  }

  // Submit: look at the head of the file, then check or send the whole of it.
  const submitting = document.getElementById("submitting");
  if (submitting) {
    const looked = document.getElementById("looked");
    const HEAD = 512 * 1024;
    let file = null;
    const look = async () => {
      if (!file) return;
      const zip = /\.(xlsx|zip)$/i.test(file.name) || new Uint8Array(await file.slice(0, 2).arrayBuffer()).join() === "80,75";
      const part = zip ? file : file.slice(0, HEAD);
      const fields = { ...fieldsOf(document.getElementById("policy")), filename: file.name, bytes: String(file.size), whole: String(part.size === file.size) };
      looked.setAttribute("aria-busy", "true");
      try {
        const answer = await send(submitting.dataset.look, part, fields);
        show(looked, answer.html);
        said(answer.ok ? "The file was recognised." : "The file was not recognised.");
      } catch (fault) { said(fault.message); }
      looked.removeAttribute("aria-busy");
    };
    droppable(submitting.querySelector(".drop"), (given) => {
      file = given; submitting.querySelector("[data-name]").textContent = given.name; look();
    });
    looked.addEventListener("change", (event) => { if (event.target.closest("[data-again]")) look(); });
    looked.addEventListener("click", async (event) => {
      const button = event.target.closest("button[data-send]");
      if (!button) return;
      event.preventDefault();
      const form = document.getElementById("policy");
      if (!form.reportValidity()) return;
      const told = document.getElementById("told"), bar = document.getElementById("sending");
      looked.querySelectorAll("button").forEach((one) => { one.disabled = true; });
      told.replaceChildren(); bar.hidden = false; bar.removeAttribute("value");
      try {
        const fields = { ...fieldsOf(form), filename: file.name };
        const answer = await send(button.dataset.send, file, fields, (share) => { if (share < 1) bar.value = share; else bar.removeAttribute("value"); });
        if (answer.location) { window.location.assign(answer.location); return; }
        show(told, answer.html); told.focus();
      } catch (fault) { said(fault.message); }
      bar.hidden = true;
      looked.querySelectorAll("button").forEach((one) => { one.disabled = false; });
    });
  }

  // A single file for a purpose: a corrected report, reference data.
  document.querySelectorAll("[data-upload]").forEach((area) => {
    const told = area.parentElement.querySelector("[data-told]");
    droppable(area, async (file) => {
      told.textContent = `Sending ${file.name} …`;
      try {
        const form = area.closest("form");
        const answer = await send(area.dataset.upload, file, { ...fieldsOf(form), filename: file.name });
        if (answer.location) { window.location.assign(answer.location); return; }
        show(told, answer.html);
      } catch (fault) { told.textContent = fault.message; }
    });
  });

  // -- charts of the last hours ----------------------------------------------------------------------------------------
  const charts = document.getElementById("charts");
  if (charts && window.uPlot) {
    const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const plots = [];
    const widthOf = (place) => { const { paddingLeft, paddingRight } = getComputedStyle(place); return place.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight); };
    const draw = async () => {
      if (document.hidden) return;
      const answer = await fetch(charts.dataset.history, { headers: { "X-CSRF": csrf() } });
      if (!answer.ok) return;
      const history = await answer.json();
      charts.querySelectorAll(".chart").forEach((place, at) => {
        const names = place.dataset.series.split(" "), labels = place.dataset.labels.split("|"), colours = place.dataset.colours.split(" ");
        const data = [history.at, ...names.map((name) => history.series[name] || history.at.map(() => null))];
        if (plots[at]) { plots[at].setData(data); return; }
        const axis = { stroke: style("--quiet"), grid: { stroke: style("--line"), width: 1 }, ticks: { stroke: style("--line") } };
        const clock = (ticks) => ticks.map((tick) => new Date(tick * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
        plots[at] = new uPlot({
          width: widthOf(place), height: 200, legend: { live: true },
          series: [{ label: "Time" }, ...names.map((_, index) => ({ label: labels[index], stroke: style(colours[index]), width: 2, points: { show: history.at.length < 3 } }))],
          axes: [{ ...axis, values: (_, ticks) => clock(ticks) }, { ...axis, size: 60, values: (_, ticks) => ticks.map((tick) => tick.toLocaleString("en")) }],
          scales: { y: { range: (_, low, high) => [Math.min(0, low || 0), Math.max(1, (high || 0) * 1.05)] } },
        }, data, place);
      });
    };
    draw();
    setInterval(draw, 15000);
    new ResizeObserver(() => plots.forEach((plot) => plot.setSize({ width: widthOf(plot.root.parentElement), height: 200 }))).observe(charts);
  }
})();
