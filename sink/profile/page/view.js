// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// What the page shows. All names are set as text.
const $ = id => document.getElementById(id);
const data = JSON.parse($("data").textContent), frames = readFrames(data), calls = readTree(data);
const HEIGHT = 19, LEAST = 0.4; // of a box, in pixels
const dark = matchMedia("(prefers-color-scheme: dark)"), canvas = $("graph"), ink = canvas.getContext("2d");
let inverted, tree, weight, children; // of the view
let column = data.default, zoom = ROOT, selected = ROOT, boxes = [], pattern = null;

const nameOf = node => node === ROOT ? "all" : frames[tree.frame[node]].name;
const hits = node => pattern !== null && node !== ROOT && pattern.test(nameOf(node));
const show = value => showValue(value, data.types[data.diff ? 0 : column][1]);

function choose() {
  const wanted = $("view").value === "callers" ? inverted ??= invert(calls, frames.length) : calls;
  if (wanted !== tree) [tree, zoom, selected] = [wanted, ROOT, ROOT];
  weight = weigh(tree, column, data.diff);
  children = childrenOf(tree, weight);
  refresh();
}

function refresh() {
  const table = $("view").value === "functions";
  canvas.hidden = table;
  $("functions").hidden = !table;
  const found = sumOfHits(tree, zoom, weight, f => pattern !== null && pattern.test(frames[f].name));
  if (pattern) $("hits").textContent = showShare(found, weight[zoom]) + (data.diff ? "" : ", " + show(found));
  $("path").replaceChildren(...pathTo(tree, zoom).flatMap((node, i) => {
    const button = document.createElement("button");
    button.textContent = nameOf(node);
    button.onclick = () => zoomTo(node);
    return i ? ["›", button] : [button];
  }));
  table ? list() : draw();
}

function zoomTo(node) {
  zoom = selected = node;
  refresh();
}

function draw() {
  const width = canvas.clientWidth, ratio = devicePixelRatio || 1;
  boxes = layOut(tree, children, weight, zoom, width, LEAST);
  const rows = 1 + boxes.reduce((most, box) => Math.max(most, box.row), 0);
  canvas.style.height = rows * HEIGHT + "px";
  canvas.width = width * ratio;
  canvas.height = rows * HEIGHT * ratio;
  ink.setTransform(ratio, 0, 0, ratio, 0, 0);
  ink.font = "12px ui-monospace, monospace";
  ink.textBaseline = "middle";
  const letter = ink.measureText("m").width;
  for (const box of boxes) {
    if ($("view").value === "flame") box.row = rows - 1 - box.row;
    const y = box.row * HEIGHT, name = nameOf(box.node), room = Math.floor((box.width - 7) / letter);
    const [h, s, l] = colourOf(frames[tree.frame[box.node]], { dark: dark.matches, hit: hits(box.node), change: data.diff ? changeOf(tree, box.node) : undefined });
    ink.fillStyle = `hsl(${h} ${s}% ${l}%)`;
    ink.fillRect(box.x, y, Math.max(box.width - 1, 0.5), HEIGHT - 1);
    ink.fillStyle = dark.matches ? "#f4f5f6" : "#15171a";
    if (room > 2) ink.fillText(name.length > room ? name.slice(0, room - 1) + "…" : name, box.x + 4, y + HEIGHT / 2);
    if (box.node !== selected || selected === zoom) continue;
    ink.strokeStyle = ink.fillStyle;
    ink.strokeRect(box.x + 0.5, y + 0.5, Math.max(box.width - 2, 1), HEIGHT - 2);
  }
  canvas.setAttribute("aria-label", "flame graph of " + data.title + ": " + describe(selected).replaceAll("\n", ", "));
}

function describe(node) {
  const { module, note } = node === ROOT ? { module: "", note: "" } : frames[tree.frame[node]], all = tree.total.map(list => list[ROOT]);
  const lines = [nameOf(node) + note + (module ? "\n" + module : "")];
  if (data.diff) {
    ["before", "after"].forEach((when, c) => lines.push(when + " " + showShare(tree.total[c][node], all[c]) + ", " + show(tree.total[c][node])));
  } else {
    lines.push(show(tree.total[column][node]) + ", " + showShare(tree.total[column][node], all[column]));
    if (tree === calls) lines.push("itself " + show(tree.self[column][node]));
  }
  return lines.join("\n");
}

const MOST = 500; // rows of the table

function list() {
  boxes = [];
  const columns = data.diff ? [0, 1] : [column], heads = data.diff ? ["before", "after"] : [""];
  const row = (tag, cells) => {
    const tr = document.createElement("tr");
    for (const text of cells) {
      const cell = document.createElement(tag);
      cell.append(text);
      tr.append(cell);
    }
    return tr;
  };
  const all = functionsOf(tree, zoom).filter(f => pattern === null || pattern.test(frames[f.frame].name));
  const of = f => columns.reduce((sum, c) => sum + f.self[c] / (tree.total[c][zoom] || 1), 0);
  all.sort((a, b) => of(b) - of(a) || a.frame - b.frame);
  $("functions").tHead.replaceChildren(row("th", [...heads.flatMap(h => ["self " + h, "%", "total " + h, "%"]), "function"]));
  $("functions").tBodies[0].replaceChildren(...all.slice(0, MOST).map(f => {
    const button = document.createElement("button");
    button.textContent = frames[f.frame].name;
    button.onclick = () => {
      $("search").value = "^" + frames[f.frame].name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") + "$";
      $("view").value = "icicle";
      search();
    };
    return row("td", [...columns.flatMap(c => [f.self[c], f.total[c]].flatMap(v => [show(v), showShare(v, tree.total[c][zoom])])), button]);
  }));
}

function search() {
  pattern = null;
  $("hits").textContent = "";
  try {
    if ($("search").value) pattern = new RegExp($("search").value, "i");
  } catch {
    $("hits").textContent = "this is no regular expression";
  }
  choose();
}

function boxAt(event) {
  const { left, top } = canvas.getBoundingClientRect(), x = event.clientX - left, row = Math.floor((event.clientY - top) / HEIGHT);
  return boxes.find(box => box.row === row && x >= box.x && x < box.x + box.width);
}

function showTip(event) {
  const box = boxAt(event), tip = $("tip");
  tip.hidden = !box;
  if (!box) return;
  tip.textContent = describe(box.node);
  tip.style.left = Math.max(0, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)) + "px";
  tip.style.top = Math.max(0, Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 8)) + "px";
}

// The selection moves to the node above, the widest below, or the next one beside it.
function move(key) {
  const down = $("view").value === "flame" ? "ArrowUp" : "ArrowDown", up = down === "ArrowUp" ? "ArrowDown" : "ArrowUp";
  const beside = selected === ROOT ? [ROOT] : children[tree.parent[selected]], at = beside.indexOf(selected);
  const to = { [down]: children[selected][0], [up]: tree.parent[selected], ArrowLeft: beside[at - 1], ArrowRight: beside[at + 1] }[key];
  if (to === undefined || to === NONE) return;
  selected = to;
  draw();
}

canvas.onclick = event => { const box = boxAt(event); if (box) zoomTo(box.node); };
canvas.onmousemove = showTip;
canvas.onmouseleave = () => { $("tip").hidden = true; };
canvas.onkeydown = event => {
  if (event.key === "Enter") zoomTo(selected);
  else if (event.key.startsWith("Arrow")) { event.preventDefault(); move(event.key); }
};
document.onkeydown = event => {
  if (event.key === "/" && document.activeElement !== $("search")) {
    event.preventDefault();
    $("search").focus();
  } else if (event.key === "Escape" && pattern !== null) {
    $("search").value = "";
    search();
  } else if (event.key === "Escape" && zoom !== ROOT) {
    zoomTo(tree.parent[zoom]);
  }
};
$("search").oninput = search;
$("view").onchange = choose;
$("value").onchange = () => { column = Number($("value").value); choose(); };
onresize = dark.onchange = refresh;

$("title").textContent = data.title;
$("value-label").hidden = data.diff || data.types.length < 2;
data.types.forEach(([name], i) => $("value").add(new Option(name, i, i === column, i === column)));
$("legend").hidden = !data.diff;
choose();
