// Draws each figure from the table that it names, so that the picture and its text can never differ.
"use strict";

(() => {
  const HEIGHT = 220;

  const number = (cell) => (cell.textContent === "" ? null : Number(cell.textContent));

  const read = (table, columns) => {
    const rows = [...table.tBodies[0].rows];
    const times = rows.map((row) => Date.parse(row.querySelector("time").dateTime) / 1000);
    return [times, ...columns.map((column) => rows.map((row) => number(row.cells[column])))];
  };

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const said = (figure, titles, data) => {
    const parts = titles.map((title, index) => {
      const known = data[index + 1].filter((value) => value !== null);
      return known.length ? `${title}: ${Math.min(...known)} to ${Math.max(...known)}` : `${title}: none`;
    });
    return `${figure.querySelector("figcaption").textContent}. ${parts.join(". ")}. SLA limit: ${figure.dataset.limit}.`;
  };

  const draw = (figure) => {
    figure.querySelector(".plot")?.remove();
    const table = document.getElementById(figure.dataset.table);
    const columns = figure.dataset.columns.split(" ").map(Number);
    const titles = columns.map((column) => table.tHead.rows[0].cells[column].textContent);
    const data = read(table, columns);
    const limit = Number(figure.dataset.limit);
    const plot = document.createElement("div");
    plot.className = "plot";
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", said(figure, titles, data));
    figure.append(plot);
    figure.classList.add("drawn");
    const width = figure.clientWidth - 24;
    const shades = figure.dataset.unit === "%" ? ["--bad"] : ["--mean", "--p95"];
    const line = (label, stroke, more) => ({ label, stroke, width: 2, points: { size: 5 }, ...more });
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    const options = {
      width,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      scales: { y: { range: (_, __, most) => [0, Math.max(limit * 1.2, (most || 0) * 1.1)] } },
      series: [
        { label: "UTC", value: "{HH}:{mm}" },
        ...titles.map((title, index) => line(title, colour(shades[index]))),
        line(figure.dataset.limitName, colour("--ink"), { dash: [6, 4], width: 1, points: { show: false } }),
      ],
      axes: [{ ...axis, values: [[3600, "{HH}:{mm}", null, null, null, null, null, null, 1], [60, "{HH}:{mm}", null, null, null, null, null, null, 1]] }, { ...axis, size: 48 }],
    };
    new uPlot(options, [...data, data[0].map(() => limit)], plot);
  };

  const all = () => document.querySelectorAll(".chart").forEach(draw);

  let last = 0;
  const again = () => {
    cancelAnimationFrame(last);
    last = requestAnimationFrame(all);
  };

  all();
  addEventListener("resize", again);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
})();
