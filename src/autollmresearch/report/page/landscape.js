// The landscape of an experiment: the best value in each cell of two axes, over whatever the other parameters are.

const CODES = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** Where a configuration lies on an axis; -1 if it has no such parameter. */
function place(code, axis) {
  return CODES.indexOf(code[axis] || "-");
}

/** The map [up][across] of best values, null where nothing was measured; `up` may be -1: a single row. */
function bestMap(experiment, layer, across, up) {
  const better = experiment.direction === "minimize" ? (a, b) => a < b : (a, b) => a > b;
  const map = Array.from({ length: up < 0 ? 1 : experiment.axes[up].labels.length }, () =>
    Array(experiment.axes[across].labels.length).fill(null),
  );
  layer.codes.forEach((code, i) => {
    const [x, y] = [place(code, across), up < 0 ? 0 : place(code, up)];
    if (x < 0 || y < 0) return;
    if (map[y][x] === null || better(layer.values[i], map[y][x])) map[y][x] = layer.values[i];
  });
  return map;
}

/** The trials of a path by cell: [{x, y, numbers, text}]. */
function stops(path, across, up) {
  const cells = new Map();
  for (const trial of path ? path.trials : []) {
    const [x, y] = [place(trial.code, across), up < 0 ? 0 : place(trial.code, up)];
    if (x < 0 || y < 0) continue;
    const key = `${x} ${y}`;
    if (!cells.has(key)) cells.set(key, { x, y, numbers: [], text: [] });
    cells.get(key).numbers.push(trial.n);
    cells.get(key).text.push(`trial ${trial.n}: ${trial.text}, ${trial.value === null ? trial.state : trial.value}`);
  }
  return [...cells.values()];
}

function ticks(axis, most) {
  const step = Math.ceil(axis.labels.length / most);
  const shown = axis.labels.map((_, i) => i).filter((i) => i % step === 0);
  const cut = (text) => (text.length > 16 ? text.slice(0, 15) + "…" : text);
  return {
    title: { text: plain(axis.name) },
    tickvals: shown,
    ticktext: shown.map((i) => plain(cut(axis.labels[i]))),
    range: [-0.5, axis.labels.length - 0.5],
    showgrid: false,
    zeroline: false,
  };
}

function landscapePlot(experiment, layer, across, up, path, width) {
  const map = bestMap(experiment, layer, across, up);
  const values = map.flat().filter((v) => v !== null);
  const best = experiment.direction === "minimize" ? Math.min(...values) : Math.max(...values);
  let worst = experiment.direction === "minimize" ? Math.max(...values) : Math.min(...values);
  if (experiment.worst !== null) {
    worst = experiment.direction === "minimize" ? Math.min(worst, experiment.worst) : Math.max(worst, experiment.worst);
  }
  const narrow = width < 520;
  const [a, b] = [experiment.axes[across], up < 0 ? { name: "", labels: [""] } : experiment.axes[up]];
  const label = (x, y) => `${a.name} ${a.labels[x]}` + (up < 0 ? "" : `, ${b.name} ${b.labels[y]}`);
  const found = stops(path, across, up);
  const line = path ? path.trials.map((t) => [place(t.code, across), up < 0 ? 0 : place(t.code, up)]) : [];
  const legal = line.filter(([x, y]) => x >= 0 && y >= 0);
  const route = { x: legal.map(([x]) => x), y: legal.map(([, y]) => y), mode: "lines", hoverinfo: "skip" };
  const traces = [
    {
      type: "heatmap",
      z: map,
      zmin: Math.min(best, worst),
      zmax: Math.max(best, worst),
      colorscale: "Viridis",
      reversescale: experiment.direction === "minimize",
      xgap: 1,
      ygap: 1,
      text: map.map((row, y) => row.map((v, x) => plain(`${label(x, y)}: ${v}`))),
      hovertemplate: "%{text}<extra></extra>",
      hoverongaps: false,
      colorbar: { title: { text: plain(experiment.metric), side: "right" }, thickness: narrow ? 10 : 16, len: 0.9 },
    },
    { ...route, line: { color: "#ffffff", width: 5 } },
    { ...route, line: { color: "#000000", width: 1.5 } },
  ];
  if (experiment.optimum) {
    const { code, value, text } = experiment.optimum;
    const star = {
      x: [place(code, across)],
      y: [up < 0 ? 0 : place(code, up)],
      mode: "markers",
      hovertext: [plain(`the best: ${text}, ${value}`)],
      hovertemplate: "%{hovertext}<extra></extra>",
    };
    const marker = (color, width) => ({ symbol: "star-open", size: 38, color, line: { color, width } });
    traces.push({ ...star, marker: marker("#000000", 5) }, { ...star, marker: marker("#ffffff", 2) });
  }
  traces.push({
    x: found.map((s) => s.x),
    y: found.map((s) => s.y),
    mode: "markers+text",
    marker: { size: 21, color: "#ffffff", line: { color: "#000000", width: 1.5 } },
    text: found.map((s) => (s.numbers.length > 2 ? `${s.numbers[0]}…` : s.numbers.join(" "))),
    textfont: { color: "#000000", size: 11 },
    hovertext: found.map((s) => s.text.map(plain).join("<br>")),
    hovertemplate: "%{hovertext}<extra></extra>",
  });
  return {
    traces,
    height: up < 0 ? 220 : narrow ? 380 : 520,
    layout: layout({
      xaxis: ticks(a, narrow ? 4 : 9),
      yaxis: ticks(b, 12),
    }),
  };
}
